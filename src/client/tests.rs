//! Tests of the client against a keeper whose replies each test writes by hand.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::os::{Interest, wait_ready};
use crate::pipe::{MailboxWriter, QueueDir, ReadEnd};
use crate::role::Role;
use crate::wire::{AnnouncementReader, ClientKey, Request};

/// When a test has failed, in nanoseconds.
const TIME_LIMIT: u64 = 20_000_000_000;

/// A keeper that reads requests and writes the replies of the test.
struct ScriptedKeeper {
    inbox: ReadEnd,
    dir: QueueDir,
}

/// The keeper's ends of a client's pipes.
struct Connection {
    key: ClientKey,
    batches_received: Option<u64>,
    requests: ReadEnd,
    mailbox: MailboxWriter,
    unread_input: Vec<u8>,
}

impl ScriptedKeeper {
    /// Dies, after the next keeper has its inbox.
    fn replaced(self, base: &TempDir) -> Self {
        let next = Self::new(base);
        drop(self);
        next
    }

    fn new(base: &TempDir) -> Self {
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        Self { inbox: ReadEnd::create_inbox(&dir).unwrap(), dir }
    }

    /// Opens the pipes of the next client.
    fn meet_client(&self) -> Connection {
        let mut announcements = AnnouncementReader::default();
        loop {
            let inbox = [(self.inbox.as_fd(), Interest::Read)];
            let states = wait_ready(&inbox, Some(TIME_LIMIT)).unwrap();
            assert!(states[0].is_ready, "no client comes");
            let mut buffer = Vec::with_capacity(4096);
            self.inbox.read(&mut buffer).unwrap();
            let Some((key, hello)) = announcements.push_bytes(&buffer).pop() else {
                continue;
            };
            let pipes = hello.pipes(key);
            let batches_received = hello.batches_received;
            let mailbox = MailboxWriter::open(&self.dir, &pipes.mailbox()).unwrap();
            let requests = ReadEnd::open_requests(&self.dir, &pipes.requests()).unwrap();
            return Connection {
                key,
                batches_received,
                requests,
                mailbox,
                unread_input: Vec::new(),
            };
        }
    }

    /// Welcomes the next client.
    fn accept_client(&self, window: u64) -> Connection {
        let mut connection = self.meet_client();
        connection.welcome(window);
        connection
    }
}

impl Connection {
    fn welcome(&mut self, window: u64) {
        self.send(&format!("welcome {{\"version\":2,\"paced\":false,\"window\":{window}}}\n"));
    }

    fn send(&mut self, text: &str) {
        self.mailbox.unsent.text_mut().extend_from_slice(text.as_bytes());
        assert!(self.mailbox.flush().unwrap());
    }

    /// Reads the next line.
    fn read_line(&mut self) -> String {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread_input) {
                let line = self.unread_input.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            wait_ready(&[(self.requests.as_fd(), Interest::Read)], None).unwrap();
            self.unread_input.reserve(4096);
            self.requests.read(&mut self.unread_input).unwrap();
        }
    }

    /// Reads a request with this verb and returns its items.
    fn expect_request(&mut self, verb: &str) -> Vec<String> {
        let head = self.read_line();
        let mut words = head.split(' ');
        assert_eq!(words.next(), Some(verb), "{head}");
        let numbers: Vec<u64> = words.skip(1).map(|word| word.parse().unwrap()).collect();
        let items = if verb == "put" { numbers[0] } else { 0 };
        (0..items).map(|_| self.read_line()).collect()
    }
}

fn connect(base: PathBuf) -> Client {
    QueueBuilder::new("q".parse().unwrap()).dir(base).connect(Role::Visitor).unwrap()
}

#[test]
fn the_client_puts_nothing_before_its_caller_knows_that_the_queue_was_full() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        for item in ["1", "2", "3", "4"] {
            client.add_item(item.as_bytes()).unwrap();
        }
        let mut accepted = Vec::new();
        loop {
            match client.wait_for_accepted(Timeout::After(0)) {
                Ok(Some(Accepted { count, first_id })) => accepted.push((count, first_id)),
                other => {
                    let full = matches!(other, Err(Error::Full));
                    return (accepted, full, client.can_add());
                }
            }
            assert!(!client.can_add(), "the caller does not know yet that the queue was full");
        }
    });
    let mut client_pipes = keeper.accept_client(4);
    assert_eq!(client_pipes.expect_request("put"), ["1", "2", "3", "4"]);
    client_pipes.expect_request("cancel");
    // The queue accepted 2 items, one by one, and now has room for many.
    client_pipes.send("ok 1 5 0\nok 2 9 16\nfull 4\ncancelled\n");
    let (accepted, full, can_add) = client.join().unwrap();
    assert_eq!(accepted, [(1, 5), (1, 9)]);
    assert!(full && can_add, "now the client may put again");
}

