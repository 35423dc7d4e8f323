//! Recordings of the bytes that requests, replies and journal records become. A test fails if a byte differs from
//! the recording in `tests/recorded`. `QDEMO_RECORD=1 cargo test recorded` writes the recordings anew.
//!
//! A recording has no name of a type and no `Debug` output, so it outlives renames.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use super::fake_host::take_all;
use crate::client::session::{LastConversation, Session};
use crate::clock::ProcessBirth;
use crate::journal::{Record, Version, records};
use crate::pipe::WriteBuffer;
use crate::queue::{Batch, BatchRef, Counts, Items, WaitReason};
use crate::role::Role;
use crate::wire::{
    ClientKey, ClientStatus, ErrorCode, Hello, Reply, ReplyReader, Request, RequestReader, Resumed,
    Status, VERSION, Welcome,
};

/// Compares a text with the recording of this name, or writes the recording anew.
#[track_caller]
pub(crate) fn compare(name: &str, actual: &str) {
    compare_file(&format!("tests/recorded/{name}"), actual);
}

/// Compares a text with this file of the repository, or writes the file anew.
#[track_caller]
pub(crate) fn compare_file(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("QDEMO_RECORD").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    if expected != actual {
        let diff = similar::TextDiff::from_lines(&expected[..], actual);
        panic!("not as in {}:\n{}", path.display(), diff.unified_diff());
    }
}

/// FNV-1a with 64 bits: the same on each machine and with each compiler.
#[derive(Clone, Debug)]
pub(crate) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Adds bytes and their number.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The digest of all added bytes.
    pub(crate) fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// Bytes as one line of text.
fn line(bytes: &[u8]) -> String {
    format!("{}\n", bytes.escape_ascii())
}

const KEY: ClientKey = ClientKey(0x00a1_b2c3_d4e5_f607);

fn hello(role: Role) -> Hello {
    Hello { pid: 4711, ..Hello::new(role) }
}

/// A hello with every field.
fn full_hello() -> Hello {
    Hello {
        version: VERSION,
        role: Role::Consumer,
        pid: 4711,
        mailbox: None,
        birth: ProcessBirth::new(100, 4711),
        ancestors: vec![ProcessBirth::new(99, 4710), ProcessBirth::new(98, 4709).in_namespace(0)],
        lease: Some(1_500_000_000),
        max_delivery_failures: 0,
        max_item_bytes: Some(1 << 20),
        worker_index: Some(3),
        keep_open: true,
        follow: true,
        capacity: Some(0.into()),
        sync: true,
        batches_received: Some(7),
    }
}

fn session(hello: Hello) -> Session {
    Session::new(KEY, hello)
}

/// The unsent requests of the session as one line.
fn requests(session: &mut Session) -> String {
    line(&take_all(session.unsent()))
}

fn put(session: &mut Session, lines: &str) {
    let count = lines.lines().count() as u64;
    session.put(Items { count, bytes: lines.to_owned().into() });
}

fn batch_ref(first_id: u64, count: u64, attempt: Option<u32>) -> BatchRef {
    BatchRef { first_id, count, attempt }
}

fn fail(id: u64, attempt: u32, try_count: u32, reason: impl Into<String>) -> Request {
    Request::Fail { id, attempt, try_count, reason: reason.into() }
}

/// The announcements of clients, one line for each.
fn announcements() -> String {
    let mut hellos = [Role::Producer, Role::Consumer, Role::Visitor].map(hello).to_vec();
    hellos.push(full_hello());
    hellos.into_iter().map(|hello| line(&session(hello).announcement())).collect()
}

/// What a client writes for every kind of request, but for its announcement.
fn all_requests() -> String {
    let mut one = session(hello(Role::Visitor));
    put(&mut one, "\"first\"\n");
    let mut text = requests(&mut one);
    put(&mut one, "\"アイテム\"\n{\"b\":1}\nnull\n");
    put(&mut one, "[1]\n");
    text += &requests(&mut one);
    put(&mut one, &format!("{}\n", "9".repeat(5000)));
    text += &requests(&mut one);
    for request in
        [Request::Get { max: 1 }, Request::Join, Request::Cancel, Request::Sleep(1_000_000_000)]
    {
        one.add_request(request);
        text += &requests(&mut one);
    }
    for query in queries() {
        one.add_request(query);
        text += &requests(&mut one);
    }
    text + &reports_and_gets()
}

fn queries() -> [Request; 18] {
    [
        Request::Size,
        Request::Status,
        Request::Close { now: false },
        Request::Close { now: true },
        Request::Peek { from_id: 1, max: 10 },
        Request::ListFailed { from_id: 1 },
        Request::Retry(None),
        Request::Retry(NonZeroU64::new(7)),
        Request::Drop(None),
        Request::Drop(NonZeroU64::new(7)),
        Request::Remove { force: false },
        Request::Remove { force: true },
        Request::Attempt { id: 7, attempt: 2 },
        Request::Renew(batch_ref(7, 1, Some(2))),
        Request::Renew(batch_ref(7, 3, None)),
        Request::Attempt { id: u64::MAX, attempt: u32::MAX },
        Request::Peek { from_id: u64::MAX, max: 1 },
        Request::Bye,
    ]
}

