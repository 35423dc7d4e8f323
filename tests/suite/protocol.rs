//! Speaks the protocol of `docs/PROTOCOL.md` with a raw client, and writes noise to the inbox.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};

use crate::harness::{QDEMO, Running, Sandbox, assert_same, open_inbox};

/// A client that sends exact bytes.
pub struct RawClient {
    inbox: File,
    mailbox: BufReader<File>,
}

impl RawClient {
    /// Makes the mailbox and sends a `hello` request. The argument `hello` is its JSON object.
    pub fn connect(dir: &std::path::Path, key: &str, hello: &str) -> Self {
        let path = dir.join(format!("mailbox.{}.{key}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg("-m600").arg(&path).status();
        assert!(made.unwrap().success());
        // A named pipe that is open for reading and writing neither blocks nor ends.
        let mailbox = open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut client = Self { inbox: open_inbox(dir), mailbox: BufReader::new(mailbox.into()) };
        client.send(&format!("hello {key} {hello}\n"));
        client
    }

    pub fn send(&mut self, request: &str) {
        self.send_bytes(format!("\n\n{request}").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        assert_eq!(self.inbox.write(bytes).unwrap(), bytes.len());
    }

    pub fn receive(&mut self) -> String {
        let mut line = String::new();
        self.mailbox.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

fn keeper(sandbox: &Sandbox, queue: &str) -> (Running, PathBuf) {
    let mut keeper = sandbox.start(&["keeper", "--queue", queue]);
    assert_eq!(keeper.line(), "ready");
    (keeper, sandbox.queue(queue))
}

pub fn hello(role: &str) -> String {
    let pid = std::process::id();
    format!(r#"{{"version":1,"role":"{role}","pid":{pid}}}"#)
}

const WELCOME: &str = r#"welcome {"version":1,"paced":false,"window":65536}"#;

#[test]
fn the_sessions_in_the_protocol_document_happen_as_written() {
    let page = fs::read_to_string("docs/PROTOCOL.md").unwrap();
    let blocks: Vec<_> = page.split("```session\n").skip(1).collect();
    assert_eq!(blocks.len(), 4);
    for (number, block) in blocks.iter().enumerate() {
        let (session, _) = block.split_once("```").unwrap();
        let session = session.replace("PID", &std::process::id().to_string());
        let sandbox = Sandbox::new();
        let (keeper, dir) = keeper(&sandbox, &format!("session{number}"));
        play(&session, &dir);
        assert_eq!(keeper.end().code(), Some(0));
        sandbox.assert_nothing_left();
    }
}

/// Plays a session of the document. Consecutive lines of one client are one write.
fn play(session: &str, dir: &std::path::Path) {
    let mut clients: HashMap<&str, RawClient> = HashMap::new();
    let mut lines = session.lines().peekable();
    while let Some(line) = lines.next() {
        let (prefix, text) = line.split_at(3);
        let name = &prefix[..1];
        if let Some(words) = text.strip_prefix("hello ") {
            let (key, hello) = words.split_once(' ').unwrap();
            clients.insert(name, RawClient::connect(dir, key, hello));
            continue;
        }
        let client = clients.get_mut(name).unwrap();
        if prefix.ends_with("< ") {
            assert_same(line, &format!("{prefix}{}", client.receive()));
            continue;
        }
        let mut request = format!("{text}\n");
        while let Some(next) = lines.next_if(|next| next.starts_with(prefix)) {
            request.push_str(&next[3..]);
            request.push('\n');
        }
        client.send(&request);
    }
}

#[test]
fn a_request_split_at_any_byte_is_understood() {
    let sandbox = Sandbox::new();
    let (_keeper, dir) = keeper(&sandbox, "split");
    let mut producer = RawClient::connect(&dir, "00000000000000a1", &hello("producer"));
    assert_eq!(producer.receive(), WELCOME);
    let mut consumer = RawClient::connect(&dir, "00000000000000c1", &hello("consumer"));
    assert_eq!(consumer.receive(), WELCOME);
    // A split request without other bytes in between is whole.
    let mut seq = 0;
    for cut in 0..=request(1).len() {
        seq += 1;
        let request = request(seq);
        let (head, tail) = request.split_at(cut.min(request.len()));
        producer.send_bytes(head);
        producer.send_bytes(tail);
        let ok = producer.receive();
        assert!(ok.starts_with(&format!("ok {seq} ")), "cut at {cut}: {ok}");
    }
    // A request with bytes of another client in between is lost as a whole. No other request is lost.
    let accepted = seq;
    for cut in 3..request(1).len() - 1 {
        let request = request(accepted + 1);
        producer.send_bytes(&request[..cut]);
        consumer.send("nothing 00000000000000c1\n");
        assert_eq!(consumer.receive(), "error malformed no such request");
        producer.send_bytes(&request[cut..]);
    }
    producer.send(&format!("put 00000000000000a1 {} 1\n\"last\"\n", accepted + 1));
    let mut reply = producer.receive();
    while reply.starts_with("error malformed ") {
        reply = producer.receive();
    }
    let next = accepted + 1;
    assert_eq!(reply, format!("ok {next} {next} 65536"), "a broken request was accepted");
}

fn request(seq: u64) -> Vec<u8> {
    format!("\n\nput 00000000000000a1 {seq} 1\n\"アイテム\"\n").into_bytes()
}

#[test]
fn half_a_line_of_a_foreign_process_costs_only_that_line() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--format", "json", "-"]);
    producer.feed("first\n");
    assert!(producer.line().contains("first"));
    let mut inbox = open_inbox(&sandbox.queue("default"));
    let halves: [&[u8]; 9] = [
        b"half a line",
        b"put 00000000000000a1 1 1000000",
        b"put 00000000000000a1 1 3\n\"one\"",
        b"hello",
        b"hello 00000000000000ff {",
        b"\xff\xfe\0\0",
        b"put",
        b"done 0123456789abcdef 1 1",
        b"\n\n\n",
    ];
    for (n, half) in halves.iter().enumerate() {
        inbox.write_all(half).unwrap();
        producer.feed(&format!("item {n}\n"));
        let line = producer.line();
        assert!(line.contains(&format!("item {n}")), "{line}");
    }
    drop(inbox);
    assert_eq!(producer.end().code(), Some(0));
    let got = sandbox.run(&["consumer", "--format", "raw"]);
    let expected: String = (0..halves.len()).map(|n| format!("item {n}\n")).collect();
    got.assert_prints(&format!("first\n{expected}"));
    sandbox.assert_nothing_left();
}

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
        yes "put 0123456789abcdef 5 5" | head -20000 >&3
        yes "get 0123456789abcdef 1" | head -20000 >&3
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