#[test]
fn a_batch_before_the_reply_to_a_cancel_counts() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let first = client.get_with_timeout(1, Timeout::After(0)).unwrap().unwrap();
        let second = client.get_with_timeout(1, Timeout::After(0));
        let third = client.get_with_timeout(1, Timeout::Infinite).unwrap();
        (first.batch().first_id, matches!(second, Err(Error::Empty)), third.is_none())
    });
    let mut client_pipes = keeper.accept_client(1);
    client_pipes.expect_request("get");
    client_pipes.expect_request("cancel");
    client_pipes.send("batch 7 1 1 4\n\"a\"\ncancelled\n");
    client_pipes.expect_request("get");
    client_pipes.expect_request("cancel");
    client_pipes.send("empty\ncancelled\n");
    client_pipes.expect_request("get");
    client_pipes.send("ended\n");
    assert_eq!(client.join().unwrap(), (7, true, true));
}

#[test]
fn the_client_reads_the_last_error_of_a_keeper_that_exits() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (exited, has_exited) = std::sync::mpsc::channel::<()>();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let _ = has_exited.recv();
        client.put(b"1")
    });
    let mut client_pipes = keeper.accept_client(1);
    client_pipes.send("error removed the queue has been removed\n");
    drop((client_pipes, keeper));
    drop(exited);
    let Err(Error::Refused { code, .. }) = client.join().unwrap() else {
        panic!("the client has read the error");
    };
    assert_eq!(code, "removed");
}

#[test]
fn a_client_that_leaves_waits_no_longer_than_its_timeout() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let options = QueueBuilder::new("q".parse().unwrap()).dir(path).timeout(Duration::ZERO);
        let mut client = options.connect(Role::Visitor).unwrap();
        let batch = client.get(1).unwrap().unwrap();
        client.done(&batch).unwrap();
        client.leave().unwrap_err()
    });
    let mut client_pipes = keeper.accept_client(1);
    client_pipes.expect_request("get");
    client_pipes.send("batch 1 1 1 4\n\"a\"\n");
    client_pipes.expect_request("done");
    client_pipes.expect_request("bye");
    let error = client.join().unwrap();
    assert!(matches!(error, Error::NoAnswer { starting: false, .. }), "{error}");
}

#[test]
fn an_unanswered_cancel_is_settled_before_the_next_request() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (given_up, has_given_up) = std::sync::mpsc::channel();
    let (answered, has_answered) = std::sync::mpsc::channel::<()>();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let give_up = |client: &mut Client| {
            let error = client.get_with_timeout(1, Timeout::After(0)).unwrap_err();
            given_up.send(matches!(error, Error::NoAnswer { .. })).unwrap();
            has_answered.recv().unwrap();
        };
        give_up(&mut client);
        let size = client.size().unwrap().0.ready;
        give_up(&mut client);
        (size, client.get_with_timeout(1, Timeout::Infinite).unwrap().is_none())
    });
    let mut client_pipes = keeper.accept_client(1);
    client_pipes.expect_request("get");
    client_pipes.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    client_pipes.send("batch 7 1 1 4\n\"a\"\ncancelled\n");
    answered.send(()).unwrap();
    // The client requeues the item before the next request.
    client_pipes.expect_request("requeue");
    client_pipes.expect_request("size");
    client_pipes.send("size 1 0 0 0 0\n");
    client_pipes.expect_request("get");
    client_pipes.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    client_pipes.send("ended\ncancelled\n");
    answered.send(()).unwrap();
    assert_eq!(client.join().unwrap(), (1, true), "the next get returns the end");
}

