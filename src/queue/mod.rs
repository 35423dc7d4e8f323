//! The rules of the queue: a pure state machine that reads no clock and does no I/O. This module imports
//! only `role` and the value types `Nanos` and `ProcessBirth` of `clock`.
//!
//! [`Queue::apply`] only registers a put or a get, in the order of the inbox. [`Queue::step`] (in the
//! order of the requests) and [`Queue::serve`] (for a client that the caller chooses) accept and deliver,
//! one step per call.
//!
//! The queue lasts, and has one round after another. A round begins with a producer or a put, and ends
//! when a getter takes the sentinel.
//!
//! ```text
//!           put                 step             step              done
//!  (client) ───► blocked ─────────────► ready ─────────► in flight ────────────► (gone)
//!                  │  room in the queue   ▲  ▲             │ │
//!                  │                      │  └─────────────┘ │ requeued, its consumer left or died, or
//!                  ▼                      │                  │ its lease ran out: attempt + 1
//!               refused: closed, or       │  retry           ▼ the consumer failed, or too many died
//!               the client does not wait  └─────────────── failed ───────────► (gone)
//!                                                                   drop
//! ```

mod batch;
mod blocked;
mod client_table;
mod deliveries;
mod in_flight;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
mod puts;
mod query;
mod recovery;
#[cfg(test)]
mod tests;
mod types;
mod wait_line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::{Nanos, ProcessBirth};
use crate::role::Role;
pub(crate) use batch::{Batch, BatchRef, Items, MAX_DELIVERY_BYTES, ReadyList};
use blocked::BlockedPuts;
use client_table::{Client, ClientTable, PendingGet};
pub(crate) use in_flight::{FailedItem, InFlight};
pub(crate) use recovery::Recovery;
pub(crate) use types::{
    Capacity, ClientActivity, ClientId, ClientSettings, Counts, Effect, EffectKind, QueueState,
    Refusal, Request, Sentinel, WaitReason,
};
use wait_line::WaitLine;

/// A step that [`Queue::serve`] takes for a client.
#[derive(Clone, Copy, Debug)]
enum ClientStep {
    AcceptPut,
    DeliverEnd,
    Deliver,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: QueueState,
    /// The moment of the last end in this uptime of the machine.
    ended_at: Option<ProcessBirth>,
    /// Any client may connect: the disconnect of the last producer puts the sentinel, and a new round
    /// can begin after the end.
    is_shared: bool,
    ready: ReadyList,
    /// The highest id of a delivered item, as far as this keeper knows.
    last_delivered_id: u64,
    in_flight_count: u64,
    failed: BTreeMap<u64, FailedItem>,
    /// When a lease expires, the first id of its batch, and the client that has the batch.
    leases: BTreeSet<(Nanos, u64, ClientId)>,
    clients: ClientTable,
    /// How many clients have each [`Role`].
    role_counts: [usize; 3],
    /// The clients with blocked puts, once for each put.
    blocked_putters: WaitLine,
    /// The clients with a pending get.
    waiting_getters: WaitLine,
    /// In the order of the requests.
    waiting_joiners: VecDeque<ClientId>,
    /// The consequences of requests and of expired leases, until the caller takes them.
    effects: VecDeque<Effect>,
}

impl Queue {
    /// A queue without items. The disconnect of the last producer ends a round of a `shared` queue. A
    /// run's queue is not shared, and is closed only by its keeper ([`Queue::close`]).
    pub(crate) fn new(state: QueueState, shared: bool) -> Self {
        Self { state, is_shared: shared, last_delivered_id: state.last_id, ..Self::default() }
    }

