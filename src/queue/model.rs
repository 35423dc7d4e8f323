//! Random clients, and a simple model of the queue that checks the rules after each operation.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;

use super::*;

/// The lease of each client.
const LEASE: Nanos = 10;
/// How many clients are connected at most.
pub(crate) const MAX_CLIENTS: usize = 6;

/// One operation of a random client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Connect {
        kind: ClientKind,
        /// The client was born after every end; otherwise before.
        is_late: bool,
    },
    Put(u64),
    Get(u64),
    /// The holder of the `pick`th in-flight item sends `done` for `count` items.
    Done {
        pick: usize,
        count: u64,
    },
    /// The client sends `done` for arbitrary ids.
    DoneArbitrary(BatchRef),
    Requeue(usize),
    /// The holder of the `pick`th in-flight item renews its lease.
    Renew(usize),
    /// The client renews the lease of arbitrary ids.
    RenewArbitrary(BatchRef),
    /// Begins another attempt at the `pick`th in-flight item.
    Attempt(usize),
    Fail(usize),
    Join,
    Retry,
    Drop,
    Cancel,
    Disconnect,
    ClientDied,
    Step,
    /// Leases expire after some of these.
    AdvanceTime,
    Close,
    CloseNow,
}

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
        max_delivery_failures: 0,
        capacity: None,
        sync: false,
    }
}

pub(super) fn batch_items(items: &[&str]) -> Items {
    let text: String = items.iter().map(|item| format!("{item}\n")).collect();
    Items { count: items.len() as u64, bytes: Bytes::from(text) }
}

