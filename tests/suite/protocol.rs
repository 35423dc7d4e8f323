//! Speaks the protocol of `docs/PROTOCOL.md` with raw clients, and writes noise to the inbox.
//!
//! Local: this is the protocol of the pipes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::harness::{
    QDEMO, Running, Sandbox, assert_same, open_inbox, wait_for_end, wait_for_input, wait_while,
};
use crate::recorded::without_times;

/// Makes a named pipe and opens both of its ends, so that the pipe neither blocks nor ends.
pub fn open_new_pipe(path: &Path) -> File {
    make_pipe(path);
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

pub fn make_pipe(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
}

/// A client that sends exact bytes.
pub struct RawClient {
    dir: PathBuf,
    key: String,
    requests: File,
    /// The client's own reading end of the requests, until the welcome.
    own_reader: Option<File>,
    mailbox: BufReader<File>,
}

impl RawClient {
    /// Makes both pipes. No keeper knows the client yet.
    pub fn new(dir: &Path, key: &str) -> Self {
        let path = |kind| dir.join(pipe_name(kind, key));
        let mailbox = BufReader::new(open_new_pipe(&path("mailbox")));
        let (own_reader, requests) = requests_pipe(&path("requests"));
        let (dir, key) = (dir.to_owned(), key.to_owned());
        Self { dir, key, requests, own_reader: Some(own_reader), mailbox }
    }

    /// Makes both pipes, and announces the client with the JSON object `hello`.
    pub fn connect(dir: &Path, key: &str, hello: &str) -> Self {
        let client = Self::new(dir, key);
        client.announce(hello);
        client
    }

    /// Connects and reads the welcome.
    pub fn welcomed(dir: &Path, key: &str, hello: &str) -> Self {
        let mut client = Self::connect(dir, key, hello);
        let reply = client.receive();
        assert!(reply.starts_with("welcome "), "{reply}");
        client
    }

    pub fn announce(&self, hello: &str) {
        announce(&self.dir, &self.key, hello);
    }

    /// Makes another pipe for the requests, and announces the client to the next keeper.
    pub fn resume(&mut self, hello: &str) {
        let path = self.dir.join(pipe_name("requests", &self.key));
        let (own_reader, requests) = requests_pipe(&path);
        (self.own_reader, self.requests) = (Some(own_reader), requests);
        self.announce(hello);
    }

    pub fn send(&mut self, requests: &str) {
        self.send_bytes(requests.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.requests.write_all(bytes).unwrap();
    }

    /// Sends bytes to a keeper that may have disconnected this client.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.requests.write_all(bytes)
    }

    /// Closes the reading end of the mailbox.
    pub fn close_mailbox(&mut self) {
        self.mailbox = BufReader::new(File::open("/dev/null").unwrap());
    }

    /// Reads the next line in the mailbox.
    ///
    /// # Panics
    /// If no line arrives within the time limit.
    pub fn receive(&mut self) -> String {
        if self.mailbox.buffer().is_empty() {
            assert!(wait_for_input(self.mailbox.get_ref()), "{} hears nothing", self.key);
        }
        let mut line = String::new();
        self.mailbox.read_line(&mut line).unwrap();
        if line.starts_with("welcome ") {
            self.own_reader = None;
        }
        line.trim_end_matches('\n').to_owned()
    }

    /// Reads this many bytes in the mailbox.
    pub fn receive_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.mailbox.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Removes the names of the pipes, as a client does that leaves. Without that the client counts as killed.
    pub fn leave(self) {
        for kind in ["requests", "mailbox"] {
            let _ = fs::remove_file(self.dir.join(pipe_name(kind, &self.key)));
        }
    }

    /// How many bytes in the mailbox are unread.
    pub fn unread_bytes(&self) -> u64 {
        let unread = rustix::io::ioctl_fionread(self.mailbox.get_ref()).unwrap();
        self.mailbox.buffer().len() as u64 + unread
    }
}

/// Makes the pipe for requests: its reading end, and its writing end, which blocks.
fn requests_pipe(path: &Path) -> (File, File) {
    make_pipe(path);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let reader = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).unwrap();
    (reader, OpenOptions::new().write(true).open(path).unwrap())
}

