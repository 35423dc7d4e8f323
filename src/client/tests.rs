//! Tests of the client against a keeper whose replies each test writes by hand.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::os::{Interest, wait_ready};
use crate::pipe::{InboxWriter, MailboxWriter, QueueDir, ReadEnd};
use crate::queue::MAX_DELIVERY_BYTES;
use crate::role::Role;
use crate::wire::{ClientKey, Hello};

/// A keeper that reads requests and writes the replies of the test.
struct ScriptedKeeper {
    inbox: ReadEnd,
    dir: QueueDir,
    unread_input: String,
}

impl ScriptedKeeper {
    fn new(base: &TempDir) -> Self {
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let inbox = ReadEnd::create_inbox(&dir, MAX_DELIVERY_BYTES).unwrap();
        Self { inbox, dir, unread_input: String::new() }
    }

    /// Reads the next line that is not empty.
    fn read_line(&mut self) -> String {
        loop {
            if let Some((line, rest)) = self.unread_input.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.unread_input = rest;
                if !line.is_empty() {
                    return line;
                }
                continue;
            }
            wait_ready(&[(self.inbox.as_fd(), Interest::Read)], None).unwrap();
            let mut buffer = [0; 4096];
            let read = self.inbox.read(&mut buffer).unwrap();
            self.unread_input.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    /// Welcomes the next client.
    fn accept_client(&mut self, window: u64) -> MailboxWriter {
        let line = self.read_line();
        let json = line.splitn(3, ' ').nth(2).unwrap();
        let hello: Hello = serde_json::from_str(json).unwrap();
        let mailbox = hello.mailbox_name(ClientKey(0));
        let mut mailbox = MailboxWriter::open(&self.dir, &mailbox).unwrap();
        let welcome = format!("welcome {{\"version\":1,\"paced\":false,\"window\":{window}}}\n");
        send_text(&mut mailbox, &welcome);
        mailbox
    }

    /// Reads a request with this verb and returns its items.
    fn expect_request(&mut self, verb: &str) -> Vec<String> {
        let head = self.read_line();
        let mut words = head.split(' ');
        assert_eq!(words.next(), Some(verb), "{head}");
        let numbers: Vec<u64> = words.skip(1).map(|word| word.parse().unwrap()).collect();
        let items = if verb == "put" { numbers[1] } else { 0 };
        (0..items).map(|_| self.read_line()).collect()
    }
}

fn send_text(mailbox: &mut MailboxWriter, text: &str) {
    mailbox.buffer_mut().extend_from_slice(text.as_bytes());
    mailbox.commit();
    mailbox.flush().unwrap();
}

fn connect(base: PathBuf) -> Client {
    QueueBuilder::new("q".parse().unwrap()).dir(base).connect(Role::Visitor).unwrap()
}

#[test]
fn the_client_puts_nothing_before_its_caller_knows_that_the_queue_was_full() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
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
    let mut mailbox = keeper.accept_client(4);
    assert_eq!(keeper.expect_request("put"), ["1", "2", "3", "4"]);
    keeper.expect_request("cancel");
    // The queue accepted 2 items, one by one, and now has room for many.
    send_text(&mut mailbox, "ok 1 5 0\nok 2 9 16\nfull 4\ncancelled\n");
    let (accepted, full, can_add) = client.join().unwrap();
    assert_eq!(accepted, [(1, 5), (1, 9)]);
    assert!(full && can_add, "now the client may put again");
}

#[test]
fn a_batch_before_the_reply_to_a_cancel_counts() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let first = client.get_with_timeout(1, Timeout::After(0)).unwrap().unwrap();
        let second = client.get_with_timeout(1, Timeout::After(0));
        let third = client.get_with_timeout(1, Timeout::Infinite).unwrap();
        (first.batch().first_id, matches!(second, Err(Error::Empty)), third.is_none())
    });
    let mut mailbox = keeper.accept_client(1);
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut mailbox, "run 7 1 1\n\"a\"\ncancelled\n");
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut mailbox, "empty\ncancelled\n");
    keeper.expect_request("get");
    send_text(&mut mailbox, "ended\n");
    assert_eq!(client.join().unwrap(), (7, true, true));
}

#[test]
fn the_client_reads_the_last_error_of_a_keeper_that_exits() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (exited, has_exited) = std::sync::mpsc::channel::<()>();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let _ = has_exited.recv();
        client.put(b"1")
    });
    let mut mailbox = keeper.accept_client(1);
    send_text(&mut mailbox, "error removed the queue has been removed\n");
    drop((mailbox, keeper));
    drop(exited);
    let Err(Error::Refused { code, .. }) = client.join().unwrap() else {
        panic!("the client has read the error");
    };
    assert_eq!(code, "removed");
}

#[test]
fn a_client_that_leaves_waits_no_longer_than_its_timeout() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let options = QueueBuilder::new("q".parse().unwrap()).dir(path).timeout(Duration::ZERO);
        let mut client = options.connect(Role::Visitor).unwrap();
        let batch = client.get(1).unwrap().unwrap();
        client.done(&batch).unwrap();
        client.leave().unwrap_err()
    });
    let mut mailbox = keeper.accept_client(1);
    keeper.expect_request("get");
    send_text(&mut mailbox, "run 1 1 1\n\"a\"\n");
    keeper.expect_request("done");
    keeper.expect_request("bye");
    let error = client.join().unwrap();
    assert!(matches!(error, Error::NoAnswer { starting: false, .. }), "{error}");
}

#[test]
fn an_unanswered_cancel_is_settled_before_the_next_request() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
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
    let mut mailbox = keeper.accept_client(1);
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    send_text(&mut mailbox, "run 7 1 1\n\"a\"\ncancelled\n");
    answered.send(()).unwrap();
    // The client requeues the item before the next request.
    keeper.expect_request("back");
    keeper.expect_request("size");
    send_text(&mut mailbox, "size 1 0 0 0 0\n");
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    send_text(&mut mailbox, "ended\ncancelled\n");
    answered.send(()).unwrap();
    assert_eq!(client.join().unwrap(), (1, true), "the next get returns the end");
}

#[test]
fn a_get_to_a_full_inbox_is_settled_before_the_next_request() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (filled, is_full) = std::sync::mpsc::channel::<()>();
    let (given_up, has_given_up) = std::sync::mpsc::channel();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        is_full.recv().unwrap();
        let error = client.get_with_timeout(1, Timeout::After(0)).unwrap_err();
        given_up.send(matches!(error, Error::NoAnswer { .. })).unwrap();
        client.get_with_timeout(1, Timeout::Infinite).unwrap().is_none()
    });
    let mut mailbox = keeper.accept_client(1);
    let inbox = InboxWriter::open(&keeper.dir).unwrap().unwrap();
    while inbox.write(&[b'\n'; 4096]).unwrap() {}
    filled.send(()).unwrap();
    assert!(has_given_up.recv().unwrap());
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut mailbox, "run 7 1 1\n\"a\"\ncancelled\n");
    keeper.expect_request("back");
    keeper.expect_request("get");
    send_text(&mut mailbox, "ended\n");
    assert!(client.join().unwrap());
}