    /// Takes a request of `client`. [`Queue::next_effect`] returns its immediate consequences.
    pub(crate) fn apply(&mut self, client: ClientId, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Connect(settings) => return self.connect(client, settings),
            Request::Put { seq, items } => return self.enqueue_put(client, seq, items),
            Request::Get { max } => return self.enqueue_get(client, max),
            Request::Done(batch_ref) => return self.mark_done(client, batch_ref),
            Request::Requeue(batch_ref) => {
                let batch = self.take_in_flight(client, batch_ref)?.batch;
                self.requeue(client, batch);
            }
            Request::Fail { batch, try_count, reason } => {
                let mut batch = self.take_in_flight(client, batch)?.batch;
                batch.attempt = batch.attempt.saturating_add(try_count.saturating_sub(1));
                self.mark_failed(client, batch, reason);
            }
            Request::Attempt { id, attempt } => {
                let items = u64::from(self.begin_attempt(client, id, attempt));
                self.emit(client, EffectKind::Affected { items });
            }
            Request::Renew { batch, now } => return self.renew_lease(client, batch, now),
            Request::NotReceived { first_id } => self.requeue_unread(client, first_id),
            Request::Cancel => self.cancel(client),
            Request::Join => self.enqueue_join(client),
            Request::Close { now: false } => {
                self.close();
                self.emit(client, EffectKind::Affected { items: 0 });
            }
            Request::Close { now: true } => {
                let items = self.close_now();
                self.emit(client, EffectKind::Affected { items });
            }
            Request::Retry(id) => {
                let items = self.retry_failed(id)?;
                self.emit(client, EffectKind::Affected { items });
            }
            Request::Drop(id) => {
                let items = self.take_failed(id)?.len() as u64;
                self.emit(client, EffectKind::Affected { items });
            }
            Request::Disconnect => {
                for batch in self.remove_all_in_flight(client) {
                    self.requeue(client, batch);
                }
                self.remove_client(client);
            }
            Request::ClientDied { now } => {
                for batch in self.remove_all_in_flight(client) {
                    self.record_delivery_failure(now, client, batch);
                }
                self.remove_client(client);
            }
        }
        Ok(())
    }

    /// The next consequence of the requests and of the expired leases so far.
    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn emit(&mut self, client: ClientId, kind: EffectKind) {
        self.effects.push_back(kind.for_client(client));
    }

    /// Takes the next step: accepts the oldest blocked items, or delivers the first ready items to the
    /// oldest get, or answers a get with the end, or answers a join.
    pub(crate) fn step(&mut self, now: Nanos) -> Option<Effect> {
        if self.free_capacity() > 0
            && let Some(client) = self.blocked_putters.first()
        {
            return self.accept_put(now, client);
        }
        if !self.ready.is_empty()
            && let Some(getter) = self.waiting_getters.find(|c| !self.sees_end_next(c))
        {
            return self.deliver(now, getter);
        }
        if let Some(getter) = self.waiting_getters.find(|c| self.sees_end_next(c)) {
            return self.deliver_end(getter);
        }
        if !self.is_all_done() {
            return None;
        }
        let client = self.waiting_joiners.pop_front()?;
        self.clients.get_mut(client)?.is_joining = false;
        Some(EffectKind::Joined { failed: self.failed.len() as u64 }.for_client(client))
    }

    /// Whether [`Queue::serve`] would take a step for this client.
    pub(crate) fn can_serve(&self, client: ClientId) -> bool {
        self.next_step_of(client).is_some()
    }

    fn next_step_of(&self, client: ClientId) -> Option<ClientStep> {
        let c = self.clients.get(client)?;
        if !c.blocked_puts.is_empty() && self.free_capacity() > 0 {
            Some(ClientStep::AcceptPut)
        } else if c.pending_get.is_none() {
            None
        } else if c.sees_end_next {
            Some(ClientStep::DeliverEnd)
        } else {
            (!self.ready.is_empty()).then_some(ClientStep::Deliver)
        }
    }

    /// Whether [`Queue::serve`] may take a step for a client of this role. False is certain.
    pub(crate) fn can_serve_role(&self, role: Role) -> bool {
        match role {
            Role::Producer => self.free_capacity() > 0,
            Role::Consumer | Role::Visitor => !self.ready.is_empty() || self.ended_at.is_some(),
        }
    }

    /// Takes the next step for this client, if there is one.
    pub(crate) fn serve(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        match self.next_step_of(client)? {
            ClientStep::AcceptPut => self.accept_put(now, client),
            ClientStep::DeliverEnd => self.deliver_end(client),
            ClientStep::Deliver => self.deliver(now, client),
        }
    }

    /// Puts the sentinel: the queue takes no more puts, and ends after its ready items.
    pub(crate) fn close(&mut self) {
        self.begin_round();
        self.state.sentinel = Some(Sentinel::Closed);
    }

    /// Drops the blocked puts and the ready items, and puts the sentinel. Returns the number of the
    /// ready items.
    pub(crate) fn close_now(&mut self) -> u64 {
        self.close();
        for client in self.blocked_putters.take_all() {
            let blocked = self.clients.get_mut(client).and_then(|c| c.blocked_puts.remove_first());
            if let Some(seq) = blocked {
                self.emit(client, EffectKind::Closed { seq });
            }
        }
        self.ready.clear()
    }

    /// Whether the sentinel is the next thing in the queue, and a getter waits for it. The caller's
    /// next call is [`Queue::end`].
    pub(crate) fn is_end_due(&self) -> bool {
        let takes_end = |client| {
            self.clients.get(client).is_some_and(|c| !c.sees_end_next && !c.settings.follow)
        };
        self.state.sentinel.is_some()
            && self.blocked_putters.is_empty()
            && self.is_all_done()
            && self.waiting_getters.find(takes_end).is_some()
    }

    /// Takes the sentinel. The end reaches every connected consumer, and every later consumer that was
    /// born before `at`. A shared queue is ready for the next round.
    pub(crate) fn end(&mut self, at: ProcessBirth) {
        if self.is_shared {
            // A connected client that asked for `sync` relies on `sync` in the next round too.
            let sync = self.clients.iter().any(|(_, c)| c.settings.sync);
            self.state =
                QueueState { sentinel: None, capacity: None, sync, has_begun: false, ..self.state };
        }
        self.ended_at = Some(at);
        for client in self.clients.iter_mut() {
            client.sees_end_next =
                client.settings.role != Role::Producer && !client.settings.follow;
        }
    }

    fn connect(&mut self, client: ClientId, settings: ClientSettings) -> Result<(), Refusal> {
        let is_producer = settings.role == Role::Producer;
        let takes_sentinel = is_producer && self.state.sentinel == Some(Sentinel::LastProducerLeft);
        if let Some(asked) = settings.capacity {
            if takes_sentinel && self.is_all_done() {
                // No item is left that the old capacity applied to.
                self.state.capacity = None;
            }
            let have = *self.state.capacity.get_or_insert(asked);
            if have != asked {
                return Err(Refusal::Capacity { have, asked });
            }
        }
        if takes_sentinel {
            self.state.sentinel = None;
        }
        if is_producer {
            self.begin_round();
        }
        self.state.sync |= settings.sync;
        self.add_client(client, settings);
        Ok(())
    }

    fn add_client(&mut self, client: ClientId, settings: ClientSettings) {
        let added = Client {
            sees_end_next: self.is_from_before_end(&settings),
            settings,
            blocked_puts: BlockedPuts::default(),
            pending_get: None,
            is_joining: false,
            in_flight: BTreeMap::new(),
        };
        self.role_counts[added.settings.role as usize] += 1;
        if let Some(replaced) = self.clients.insert(client, added) {
            self.role_counts[replaced.settings.role as usize] -= 1;
        }
    }

    /// Whether the round that this client comes for has ended.
    ///
    /// That is so for a consumer whose process was born before the end. A visitor may be one of many
    /// processes that a loop or a pool starts one after another: the birth of each of its ancestors
    /// counts like its own, but only until a new round begins.
    fn is_from_before_end(&self, settings: &ClientSettings) -> bool {
        let Some(end) = self.ended_at else {
            return false;
        };
        let was_there = |process: &ProcessBirth| process.is_at_or_before(end);
        match settings.role {
            Role::Producer => false,
            Role::Consumer => was_there(&settings.birth) && !settings.follow,
            Role::Visitor => {
                !self.state.has_begun
                    && (was_there(&settings.birth) || settings.ancestors.iter().any(was_there))
            }
        }
    }

    /// Begins a round, if the last round has ended.
    fn begin_round(&mut self) {
        if !self.state.has_begun {
            self.state.has_begun = true;
            self.state.done_count = 0;
            // A visitor without a pending get belongs to the new round.
            let is_new =
                |c: &&mut Client| c.settings.role == Role::Visitor && c.pending_get.is_none();
            self.clients.iter_mut().filter(is_new).for_each(|c| c.sees_end_next = false);
        }
    }

    fn enqueue_get(&mut self, client: ClientId, max: u64) -> Result<(), Refusal> {
        if let Some(c) = self.clients.get_mut(client) {
            if c.pending_get.is_some() {
                return Err(Refusal::GetPending);
            }
            let turn = self.waiting_getters.push(client);
            c.pending_get = Some(PendingGet { max: max.max(1), turn });
        }
        Ok(())
    }

    fn enqueue_join(&mut self, client: ClientId) {
        if let Some(c) = self.clients.get_mut(client).filter(|c| !c.is_joining) {
            c.is_joining = true;
            self.waiting_joiners.push_back(client);
        }
    }

    fn cancel(&mut self, client: ClientId) {
        let items = self.ready.len() + self.in_flight_count;
        let Some(c) = self.clients.get_mut(client) else {
            return;
        };
        let full = c.blocked_puts.last_seq().map(|seq| EffectKind::Full { seq });
        let empty = c.pending_get.map(|_| EffectKind::Empty);
        let unfinished = c.is_joining.then_some(EffectKind::Unfinished { items });
        let answers = [full, empty, unfinished, Some(EffectKind::Cancelled)];
        self.effects.extend(answers.into_iter().flatten().map(|kind| kind.for_client(client)));
        self.clear_waits(client);
    }

    /// Removes all waits of the client.
    fn clear_waits(&mut self, client: ClientId) {
        let Some(c) = self.clients.get_mut(client) else {
            return;
        };
        for turn in c.blocked_puts.remove_all() {
            self.blocked_putters.remove(turn);
        }
        if let Some(get) = c.pending_get.take() {
            self.waiting_getters.remove(get.turn);
        }
        if std::mem::take(&mut c.is_joining) {
            self.waiting_joiners.retain(|&c| c != client);
        }
    }

    /// Removes a client that has nothing in flight.
    fn remove_client(&mut self, client: ClientId) {
        self.clear_waits(client);
        let Some(removed) = self.clients.remove(client) else {
            return;
        };
        self.role_counts[removed.settings.role as usize] -= 1;
        let was_last_producer =
            removed.settings.role == Role::Producer && self.client_count(Role::Producer) == 0;
        if was_last_producer && self.is_shared && !removed.settings.keep_open {
            self.state.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
    }

    /// Whether no item is ready or in flight.
    fn is_all_done(&self) -> bool {
        self.ready.is_empty() && self.in_flight_count == 0
    }
}
