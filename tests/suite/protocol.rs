//! The protocol as `docs/PROTOCOL.md` tells it, spoken by hand; and strangers who don't speak it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};

use crate::harness::{QDEMO, Running, Sandbox, assert_same, open_inbox};

/// A client that says exactly what it is told to.
pub struct ByHand {
    inbox: File,
    mailbox: BufReader<File>,
}

impl ByHand {
    /// Says hello; the rest of its JSON object is `more`.
    pub fn come(dir: &std::path::Path, key: &str, hello: &str) -> Self {
        let path = dir.join(format!("mailbox.{}.{key}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg("-m600").arg(&path).status();
        assert!(made.unwrap().success());
        // Opened for both, a named pipe neither blocks nor ends.
        let mailbox = open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut client = Self { inbox: open_inbox(dir), mailbox: BufReader::new(mailbox.into()) };
        client.say(&format!("hello {key} {hello}\n"));
        client
    }

    pub fn say(&mut self, message: &str) {
        self.raw(format!("\n\n{message}").as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        assert_eq!(self.inbox.write(bytes).unwrap(), bytes.len());
    }

    pub fn hear(&mut self) -> String {
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
fn the_sessions_in_the_description_happen_as_they_are_written() {
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

/// Consecutive lines that one client writes are one write.
fn play(session: &str, dir: &std::path::Path) {
    let mut clients: HashMap<&str, ByHand> = HashMap::new();
    let mut lines = session.lines().peekable();
    while let Some(line) = lines.next() {
        let (who, text) = line.split_at(3);
        let name = &who[..1];
        if let Some(words) = text.strip_prefix("hello ") {
            let (key, hello) = words.split_once(' ').unwrap();
            clients.insert(name, ByHand::come(dir, key, hello));
            continue;
        }
        let client = clients.get_mut(name).unwrap();
        if who.ends_with("< ") {
            assert_same(line, &format!("{who}{}", client.hear()));
            continue;
        }
        let mut message = format!("{text}\n");
        while let Some(next) = lines.next_if(|next| next.starts_with(who)) {
            message.push_str(&next[3..]);
            message.push('\n');
        }
        client.say(&message);
    }
}

#[test]
fn a_message_split_at_any_byte_is_understood() {
    let sandbox = Sandbox::new();
    let (_keeper, dir) = keeper(&sandbox, "split");
    let mut producer = ByHand::come(&dir, "00000000000000a1", &hello("producer"));
    assert_eq!(producer.hear(), WELCOME);
    let mut consumer = ByHand::come(&dir, "00000000000000c1", &hello("consumer"));
    assert_eq!(consumer.hear(), WELCOME);
    // Split, with nobody in between, it is whole.
    let mut seq = 0;
    for cut in 0..=message(1).len() {
        seq += 1;
        let message = message(seq);
        let (head, tail) = message.split_at(cut.min(message.len()));
        producer.raw(head);
        producer.raw(tail);
        let ok = producer.hear();
        assert!(ok.starts_with(&format!("ok {seq} ")), "cut at {cut}: {ok}");
    }
    // With somebody in between, that message is lost, as a whole, and no other.
    let accepted = seq;
    for cut in 3..message(1).len() - 1 {
        let message = message(accepted + 1);
        producer.raw(&message[..cut]);
        consumer.say("nothing 00000000000000c1\n");
        assert_eq!(consumer.hear(), "error malformed no such request");
        producer.raw(&message[cut..]);
    }
    producer.say(&format!("put 00000000000000a1 {} 1\n\"last\"\n", accepted + 1));
    let mut heard = producer.hear();
    while heard.starts_with("error malformed ") {
        heard = producer.hear();
    }
    let next = accepted + 1;
    assert_eq!(heard, format!("ok {next} {next} 65536"), "nothing was accepted in between");
}

fn message(seq: u64) -> Vec<u8> {
    format!("\n\nput 00000000000000a1 {seq} 1\n\"アイテム\"\n").into_bytes()
}

#[test]
fn half_a_line_of_a_stranger_costs_that_line_only() {
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
fn noise_on_the_inbox_disturbs_nobody() {
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
fn a_run_is_not_open_to_others() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&["run", "--items", "3", "--speed", "20"]);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    let private = fs::read_dir(sandbox.path("tmp")).unwrap().next().unwrap().unwrap().path();
    let mut command = sandbox.command(QDEMO);
    command.env("QDEMO_DIR", &private).args(["consumer", "--queue", "run"]);
    Running::start(command).end().assert_refused(1, &["belongs to a run"]);
    let outcome = run.end();
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 6);
    sandbox.assert_nothing_left();
}