pub fn pipe_name(kind: &str, key: &str) -> String {
    format!("{kind}.{}.{key}", std::process::id())
}

/// Writes an announcement to the inbox, when the inbox has room.
pub fn announce(dir: &Path, key: &str, hello: &str) {
    let line = format!("\nhello {key} {hello}\n");
    let mut inbox = open_inbox(dir);
    wait_while(|| match inbox.write(line.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        written => {
            assert_eq!(written.unwrap(), line.len());
            false
        }
    });
}

pub fn hello(role: &str) -> String {
    let pid = std::process::id();
    format!(r#"{{"version":2,"role":"{role}","pid":{pid}}}"#)
}

/// Scripted clients, and a real keeper.
pub struct Session {
    pub sandbox: Sandbox,
    dir: PathBuf,
    keeper: Option<Running>,
    clients: BTreeMap<char, RawClient>,
}

impl Session {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let dir = sandbox.queue("default");
        let mut session = Self { sandbox, dir, keeper: None, clients: BTreeMap::new() };
        session.start();
        session
    }

    fn start(&mut self) {
        let mut keeper = self.sandbox.start(&["keeper", "--queue", "default"]);
        assert_eq!(keeper.line(), "ready");
        self.keeper = Some(keeper);
    }

    /// Kills the keeper and starts another one.
    pub fn restart(&mut self) {
        let keeper = self.keeper.take().unwrap();
        keeper.signal(Signal::KILL);
        keeper.end();
        self.start();
    }

    /// Makes one write of this client. `hello` on the first line connects the client, or lets it resume; a new client
    /// writes the lines behind `hello` before it announces itself.
    pub fn say(&mut self, name: char, message: &str) {
        let message = message.replace("PID", &std::process::id().to_string());
        let Some(announced) = message.strip_prefix("hello ") else {
            return self.clients.get_mut(&name).unwrap().send(&message);
        };
        let (line, requests) = announced.split_once('\n').unwrap();
        let (key, hello) = line.split_once(' ').unwrap();
        if let Some(client) = self.clients.get_mut(&name) {
            assert_eq!(requests, "", "a client that resumes waits for the welcome");
            return client.resume(hello);
        }
        let mut client = RawClient::new(&self.dir, key);
        client.send(requests);
        client.announce(hello);
        self.clients.insert(name, client);
    }

    /// Reads the next line in this client's mailbox.
    pub fn hear(&mut self, name: char) -> String {
        without_times(&self.clients.get_mut(&name).unwrap().receive())
    }

    /// Plays a script. Consecutive lines `C> ` are one write of the client C, `C< ` is a line that C reads, and
    /// `! restart` kills the keeper and starts another one. Returns the script with the lines that the clients really
    /// read.
    pub fn play(&mut self, script: &str) -> String {
        let mut played = String::new();
        let mut lines = script.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((who, text)) = line.split_at_checked(2).filter(|_| !line.starts_with("! "))
            else {
                assert!(line.is_empty() || line == "! restart", "{line}");
                if !line.is_empty() {
                    self.restart();
                }
                played += &format!("{line}\n");
                continue;
            };
            let name = who.chars().next().unwrap();
            if who.ends_with('<') {
                played += &format!("{who} {}\n", self.hear(name));
                continue;
            }
            assert!(who.ends_with('>'), "{line}");
            played += &format!("{line}\n");
            let mut message = format!("{}\n", &text[1..]);
            while let Some(next) = lines.next_if(|next| next.starts_with(who)) {
                played += &format!("{next}\n");
                message += &format!("{}\n", &next[3..]);
            }
            self.say(name, &message);
        }
        // No mailbox has lines that the script does not read.
        for (name, client) in &self.clients {
            assert_eq!(client.unread_bytes(), 0, "{name} has heard more");
        }
        played
    }

    /// The current journal.
    pub fn journal(&self) -> Vec<u8> {
        fs::read(self.dir.join("journal")).unwrap()
    }

    /// Disconnects all clients, and waits for the end of the keeper.
    pub fn end(mut self) -> Sandbox {
        std::mem::take(&mut self.clients).into_values().for_each(RawClient::leave);
        if let Some(keeper) = self.keeper.take() {
            let pid = keeper.pid();
            keeper.end();
            wait_for_end(pid);
        }
        self.sandbox
    }
}

