//! Random clients use a keeper and a server in the same way, and must receive the same bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::driver::{TestServer, VirtualQueue};
use super::pair::{Mail, QueuePair};
use crate::queue::Batch;
use crate::wire::{ClientKey, Reply};

const MAX_CLIENTS: usize = 6;

#[derive(Clone, Debug)]
enum Move {
    Connect {
        client: usize,
        settings: Settings,
        first: Option<Request>,
    },
    /// Requests in one write.
    Requests(usize, Vec<Request>),
    /// A peek from an id on.
    Peek(usize, u64, u64),
    Die(usize),
    PassTime(u64),
    /// Time passes until the next move, without a call of anybody.
    PassTimeUnheard(u64),
    /// The keeper is lost. The clients with a bit in the mask did not receive their last batch.
    Lose(u8),
}

#[derive(Clone, Debug)]
struct Settings {
    role: &'static str,
    keep_open: bool,
    follow: bool,
    /// The process started after the last end; the nearest ancestor too.
    is_late: bool,
    is_ancestor_late: bool,
    capacity: Option<u64>,
    lease_ms: Option<u64>,
    max_delivery_failures: Option<u32>,
    max_item_bytes: Option<u64>,
    sync: bool,
    version: u32,
}

#[derive(Clone, Debug)]
enum Request {
    Put {
        count: u64,
        item_bytes: usize,
    },
    /// The last put once more.
    RepeatPut,
    Get(u64),
    Report(&'static str, Reference),
    Fail(Reference, u32),
    Attempt(Reference, i64),
    ById(&'static str, u64),
    Plain(&'static str),
}

/// Items of a batch that the client has received.
#[derive(Clone, Copy, Debug)]
struct Reference {
    /// The batch, counted from the last one.
    pick: usize,
    skip: u64,
    count: u64,
    /// Added to the attempt of the batch; None leaves the attempt out.
    attempt: Option<i64>,
}

fn settings() -> impl Strategy<Value = Settings> {
    let role = prop_oneof![4 => Just("producer"), 4 => Just("consumer"), 2 => Just("visitor")];
    let rarely = || prop::bool::weighted(0.2);
    let capacity = prop_oneof![
        6 => Just(None),
        1 => Just(Some(0)),
        2 => Just(Some(1)),
        2 => Just(Some(3)),
        1 => Just(Some(10)),
    ];
    let lease = prop::option::weighted(0.3, prop_oneof![Just(10), Just(100), Just(1000)]);
    let limits =
        (prop::option::weighted(0.5, 0..4_u32), prop::option::weighted(0.1, 1..40_u64), rarely());
    let ages = (any::<bool>(), prop::bool::weighted(0.7));
    let version = prop_oneof![30 => Just(2), 1 => Just(1)];
    (role, rarely(), rarely(), ages, capacity, lease, limits, version).prop_map(
        |(role, keep_open, follow, ages, capacity, lease_ms, limits, version)| Settings {
            role,
            keep_open,
            follow,
            is_late: ages.0,
            is_ancestor_late: ages.1,
            capacity,
            lease_ms,
            max_delivery_failures: limits.0,
            max_item_bytes: limits.1,
            sync: limits.2,
            version,
        },
    )
}

fn reference() -> impl Strategy<Value = Reference> {
    let pick = prop_oneof![4 => Just(0), 1 => 1..5_usize];
    let skip = prop_oneof![4 => Just(0), 1 => 1..3_u64];
    let count = prop_oneof![3 => Just(100_u64), 1 => 0..4_u64];
    let attempt = prop_oneof![3 => Just(None), 6 => Just(Some(0)), 1 => (-1..3_i64).prop_map(Some)];
    (pick, skip, count, attempt).prop_map(|(pick, skip, count, attempt)| Reference {
        pick,
        skip,
        count,
        attempt,
    })
}

/// A calm client puts less, and finishes more. So a queue of calm clients is often empty, and ends.
fn request(is_calm: bool) -> impl Strategy<Value = Request> {
    let (put_weight, done_weight) = if is_calm { (4, 16) } else { (10, 4) };
    let whole = Reference { pick: 0, skip: 0, count: 100, attempt: None };
    let put = prop_oneof![
        20 => (1..5_u64, 1..12_usize),
        1 => (Just(1_u64), Just(5000_usize)),
        1 => (100..2000_u64, Just(20_usize)),
    ];
    let put = put.prop_map(|(count, item_bytes)| Request::Put { count, item_bytes });
    let get = prop_oneof![2 => Just(1), 2 => 2..6_u64, 1 => Just(10_000)].prop_map(Request::Get);
    let plain = prop_oneof![
        4 => Just("cancel"), 2 => Just("join"), 1 => Just("close"), 1 => Just("close now"),
        2 => Just("size"), 1 => Just("remove"), 1 => prop::sample::select(MALFORMED),
    ];
    let by_id = (prop_oneof![Just("retry"), Just("drop"), Just("failed")], 0..8_u64);
    prop_oneof![
        put_weight => put,
        done_weight => Just(Request::Report("done", whole)),
        1 => Just(Request::RepeatPut),
        10 => get,
        4 => reference().prop_map(|items| Request::Report("done", items)),
        3 => reference().prop_map(|items| Request::Report("requeue", items)),
        3 => reference().prop_map(|items| Request::Report("renew", items)),
        3 => (reference(), 0..3_u32).prop_map(|(items, tries)| Request::Fail(items, tries)),
        3 => (reference(), 0..2_i64).prop_map(|(items, by)| Request::Attempt(items, by)),
        3 => by_id.prop_map(|(verb, id)| Request::ById(verb, id)),
        7 => plain.prop_map(Request::Plain),
    ]
}

/// Lines that are no request, or ask for the impossible. The last ones end the connection.
pub(crate) const MALFORMED: &[&str] = &[
    "nothing",
    "",
    "get 0",
    "get 18446744073709551615",
    "get 18446744073709551616",
    "get 00000000000000000000001",
    "get -1",
    "failed 00000000000000000000",
    "done 1",
    "done 1 0",
    "done 1 1 ",
    "done 1  1",
    "done 1 1 4294967296",
    "done 18446744073709551615 18446744073709551615",
    "done 007 001 00",
    "requeue 9 1 x",
    "renew 1",
    "renew 007 001 00",
    "fail 1",
    "fail 1 1 1",
    "fail 1 1 1x",
    "fail 99 1 1 reason",
    "attempt 1 0",
    "attempt 1",
    "cancel ",
    "cancel now",
    "join 1",
    "close later",
    "failed",
    "failed 18446744073709551615",
    "retry all",
    "drop 18446744073709551615",
    "remove forced",
    "sleep",
    "sleep 5",
    "size 1",
    "status of",
    "bye now",
    "hello",
    "put 2 2 4\n\n\n1",
    "put 3 3 6\n12\n\n1",
    "put 2 2 4\n1\n23",
    "put 2 2 3\n1\n",
    "put 1 1 4\n1\n2",
    "put 1 1 1\n",
    "put 0 1 2\n1",
    "put 1 1",
    "put",
    "put 1 1 16777218",
    "put 2 2 65537",
];

fn moves(is_calm: bool) -> impl Strategy<Value = Vec<Move>> {
    let client = || 0..MAX_CLIENTS;
    let time = || prop_oneof![Just(10), Just(90), Just(1000), Just(40_000)];
    let one = prop_oneof![
        12 => (client(), settings(), prop::option::weighted(0.3, request(is_calm)))
            .prop_map(|(client, settings, first)| Move::Connect { client, settings, first }),
        60 => (client(), prop::collection::vec(request(is_calm), 1..4))
            .prop_map(|(client, requests)| Move::Requests(client, requests)),
        3 => (client(), 0..9_u64, 0..5_u64).prop_map(|(c, from, max)| Move::Peek(c, from, max)),
        5 => client().prop_map(|client| Move::Requests(client, vec![Request::Plain("bye")])),
        5 => client().prop_map(Move::Die),
        8 => time().prop_map(Move::PassTime),
        8 => time().prop_map(Move::PassTimeUnheard),
        5 => any::<u8>().prop_map(Move::Lose),
        1 => client()
            .prop_map(|client| Move::Requests(client, vec![Request::Plain("remove force")])),
    ];
    prop::collection::vec(one, 1..70)
}

/// A connected client, as far as it knows itself.
struct TestClient {
    key: ClientKey,
    settings: String,
    /// The number of the last item that it has put.
    seq: u64,
    last_put: String,
    batches: Vec<Batch>,
    batches_received: u64,
    is_visitor: bool,
    is_following: bool,
    was_granted: bool,
}

struct Run<'a> {
    pair: QueuePair<'a>,
    clients: BTreeMap<usize, TestClient>,
    last_key: u64,
    has_lost_batches: bool,
}

impl<'a> Run<'a> {
    fn new(script: &'a mut VirtualQueue) -> Self {
        let pair = QueuePair::new(script);
        Self { pair, clients: BTreeMap::new(), last_key: 0, has_lost_batches: false }
    }

    fn make(&mut self, one: Move) {
        match one {
            Move::Connect { client, settings, first } => self.connect(client, &settings, first),
            Move::Requests(client, requests) => {
                let Some(client) = self.clients.get_mut(&client) else { return };
                let text: String = requests.iter().map(|request| client.write(request)).collect();
                let mail = self.pair.call(client.key, &text);
                self.read(&mail);
            }
            Move::Peek(client, from_id, max) => {
                // What is due comes first.
                let mail = self.pair.pass_time(0);
                self.read(&mail);
                let Some(client) = self.clients.get(&client) else { return };
                self.pair.peek(client.key, from_id, max);
            }
            Move::Die(client) => {
                let Some(client) = self.clients.remove(&client) else { return };
                let mail = self.pair.die(client.key);
                self.read(&mail);
            }
            Move::PassTime(milliseconds) => {
                let mail = self.pair.pass_time(milliseconds);
                self.read(&mail);
            }
            Move::PassTimeUnheard(milliseconds) => {
                self.pair.pass_time_unheard(milliseconds);
                return;
            }
            Move::Lose(mask) => self.lose_keeper(mask),
        }
        self.pair.compare_status();
    }

    fn connect(&mut self, at: usize, settings: &Settings, first: Option<Request>) {
        if self.clients.contains_key(&at) {
            return;
        }
        self.last_key += 1;
        let key = ClientKey(self.last_key);
        let mut client = TestClient {
            key,
            settings: settings.json(&self.pair, self.last_key),
            seq: 0,
            last_put: String::new(),
            batches: Vec::new(),
            batches_received: 0,
            is_visitor: settings.role == "visitor",
            is_following: settings.follow,
            was_granted: false,
        };
        let requests = first.map(|request| client.write(&request)).unwrap_or_default();
        let hello = format!(r#""version":{},{}"#, settings.version, client.settings);
        let mail = self.pair.hello(key, &hello, &requests);
        let is_welcome = |mail: &Vec<Reply>| matches!(mail.first(), Some(Reply::Welcome(_)));
        if mail.get(&key).is_some_and(is_welcome) {
            self.clients.insert(at, client);
        }
        self.read(&mail);
    }

    /// The clients read their mail.
    fn read(&mut self, mail: &Mail) {
        for client in self.clients.values_mut() {
            for reply in mail.get(&client.key).into_iter().flatten() {
                client.read(reply);
            }
        }
        let pair = &self.pair;
        self.clients.retain(|_, client| pair.is_connected(client.key));
    }

    fn lose_keeper(&mut self, mask: u8) {
        let slots: Vec<usize> = self.clients.keys().copied().collect();
        for slot in slots {
            let Some(client) = self.clients.get(&slot) else { continue };
            // The next keeper does not know this visitor, or that it follows.
            let is_unknown = client.is_visitor && (client.is_following || !client.was_granted);
            let text = if is_unknown { "bye\n" } else { "cancel\n" };
            let mail = self.pair.call(client.key, text);
            self.read(&mail);
        }
        let loses_batches = mask != 0 && !std::mem::replace(&mut self.has_lost_batches, true);
        for (&slot, client) in &mut self.clients {
            if loses_batches && mask >> slot & 1 == 1 && client.batches_received > 0 {
                client.batches_received -= 1;
                client.batches.pop();
            }
        }
        let resuming: Vec<_> = self
            .clients
            .values()
            .map(|client| (client.key, client.settings.clone(), client.batches_received))
            .collect();
        self.pair.lose_keeper(&resuming);
    }
}

impl Settings {
    fn json(&self, pair: &QueuePair<'_>, pid: u64) -> String {
        let mut json = format!(
            r#""role":"{}","pid":{},"birth":{},"ancestors":[{}]"#,
            self.role,
            pid + 100,
            pair.birth(self.is_late),
            pair.birth(self.is_ancestor_late)
        );
        for (field, value) in
            [("keep_open", self.keep_open), ("follow", self.follow), ("sync", self.sync)]
        {
            if value {
                write!(json, r#","{field}":true"#).unwrap();
            }
        }
        for (field, value) in [
            ("capacity", self.capacity),
            ("lease", self.lease_ms.map(|ms| ms * 1_000_000)),
            ("max_delivery_failures", self.max_delivery_failures.map(u64::from)),
            ("max_item_bytes", self.max_item_bytes),
        ] {
            if let Some(value) = value {
                write!(json, r#","{field}":{value}"#).unwrap();
            }
        }
        json
    }
}

impl TestClient {
    fn read(&mut self, reply: &Reply) {
        match reply {
            Reply::Ok { .. } => self.was_granted = true,
            Reply::Batch(batch) => {
                self.was_granted = true;
                self.batches_received += 1;
                self.batches.push(batch.clone());
            }
            _ => {}
        }
    }

    /// The text of a request.
    fn write(&mut self, request: &Request) -> String {
        match *request {
            Request::Put { count, item_bytes } => self.write_put(count, item_bytes),
            Request::RepeatPut => self.last_put.clone(),
            Request::Get(max) => format!("get {max}\n"),
            Request::Report(verb, items) => {
                let (first, count, attempt) = self.resolve(items);
                let attempt = items.attempt.map(|_| format!(" {attempt}")).unwrap_or_default();
                format!("{verb} {first} {count}{attempt}\n")
            }
            Request::Fail(items, tries) => {
                let (first, _, attempt) = self.resolve(items);
                format!("fail {first} {attempt} {tries} it is odd\n")
            }
            Request::Attempt(items, by) => {
                let (first, _, attempt) = self.resolve(items);
                format!("attempt {first} {}\n", attempt + by)
            }
            Request::ById(verb, id) => format!("{verb} {id}\n"),
            Request::Plain(line) => format!("{line}\n"),
        }
    }

    fn write_put(&mut self, count: u64, item_bytes: usize) -> String {
        let mut body = String::new();
        for n in 1..=count {
            let text = format!("{}.{}", self.key.0, self.seq + n);
            writeln!(body, "{text:0>item_bytes$}").unwrap();
        }
        if count > 1 && body.len() > 65_536 {
            return String::new();
        }
        self.seq += count;
        self.last_put = format!("put {} {count} {}\n{body}", self.seq, body.len());
        self.last_put.clone()
    }

    /// The first id, the count and the attempt of a reference.
    fn resolve(&self, items: Reference) -> (u64, u64, i64) {
        let batch = self.batches.iter().rev().nth(items.pick);
        let (first, count, attempt) =
            batch.map_or((3, 1, 1), |batch| (batch.first_id, batch.count(), batch.attempt));
        let count = if items.count == 100 { count.saturating_sub(items.skip) } else { items.count };
        let attempt = i64::from(attempt) + items.attempt.unwrap_or(0);
        (first + items.skip, count, attempt.max(0))
    }
}

fn run_cases(cases: u32) {
    let Some(server) = TestServer::start(&[]) else { return };
    let script = RefCell::new(VirtualQueue::with_absence(&server, 0));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&any::<bool>().prop_flat_map(moves), |moves| {
        let mut script = script.borrow_mut();
        let mut run = Run::new(&mut script);
        moves.into_iter().for_each(|one| run.make(one));
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}

#[test]
fn a_server_answers_each_client_as_a_keeper_does() {
    let cases = std::env::var("QDEMO_SERVER_CASES").ok().and_then(|cases| cases.parse().ok());
    run_cases(cases.unwrap_or(150));
}

#[test]
#[ignore = "takes some minutes"]
fn a_server_answers_each_client_as_a_keeper_does_in_10000_cases() {
    run_cases(10_000);
}
