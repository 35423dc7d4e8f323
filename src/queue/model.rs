//! Books kept by somebody else over what the queue does, and clients that do anything at all: what the
//! rules promise is checked against them, over random moves.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;

use super::*;

/// How many clients there are at a time.
pub(crate) const CLIENTS: usize = 6;

/// What a random client may do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    /// Early or late: before or after whatever end there is.
    Join(Kind, bool),
    Put(u64),
    Get(u64),
    /// The client that has the `pick`th of the items that are out says so of it, and of those behind.
    Done {
        pick: usize,
        part: u64,
    },
    /// A client says so of whatever numbers.
    Claim(Which),
    GiveBack(usize),
    /// Another attempt at that item begins.
    Attempt(usize),
    Fail(usize),
    Wait,
    Retry,
    Drop,
    Cancel,
    Leave,
    Die,
    Step,
    /// Time goes on: leases of 10 run out.
    Later,
    Close,
    CloseNow,
}

/// As what a client may come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Producer,
    KeepOpen,
    Consumer,
    Follower,
    Visitor,
}

pub(super) fn member(role: Role) -> Member {
    Member {
        role,
        keep_open: false,
        follow: false,
        born: Stamp::new(10, 1),
        callers: Vec::new(),
        lease: None,
        max_attempts: 0,
        capacity: None,
        sync: false,
    }
}

pub(super) fn lines(items: &[&str]) -> Lines {
    let text: String = items.iter().map(|item| format!("{item}\n")).collect();
    Lines { count: items.len() as u64, bytes: Bytes::from(text) }
}

pub(super) fn which(first: u64, count: u64) -> Which {
    Which { first, count, attempt: None }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Line,
    Out(ClientId),
    Failed,
    Done,
    Dropped,
}

/// Keeps its own books of what the effects say.
#[derive(Default)]
struct Ledger {
    /// 0 for any.
    capacity: u64,
    /// By the queue's number: where the item is, how many attempts have begun, what it is.
    items: BTreeMap<u64, (Place, u32, String)>,
    /// By client: the number of its last item that was sent, and accepted.
    sent: BTreeMap<ClientId, u64>,
    accepted: BTreeMap<ClientId, u64>,
}

impl Ledger {
    fn enter(&mut self, effect: &Effect) {
        match effect {
            Effect::Accepted { client, seq, run } => {
                let next = self.items.last_key_value().map_or(1, |(id, _)| id + 1);
                assert_eq!(run.first, next, "numbers are given without gaps");
                let accepted = self.accepted.entry(*client).or_default();
                assert_eq!(*seq, *accepted + run.count(), "each producer's order is kept");
                for (id, item) in run.items() {
                    *accepted += 1;
                    let text = String::from_utf8(item.to_vec()).unwrap();
                    assert_eq!(text, format!("{client}-{accepted}"));
                    self.items.insert(id, (Place::Line, 0, text));
                }
                if self.capacity > 0 {
                    assert!(self.count(Place::Line) <= self.capacity, "the capacity is exact");
                }
            }
            Effect::Handed { client, run } => {
                for (id, item) in run.items() {
                    let first = self.items.iter().find(|(_, i)| i.0 == Place::Line).unwrap();
                    assert_eq!(*first.0, id, "first in, first out");
                    let (place, times, text) = self.items.get_mut(&id).unwrap();
                    *times += 1;
                    assert_eq!(run.attempt, *times);
                    assert_eq!(text.as_bytes(), item);
                    *place = Place::Out(*client);
                }
            }
            Effect::Attempted { client, run } => {
                for (id, _) in run.items() {
                    let (place, times, _) = self.items.get_mut(&id).unwrap();
                    assert_eq!(*place, Place::Out(*client));
                    *times += 1;
                    assert_eq!(run.attempt, *times, "no attempt begins twice");
                }
            }
            Effect::Done { client, run } => self.shift(run, *client, Place::Done),
            Effect::Returned { client, run } => self.shift(run, *client, Place::Line),
            Effect::Failed { client, run, .. } => self.shift(run, *client, Place::Failed),
            Effect::Refused { client, why: NotTaken::Full, .. } => {
                // The client may start over from what was accepted.
                self.sent.insert(*client, self.accepted.get(client).copied().unwrap_or(0));
            }
            Effect::Refused { client, seq, why: NotTaken::Closed } => {
                assert_eq!(self.sent.get(client), Some(seq), "refused as a whole");
            }
            Effect::Ended { .. }
            | Effect::Empty { .. }
            | Effect::Joined { .. }
            | Effect::Unfinished { .. }
            | Effect::Cancelled { .. }
            | Effect::Counted { .. } => {}
        }
    }

    fn shift(&mut self, run: &Run, from: ClientId, to: Place) {
        for (id, _) in run.items() {
            let place = &mut self.items.get_mut(&id).unwrap().0;
            assert_eq!(*place, Place::Out(from));
            *place = to;
        }
    }

    fn move_failed(&mut self, to: Place) {
        self.move_all(Place::Failed, to);
    }

