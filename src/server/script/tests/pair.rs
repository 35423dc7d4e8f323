//! The same queue twice: with the rules in Rust, behind a keeper in memory, and with the script on a server. Each request goes to
//! both, and what each client receives is compared.
//!
//! The two differ by design in these points, and only here does a comparison allow for them:
//!
//! - A welcome of a server has more fields.
//! - A keeper joins small puts into one chunk (`ReadyList::push`), so a `peek` may show more of them in one batch.
//! - The next keeper counts the items of a client anew, and lists visitors by their first grant. A server goes on counting.
//! - A keeper does not know a visitor that never was granted anything after its own death, so such a visitor is welcomed without
//!   `resumed`.
//! - A keeper that dies takes all waits of its clients with it; a server keeps the waits of each client until that one resumes.
//!   So all clients cancel before a loss here.

use std::collections::BTreeMap;
use std::io;

use super::driver::VirtualQueue;
use crate::clock::{BootQualifiedBirth, Nanos, ProcessBirth};
use crate::journal::{Record, Version, records};
use crate::keeper::persistence::{JournalRecovery, PersistedState, RecoveredQueue};
use crate::keeper::{Keeper, Observer};
use crate::queue::{ClientId, Queue, QueueState};
use crate::testing::FakeHost;
use crate::wire::{ClientKey, Reply, ReplyReader};

/// The machine of all clients, as far as the server knows.
const BOOT_ID: &str = "this boot";
/// The visitor that asks both queues for their status, and lets time pass.
const WATCHER: ClientKey = ClientKey(u64::MAX);

/// Stores the journal, and ends rounds at moments that are 100 ticks apart.
#[derive(Default)]
struct TestObserver {
    journal: Vec<u8>,
    ends: u32,
}

impl Observer for TestObserver {
    fn append_record(&mut self, record: &Record<'_>) {
        self.journal.extend(record.to_bytes());
    }

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        self.ends += 1;
        Ok(end_moment(self.ends))
    }
}

fn end_moment(ends: u32) -> ProcessBirth {
    ProcessBirth::new(u64::from(ends) * 100, 1)
}

/// Both queues.
pub(crate) struct QueuePair<'a> {
    keeper: Keeper,
    host: FakeHost<TestObserver>,
    ids: BTreeMap<ClientKey, ClientId>,
    next_id: ClientId,
    script: &'a mut VirtualQueue,
    has_lost_keeper: bool,
    /// The ends that the server was told the moment of.
    told_ends: u32,
    /// The calls so far, for a failure's message.
    log: Vec<String>,
}

/// What a client received in one move.
pub(crate) type Mail = BTreeMap<ClientKey, Vec<Reply>>;

impl<'a> QueuePair<'a> {
    /// `script` notices a death at once: an absent client is dead after no time.
    pub(crate) fn new(script: &'a mut VirtualQueue) -> Self {
        script.reset();
        let mut pair = Self {
            keeper: new_keeper(),
            host: FakeHost::new(TestObserver::default()),
            ids: BTreeMap::new(),
            next_id: 0,
            script,
            has_lost_keeper: false,
            told_ends: 0,
            log: Vec::new(),
        };
        pair.connect_watcher();
        pair
    }