/// The requests of a consumer: item reports and gets.
fn reports_and_gets() -> String {
    let mut text = String::new();
    let mut one = session(hello(Role::Consumer));
    one.add_request(Request::Done(batch_ref(1, 2, None)));
    one.add_request(Request::Done(batch_ref(3, 1, Some(4))));
    one.add_request(Request::Requeue(batch_ref(4, 1, None)));
    one.add_request(Request::Requeue(batch_ref(u64::MAX, u64::MAX, Some(u32::MAX))));
    one.add_request(fail(8, 2, 3, "exit\ncode 3\r"));
    one.add_request(Request::Get { max: 100 });
    text += &requests(&mut one);
    one.add_request(fail(9, 1, 1, "あ".repeat(120)));
    one.add_request(fail(10, 1, 1, ""));
    one.add_request(Request::Get { max: 5 });
    one.add_request(Request::Sleep(7));
    text + &requests(&mut one)
}

/// What a client writes again, to a keeper that has recovered `resumed`.
fn resent_requests(resumed: Option<Resumed>) -> String {
    let mut one = session(hello(Role::Visitor));
    put(&mut one, "1\n2\n");
    put(&mut one, "3\n4\n");
    put(&mut one, &format!("{}\n", "5".repeat(600)));
    one.add_request(Request::Get { max: 3 });
    requests(&mut one);
    one.feed(b"ok 2 2 9\nbatch 1 2 1 4\n1\n2\n");
    one.add_request(Request::Done(batch_ref(1, 1, Some(1))));
    one.add_request(fail(2, 1, 2, "odd"));
    one.add_request(Request::Get { max: 7 });
    one.add_request(Request::Join);
    one.add_request(Request::Size);
    one.add_request(Request::Peek { from_id: 4, max: 2 });
    one.add_request(Request::Cancel);
    requests(&mut one);
    one.resume(LastConversation::default());
    let mut text = line(&one.announcement());
    let mut mail = WriteBuffer::default();
    Reply::Welcome(Welcome { version: 2, window: 4, resumed, ..Welcome::default() })
        .write(&mut mail);
    one.feed(&take_all(&mut mail));
    text += &requests(&mut one);
    text
}

#[test]
fn each_request_is_written_as_it_was() {
    let text = all_requests();
    compare("unit/requests", &format!("{}{text}", announcements()));
    let mut reader = RequestReader::default();
    reader.buffer.push_bytes(&unescaped(&text));
    let mut count = 0;
    while let Some(found) = reader.next(1 << 20) {
        assert!(found.is_ok(), "request {count}");
        count += 1;
    }
    assert_eq!(count, 36);
}

#[test]
fn each_resent_request_is_written_as_it_was() {
    let resent_after = |accepted, in_flight| {
        resent_requests(Some(Resumed { accepted, in_flight })) + "(another keeper)\n"
    };
    let text = resent_after(vec![(2, 2)], vec![(1, 2, 1)])
        + &resent_after(vec![(4, 4), (5, 9)], vec![(2, 1, 1)])
        + &resent_after(Vec::new(), vec![(1, 2, 2)])
        + &resent_requests(None);
    compare("unit/said-again", &text);
}

/// The bytes of lines that [`line`] made.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let mut rest = line.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'\\' {
                bytes.push(byte);
                continue;
            }
            let (&kind, after) = rest.split_first().unwrap();
            rest = after;
            bytes.push(match kind {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let (digits, after) = rest.split_at(2);
                    rest = after;
                    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
                }
                quoted => quoted,
            });
        }
    }
    bytes
}

fn batch(first_id: u64, attempt: u32, items: &str) -> Batch {
    let items = Items { count: items.lines().count() as u64, bytes: items.to_owned().into() };
    Batch { first_id, attempt, delivery_failures: 1, accepted_at: 1_500_000_000, items }
}

fn client(pid: u32, role: Role, wait_reason: Option<WaitReason>) -> ClientStatus {
    ClientStatus { pid, role, items: 5, wait_reason, in_flight: 0, held_s: None }
}

fn status() -> Status {
    let producer = client(7, Role::Producer, Some(WaitReason::Room));
    let visitor = client(8, Role::Visitor, Some(WaitReason::Done));
    let consumer = client(9, Role::Consumer, Some(WaitReason::Item));
    let busy =
        ClientStatus { in_flight: 2, held_s: Some(0.25), ..client(10, Role::Consumer, None) };
    Status {
        counts: Counts { ready: 1, in_flight: 2, done: 3, failed: 4 },
        capacity: Some(5),
        sync: true,
        oldest_age_s: Some(1.5),
        state: "open".to_owned(),
        producers: vec![producer, visitor],
        consumers: vec![consumer, busy],
    }
}

