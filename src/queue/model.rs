//! Books kept by somebody else over what the queue does, and clients that do anything at all: what the
//! rules promise is checked against them, over random moves.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;

use super::*;

/// How many clients there are at a time.
pub(crate) const MAX_CLIENTS: usize = 6;

/// What a random client may do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Early or late: before or after whatever end there is.
    Connect(ClientKind, bool),
    Put(u64),
    Get(u64),
    /// The client that has the `pick`th of the items that are out says so of it, and of those behind.
    Done {
        pick: usize,
        count: u64,
    },
    /// A client says so of whatever numbers.
    DoneArbitrary(BatchRef),
    Requeue(usize),
    /// Another attempt at that item begins.
    Attempt(usize),
    Fail(usize),
    WaitForAll,
    Retry,
    Drop,
    Cancel,
    Disconnect,
    ClientDied,
    Step,
    /// Time goes on: leases of 10 run out.
    AdvanceTime,
    Close,
    CloseNow,
}

/// As what a client may come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientKind {
    Producer,
    KeepOpen,
    Consumer,
    Follower,
    Visitor,
}

pub(super) fn settings(role: Role) -> ClientSettings {
    ClientSettings {
        role,
        keep_open: false,
        follow: false,
        birth: ProcessBirth::new(10, 1),
        ancestors: Vec::new(),
        lease: None,
        max_attempts: 0,
        capacity: None,
        sync: false,
    }
}

pub(super) fn batch_items(items: &[&str]) -> Items {
    let text: String = items.iter().map(|item| format!("{item}\n")).collect();
    Items { count: items.len() as u64, bytes: Bytes::from(text) }
}

pub(super) fn batch_ref(first: u64, count: u64) -> BatchRef {
    BatchRef { first_id: first, count, attempt: None }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ItemState {
    Ready,
    InFlight(ClientId),
    Failed,
    Done,
    Dropped,
}

/// Keeps its own books of what the effects say.
#[derive(Default)]
struct QueueModel {
    /// 0 for any.
    capacity: u64,
    /// By the queue's number: where the item is, how many attempts have begun, what it is.
    items: BTreeMap<u64, (ItemState, u32, String)>,
    /// By client: the number of its last item that was sent, and accepted.
    sent: BTreeMap<ClientId, u64>,
    accepted: BTreeMap<ClientId, u64>,
}

impl QueueModel {
    fn apply_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Accepted { client, seq, batch } => {
                let next = self.items.last_key_value().map_or(1, |(id, _)| id + 1);
                assert_eq!(batch.first_id, next, "numbers are given without gaps");
                let accepted = self.accepted.entry(*client).or_default();
                assert_eq!(*seq, *accepted + batch.count(), "each producer's order is kept");
                for (id, item) in batch.iter_with_ids() {
                    *accepted += 1;
                    let text = String::from_utf8(item.to_vec()).unwrap();
                    assert_eq!(text, format!("{client}-{accepted}"));
                    self.items.insert(id, (ItemState::Ready, 0, text));
                }
                if self.capacity > 0 {
                    assert!(
                        self.count_in(ItemState::Ready) <= self.capacity,
                        "the capacity is exact"
                    );
                }
            }
            Effect::Delivered { client, batch } => {
                for (id, item) in batch.iter_with_ids() {
                    let first = self.items.iter().find(|(_, i)| i.0 == ItemState::Ready).unwrap();
                    assert_eq!(*first.0, id, "first in, first out");
                    let (place, times, text) = self.items.get_mut(&id).unwrap();
                    *times += 1;
                    assert_eq!(batch.attempt, *times);
                    assert_eq!(text.as_bytes(), item);
                    *place = ItemState::InFlight(*client);
                }
            }
            Effect::AttemptBegun { client, batch } => {
                for (id, _) in batch.iter_with_ids() {
                    let (place, times, _) = self.items.get_mut(&id).unwrap();
                    assert_eq!(*place, ItemState::InFlight(*client));
                    *times += 1;
                    assert_eq!(batch.attempt, *times, "no attempt begins twice");
                }
            }
            Effect::Done { client, batch } => self.move_batch(batch, *client, ItemState::Done),
            Effect::Requeued { client, batch } => self.move_batch(batch, *client, ItemState::Ready),
            Effect::Failed { client, batch, .. } => {
                self.move_batch(batch, *client, ItemState::Failed)
            }
            Effect::Refused { client, reason: PutRefusal::Full, .. } => {
                // The client may start over from what was accepted.
                self.sent.insert(*client, self.accepted.get(client).copied().unwrap_or(0));
            }
            Effect::Refused { client, seq, reason: PutRefusal::Closed } => {
                assert_eq!(self.sent.get(client), Some(seq), "refused as a whole");
            }
            Effect::Ended { .. }
            | Effect::Empty { .. }
            | Effect::Joined { .. }
            | Effect::Unfinished { .. }
            | Effect::Cancelled { .. }
            | Effect::Affected { .. } => {}
        }
    }

    fn move_batch(&mut self, batch: &Batch, from: ClientId, to: ItemState) {
        for (id, _) in batch.iter_with_ids() {
            let place = &mut self.items.get_mut(&id).unwrap().0;
            assert_eq!(*place, ItemState::InFlight(from));
            *place = to;
        }
    }

    fn set_failed_state(&mut self, to: ItemState) {
        self.move_items(ItemState::Failed, to);
    }

    fn move_items(&mut self, from: ItemState, to: ItemState) {
        for item in self.items.values_mut().filter(|item| item.0 == from) {
            item.0 = to;
        }
    }

    fn count_in(&self, place: ItemState) -> u64 {
        self.items.values().filter(|item| item.0 == place).count() as u64
    }

    fn in_flight(&self) -> Vec<(u64, ClientId)> {
        let out = self.items.iter().filter_map(|(id, item)| match item.0 {
            ItemState::InFlight(client) => Some((*id, client)),
            _ => None,
        });
        out.collect()
    }
}

