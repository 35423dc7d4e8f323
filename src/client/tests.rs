//! The client against a keeper that says exactly what it is told to.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::os::{Interest, wait_ready};
use crate::pipe::{Inbox, InboxWriter, MailboxWriter, QueueDir};
use crate::role::Role;
use crate::wire::{ClientKey, Hello};

/// A keeper by hand: reads requests, and answers what the test wants.
struct ScriptedKeeper {
    inbox: Inbox,
    dir: QueueDir,
    unread_input: String,
}

impl ScriptedKeeper {
    fn new(base: &TempDir) -> Self {
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        Self { inbox: Inbox::create(&dir).unwrap(), dir, unread_input: String::new() }
    }

    /// The next line that isn't empty.
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

    /// Welcomes the client that comes.
    fn accept_client(&mut self, window: u64) -> MailboxWriter {
        let hello = self.read_line();
        let json = hello.splitn(3, ' ').nth(2).unwrap();
        let disposition: Hello = serde_json::from_str(json).unwrap();
        let mailbox = disposition.mailbox_name(ClientKey(0));
        let mut slot = MailboxWriter::open(&self.dir, &mailbox).unwrap();
        let welcome = format!("welcome {{\"version\":1,\"paced\":false,\"window\":{window}}}\n");
        slot.buffer_mut().extend_from_slice(welcome.as_bytes());
        slot.commit();
        slot.flush().unwrap();
        slot
    }

    /// The rest of a request is these lines; what it was, without the client's number.
    fn expect_request(&mut self, verb: &str) -> Vec<String> {
        let head = self.read_line();
        let mut words = head.split(' ');
        assert_eq!(words.next(), Some(verb), "{head}");
        let numbers: Vec<u64> = words.skip(1).map(|word| word.parse().unwrap()).collect();
        let items = if verb == "put" { numbers[1] } else { 0 };
        (0..items).map(|_| self.read_line()).collect()
    }
}

fn send_text(slot: &mut MailboxWriter, text: &str) {
    slot.buffer_mut().extend_from_slice(text.as_bytes());
    slot.commit();
    slot.flush().unwrap();
}

fn connect(base: PathBuf) -> Client {
    QueueBuilder::new("q".parse().unwrap()).dir(base).connect(Role::Visitor).unwrap()
}

#[test]
fn nothing_is_sent_behind_what_had_no_room_until_that_has_been_told() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        for item in ["1", "2", "3", "4"] {
            client.add_item(item.as_bytes()).unwrap();
        }
        let mut told = Vec::new();
        loop {
            match client.wait_for_accepted(Timeout::After(0)) {
                Ok(Some(Accepted { count, first_id })) => told.push((count, first_id)),
                other => {
                    let full = matches!(other, Err(Error::Full));
                    return (told, full, client.can_add());
                }
            }
            assert!(!client.can_add(), "that there was no room is still to be told");
        }
    });
    let mut slot = keeper.accept_client(4);
    assert_eq!(keeper.expect_request("put"), ["1", "2", "3", "4"]);
    keeper.expect_request("cancel");
    // Two were accepted, one by one, and now there would be much room.
    send_text(&mut slot, "ok 1 5 0\nok 2 9 16\nfull 4\ncancelled\n");
    let (told, full, room) = client.join().unwrap();
    assert_eq!(told, [(1, 5), (1, 9)]);
    assert!(full && room, "now it may go on");
}

#[test]
fn what_came_before_the_cancel_counts_and_the_cancel_has_its_own_answer() {
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
    let mut slot = keeper.accept_client(1);
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut slot, "run 7 1 1\n\"a\"\ncancelled\n");
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut slot, "empty\ncancelled\n");
    keeper.expect_request("get");
    send_text(&mut slot, "ended\n");
    assert_eq!(client.join().unwrap(), (7, true, true));
}

#[test]
fn the_last_words_of_a_keeper_are_heard() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (gone, wait_for_it) = std::sync::mpsc::channel::<()>();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        let _ = wait_for_it.recv();
        client.put(b"1")
    });
    let mut slot = keeper.accept_client(1);
    send_text(&mut slot, "error removed the queue has been removed\n");
    drop((slot, keeper));
    drop(gone);
    let Err(Error::Refused { code, .. }) = client.join().unwrap() else {
        panic!("it should know why");
    };
    assert_eq!(code, "removed");
}

#[test]
fn a_goodbye_that_is_not_answered_is_not_waited_for_beyond_the_limit() {
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
    let mut slot = keeper.accept_client(1);
    keeper.expect_request("get");
    send_text(&mut slot, "run 1 1 1\n\"a\"\n");
    keeper.expect_request("done");
    keeper.expect_request("bye");
    let error = client.join().unwrap();
    assert!(matches!(error, Error::NoAnswer { starting: false, .. }), "{error}");
}

#[test]
fn what_was_not_answered_in_time_is_settled_before_the_next_question() {
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
    let mut slot = keeper.accept_client(1);
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    send_text(&mut slot, "run 7 1 1\n\"a\"\ncancelled\n");
    answered.send(()).unwrap();
    // It goes back with the next question.
    keeper.expect_request("back");
    keeper.expect_request("size");
    send_text(&mut slot, "size 1 0 0 0 0\n");
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    assert!(has_given_up.recv().unwrap());
    send_text(&mut slot, "ended\ncancelled\n");
    answered.send(()).unwrap();
    assert_eq!(client.join().unwrap(), (1, true), "the end is told with the next get");
}

#[test]
fn what_there_was_no_room_to_ask_for_is_settled_before_the_next_question() {
    let base = tempfile::tempdir().unwrap();
    let mut keeper = ScriptedKeeper::new(&base);
    let path = base.path().to_owned();
    let (full, wait_for_it) = std::sync::mpsc::channel::<()>();
    let (given_up, has_given_up) = std::sync::mpsc::channel();
    let client = thread::spawn(move || {
        let mut client = connect(path);
        wait_for_it.recv().unwrap();
        let error = client.get_with_timeout(1, Timeout::After(0)).unwrap_err();
        given_up.send(matches!(error, Error::NoAnswer { .. })).unwrap();
        client.get_with_timeout(1, Timeout::Infinite).unwrap().is_none()
    });
    let mut slot = keeper.accept_client(1);
    let inbox = InboxWriter::open(&keeper.dir).unwrap().unwrap();
    while inbox.write(&[b'\n'; 4096]).unwrap() {}
    full.send(()).unwrap();
    assert!(has_given_up.recv().unwrap());
    keeper.expect_request("get");
    keeper.expect_request("cancel");
    send_text(&mut slot, "run 7 1 1\n\"a\"\ncancelled\n");
    keeper.expect_request("back");
    keeper.expect_request("get");
    send_text(&mut slot, "ended\n");
    assert!(client.join().unwrap());
}