fn all_replies() -> Vec<Reply> {
    let resumed = Resumed { accepted: vec![(1, 2), (5, 9)], in_flight: vec![(3, 1, 2)] };
    let error = |code| Reply::Error { code, text: "for people".to_owned() };
    vec![
        Reply::Welcome(Welcome {
            version: 2,
            is_paced: true,
            window: 7,
            can_renew: true,
            awaits_next_round: true,
            resumed: None,
            is_forgotten: false,
            queue_id: None,
        }),
        Reply::Welcome(Welcome { version: 2, resumed: Some(resumed), ..Welcome::default() }),
        Reply::Welcome(Welcome { resumed: Some(Resumed::default()), ..Welcome::default() }),
        Reply::Ok { seq: 1, id: 2, window: 3 },
        Reply::Closed { seq: 4 },
        Reply::Batch(batch(5, 3, "\"a\"\n{\"b\":1}\n")),
        Reply::Batch(batch(u64::MAX - 9, 1, "\"アイテム\"\n")),
        Reply::Full { seq: 9 },
        Reply::Ended,
        Reply::Empty,
        Reply::Cancelled,
        Reply::NotInFlight(batch_ref(6, 7, Some(2))),
        Reply::NotInFlight(batch_ref(6, 7, None)),
        Reply::Joined { failed: 2 },
        Reply::Unfinished { items: 3 },
        Reply::Count { items: 4 },
        Reply::Size { counts: Counts { ready: 1, in_flight: 2, done: 3, failed: 4 }, capacity: 5 },
        Reply::Status(Box::new(status())),
        Reply::Status(Box::default()),
        Reply::Failed { batch: batch(8, 2, "[1]\n"), reason: "exit code 3".to_owned() },
        Reply::Failed { batch: batch(8, 2, "[1]\n"), reason: String::new() },
        Reply::Wake,
        Reply::Bye { ready: 1, consumers: 2 },
        error(ErrorCode::Malformed),
        error(ErrorCode::InUse),
    ]
}

fn written(reply: &Reply) -> Vec<u8> {
    let mut mail = WriteBuffer::default();
    reply.write(&mut mail);
    take_all(&mut mail)
}

#[test]
fn each_reply_is_written_and_read_as_it_was() {
    let mut text = String::new();
    for reply in all_replies() {
        text += &line(&written(&reply));
    }
    compare("unit/replies", &text);
    let mut reader = ReplyReader::default();
    reader.buffer.push_bytes(&unescaped(&text));
    let mut again = String::new();
    while let Some(reply) = reader.next_reply() {
        again += &line(&written(&reply.unwrap()));
    }
    assert_eq!(again, text);
}

fn all_records() -> Vec<Record<'static>> {
    let put =
        Batch { attempt: 1, delivery_failures: 0, ..batch(1, 1, "\"a\"\n\"アイテム\"\n") };
    vec![
        Record::Queue("{\"version\":1}"),
        Record::Put { key: KEY, seq: 2, batch: put },
        Record::Ready(batch(7, 2, "[1, 2]\n")),
        Record::Client { key: KEY, json: "{\"hello\":{}}" },
        Record::Disconnected(KEY),
        Record::Delivered { key: KEY, ids: 1..3, delivered_at: 9 },
        Record::Done { ids: 1..2 },
        Record::Attempt { id: 2, attempt: 3 },
        Record::Renewed { ids: 2..4, leased_at: 1_800_000_000_000_000_000 },
        Record::Requeued { ids: 2..3, attempt: 3, delivery_failures: 1 },
        Record::Failed { ids: 2..3, attempt: 3, delivery_failures: 5, reason: "exit code 1 ~x" },
        Record::Failed { ids: 3..4, attempt: 1, delivery_failures: 0, reason: "" },
        Record::Retry(NonZeroU64::new(2)),
        Record::Drop(None),
        Record::Clear,
    ]
}

#[test]
fn each_record_of_a_journal_is_written_and_read_as_it_was() {
    let mut text = String::new();
    for record in all_records() {
        text += &line(&record.to_bytes());
    }
    compare("unit/records", &text);
    let bytes = unescaped(&text);
    let mut again = String::new();
    for (_, record) in records(&bytes, Version::PRESENT) {
        again += &line(&record.unwrap().to_bytes());
    }
    assert_eq!(again, text);
}

/// The recording of version 1 never changes.
#[test]
fn each_record_of_version_1_is_read() {
    let bytes = unescaped(include_str!("../../tests/recorded/unit/records-version-1"));
    let read: Vec<_> = records(&bytes, Version::One).map(|(_, record)| record.unwrap()).collect();
    let mut known = all_records();
    known.retain(|record| !matches!(record, Record::Renewed { .. }));
    assert_eq!(read, known);
}