pub(super) fn batch_ref(first_id: u64, count: u64) -> BatchRef {
    BatchRef { first_id, count, attempt: None }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ItemState {
    Ready,
    InFlight(ClientId),
    Failed,
    Done,
    Dropped,
}

struct ModelItem {
    state: ItemState,
    /// How many attempts have begun.
    attempts: u32,
    /// When the lease ends, while the item is in flight.
    leased_until: Nanos,
    text: String,
}

/// The items as the effects describe them.
#[derive(Default)]
struct QueueModel {
    /// 0: unbounded.
    capacity: u64,
    now: Nanos,
    items: BTreeMap<u64, ModelItem>,
    /// The sequence number of each client's last sent item.
    sent: BTreeMap<ClientId, u64>,
    /// The sequence number of each client's last accepted item.
    accepted: BTreeMap<ClientId, u64>,
}

impl QueueModel {
    fn apply_effect(&mut self, effect: &Effect) {
        let client = effect.client;
        match &effect.kind {
            EffectKind::Accepted { seq, batch } => self.accept(client, *seq, batch),
            EffectKind::Delivered(batch) => {
                for (id, text) in batch.iter_with_ids() {
                    let is_ready = |item: &ModelItem| item.state == ItemState::Ready;
                    let first = self.items.iter().find(|(_, item)| is_ready(item)).unwrap();
                    assert_eq!(*first.0, id, "first in, first out");
                    let item = self.items.get_mut(&id).unwrap();
                    item.attempts += 1;
                    assert_eq!(batch.attempt, item.attempts);
                    assert_eq!(item.text.as_bytes(), text);
                    item.state = ItemState::InFlight(client);
                    item.leased_until = self.now + LEASE;
                }
            }
            EffectKind::Renewed(batch) => {
                for (id, _) in batch.iter_with_ids() {
                    let item = self.items.get_mut(&id).unwrap();
                    assert_eq!(item.state, ItemState::InFlight(client));
                    assert_eq!(batch.attempt, item.attempts, "a renewal is no attempt");
                    item.leased_until = self.now + LEASE;
                }
            }
            EffectKind::AttemptBegun(batch) => {
                for (id, _) in batch.iter_with_ids() {
                    let item = self.items.get_mut(&id).unwrap();
                    assert_eq!(item.state, ItemState::InFlight(client));
                    item.attempts += 1;
                    assert_eq!(batch.attempt, item.attempts, "no attempt begins twice");
                }
            }
            EffectKind::Done(batch) => self.move_batch(batch, client, ItemState::Done),
            EffectKind::Requeued(batch) => self.move_batch(batch, client, ItemState::Ready),
            EffectKind::Failed { batch, .. } => self.move_batch(batch, client, ItemState::Failed),
            EffectKind::Full { .. } => {
                // The client may send everything after its last accepted item again.
                self.sent.insert(client, self.accepted_seq(client));
            }
            EffectKind::Closed { seq } => {
                assert_eq!(self.sent.get(&client), Some(seq), "refused as a whole");
            }
            EffectKind::Ended
            | EffectKind::Empty
            | EffectKind::Joined { .. }
            | EffectKind::Unfinished { .. }
            | EffectKind::Cancelled
            | EffectKind::Affected { .. } => {}
        }
    }

    fn accept(&mut self, client: ClientId, seq: u64, batch: &Batch) {
        let next = self.items.last_key_value().map_or(1, |(id, _)| id + 1);
        assert_eq!(batch.first_id, next, "the ids have no gaps");
        let accepted = self.accepted.entry(client).or_default();
        assert_eq!(seq, *accepted + batch.count(), "the order of each producer is kept");
        for (id, item) in batch.iter_with_ids() {
            *accepted += 1;
            let text = String::from_utf8(item.to_vec()).unwrap();
            assert_eq!(text, format!("{client}-{accepted}"));
            self.items.insert(
                id,
                ModelItem { state: ItemState::Ready, attempts: 0, leased_until: 0, text },
            );
        }
        if self.capacity > 0 {
            assert!(self.count_in(ItemState::Ready) <= self.capacity, "the capacity is exact");
        }
    }

    fn accepted_seq(&self, client: ClientId) -> u64 {
        self.accepted.get(&client).copied().unwrap_or(0)
    }

    fn move_batch(&mut self, batch: &Batch, from: ClientId, to: ItemState) {
        for (id, _) in batch.iter_with_ids() {
            let state = &mut self.items.get_mut(&id).unwrap().state;
            assert_eq!(*state, ItemState::InFlight(from));
            *state = to;
        }
    }

    fn move_items(&mut self, from: ItemState, to: ItemState) {
        for item in self.items.values_mut().filter(|item| item.state == from) {
            item.state = to;
        }
    }

    fn count_in(&self, state: ItemState) -> u64 {
        self.items.values().filter(|item| item.state == state).count() as u64
    }

    /// The last consumer, which drains the queue, has no lease.
    fn next_lease_expiry(&self) -> Option<Nanos> {
        let in_flight = self.items.values().filter(
            |item| matches!(item.state, ItemState::InFlight(client) if client != usize::MAX),
        );
        in_flight.map(|item| item.leased_until).min()
    }

    fn in_flight(&self) -> Vec<(u64, ClientId)> {
        let in_flight = self.items.iter().filter_map(|(id, item)| match item.state {
            ItemState::InFlight(client) => Some((*id, client)),
            _ => None,
        });
        in_flight.collect()
    }
}

/// A queue, its clients and its model.
struct ModelTest {
    queue: Queue,
    model: QueueModel,
    now: Nanos,
    end_count: u64,
    /// How many clients have connected so far.
    client_count: usize,
}

/// Runs the operations and asserts that each accepted item has exactly one state, that the order and
/// the capacity hold, and that no client waits for ever. Each operation comes with a client slot.
pub(crate) fn run_model_test(
    capacity: u64,
    operations: impl IntoIterator<Item = (usize, Operation)>,
) {
    let state = QueueState { capacity: Some(Capacity::from(capacity)), ..QueueState::default() };
    let mut test = ModelTest {
        queue: Queue::new(state, true),
        model: QueueModel { capacity, ..QueueModel::default() },
        now: 0,
        end_count: 0,
        client_count: 0,
    };
    for (slot, operation) in operations {
        test.execute(slot % MAX_CLIENTS, operation);
        test.check();
    }
    test.drain_and_check();
}

impl ModelTest {
    fn request(&mut self, client: ClientId, request: Request) -> Result<(), Refusal> {
        self.queue.apply(client, request)
    }

    fn client_in_slot(&self, slot: usize) -> Option<ClientId> {
        self.queue.clients.iter().map(|(id, _)| id).find(|id| id % MAX_CLIENTS == slot)
    }

    fn execute(&mut self, slot: usize, operation: Operation) {
        match operation {
            Operation::Done { .. }
            | Operation::Requeue(_)
            | Operation::Attempt(_)
            | Operation::Renew(_)
            | Operation::Fail(_) => self.acknowledge(operation),
            Operation::AdvanceTime => {
                self.now += 6;
                self.model.now = self.now;
                self.queue.expire_leases(self.now);
                assert!(self.queue.next_lease_expiry().is_none_or(|next| next > self.now));
            }
            Operation::Close => self.queue.close(),
            Operation::CloseNow => self.close_now(),
            Operation::Step => self.step(),
            _ => match (operation, self.client_in_slot(slot)) {
                (Operation::Connect { kind, is_late }, None) => self.connect(slot, kind, is_late),
                (_, Some(client)) => self.execute_for(client, operation),
                (_, None) => {}
            },
        }
    }

    fn execute_for(&mut self, client: ClientId, operation: Operation) {
        match operation {
            Operation::Put(count) => self.put(client, count),
            Operation::Get(max) => {
                let is_waiting = self.queue.waiting_getters.find(|c| c == client).is_some();
                assert_eq!(self.request(client, Request::Get { max }).is_err(), is_waiting);
            }
            Operation::DoneArbitrary(batch_ref) => {
                self.report_arbitrary(client, batch_ref, Request::Done(batch_ref));
            }
            Operation::RenewArbitrary(batch) => {
                let now = self.now;
                self.report_arbitrary(client, batch, Request::Renew { batch, now });
            }
            Operation::Retry => {
                self.request(client, Request::Retry(None)).unwrap();
                self.model.move_items(ItemState::Failed, ItemState::Ready);
            }
            Operation::Drop => {
                self.request(client, Request::Drop(None)).unwrap();
                self.model.move_items(ItemState::Failed, ItemState::Dropped);
            }
            Operation::Join => self.request(client, Request::Join).unwrap(),
            Operation::Cancel => self.request(client, Request::Cancel).unwrap(),
            Operation::Disconnect => self.request(client, Request::Disconnect).unwrap(),
            Operation::ClientDied => {
                self.request(client, Request::ClientDied { now: self.now }).unwrap()
            }
            _ => {}
        }
    }

    /// Connects a new client with an unused client id, as the keeper does.
    fn connect(&mut self, slot: usize, kind: ClientKind, is_late: bool) {
        let role = match kind {
            ClientKind::Producer | ClientKind::KeepOpen => Role::Producer,
            ClientKind::Consumer | ClientKind::Follower => Role::Consumer,
            ClientKind::Visitor => Role::Visitor,
        };
        let settings = ClientSettings {
            keep_open: matches!(kind, ClientKind::KeepOpen),
            follow: matches!(kind, ClientKind::Follower),
            birth: ProcessBirth::new(if is_late { 200 } else { 10 }, 1),
            lease: Some(LEASE),
            max_delivery_failures: 2,
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
        if let Some(effect) = self.queue.next_effect() {
            self.model.apply_effect(&effect);
            *self.model.sent.entry(client).or_default() -= count;
        }
    }

    /// The holder of an item reports an outcome.
    fn acknowledge(&mut self, operation: Operation) {
        let in_flight = self.model.in_flight();
        let pick = |pick: usize| (!in_flight.is_empty()).then(|| in_flight[pick % in_flight.len()]);
        let mut request = |client, request| self.queue.apply(client, request);
        match operation {
            Operation::Done { pick: n, count } => {
                let Some((first_id, client)) = pick(n) else { return };
                let has_all =
                    (first_id..first_id + count).all(|id| in_flight.contains(&(id, client)));
                let is_taken = request(client, Request::Done(batch_ref(first_id, count))).is_ok();
                // Items of several batches need several `done`s.
                assert!(!is_taken || has_all);
                assert!(is_taken || count > 1);
            }
            Operation::Requeue(n) => {
                let Some((id, client)) = pick(n) else { return };
                request(client, Request::Requeue(batch_ref(id, 1))).unwrap();
            }
            Operation::Renew(n) => {
                let Some((id, client)) = pick(n) else { return };
                let batch =
                    BatchRef { attempt: Some(self.model.items[&id].attempts), ..batch_ref(id, 1) };
                request(client, Request::Renew { batch, now: self.now }).unwrap();
            }
            Operation::Attempt(n) => {
                let Some((id, client)) = pick(n) else { return };
                let attempt = self.model.items[&id].attempts + 1;
                request(client, Request::Attempt { id, attempt }).unwrap();
                // A repetition and a wrong attempt change nothing.
                request(client, Request::Attempt { id, attempt }).unwrap();
                request(client, Request::Attempt { id, attempt: attempt + 5 }).unwrap();
            }
            Operation::Fail(n) => {
                let Some((id, client)) = pick(n) else { return };
                let (batch, reason) = (batch_ref(id, 1), String::new());
                request(client, Request::Fail { batch, try_count: 1, reason }).unwrap();
            }
            _ => {}
        }
    }

    /// A client can finish or renew only items that it has in flight, in the current attempt.
    fn report_arbitrary(&mut self, client: ClientId, batch_ref: BatchRef, request: Request) {
        let BatchRef { first_id, count, attempt } = batch_ref;
        let is_taken = self.request(client, request).is_ok();
        for id in first_id..first_id.saturating_add(count.min(100)) {
            let has_item = self.model.items.get(&id).is_some_and(|item| {
                item.state == ItemState::InFlight(client)
                    && attempt.is_none_or(|attempt| attempt == item.attempts)
            });
            assert!(has_item || !is_taken, "{id} is not in flight with {client}");
        }
        assert!(!is_taken || (1..=100).contains(&count), "no client has this many items");
    }

    fn close_now(&mut self) {
        let dropped = self.queue.close_now();
        assert_eq!(dropped, self.model.count_in(ItemState::Ready));
        self.model.move_items(ItemState::Ready, ItemState::Dropped);
        let mut refused = BTreeMap::new();
        while let Some(Effect { client, kind }) = self.queue.next_effect() {
            let EffectKind::Closed { seq } = kind else {
                panic!("{kind:?}");
            };
            let sent = self.model.sent.get(&client).copied().unwrap_or(0);
            assert!(seq <= sent);
            let accepted = self.model.accepted_seq(client);
            assert!(accepted < seq, "an accepted item is not refused");
            refused.insert(client, accepted);
        }
        // The next put of a refused client follows its last accepted item.
        self.model.sent.append(&mut refused);
    }

    fn step(&mut self) {
        if self.queue.is_end_due() {
            assert_eq!(self.model.count_in(ItemState::Ready), 0);
            assert!(self.model.in_flight().is_empty());
            self.queue.end(ProcessBirth::new(100, 1));
            self.end_count += 1;
            // The next round is unbounded, since no client here asks for a capacity.
            self.model.capacity = 0;
        }
        if let Some(effect) = self.queue.step(self.now) {
            self.check_effect(&effect);
        }
    }

    fn check_effect(&mut self, effect: &Effect) {
        let is_ended = effect.kind == EffectKind::Ended;
        assert!(!is_ended || self.end_count > 0, "no get sees an end before the first end");
        self.model.apply_effect(effect);
    }

    /// Applies the effects to the model, and compares the queue with the model.
    fn check(&mut self) {
        while let Some(effect) = self.queue.next_effect() {
            self.check_effect(&effect);
        }
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.model.count_in(ItemState::Ready));
        assert_eq!(counts.in_flight, self.model.in_flight().len() as u64);
        assert_eq!(counts.failed, self.model.count_in(ItemState::Failed));
        assert!(self.queue.leases.len() <= self.model.in_flight().len(), "each lease has an item");
        let next_expiry = self.queue.next_lease_expiry();
        assert_eq!(next_expiry, self.model.next_lease_expiry(), "a lease lasts as it was given");
    }

    /// A last consumer gets every ready item and sees the end: no client waits for ever.
    fn drain_and_check(mut self) {
        let consumer = usize::MAX;
        for client in self.queue.clients.iter().map(|(id, _)| id).collect::<Vec<_>>() {
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
            let effect = self.queue.step(self.now);
            let Some(EffectKind::Delivered(batch)) = effect.map(|effect| effect.kind) else {
                panic!("a get must receive a ready item");
            };
            self.model.apply_effect(&EffectKind::Delivered(batch.clone()).for_client(consumer));
            self.request(consumer, Request::Done(batch.batch_ref())).unwrap();
        }
        let final_states = [ItemState::Done, ItemState::Failed, ItemState::Dropped];
        let final_counts = final_states.map(|state| self.model.count_in(state));
        assert_eq!(final_counts.iter().sum::<u64>(), self.model.items.len() as u64);
    }
}