    fn connect_watcher(&mut self) {
        self.hello(WATCHER, r#""version":2,"role":"visitor","pid":1,"batches_received":0"#, "");
    }

    fn wall(&self) -> Nanos {
        self.script.now * 1_000_000
    }

    /// The birth of a process that was there before the last end, or was not.
    pub(crate) fn birth(&self, is_late: bool) -> String {
        let ends = u64::from(self.host.observer.ends);
        let tick = if is_late { ends * 100 + 50 } else { (ends * 100).max(50) };
        format!(r#"{{"tick":{tick},"pid":1,"ns":1}}"#)
    }

    /// A client announces itself with these settings, and writes these requests.
    pub(crate) fn hello(&mut self, key: ClientKey, settings: &str, requests: &str) -> Mail {
        let json =
            format!(r#"{{{settings},"boot_id":"{BOOT_ID}","dead_after_ms":1e15,"layout":1}}"#);
        self.log.push(format!("{key} hello {json}\n{}", shortened(requests)));
        let line = format!("\nhello {key} {json}\n");
        let wall = self.wall();
        self.keeper.receive_announcements(wall, line.as_bytes(), &mut self.host);
        self.script.call(key, format!("hello {json}\n{requests}").as_bytes());
        if let Some(expected) = self.host.rejections.pop() {
            assert_eq!(self.script.take_mail(key), expected.as_bytes());
            return self.compare();
        }
        if !self.ids.contains_key(&key) {
            self.ids.insert(key, self.next_id);
            self.next_id += 1;
        }
        self.host.write(&mut self.keeper, wall, self.ids[&key], requests.as_bytes());
        self.compare()
    }

    /// A client writes these requests.
    pub(crate) fn call(&mut self, key: ClientKey, requests: &str) -> Mail {
        self.log.push(format!("{key} {}", shortened(requests)));
        let wall = self.wall();
        self.host.write(&mut self.keeper, wall, self.ids[&key], requests.as_bytes());
        self.script.call(key, requests.as_bytes());
        self.compare()
    }

    /// Time passes.
    pub(crate) fn pass_time(&mut self, milliseconds: u64) -> Mail {
        self.log.push(format!("{milliseconds} ms pass"));
        self.script.now += milliseconds;
        self.script.call(WATCHER, b"");
        self.compare()
    }

    /// Time passes, and nobody is heard.
    pub(crate) fn pass_time_unheard(&mut self, milliseconds: u64) {
        self.log.push(format!("{milliseconds} ms pass, and nobody is heard"));
        self.script.now += milliseconds;
    }

    /// The client dies. The server notices it in the next call of another client.
    pub(crate) fn die(&mut self, key: ClientKey) -> Mail {
        self.log.push(format!("{key} dies"));
        let wall = self.wall();
        self.keeper.client_died(wall, self.ids[&key], &mut self.host);
        self.script.absent.insert(key);
        self.script.call(WATCHER, b"");
        self.compare()
    }

    /// Whether the client is still connected.
    pub(crate) fn is_connected(&self, key: ClientKey) -> bool {
        self.ids.get(&key).is_some_and(|id| !self.host.closed_clients.contains(id))
    }

    /// Lets the keeper answer, and compares what each client received.
    fn compare(&mut self) -> Mail {
        let wall = self.wall();
        self.keeper.process_pending(wall, &mut self.host).unwrap();
        let is_removed = self.keeper.is_removal_requested();
        if is_removed {
            self.keeper.report_removal(&Ok(()), &mut self.host);
        }
        let mut mail = Mail::new();
        for (&key, &id) in &self.ids {
            let mut expected = self.host.take_mail(id);
            let actual = without_server_fields(&self.script.take_mail(key));
            if self.has_lost_keeper {
                expected = without_empty_resumed(&expected);
            }
            let actual = if self.has_lost_keeper { without_empty_resumed(&actual) } else { actual };
            assert!(
                expected == actual,
                "{key}: the keeper says\n{}\nthe server\n{}\nafter\n{}",
                expected.escape_ascii(),
                actual.escape_ascii(),
                self.log.join("\n")
            );
            mail.insert(key, parse(&expected));
        }
        let connected = |id: &ClientId| !self.host.closed_clients.contains(id);
        self.ids.retain(|_, id| connected(id));
        if is_removed {
            self.begin_again();
        } else if self.host.observer.ends > self.told_ends {
            self.told_ends = self.host.observer.ends;
            self.tell_end();
        }
        mail
    }

    /// The queue was removed, and all clients with it.
    fn begin_again(&mut self) {
        self.keeper = new_keeper();
        self.host = FakeHost::new(TestObserver::default());
        self.ids.clear();
        self.next_id = 0;
        (self.has_lost_keeper, self.told_ends) = (false, 0);
        self.connect_watcher();
    }

    /// The bridge of a client that was told the end tells the server when.
    fn tell_end(&mut self) {
        let moment = serde_json::to_value(end_moment(self.host.observer.ends)).unwrap();
        let [tick, pid, ns] = ["tick", "pid", "ns"].map(|field| &moment[field]);
        let line = format!(
            "end-told {{\"boot_id\":\"{BOOT_ID}\",\"tick\":{tick},\"pid\":{pid},\"ns\":{ns}}}\n"
        );
        self.script.call(WATCHER, line.as_bytes());
    }

    /// Asks both for the status, and compares the two.
    pub(crate) fn compare_status(&mut self) {
        self.check_counts();
        let wall = self.wall();
        self.host.write(&mut self.keeper, wall, self.ids[&WATCHER], b"status\n");
        self.keeper.process_pending(wall, &mut self.host).unwrap();
        self.script.call(WATCHER, b"status\n");
        let [expected, actual] =
            [self.host.take_mail(self.ids[&WATCHER]), self.script.take_mail(WATCHER)]
                .map(|mail| if self.has_lost_keeper { comparable_status(&mail) } else { mail });
        assert!(
            expected == actual,
            "the keeper says\n{}\nthe server\n{}\nafter\n{}",
            expected.escape_ascii(),
            actual.escape_ascii(),
            self.log.join("\n")
        );
    }

    /// The numbers in the state of the script are those of its keys.
    fn check_counts(&mut self) {
        let keys = self.script.keys.keys();
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(&keys[0]);
        for (command, part) in
            [("ZCARD", 8), ("ZCARD", 9), ("HLEN", 10), ("ZCARD", 11), ("HLEN", 4), ("ZCARD", 5)]
        {
            pipe.cmd(command).arg(&keys[part]);
        }
        let (meta, counts): (Vec<u8>, [u64; 6]) = {
            let (meta, a, b, c, d, e, f) = pipe.query(&mut self.script.connection).unwrap();
            (meta, [a, b, c, d, e, f])
        };
        // As in `QUEUE_FORMAT`: three bytes, then doubles.
        let number = |at: usize| {
            let bytes = meta[9 + at * 8..][..8].try_into().unwrap();
            f64::from_le_bytes(bytes) as u64
        };
        let [getters, blocked, joiners] = [15, 17, 18].map(number);
        let [stored_getters, stored_blocked, blocked_items, stored_joiners, in_flight, held] =
            counts;
        assert_eq!(
            (getters, blocked, blocked, joiners, held * 2),
            (stored_getters, stored_blocked, blocked_items, stored_joiners, in_flight),
            "after\n{}",
            self.log.join("\n")
        );
    }

    /// A peek, whose answers may have different lengths.
    pub(crate) fn peek(&mut self, key: ClientKey, from_id: u64, max: u64) {
        let request = format!("peek {from_id} {max}\n");
        self.log.push(format!("{key} {request}"));
        let wall = self.wall();
        self.host.write(&mut self.keeper, wall, self.ids[&key], request.as_bytes());
        self.script.call(key, request.as_bytes());
        let (expected, actual) =
            (parse(&self.host.take_mail(self.ids[&key])), parse(&self.script.take_mail(key)));
        let agree = match (&expected[..], &actual[..]) {
            ([Reply::Batch(one)], [Reply::Batch(other)]) => {
                let (a, b) = (&one.items.bytes, &other.items.bytes);
                (one.first_id, one.attempt) == (other.first_id, other.attempt)
                    && (a.starts_with(b) || b.starts_with(a))
                    && (one.count() == other.count()) == (a == b)
            }
            _ => expected == actual,
        };
        assert!(agree, "{expected:?}\n{actual:?}\nafter\n{}", self.log.join("\n"));
    }

    /// The keeper dies, and another one takes over its journal. `clients` resume, each with its number of received batches.
    pub(crate) fn lose_keeper(&mut self, clients: &[(ClientKey, String, u64)]) {
        self.log.push("the keeper is lost".to_owned());
        let state = serde_json::to_value(self.keeper.queue().state()).unwrap();
        let mut state = state.as_object().unwrap().clone();
        state.insert("version".to_owned(), 2.into());
        let ends = self.host.observer.ends;
        if ends > 0 {
            let moment =
                BootQualifiedBirth { birth: end_moment(ends), ..BootQualifiedBirth::now() };
            state.insert("ended_at".to_owned(), serde_json::to_value(moment).unwrap());
        }
        let json = serde_json::to_string(&state).unwrap();
        let journal = &mut self.host.observer.journal;
        journal.extend(Record::Queue(&json).to_bytes());
        let mut recovery = JournalRecovery::new(PersistedState::default());
        for (_, record) in records(journal, Version::PRESENT) {
            recovery.apply_record(record.unwrap());
        }
        let journal = std::mem::take(journal);
        let RecoveredQueue { queue, clients: recovered, .. } = recovery.finish();
        self.keeper = Keeper::new(queue, None, None);
        self.host = FakeHost::new(TestObserver { journal, ends });
        self.ids = recovered.iter().map(|(id, key, _)| (*key, *id)).collect();
        self.next_id = self.ids.values().max().map_or(0, |id| id + 1);
        self.keeper.adopt_clients(recovered, &mut self.host).unwrap();
        self.has_lost_keeper = true;
        for (key, settings, received) in clients {
            self.hello(
                *key,
                &format!(r#""version":2,{settings},"batches_received":{received}"#),
                "",
            );
        }
        self.connect_watcher();
    }
}

fn new_keeper() -> Keeper {
    Keeper::new(Queue::new(QueueState::default(), true), None, None)
}

fn shortened(requests: &str) -> String {
    if requests.len() < 500 {
        requests.escape_debug().to_string()
    } else {
        format!("{} bytes", requests.len())
    }
}

pub(crate) fn parse(mail: &[u8]) -> Vec<Reply> {
    let mut reader = ReplyReader::default();
    reader.buffer.push_bytes(mail);
    let mut replies = Vec::new();
    while let Some(reply) = reader.next_reply() {
        replies.push(reply.unwrap());
    }
    replies
}

/// Welcomes as a keeper writes them. No item of the test looks like the fields of a server.
fn without_server_fields(mail: &[u8]) -> Vec<u8> {
    let mut rest = mail;
    let mut kept = Vec::new();
    while let Some(at) = memchr::memmem::find(rest, br#","queue_id":""#) {
        kept.extend_from_slice(&rest[..at]);
        let end = memchr::memchr(b'}', &rest[at..]).unwrap();
        rest = &rest[at + end..];
    }
    kept.extend_from_slice(rest);
    kept
}

fn without_empty_resumed(mail: &[u8]) -> Vec<u8> {
    let text = br#","resumed":{"accepted":[],"in_flight":[]}"#;
    match memchr::memmem::find(mail, text) {
        Some(at) => [&mail[..at], &mail[at + text.len()..]].concat(),
        None => mail.to_vec(),
    }
}

/// A status after the loss of a keeper, without what the next keeper counts and orders anew.
fn comparable_status(mail: &[u8]) -> Vec<u8> {
    let [Reply::Status(status)] = &mut parse(mail)[..] else { panic!("{}", mail.escape_ascii()) };
    for clients in [&mut status.producers, &mut status.consumers] {
        clients.iter_mut().for_each(|client| client.items = 0);
        clients.sort_by_key(|client| client.pid);
    }
    serde_json::to_vec(&status).unwrap()
}
