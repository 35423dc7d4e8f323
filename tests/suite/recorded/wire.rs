//! Both directions of the protocol: the replies of a keeper, and the requests of the commands.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;

use super::{blank, compare, path, without_times};
use crate::harness::{Running, Sandbox, open_inbox, wait_for_end};

/// A named pipe. The test holds both ends open, so the pipe neither blocks nor ends.
fn pipe(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg("-m600").arg(path).status().unwrap().success());
    open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap().into()
}

/// A client that writes the lines of a session.
struct Hand {
    inbox: File,
    mailbox: BufReader<File>,
}

/// Scripted clients, and a real keeper.
pub(super) struct Session {
    pub(super) sandbox: Sandbox,
    dir: PathBuf,
    keeper: Option<Running>,
    clients: BTreeMap<char, Hand>,
}

impl Session {
    pub(super) fn new() -> Self {
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

    /// Kills the keeper and starts another one. Each client connects its pipes to the new keeper.
    pub(super) fn restart(&mut self) {
        let keeper = self.keeper.take().unwrap();
        keeper.signal(Signal::KILL);
        keeper.end();
        self.start();
        self.clients.values_mut().for_each(|client| client.inbox = open_inbox(&self.dir));
    }

    /// Makes one write of this client. A `hello` creates the client.
    pub(super) fn say(&mut self, name: char, message: &str) {
        if let Some(words) = message.strip_prefix("hello ")
            && !self.clients.contains_key(&name)
        {
            let (key, _) = words.split_once(' ').unwrap();
            let mailbox = self.dir.join(format!("mailbox.{}.{key}", std::process::id()));
            let mailbox = BufReader::new(pipe(&mailbox));
            self.clients.insert(name, Hand { inbox: open_inbox(&self.dir), mailbox });
        }
        let message = message.replace("PID", &std::process::id().to_string());
        let message = format!("\n\n{message}");
        let inbox = &mut self.clients.get_mut(&name).unwrap().inbox;
        assert_eq!(inbox.write(message.as_bytes()).unwrap(), message.len());
    }

    /// Reads the next line in this client's mailbox.
    ///
    /// # Panics
    /// If no line arrives within the time limit.
    pub(super) fn hear(&mut self, name: char) -> String {
        let mailbox = &mut self.clients.get_mut(&name).unwrap().mailbox;
        if mailbox.buffer().is_empty() {
            let mut there = [PollFd::new(mailbox.get_ref(), PollFlags::IN)];
            let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
            assert!(poll(&mut there, Some(&limit)).unwrap() > 0, "{name} hears nothing");
        }
        let mut line = String::new();
        mailbox.read_line(&mut line).unwrap();
        without_own_number(&without_times(line.trim_end_matches('\n')))
    }

    /// Plays a script. Consecutive lines `C> ` are one write of the client C, `C< ` is a line that C reads, and
    /// `! restart` kills the keeper. Returns the script with the lines that the clients really
    /// read.
    pub(super) fn play(&mut self, script: &str) -> String {
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
        self.assert_nothing_unread();
        played
    }

    /// Fails if a mailbox has lines that the script does not read.
    fn assert_nothing_unread(&self) {
        for (name, client) in &self.clients {
            let unread = rustix::io::ioctl_fionread(client.mailbox.get_ref()).unwrap();
            assert_eq!((client.mailbox.buffer(), unread), (&b""[..], 0), "{name} has heard more");
        }
    }

    /// The current journal.
    pub(super) fn journal(&self) -> Vec<u8> {
        fs::read(self.dir.join("journal")).unwrap()
    }

    /// Disconnects all clients, and waits for the end of the keeper.
    pub(super) fn end(mut self) -> Sandbox {
        self.clients.clear();
        if let Some(keeper) = self.keeper.take() {
            let pid = keeper.pid();
            keeper.end();
            wait_for_end(pid);
        }
        self.sandbox
    }
}

/// The process id of the test differs between two runs.
fn without_own_number(text: &str) -> String {
    text.replace(&format!("mailbox.{}.", std::process::id()), "mailbox.PID.")
}

/// Plays the session of this name, and compares the replies with the recorded ones.
#[track_caller]
fn replay(name: &str) {
    let name = format!("wire/{name}.session");
    let script = fs::read_to_string(path(&name)).unwrap();
    let mut session = Session::new();
    compare(&name, &session.play(&script));
    session.end().assert_nothing_left();
}

#[test]
fn items_go_through_the_keeper() {
    replay("items");
}

#[test]
fn visitors_ask_for_all_there_is() {
    replay("visitor");
}

#[test]
fn the_keeper_refuses() {
    replay("refused");
}

#[test]
fn leases_run_out_and_queues_end() {
    replay("leases-and-ends");
}

#[test]
fn a_keeper_goes_on_where_another_was_killed() {
    replay("resumed");
}

#[test]
fn a_queue_is_removed_with_those_who_use_it() {
    replay("removed");
}

/// Runs a command against a scripted keeper, which answers each request with the reply for its verb in `answers`.
/// Returns the writes of the client, its output and its exit code.
fn written(words: &str, input: &str, answers: &[(&str, &str)]) -> String {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let mut inbox = pipe(&dir.join("inbox"));
    let reading = inbox.try_clone().unwrap();
    let answers: Vec<_> =
        answers.iter().map(|(verb, text)| ((*verb).to_owned(), (*text).to_owned())).collect();
    let keeper = thread::spawn(move || keep(&dir, reading, answers));
    let args: Vec<_> = words.split(' ').collect();
    let outcome = sandbox.run_with_input(&args, input.as_bytes());
    inbox.write_all(b"\nthe client is gone\n").unwrap();
    let said = keeper.join().unwrap();
    let code = outcome.code().unwrap_or_else(|| panic!("qdemo {words}: {said}"));
    format!("$ qdemo {words}\n{}{said}[{code}]\n\n", without_times(&outcome.text()))
}

/// Reads the writes of one client until the client has ended, and replies. Each answer serves once; the next answer
/// for the same verb follows.
fn keep(dir: &Path, inbox: File, mut answers: Vec<(String, String)>) -> String {
    let mut inbox = BufReader::new(inbox);
    let mut said = String::new();
    let mut mailbox = None;
    let mut key = String::new();
    loop {
        let mut line = String::new();
        inbox.read_line(&mut line).unwrap();
        if line == "the client is gone\n" {
            // The test itself wrote the newline in front.
            said.truncate(said.len() - "> \n".len());
            return without_births(&said.replace(&key, "KEY"));
        }
        said += &format!("> {line}");
        let mut words = line.trim_end().splitn(3, ' ');
        let (verb, number, rest) = (words.next().unwrap(), words.next(), words.next());
        if verb == "hello" {
            number.unwrap().clone_into(&mut key);
            let hello: serde_json::Value = serde_json::from_str(rest.unwrap()).unwrap();
            let (pid, tag) = (&hello["pid"], hello["mailbox"].as_str().unwrap());
            let path = dir.join(format!("mailbox.{pid}.{tag}"));
            mailbox = Some(fs::OpenOptions::new().write(true).open(path).unwrap());
        }
        let answer = match answers.iter().position(|(asked, _)| asked == verb) {
            Some(at) => Some(answers.remove(at).1),
            None if verb == "size" => Some("size 0 0 1 0 0\n".to_owned()),
            None => None,
        };
        if let Some(answer) = answer {
            // A client that leaves at once reads no reply.
            let _ = mailbox.as_mut().unwrap().write_all(answer.as_bytes());
        }
    }
}

/// The process births, the ancestors and the random name of the mailbox differ between two runs.
fn without_births(said: &str) -> String {
    let said = blank(said, "\"mailbox\":\"", &['"'], "TAG");
    let said = blank(&said, "\"born\":{", &['}'], "BORN");
    let said = blank(&said, "\"callers\":[", &[']'], "CALLERS");
    blank(&said, "\"pid\":", &[',', '}'], "PID")
}

/// A command, its standard input, and the replies of the keeper after the welcome.
type Client<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

const WELCOME: (&str, &str) =
    ("hello", "welcome {\"version\":1,\"paced\":false,\"window\":65536}\n");
const THIRD: (&str, &str) = ("failed", "failed 3 1 odd\n\"a\"\n");
const FOURTH: (&str, &str) = ("failed", "failed 4 2 odd\n\"b\"\n");
const BYE: (&str, &str) = ("bye", "bye 0 0\n");

#[test]
fn what_clients_write_is_as_it_was() {
    let status = "status {\"ready\":1,\"in_flight\":0,\"done\":0,\"failed\":0,\"capacity\":null,\
                  \"sync\":false,\"oldest_s\":1.5,\"state\":\"open\",\"producers\":[],\"consumers\":[]}\n";
    let run = ("get", "run 1 1 1\n\"a\"\n");
    let clients: [Client; 42] = [
        ("put a", "", &[("put", "ok 1 1 65536\n")]),
        ("put a b {\"c\":1}", "", &[("put", "ok 3 3 65536\n")]),
        ("put --json {\"c\":1} null", "", &[("put", "ok 2 2 65536\n")]),
        ("put -", "a\n\nb\n", &[("put", "ok 3 3 65536\n")]),
        ("put --capacity 3 --sync --max-item-size 9 a", "", &[("put", "ok 1 1 2\n")]),
        ("put --no-wait a", "", &[("cancel", "full 1\ncancelled\n")]),
        ("put a", "", &[("put", "closed 1\n")]),
        ("get", "", &[run]),
        ("get --count 3", "", &[("get", "run 1 2 1\n\"a\"\n\"b\"\n"), ("get", "run 3 1 2\n3\n")]),
        ("get --no-wait", "", &[("cancel", "empty\ncancelled\n")]),
        ("get --format json", "", &[run]),
        ("get", "", &[("get", "ended\n")]),
        ("peek", "", &[("peek", "run 1 1 1\n\"a\"\n")]),
        ("peek --count 3", "", &[("peek", "run 1 2 1\n\"a\"\n2\n"), ("peek", "run 5 1 2\n3\n")]),
        ("peek", "", &[("peek", "empty\n")]),
        ("join", "", &[("join", "joined 0\n")]),
        ("join", "", &[("join", "joined 2\n")]),
        ("join --timeout 1ms", "", &[("cancel", "unfinished 3\ncancelled\n")]),
        ("close", "", &[("close", "count 0\n")]),
        ("close --now", "", &[("close", "count 3\n")]),
        ("status -q default", "", &[("status", status)]),
        ("status -q default --format json", "", &[("status", status)]),
        ("status --format json", "", &[("status", status)]),
        ("failed", "", &[("failed", "failed 1 2 odd one\n\"a\"\n"), ("failed", "empty\n")]),
        ("failed --retry", "", &[("retry", "count 2\n")]),
        (
            "failed --retry 3 4",
            "",
            &[THIRD, FOURTH, ("retry", "count 1\n"), ("retry", "count 1\n")],
        ),
        ("failed --drop", "", &[("drop", "count 2\n")]),
        ("failed --drop 3", "", &[THIRD, ("drop", "count 1\n")]),
        ("failed --drop 7", "", &[("failed", "empty\n")]),
        ("rm", "", &[("size", "size 1 2 3 4 0\n"), ("remove", "error in-use it is in use\n")]),
        (
            "rm --force",
            "",
            &[
                ("size", "size 1 2 3 4 0\n"),
                ("size", "size 1 2 3 4 0\n"),
                ("remove", "error in-use it is in use\n"),
            ],
        ),
        ("producer --quiet a b", "", &[("put", "ok 2 2 65536\n")]),
        ("producer --quiet --keep-open --capacity 0 --sync a", "", &[("put", "ok 1 1 9\n")]),
        ("producer --lang en -", "a\n", &[("put", "ok 1 1 65536\n")]),
        ("consumer --format raw", "", &[run, ("get", "run 2 1 3\n\"b\"\n"), ("get", "ended\n")]),
        ("consumer --fast --format raw --follow --max 1", "", &[run]),
        ("consumer --max 1 --lease 90s --max-attempts 0 --format raw", "", &[run]),
        ("consumer --no-wait --format raw", "", &[("cancel", "empty\ncancelled\n")]),
        ("consumer --max 1 -- echo {}", "", &[run]),
        ("consumer --max 1 -- false", "", &[run]),
        (
            "consumer --max 1 --retries 1 --backoff 1ms -- false",
            "",
            &[run, ("attempt", "count 1\n")],
        ),
        ("consumer --halt -- false", "", &[run]),
    ];
    let one = |(words, input, answers): Client| {
        written(words, input, &[answers, &[WELCOME, BYE]].concat())
    };
    compare("wire/clients.txt", &clients.into_iter().map(one).collect::<String>());
}