#[test]
fn the_sessions_in_the_protocol_document_happen_as_written() {
    let page = fs::read_to_string("docs/PROTOCOL.md").unwrap();
    let blocks: Vec<_> = page.split("```session\n").skip(1).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let (script, _) = block.split_once("```").unwrap();
        let mut session = Session::new();
        assert_same(script, &session.play(script));
        session.end().assert_nothing_left();
    }
}

#[test]
fn the_protocol_document_lists_every_error_code() {
    let page = fs::read_to_string("docs/PROTOCOL.md").unwrap();
    let source = fs::read_to_string("src/wire/reply.rs").unwrap();
    let (_, variants) = source.split_once("pub(crate) enum ErrorCode {\n").unwrap();
    let (variants, _) = variants.split_once("    /// A code that a later version").unwrap();
    let codes: Vec<_> = variants.lines().map(|line| in_kebab_case(line.trim())).collect();
    let (_, table) = page.split_once("| code ").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows: Vec<_> = table.lines().filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(rows, codes);
}

fn in_kebab_case(variant: &str) -> String {
    let mut word = String::new();
    for letter in variant.trim_end_matches(',').chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

fn keeper(sandbox: &Sandbox, queue: &str) -> (Running, PathBuf) {
    let mut keeper = sandbox.start(&["keeper", "--queue", queue]);
    assert_eq!(keeper.line(), "ready");
    (keeper, sandbox.queue(queue))
}

#[test]
fn requests_split_at_any_byte_are_understood() {
    let sandbox = Sandbox::new();
    let (keeper, dir) = keeper(&sandbox, "split");
    let mut producer = RawClient::welcomed(&dir, "00000000000000a1", &hello("producer"));
    let mut other = RawClient::welcomed(&dir, "00000000000000c1", &hello("visitor"));
    let requests = |seq| format!("put {seq} 1 17\n\"アイテム\"  \nsize\n").into_bytes();
    for cut in 0..=requests(1).len() {
        let seq = cut as u64 + 1;
        let requests = requests(seq);
        let (head, tail) = requests.split_at(cut.min(requests.len()));
        producer.send_bytes(head);
        // The keeper has read the head when it answers another client, and this client is not disturbed.
        other.send("size\n");
        assert!(other.receive().starts_with("size "));
        producer.send_bytes(tail);
        assert_eq!(producer.receive(), format!("ok {seq} {seq} 65536"), "cut at {cut}");
        assert_eq!(producer.receive(), format!("size {seq} 0 0 0 0"), "cut at {cut}");
    }
    drop((producer, other));
    keeper.end();
    sandbox.assert_nothing_left();
}

#[test]
fn clients_of_other_versions_learn_why_they_are_refused() {
    let sandbox = Sandbox::new();
    let (keeper, dir) = keeper(&sandbox, "versions");
    let mut stays = RawClient::welcomed(&dir, "00000000000000a1", &hello("visitor"));
    let key = "00000000000000b1";
    // Version 1 begins each write with two newlines, and has no pipe for requests.
    let tag = "00000000000000f1";
    let pid = std::process::id();
    for (version, mailbox, tag) in [(1, key, ""), (1, tag, tag), (3, key, "")] {
        let path = dir.join(pipe_name("mailbox", mailbox));
        let mut mailbox = BufReader::new(open_new_pipe(&path));
        let tag = if tag.is_empty() { String::new() } else { format!(r#","mailbox":"{tag}""#) };
        let hello = format!(
            r#"{{"version":{version},"role":"visitor","pid":{pid}{tag},"born":{{"tick":1,"pid":1}}}}"#
        );
        let text = format!("\n\nhello {key} {hello}\n\n\nput {key} 1 1\n\"a\"\n");
        open_inbox(&dir).write_all(text.as_bytes()).unwrap();
        assert!(wait_for_input(mailbox.get_ref()));
        let mut line = String::new();
        mailbox.read_line(&mut line).unwrap();
        let expected = format!(
            "error version the keeper speaks protocol version 2, the client version {version}\n"
        );
        assert_eq!(line, expected);
        fs::remove_file(path).unwrap();
    }
    stays.send("size\n");
    assert_eq!(stays.receive(), "size 0 0 0 0 0");
    drop(stays);
    keeper.end();
    sandbox.assert_nothing_left();
}

#[test]
fn a_client_of_another_version_cannot_resume() {
    let mut session = Session::new();
    let script = r#"P> hello 00000000000000a1 {"version":2,"role":"producer","pid":PID}
P< welcome {"version":2,"paced":false,"window":65536}
! restart
P> hello 00000000000000a1 {"version":1,"role":"producer","pid":PID,"resume":0}
P< error version the keeper speaks protocol version 2, the client version 1
"#;
    assert_same(script, &session.play(script));
    session.end().assert_nothing_left();
}

#[test]
fn an_announcement_after_half_a_line_of_a_foreign_process_counts() {
    let sandbox = Sandbox::new();
    let (keeper, dir) = keeper(&sandbox, "halves");
    let mut stays = RawClient::welcomed(&dir, "00000000000000a1", &hello("visitor"));
    let mut inbox = open_inbox(&dir);
    let halves: [&[u8]; 8] = [
        b"half a line",
        b"hello",
        b"hello 00000000000000ff {",
        b"hello 00000000000000ff {}",
        b"\xff\xfe\0\0",
        b"put 1 1 1000000",
        b"size\nsize",
        b"\n\n\n",
    ];
    for (n, half) in halves.iter().enumerate() {
        inbox.write_all(half).unwrap();
        let key = format!("{:016x}", 0xb0 + n);
        let mut client = RawClient::new(&dir, &key);
        client.send("size\nbye\n");
        client.announce(&hello("visitor"));
        assert_eq!(client.receive(), WELCOME, "after {:?}", half.escape_ascii());
        assert_eq!(client.receive(), "size 0 0 0 0 0");
        assert_eq!(client.receive(), "bye 0 0");
    }
    drop(inbox);
    stays.send("bye\n");
    assert_eq!(stays.receive(), "bye 0 0");
    keeper.end();
    sandbox.assert_nothing_left();
}

const WELCOME: &str = r#"welcome {"version":2,"paced":false,"window":65536}"#;

#[test]
fn noise_on_the_inbox_disturbs_no_client() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--quiet", "--keep-open", "-"]);
    let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
    producer.feed("before\n");
    assert_eq!(consumer.line(), "before");
    let noise = r#"
        exec 3> "$QDEMO_DIR/default/inbox"
        head -c 300000 /dev/urandom >&3   # with newlines here and there
        head -c 300000 /dev/zero >&3      # one very long line
        yes "put 5 5 10" | head -20000 >&3
        yes "hello 0123456789abcdef 1" | head -20000 >&3
    "#;
    assert_eq!(sandbox.script(noise).code(), Some(0));
    producer.feed("after\n");
    assert_eq!(consumer.line(), "after");
    producer.end().assert_done();
    sandbox.run(&["producer", "--items", "0"]).assert_done();
    consumer.end().assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_refuses_foreign_clients() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&["run", "--items", "3", "--speed", "20"]);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    let run_folder = fs::read_dir(sandbox.path("tmp")).unwrap().next().unwrap().unwrap().path();
    let mut command = sandbox.command(QDEMO);
    command.env("QDEMO_DIR", &run_folder).args(["consumer", "--queue", "run"]);
    Running::start(command).end().assert_refused(1, &["belongs to a run"]);
    let outcome = run.end();
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 6);
    sandbox.assert_nothing_left();
}