    fn move_all(&mut self, from: Place, to: Place) {
        for item in self.items.values_mut().filter(|item| item.0 == from) {
            item.0 = to;
        }
    }

    fn count(&self, place: Place) -> u64 {
        self.items.values().filter(|item| item.0 == place).count() as u64
    }

    fn out(&self) -> Vec<(u64, ClientId)> {
        let out = self.items.iter().filter_map(|(id, item)| match item.0 {
            Place::Out(client) => Some((*id, client)),
            _ => None,
        });
        out.collect()
    }
}

/// A queue, its clients, and the books.
struct Play {
    queue: Queue,
    ledger: Ledger,
    now: Nanos,
    ends: u64,
    /// How many clients have come.
    came: usize,
    effects: Vec<Effect>,
}

/// Lets clients do all this with a queue of this capacity, and asserts that each item that was
/// accepted is in exactly one place, in order, within the capacity, and that nobody waits for ever.
pub(crate) fn play(capacity: u64, moves: impl IntoIterator<Item = (usize, Move)>) {
    let remains = Remains { capacity: Some(NonZeroU64::new(capacity)), ..Remains::default() };
    let mut play = Play {
        queue: Queue::new(remains, true),
        ledger: Ledger { capacity, ..Ledger::default() },
        now: 0,
        ends: 0,
        came: 0,
        effects: Vec::new(),
    };
    for (slot, action) in moves {
        play.act(slot % CLIENTS, action);
        play.check();
    }
    play.empty();
}

impl Play {
    fn ask(&mut self, client: ClientId, request: Request) -> Result<(), Refusal> {
        self.queue.apply(client, request, &mut self.effects)
    }

    /// The client in this place, if there is one.
    fn at(&self, slot: usize) -> Option<ClientId> {
        self.queue.clients.keys().copied().find(|client| client % CLIENTS == slot)
    }

    fn act(&mut self, slot: usize, action: Move) {
        let here = self.at(slot);
        match (action, here) {
            (Move::Join(kind, late), None) => self.join(slot, kind, late),
            (Move::Done { .. } | Move::GiveBack(_) | Move::Attempt(_) | Move::Fail(_), _) => {
                self.answer(action);
            }
            (Move::Later, _) => {
                self.now += 6;
                self.queue.expire(self.now, &mut self.effects);
                assert!(self.queue.next_expiry().is_none_or(|next| next > self.now));
            }
            (Move::Close, _) => drop(self.queue.close()),
            (Move::CloseNow, _) => self.close_now(),
            (Move::Step, _) => self.step(),
            (Move::Join(..), Some(_)) | (_, None) => {}
            (Move::Put(count), Some(client)) => self.put(client, count),
            (Move::Get(max), Some(client)) => {
                let waits = self.queue.getters.contains(&client);
                assert_eq!(self.ask(client, Request::Get { max }).is_err(), waits);
            }
            (Move::Claim(which), Some(client)) => self.claim(client, which),
            (Move::Retry, Some(client)) => {
                self.ask(client, Request::Retry { id: None }).unwrap();
                self.ledger.move_failed(Place::Line);
            }
            (Move::Drop, Some(client)) => {
                self.ask(client, Request::Drop { id: None }).unwrap();
                self.ledger.move_failed(Place::Dropped);
            }
            (Move::Wait, Some(client)) => self.ask(client, Request::Join).unwrap(),
            (Move::Cancel, Some(client)) => self.ask(client, Request::Cancel).unwrap(),
            (Move::Leave, Some(client)) => self.ask(client, Request::Leave).unwrap(),
            (Move::Die, Some(client)) => self.ask(client, Request::Die).unwrap(),
        }
    }

    /// Each coming is a new client, as the keeper numbers them.
    fn join(&mut self, slot: usize, kind: Kind, late: bool) {
        let role = match kind {
            Kind::Producer | Kind::KeepOpen => Role::Producer,
            Kind::Consumer | Kind::Follower => Role::Consumer,
            Kind::Visitor => Role::Visitor,
        };
        let member = Member {
            keep_open: matches!(kind, Kind::KeepOpen),
            follow: matches!(kind, Kind::Follower),
            born: Stamp::new(if late { 200 } else { 10 }, 1),
            lease: Some(10),
            max_attempts: 2,
            ..member(role)
        };
        self.came += 1;
        self.ask(self.came * CLIENTS + slot, Request::Come(member)).unwrap();
    }

    fn put(&mut self, client: ClientId, count: u64) {
        let sent = self.ledger.sent.entry(client).or_default();
        let items: Vec<_> = (1..=count).map(|i| format!("{client}-{}", *sent + i)).collect();
        *sent += count;
        let seq = *sent;
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        self.ask(client, Request::Put { seq, lines: lines(&items) }).unwrap();
        if let Some(effect) = self.effects.pop() {
            self.ledger.enter(&effect);
            *self.ledger.sent.entry(client).or_default() -= count;
        }
    }