/// A queue, its clients, and the books.
struct ModelTest {
    queue: Queue,
    model: QueueModel,
    now: Nanos,
    end_count: u64,
    /// How many clients have come.
    client_count: usize,
    effects: Vec<Effect>,
}

/// Lets clients do all this with a queue of this capacity, and asserts that each item that was
/// accepted is in exactly one place, in order, within the capacity, and that nobody waits for ever.
pub(crate) fn run_model_test(capacity: u64, moves: impl IntoIterator<Item = (usize, Operation)>) {
    let state = QueueState { capacity: Some(NonZeroU64::new(capacity)), ..QueueState::default() };
    let mut play = ModelTest {
        queue: Queue::new(state, true),
        model: QueueModel { capacity, ..QueueModel::default() },
        now: 0,
        end_count: 0,
        client_count: 0,
        effects: Vec::new(),
    };
    for (slot, action) in moves {
        play.execute(slot % MAX_CLIENTS, action);
        play.check();
    }
    play.drain_and_check();
}

impl ModelTest {
    fn request(&mut self, client: ClientId, request: Request) -> Result<(), Refusal> {
        self.queue.apply(client, request, &mut self.effects)
    }

    /// The client in this place, if there is one.
    fn client_in_slot(&self, slot: usize) -> Option<ClientId> {
        self.queue.clients.keys().copied().find(|client| client % MAX_CLIENTS == slot)
    }

