//! The keeper with real pipes, one turn after another, in one process.

use tempfile::TempDir;

use super::*;
use crate::os::widen_pipe;
use crate::pipe::{InboxWriter, ReadEnd, RequestSender};
use crate::queue::QueueState;
use crate::role::Role;
use crate::wire::{ClientKey, ErrorCode, Hello, announcement};

/// More than a pipe holds, unless it has been widened.
const LONG: usize = 1 << 18;

/// More turns than the longest reply needs.
const TURNS: usize = 1000;

/// A keeper whose turns the test takes.
struct Turns {
    keeper: Keeper,
    host: PipeHost<()>,
    clock: Clock,
    _base: TempDir,
}

/// A client's ends of its pipes.
struct Client {
    requests: RequestSender,
    mailbox: ReadEnd,
}

impl Turns {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let host = PipeHost { pipes: Pipes::open(dir).unwrap(), observer: () };
        let keeper = Keeper::new(crate::queue::Queue::new(QueueState::default(), true), None, None);
        Self { keeper, host, clock: Clock::start_now(), _base: base }
    }

    fn pipe_names(key: u64) -> PipePairName {
        Hello::new(Role::Visitor).pipes(ClientKey(key))
    }

    fn make_pipes(&self, key: u64) -> Client {
        let (dir, names) = (&self.host.pipes.dir, Self::pipe_names(key));
        let mailbox = ReadEnd::create_mailbox(dir, &names.mailbox()).unwrap();
        Client { requests: RequestSender::create(dir, &names.requests()).unwrap(), mailbox }
    }

    /// Connects a visitor. Its number is that of its connect.
    fn connect(&mut self, key: u64) -> Client {
        let mut client = self.make_pipes(key);
        let inbox = InboxWriter::open(&self.host.pipes.dir).unwrap().unwrap();
        let hello = announcement(ClientKey(key), &Hello::new(Role::Visitor));
        assert!(inbox.write(&hello).unwrap());
        self.take_turn();
        assert!(client.receive().starts_with("welcome "));
        client.requests.keeper_has_connected();
        client
    }

    /// Handles what is ready, and does not wait.
    fn take_turn(&mut self) {
        let arrivals = self.host.pipes.wait(self.clock, Some(0), &[]).unwrap();
        self.host.process_arrivals(&mut self.keeper, self.clock, &arrivals).unwrap();
        self.keeper.process_pending(self.clock.now(), &mut self.host).unwrap();
        self.host.pipes.flush();
    }

    /// How many of the watched pipes are ready.
    fn ready_pipes(&self) -> usize {
        let pipes = &self.host.pipes;
        pipes.poller.wait(Some(0), || pipes.watched(&[])).unwrap().len()
    }

    /// Puts an item that no mailbox holds.
    fn put_long_item(&mut self, client: &Client) -> String {
        let item = format!("\"{}\"\n", "x".repeat(LONG));
        let mut put = WriteBuffer::default();
        put.text_mut().extend(format!("put 1 1 {}\n{item}", item.len()).bytes());
        put.commit();
        while !client.requests.write(&mut put).unwrap() || self.ready_items() == 0 {
            self.take_turn();
        }
        assert_eq!(client.receive(), "ok 1 1 65536\n");
        item
    }

    fn ready_items(&self) -> u64 {
        self.keeper.queue().counts().ready
    }
}

impl Client {
    fn send(&self, text: &str) {
        let mut buffer = WriteBuffer::default();
        buffer.text_mut().extend_from_slice(text.as_bytes());
        buffer.commit();
        assert!(self.requests.write(&mut buffer).unwrap(), "the pipe has no room");
    }

    /// Reads what is in the mailbox now.
    fn receive(&self) -> String {
        let mut text = Vec::with_capacity(LONG);
        while self.mailbox.read(&mut text).unwrap().is_some() {
            text.reserve(LONG);
        }
        String::from_utf8(text).unwrap()
    }
}

/// Puts of one item each, and their number. Together they are longer than one read.
fn many_puts() -> (String, u64) {
    let item = format!("\"{}\"\n", "x".repeat(1000));
    let count = LONG / 1100;
    let put = |seq| format!("put {seq} 1 {}\n{item}", item.len());
    ((1..=count).map(put).collect(), count as u64)
}

#[test]
fn a_turn_takes_one_read_of_each_client() {
    let mut test = Turns::new();
    let (flooder, other) = (test.connect(1), test.connect(2));
    widen_pipe(flooder.requests.as_fd(), 2 * LONG);
    let (puts, count) = many_puts();
    flooder.send(&puts);
    other.send("size\n");
    test.take_turn();
    assert!((1..count).contains(&test.ready_items()), "{} of {count}", test.ready_items());
    assert!(other.receive().starts_with("size "));
}

#[test]
fn what_a_client_wrote_before_its_death_counts_however_long_it_is() {
    let mut test = Turns::new();
    let client = test.connect(1);
    widen_pipe(client.requests.as_fd(), 2 * LONG);
    let (puts, count) = many_puts();
    client.send(&puts);
    drop(client);
    (0..TURNS).for_each(|_| test.take_turn());
    assert!(test.host.pipes.has_no_clients());
    assert_eq!(test.ready_items(), count);
}

