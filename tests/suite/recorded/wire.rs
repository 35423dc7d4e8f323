//! Both directions of the protocol: the replies of a keeper, and the requests of the commands.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::thread;

use super::{blank, compare, path, without_times};
use crate::harness::Sandbox;
pub(super) use crate::protocol::Session;
use crate::protocol::open_new_pipe;

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
    let mut inbox = open_new_pipe(&dir.join("inbox"));
    let reading = inbox.try_clone().unwrap();
    let answers: Vec<_> =
        answers.iter().map(|(verb, text)| ((*verb).to_owned(), (*text).to_owned())).collect();
    let keeper = thread::spawn(move || keep(&dir, reading, answers));
    let args: Vec<_> = words.split(' ').collect();
    let outcome = sandbox.run_with_input(&args, input.as_bytes());
    inbox.write_all(b"the client is gone\n").unwrap();
    let said = keeper.join().unwrap();
    let code = outcome.code().unwrap_or_else(|| panic!("qdemo {words}: {said}"));
    format!("$ qdemo {words}\n{}{said}[{code}]\n\n", without_times(&outcome.text()))
}

/// Reads the writes of the clients until the last client has ended, and replies. Each answer serves once; the next
/// answer for the same verb follows.
fn keep(dir: &Path, inbox: File, mut answers: Vec<(String, String)>) -> String {
    let mut inbox = BufReader::new(inbox);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        inbox.read_line(&mut line).unwrap();
        if line == "the client is gone\n" {
            return without_births(&said);
        }
        let Some(hello) = line.strip_prefix("hello ") else {
            said += &format!("> {line}");
            continue;
        };
        let (key, hello) = hello.split_once(' ').unwrap();
        said += &format!("> hello KEY {hello}");
        let pid = serde_json::from_str::<serde_json::Value>(hello).unwrap()["pid"].clone();
        let path = |kind| dir.join(format!("{kind}.{pid}.{key}"));
        let mailbox = fs::OpenOptions::new().write(true).open(path("mailbox")).unwrap();
        let requests = BufReader::new(File::open(path("requests")).unwrap());
        fs::remove_file(path("requests")).unwrap();
        said += &serve(mailbox, requests, &mut answers);
    }
}

/// Reads the requests of one client until the client has ended, and replies to `hello` and to these requests.
fn serve(
    mut mailbox: File,
    mut requests: BufReader<File>,
    answers: &mut Vec<(String, String)>,
) -> String {
    let mut said = String::new();
    let mut line = "hello".to_owned();
    loop {
        let verb = line.split_ascii_whitespace().next().unwrap();
        let answer = match answers.iter().position(|(asked, _)| asked == verb) {
            Some(at) => Some(answers.remove(at).1),
            None if verb == "size" => Some("size 0 0 1 0 0\n".to_owned()),
            None => None,
        };
        if let Some(answer) = answer {
            // A client that leaves at once reads no reply.
            let _ = mailbox.write_all(answer.as_bytes());
        }
        line.clear();
        if requests.read_line(&mut line).unwrap() == 0 {
            return said;
        }
        said += &format!("> {line}");
        if let Some(put) = line.strip_prefix("put ") {
            let bytes = put.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
            let mut items = vec![0; bytes];
            requests.read_exact(&mut items).unwrap();
            let items = String::from_utf8(items).unwrap();
            said.extend(items.lines().map(|item| format!("> {item}\n")));
        }
    }
}

/// The process births, the ancestors and the times of failures differ between two runs.
fn without_births(said: &str) -> String {
    let said = blank(said, "\"at\":", &[',', '}'], "TIME");
    let said = blank(&said, "\"birth\":{", &['}'], "BIRTH");
    let said = blank(&said, "\"ancestors\":[", &[']'], "ANCESTORS");
    blank(&said, "\"pid\":", &[',', '}'], "PID")
}

/// A command, its standard input, and the replies of the keeper after the welcome.
type Client<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

const WELCOME: (&str, &str) =
    ("hello", "welcome {\"version\":2,\"paced\":false,\"window\":65536}\n");