    fn execute(&mut self, slot: usize, action: Operation) {
        let here = self.client_in_slot(slot);
        match (action, here) {
            (Operation::Connect(kind, late), None) => self.connect(slot, kind, late),
            (
                Operation::Done { .. }
                | Operation::Requeue(_)
                | Operation::Attempt(_)
                | Operation::Fail(_),
                _,
            ) => {
                self.acknowledge(action);
            }
            (Operation::AdvanceTime, _) => {
                self.now += 6;
                self.queue.expire_leases(self.now, &mut self.effects);
                assert!(self.queue.next_lease_expiry().is_none_or(|next| next > self.now));
            }
            (Operation::Close, _) => drop(self.queue.close()),
            (Operation::CloseNow, _) => self.close_now(),
            (Operation::Step, _) => self.step(),
            (Operation::Connect(..), Some(_)) | (_, None) => {}
            (Operation::Put(count), Some(client)) => self.put(client, count),
            (Operation::Get(max), Some(client)) => {
                let waits = self.queue.waiting_getters.contains(&client);
                assert_eq!(self.request(client, Request::Get { max }).is_err(), waits);
            }
            (Operation::DoneArbitrary(batch_ref), Some(client)) => {
                self.done_arbitrary(client, batch_ref)
            }
            (Operation::Retry, Some(client)) => {
                self.request(client, Request::Retry { id: None }).unwrap();
                self.model.set_failed_state(ItemState::Ready);
            }
            (Operation::Drop, Some(client)) => {
                self.request(client, Request::Drop { id: None }).unwrap();
                self.model.set_failed_state(ItemState::Dropped);
            }
            (Operation::WaitForAll, Some(client)) => self.request(client, Request::Join).unwrap(),
            (Operation::Cancel, Some(client)) => self.request(client, Request::Cancel).unwrap(),
            (Operation::Disconnect, Some(client)) => {
                self.request(client, Request::Disconnect).unwrap()
            }
            (Operation::ClientDied, Some(client)) => {
                self.request(client, Request::ClientDied).unwrap()
            }
        }
    }

    /// Each coming is a new client, as the keeper numbers them.
    fn connect(&mut self, slot: usize, kind: ClientKind, late: bool) {
        let role = match kind {
            ClientKind::Producer | ClientKind::KeepOpen => Role::Producer,
            ClientKind::Consumer | ClientKind::Follower => Role::Consumer,
            ClientKind::Visitor => Role::Visitor,
        };
        let settings = ClientSettings {
            keep_open: matches!(kind, ClientKind::KeepOpen),
            follow: matches!(kind, ClientKind::Follower),
            birth: ProcessBirth::new(if late { 200 } else { 10 }, 1),
            lease: Some(10),
            max_attempts: 2,
            ..settings(role)
        };
        self.client_count += 1;
        self.request(self.client_count * MAX_CLIENTS + slot, Request::Connect(settings)).unwrap();
    }

    fn put(&mut self, client: ClientId, count: u64) {
        let sent = self.model.sent.entry(client).or_default();
        let items: Vec<_> = (1..=count).map(|i| format!("{client}-{}", *sent + i)).collect();
        *sent += count;
        let seq = *sent;
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        self.request(client, Request::Put { seq, items: batch_items(&items) }).unwrap();
        if let Some(effect) = self.effects.pop() {
            self.model.apply_effect(&effect);
            *self.model.sent.entry(client).or_default() -= count;
        }
    }

    /// Somebody who has items says what has become of them.
    fn acknowledge(&mut self, action: Operation) {
        let out = self.model.in_flight();
        let pick = |pick: usize| (!out.is_empty()).then(|| out[pick % out.len()]);
        let mut ask = |client, request| self.queue.apply(client, request, &mut self.effects);
        match action {
            Operation::Done { pick: n, count: part } => {
                let Some((first, client)) = pick(n) else { return };
                let all_his = (first..first + part).all(|id| out.contains(&(id, client)));
                let taken = ask(client, Request::Done(batch_ref(first, part))).is_ok();
                // Items of several runs take several `done`s.
                assert!(!taken || all_his);
                assert!(taken || part > 1);
            }
            Operation::Requeue(n) => {
                let Some((id, client)) = pick(n) else { return };
                ask(client, Request::Requeue(batch_ref(id, 1))).unwrap();
            }
            Operation::Attempt(n) => {
                let Some((id, client)) = pick(n) else { return };
                let attempt = self.model.items[&id].1 + 1;
                ask(client, Request::Attempt { id, attempt }).unwrap();
                // To say it once more, and to speak of another one, changes nothing.
                ask(client, Request::Attempt { id, attempt }).unwrap();
                ask(client, Request::Attempt { id, attempt: attempt + 5 }).unwrap();
            }
            Operation::Fail(n) => {
                let Some((id, client)) = pick(n) else { return };
                let (batch_ref, reason) = (batch_ref(id, 1), String::new());
                ask(client, Request::Fail { batch: batch_ref, try_count: 1, reason }).unwrap();
            }
            _ => {}
        }
    }