#[test]
fn what_a_client_wrote_before_its_mailbox_broke_counts() {
    let mut test = Turns::new();
    let client = test.connect(1);
    widen_pipe(client.requests.as_fd(), 2 * LONG);
    client.send("size\n");
    let arrivals = test.host.pipes.wait(test.clock, Some(0), &[]).unwrap();
    test.host.process_arrivals(&mut test.keeper, test.clock, &arrivals).unwrap();
    let (puts, count) = many_puts();
    client.send(&puts);
    drop(client);
    // The reply to `size` finds no reader.
    test.host.pipes.flush();
    test.take_turn();
    assert!(test.host.pipes.has_no_clients());
    assert_eq!(test.ready_items(), count);
}

#[test]
fn requests_ahead_of_the_announcement_are_read_without_another_event() {
    let mut test = Turns::new();
    let client = test.make_pipes(1);
    client.send("size\n");
    let inbox = InboxWriter::open(&test.host.pipes.dir).unwrap().unwrap();
    assert!(inbox.write(&announcement(ClientKey(1), &Hello::new(Role::Visitor))).unwrap());
    test.take_turn();
    assert!(client.receive().ends_with("size 0 0 0 0 0\n"));
}

#[test]
fn a_full_mailbox_is_watched_until_its_client_has_read_everything() {
    let mut test = Turns::new();
    let client = test.connect(1);
    let item = test.put_long_item(&client);
    for round in 0..2 {
        client.send("peek 1 1\n");
        test.take_turn();
        assert_eq!(test.ready_pipes(), 0, "round {round}: a full mailbox wakes the keeper");
        let mut read = client.receive();
        assert!(read.len() < item.len(), "the mailbox holds the whole reply");
        for _ in 0..TURNS {
            test.take_turn();
            read += &client.receive();
        }
        assert_eq!(read, format!("batch 1 1 1 {}\n{item}", item.len()));
        assert_eq!(test.ready_pipes(), 0, "round {round}: an empty mailbox wakes the keeper");
    }
}

#[test]
fn a_client_that_leaves_reads_its_last_replies_however_long_they_are() {
    let mut test = Turns::new();
    let client = test.connect(1);
    let item = test.put_long_item(&client);
    client.send("peek 1 1\nbye\n");
    test.take_turn();
    assert!(!test.host.pipes.has_no_clients());
    let mut read = client.receive();
    for _ in 0..TURNS {
        test.take_turn();
        read += &client.receive();
    }
    assert_eq!(read, format!("batch 1 1 1 {}\n{item}bye 1 0\n", item.len()));
    assert!(test.host.pipes.has_no_clients());
}

#[test]
fn an_error_takes_the_place_of_the_replies_since_the_last_flush() {
    let mut test = Turns::new();
    let client = test.connect(1);
    client.send("size\n");
    let arrivals = test.host.pipes.wait(test.clock, Some(0), &[]).unwrap();
    test.host.process_arrivals(&mut test.keeper, test.clock, &arrivals).unwrap();
    let error = Reply::Error { code: ErrorCode::Journal, text: "the disk is full".to_owned() };
    test.host.pipes.replace_uncommitted(&error);
    test.host.pipes.flush();
    assert_eq!(client.receive(), "error journal the disk is full\n");
}

#[test]
fn the_mailbox_of_an_absent_client_takes_nothing_and_shows_its_death() {
    let mut test = Turns::new();
    let client = test.make_pipes(7);
    let names = Turns::pipe_names(7);
    assert!(test.host.reopen_mailbox(5, &names).unwrap());
    assert!(test.host.output(5).is_none(), "the client may still read an earlier keeper's replies");
    let error = Reply::Error { code: ErrorCode::Journal, text: String::new() };
    test.host.pipes.replace_uncommitted(&error);
    test.host.pipes.flush();
    assert_eq!(client.receive(), "");
    test.host.resume_pipes(5, &names).unwrap();
    assert!(test.host.output(5).is_some());
    let absent = test.make_pipes(8);
    assert!(test.host.reopen_mailbox(6, &Turns::pipe_names(8)).unwrap());
    drop(absent);
    let arrivals = test.host.pipes.wait(test.clock, Some(0), &[]).unwrap();
    assert_eq!(arrivals.broken, [6]);
}

#[test]
fn requests_behind_a_bye_do_not_wake_a_keeper_that_waits_for_room_in_the_mailbox() {
    let mut turns = Turns::new();
    let client = turns.connect(1);
    let item = turns.put_long_item(&client);
    client.send("peek 1 1\nbye\n");
    turns.take_turn();
    client.send("size\n");
    turns.take_turn();
    assert_eq!(turns.ready_pipes(), 0, "the keeper would wake again and again");
    drop(client.requests);
    assert_eq!(turns.ready_pipes(), 0, "nor does the end of the requests wake the keeper");
    let mut text = Vec::with_capacity(2 * LONG);
    for _ in 0..TURNS {
        client.mailbox.read(&mut text).unwrap();
        turns.take_turn();
    }
    assert_eq!(
        String::from_utf8(text).unwrap(),
        format!("batch 1 1 1 {}\n{item}bye 1 0\n", item.len())
    );
    assert!(turns.host.pipes.has_no_clients());
}

#[test]
fn a_file_that_never_hangs_up_may_stand_for_the_starter() {
    let mut turns = Turns::new();
    let null = File::open("/dev/null").unwrap();
    for interest in [Some(Interest::Hangup), None, Some(Interest::Hangup), None] {
        let others = [(null.as_fd(), interest)];
        turns.host.pipes.wait(turns.clock, Some(0), &others).unwrap();
    }
}