const THIRD: (&str, &str) = ("failed", "failed 3 1 4 odd\n\"a\"\n");
const FOURTH: (&str, &str) = ("failed", "failed 4 2 4 odd\n\"b\"\n");
const BYE: (&str, &str) = ("bye", "bye 0 0\n");

const BATCH: (&str, &str) = ("get", "batch 1 1 1 4\n\"a\"\n");
const STATUS: &str = "status {\"ready\":1,\"in_flight\":0,\"done\":0,\"failed\":0,\"capacity\":null,\
                  \"sync\":false,\"oldest_s\":1.5,\"state\":\"open\",\"producers\":[],\"consumers\":[]}\n";

const CLIENTS: [Client; 42] = [
    ("put a", "", &[("put", "ok 1 1 65536\n")]),
    ("put a b {\"c\":1}", "", &[("put", "ok 3 3 65536\n")]),
    ("put --json {\"c\":1} null", "", &[("put", "ok 2 2 65536\n")]),
    ("put -", "a\n\nb\n", &[("put", "ok 3 3 65536\n")]),
    ("put --capacity 3 --sync --max-item-size 9 a", "", &[("put", "ok 1 1 2\n")]),
    ("put --no-wait a", "", &[("cancel", "full 1\ncancelled\n")]),
    ("put a", "", &[("put", "closed 1\n")]),
    ("get", "", &[BATCH]),
    (
        "get --count 3",
        "",
        &[("get", "batch 1 2 1 8\n\"a\"\n\"b\"\n"), ("get", "batch 3 1 2 2\n3\n")],
    ),
    ("get --no-wait", "", &[("cancel", "empty\ncancelled\n")]),
    ("get --format json", "", &[BATCH]),
    ("get", "", &[("get", "ended\n")]),
    ("peek", "", &[("peek", "batch 1 1 1 4\n\"a\"\n")]),
    (
        "peek --count 3",
        "",
        &[("peek", "batch 1 2 1 6\n\"a\"\n2\n"), ("peek", "batch 5 1 2 2\n3\n")],
    ),
    ("peek", "", &[("peek", "empty\n")]),
    ("join", "", &[("join", "joined 0\n")]),
    ("join", "", &[("join", "joined 2\n")]),
    ("join --timeout 1ms", "", &[("cancel", "unfinished 3\ncancelled\n")]),
    ("close", "", &[("close", "count 0\n")]),
    ("close --now", "", &[("close", "count 3\n")]),
    ("status -q default", "", &[("status", STATUS)]),
    ("status -q default --format json", "", &[("status", STATUS)]),
    ("status --format json", "", &[("status", STATUS)]),
    ("failed", "", &[("failed", "failed 1 2 4 odd one\n\"a\"\n"), ("failed", "empty\n")]),
    ("failed --retry", "", &[("retry", "count 2\n")]),
    ("failed --retry 3 4", "", &[THIRD, FOURTH, ("retry", "count 1\n"), ("retry", "count 1\n")]),
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
    ("consumer --format raw", "", &[BATCH, ("get", "batch 2 1 3 4\n\"b\"\n"), ("get", "ended\n")]),
    ("consumer --fast --format raw --follow --max 1", "", &[BATCH]),
    ("consumer --max 1 --lease 90s --max-attempts 0 --format raw", "", &[BATCH]),
    ("consumer --no-wait --format raw", "", &[("cancel", "empty\ncancelled\n")]),
    ("consumer --max 1 -- echo {}", "", &[BATCH]),
    ("consumer --max 1 -- false", "", &[BATCH]),
    ("consumer --max 1 --retries 1 --backoff 1ms -- false", "", &[BATCH, ("attempt", "count 1\n")]),
    ("consumer --halt -- false", "", &[BATCH]),
];

#[test]
fn what_clients_write_is_as_it_was() {
    let one = |(words, input, answers): Client| {
        written(words, input, &[answers, &[WELCOME, BYE]].concat())
    };
    compare("wire/clients.txt", &CLIENTS.into_iter().map(one).collect::<String>());
}