    /// What is not out with a client, in that attempt, is not its to speak of.
    fn done_arbitrary(&mut self, client: ClientId, batch_ref: BatchRef) {
        let BatchRef { first_id: first, count, attempt } = batch_ref;
        let taken = self.request(client, Request::Done(batch_ref)).is_ok();
        for id in first..first.saturating_add(count.min(100)) {
            let item = self.model.items.get(&id);
            let his = item.is_some_and(|(place, times, _)| {
                *place == ItemState::InFlight(client)
                    && attempt.is_none_or(|attempt| attempt == *times)
            });
            assert!(his || !taken, "{id} is not with {client}");
        }
        assert!(!taken || (1..=100).contains(&count), "nobody has that many here");
    }

    fn close_now(&mut self) {
        let dropped = self.queue.close_now(&mut self.effects);
        assert_eq!(dropped, self.model.count_in(ItemState::Ready));
        self.model.move_items(ItemState::Ready, ItemState::Dropped);
        let mut refused = BTreeMap::new();
        for effect in self.effects.drain(..) {
            let Effect::Refused { client, seq, reason: PutRefusal::Closed } = effect else {
                panic!("{effect:?}");
            };
            let sent = self.model.sent.get(&client).copied().unwrap_or(0);
            assert!(seq <= sent);
            let accepted = self.model.accepted.get(&client).copied().unwrap_or(0);
            assert!(accepted < seq, "what is accepted is not refused");
            refused.insert(client, accepted);
        }
        // What they put from here on follows what was accepted.
        self.model.sent.append(&mut refused);
    }

    fn step(&mut self) {
        if self.queue.is_end_due() {
            assert_eq!(self.model.count_in(ItemState::Ready), 0);
            assert!(self.model.in_flight().is_empty());
            self.queue.end(ProcessBirth::new(100, 1));
            self.end_count += 1;
            // The next queue of this name has the capacity that it is given.
            self.model.capacity = 0;
        }
        self.effects.extend(self.queue.step(self.now));
    }

    /// Enters what has happened, and compares the books.
    fn check(&mut self) {
        for effect in self.effects.drain(..) {
            if matches!(effect, Effect::Ended { .. }) {
                assert!(self.end_count > 0, "nobody is told of an end before there is one");
            }
            self.model.apply_effect(&effect);
        }
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.model.count_in(ItemState::Ready));
        assert_eq!(counts.in_flight, self.model.in_flight().len() as u64);
        assert_eq!(counts.failed, self.model.count_in(ItemState::Failed));
        assert!(self.queue.leases.len() <= self.model.in_flight().len(), "no lease of nothing");
    }

    /// Whoever is still there and asks is told or served in the end: nobody waits for ever.
    fn drain_and_check(mut self) {
        let consumer = usize::MAX;
        for client in self.queue.clients.keys().copied().collect::<Vec<_>>() {
            self.request(client, Request::Disconnect).unwrap();
        }
        self.queue.ended_at = None;
        self.request(consumer, Request::Connect(settings(Role::Consumer))).unwrap();
        self.queue.close();
        loop {
            self.check();
            self.request(consumer, Request::Get { max: 100 }).unwrap();
            if self.queue.is_end_due() {
                break;
            }
            let Some(Effect::Delivered { batch, .. }) = self.queue.step(self.now) else {
                panic!("a get with items in line must be served");
            };
            self.model.apply_effect(&Effect::Delivered { client: consumer, batch: batch.clone() });
            self.request(consumer, Request::Done(batch.batch_ref())).unwrap();
        }
        let gone = [ItemState::Done, ItemState::Failed, ItemState::Dropped];
        let gone = gone.map(|place| self.model.count_in(place));
        assert_eq!(gone.iter().sum::<u64>(), self.model.items.len() as u64);
    }
}