    /// Somebody who has items says what has become of them.
    fn answer(&mut self, action: Move) {
        let out = self.ledger.out();
        let pick = |pick: usize| (!out.is_empty()).then(|| out[pick % out.len()]);
        let mut ask = |client, request| self.queue.apply(client, request, &mut self.effects);
        match action {
            Move::Done { pick: n, part } => {
                let Some((first, client)) = pick(n) else { return };
                let all_his = (first..first + part).all(|id| out.contains(&(id, client)));
                let taken = ask(client, Request::Done(which(first, part))).is_ok();
                // Items of several runs take several `done`s.
                assert!(!taken || all_his);
                assert!(taken || part > 1);
            }
            Move::GiveBack(n) => {
                let Some((id, client)) = pick(n) else { return };
                ask(client, Request::GiveBack(which(id, 1))).unwrap();
            }
            Move::Attempt(n) => {
                let Some((id, client)) = pick(n) else { return };
                let attempt = self.ledger.items[&id].1 + 1;
                ask(client, Request::Attempt { id, attempt }).unwrap();
                // To say it once more, and to speak of another one, changes nothing.
                ask(client, Request::Attempt { id, attempt }).unwrap();
                ask(client, Request::Attempt { id, attempt: attempt + 5 }).unwrap();
            }
            Move::Fail(n) => {
                let Some((id, client)) = pick(n) else { return };
                let (which, why) = (which(id, 1), String::new());
                ask(client, Request::Fail { which, tries: 1, why }).unwrap();
            }
            _ => {}
        }
    }

    /// What is not out with a client, in that attempt, is not its to speak of.
    fn claim(&mut self, client: ClientId, which: Which) {
        let Which { first, count, attempt } = which;
        let taken = self.ask(client, Request::Done(which)).is_ok();
        for id in first..first.saturating_add(count.min(100)) {
            let item = self.ledger.items.get(&id);
            let his = item.is_some_and(|(place, times, _)| {
                *place == Place::Out(client) && attempt.is_none_or(|attempt| attempt == *times)
            });
            assert!(his || !taken, "{id} is not with {client}");
        }
        assert!(!taken || (1..=100).contains(&count), "nobody has that many here");
    }

    fn close_now(&mut self) {
        let dropped = self.queue.close_now(&mut self.effects);
        assert_eq!(dropped, self.ledger.count(Place::Line));
        self.ledger.move_all(Place::Line, Place::Dropped);
        let mut refused = BTreeMap::new();
        for effect in self.effects.drain(..) {
            let Effect::Refused { client, seq, why: NotTaken::Closed } = effect else {
                panic!("{effect:?}");
            };
            let sent = self.ledger.sent.get(&client).copied().unwrap_or(0);
            assert!(seq <= sent);
            let accepted = self.ledger.accepted.get(&client).copied().unwrap_or(0);
            assert!(accepted < seq, "what is accepted is not refused");
            refused.insert(client, accepted);
        }
        // What they put from here on follows what was accepted.
        self.ledger.sent.append(&mut refused);
    }

    fn step(&mut self) {
        if self.queue.end_is_due() {
            assert_eq!(self.ledger.count(Place::Line), 0);
            assert!(self.ledger.out().is_empty());
            self.queue.end(Stamp::new(100, 1));
            self.ends += 1;
            // The next queue of this name has the capacity that it is given.
            self.ledger.capacity = 0;
        }
        self.effects.extend(self.queue.step(self.now));
    }

    /// Enters what has happened, and compares the books.
    fn check(&mut self) {
        for effect in self.effects.drain(..) {
            if matches!(effect, Effect::Ended { .. }) {
                assert!(self.ends > 0, "nobody is told of an end before there is one");
            }
            self.ledger.enter(&effect);
        }
        let census = self.queue.census();
        assert_eq!(census.in_line, self.ledger.count(Place::Line));
        assert_eq!(census.out, self.ledger.out().len() as u64);
        assert_eq!(census.failed, self.ledger.count(Place::Failed));
        assert!(self.queue.leases.len() <= self.ledger.out().len(), "no lease of nothing");
    }

    /// Whoever is still there and asks is told or served in the end: nobody waits for ever.
    fn empty(mut self) {
        let consumer = usize::MAX;
        for client in self.queue.clients.keys().copied().collect::<Vec<_>>() {
            self.ask(client, Request::Leave).unwrap();
        }
        self.queue.end = None;
        self.ask(consumer, Request::Come(member(Role::Consumer))).unwrap();
        self.queue.close();
        loop {
            self.check();
            self.ask(consumer, Request::Get { max: 100 }).unwrap();
            if self.queue.end_is_due() {
                break;
            }
            let Some(Effect::Handed { run, .. }) = self.queue.step(self.now) else {
                panic!("a get with items in line must be served");
            };
            self.ledger.enter(&Effect::Handed { client: consumer, run: run.clone() });
            self.ask(consumer, Request::Done(run.which())).unwrap();
        }
        let gone = [Place::Done, Place::Failed, Place::Dropped];
        let gone = gone.map(|place| self.ledger.count(place));
        assert_eq!(gone.iter().sum::<u64>(), self.ledger.items.len() as u64);
    }
}