#[test]
fn a_get_into_a_full_pipe_is_settled_before_the_next_request() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (given_up, has_given_up) = std::sync::mpsc::channel();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        while client.requests.write(client.session.unsent()).unwrap() {
            (0..1000).for_each(|_| client.session.add_request(Request::Size));
        }
        let error = client.get_with_timeout(1, Timeout::After(0)).unwrap_err();
        given_up.send(matches!(error, Error::NoAnswer { .. })).unwrap();
        client.get_with_timeout(1, Timeout::Infinite).unwrap().is_none()
    });
    let mut client_pipes = keeper.accept_client(1);
    assert!(has_given_up.recv().unwrap());
    while client_pipes.read_line() != "get 1" {}
    client_pipes.expect_request("cancel");
    client_pipes.send("batch 7 1 1 4\n\"a\"\ncancelled\n");
    client_pipes.expect_request("requeue");
    client_pipes.expect_request("get");
    client_pipes.send("ended\n");
    assert!(client.join().unwrap());
}

/// Puts an item, and asks for the size, with a client that connects with its first request.
fn put_and_ask(base: PathBuf) -> u64 {
    let options = QueueBuilder::new("q".parse().unwrap()).dir(base);
    let mut client = options.connect_with_first_request().unwrap();
    client.put(b"1").unwrap();
    client.size().unwrap().0.ready
}

/// Lets the client put its item at this keeper, which is the second one that the client knows.
fn serve_put_and_ask(keeper: &ScriptedKeeper) -> ClientKey {
    let mut client_pipes = keeper.meet_client();
    assert_eq!(client_pipes.batches_received, Some(0), "the client resumes");
    client_pipes.welcome(1);
    assert_eq!(client_pipes.expect_request("put"), ["1"]);
    client_pipes.send("ok 1 1 1\n");
    client_pipes.expect_request("size");
    client_pipes.send("size 1 0 0 0 0\n");
    client_pipes.key
}

#[test]
fn a_first_request_is_repeated_once_when_the_keeper_dies_before_the_welcome() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || put_and_ask(path));
    let mut client_pipes = keeper.meet_client();
    assert_eq!(client_pipes.batches_received, None);
    assert_eq!(client_pipes.expect_request("put"), ["1"]);
    let key = client_pipes.key;
    let keeper = keeper.replaced(&base);
    drop(client_pipes);
    assert_eq!(serve_put_and_ask(&keeper), key, "to the next keeper it is the same client");
    assert_eq!(client.join().unwrap(), 1);
}

#[test]
fn a_first_request_is_repeated_once_when_the_keeper_never_opened_its_pipe() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || put_and_ask(path));
    wait_ready(&[(keeper.inbox.as_fd(), Interest::Read)], None).unwrap();
    // The first pipe still has the request, and nobody reads it.
    let keeper = keeper.replaced(&base);
    serve_put_and_ask(&keeper);
    assert_eq!(client.join().unwrap(), 1);
}

#[test]
fn a_first_request_that_no_pipe_holds_goes_to_the_next_keeper() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let options = QueueBuilder::new("q".parse().unwrap()).dir(base.path());
    let item = "1".repeat(1 << 18);
    let long_item = item.clone();
    let client = thread::spawn(move || {
        let mut client = options.connect_with_first_request().unwrap();
        client.put(long_item.as_bytes()).unwrap();
    });
    let states = wait_ready(&[(keeper.inbox.as_fd(), Interest::Read)], Some(TIME_LIMIT)).unwrap();
    assert!(states[0].is_ready, "the client announces itself");
    // The keeper dies before it opens the pipe, which is full.
    let keeper = keeper.replaced(&base);
    let mut client_pipes = keeper.accept_client(1);
    assert!(client_pipes.expect_request("put") == [item]);
    client_pipes.send("ok 1 1 1\n");
    client.join().unwrap();
}

#[test]
fn a_client_that_finds_another_keeper_during_a_query_counts_a_reconnection() {
    let base = tempfile::tempdir().unwrap();
    let keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (kill, is_killed) = std::sync::mpsc::channel();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let before = client.reconnections();
        is_killed.recv().unwrap();
        client.size().unwrap();
        (before, client.reconnections())
    });
    let client_pipes = keeper.accept_client(1);
    let keeper = keeper.replaced(&base);
    drop(client_pipes);
    kill.send(()).unwrap();
    let mut client_pipes = keeper.accept_client(1);
    client_pipes.expect_request("size");
    client_pipes.send("size 1 0 0 0 0\n");
    assert_eq!(client.join().unwrap(), (0, 1));
}
