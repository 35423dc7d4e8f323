//! The rules of the queue: a pure state machine.
//!
//! [`Queue::apply`] takes in what clients ask for, in the order of the inbox. Nothing is accepted
//! or handed out by it: that is [`Queue::step`] (in the order of asking) or [`Queue::serve`] (whom
//! the caller picks), one visible step at a time. No I/O, no clock, no processes in here.
//!
//! ```text
//!           put                step              step            done
//!  (client) ───► parked ──────────────► in line ──────► out ────────────► (gone)
//!                  │  room in the queue   ▲  ▲           │ │
//!                  │                      │  └───────────┘ │ given back, its consumer left, or its
//!                  ▼                      │                │ lease ran out: attempt + 1
//!               refused: closed, or       │  retry         ▼ failed, or too many have died of it
//!               not waited for            └──────────── put aside ───────► (gone)
//!                                                                   drop
//! ```

mod batch;
mod blocked;
mod in_flight;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
mod query;
mod recovery;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU64;

use crate::clock::{Nanos, ProcessBirth};
use crate::role::Role;
pub(crate) use batch::{Batch, Items, ReadyList};
use blocked::{BlockedPuts, MAX_BLOCKED_ITEMS};
pub(crate) use in_flight::FailedItem;
use in_flight::InFlight;
pub(crate) use recovery::Recovery;
pub(crate) use types::{
    BatchRef, ClientActivity, ClientId, ClientSettings, Counts, Effect, PutRefusal, QueueState,
    Refusal, Request, Sentinel, WaitReason,
};

#[derive(Debug)]
struct Client {
    settings: ClientSettings,
    /// Puts that the queue has no room for yet.
    blocked_puts: BlockedPuts,
    /// The `max` of the get that is waiting.
    pending_get: Option<u64>,
    /// It waits for everything to be done.
    is_joining: bool,
    /// What it has, by first number.
    in_flight: BTreeMap<u64, InFlight>,
    /// The queue that it came for has ended.
    has_ended: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: Option<Option<NonZeroU64>>,
    /// Whether anybody may come: then the sentinel goes in by itself when the last producer leaves,
    /// and after the end a new queue begins.
    is_shared: bool,
    /// What is accepted is to be on the disk. Nothing here depends on it.
    sync: bool,
    sentinel: Option<Sentinel>,
    ended_at: Option<ProcessBirth>,
    has_begun: bool,
    ready: ReadyList,
    last_id: u64,
    /// The highest number of an item that has been handed out, as far as is known.
    last_delivered_id: u64,
    in_flight_count: u64,
    done_count: u64,
    /// What has been put aside, by number.
    failed: BTreeMap<u64, FailedItem>,
    /// When a lease runs out, of which item, that is with whom.
    leases: BTreeSet<(Nanos, u64, ClientId)>,
    clients: BTreeMap<ClientId, Client>,
    /// Clients with parked puts, once a put, in the order of asking.
    blocked_putters: VecDeque<ClientId>,
    /// Clients with a waiting get, in the order of asking.
    waiting_getters: VecDeque<ClientId>,
    /// Clients that wait for everything to be done.
    waiting_joiners: VecDeque<ClientId>,
}

impl Queue {
    /// An empty queue. The last producer to leave ends a `shared` one, and only [`Queue::close`]
    /// does another, once and for all.
    pub(crate) fn new(state: QueueState, shared: bool) -> Self {
        Self {
            capacity: state.capacity,
            is_shared: shared,
            sync: state.sync,
            sentinel: state.sentinel,
            ended_at: state.ended_at,
            has_begun: state.has_begun,
            ready: ReadyList::default(),
            last_id: state.last_id,
            last_delivered_id: state.last_id,
            in_flight_count: 0,
            done_count: state.done_count,
            failed: BTreeMap::new(),
            leases: BTreeSet::new(),
            clients: BTreeMap::new(),
            blocked_putters: VecDeque::new(),
            waiting_getters: VecDeque::new(),
            waiting_joiners: VecDeque::new(),
        }
    }

    /// Takes in a request of `client`; what happened by that alone goes to `effects`.
    pub(crate) fn apply(
        &mut self,
        client: ClientId,
        request: Request,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        match request {
            Request::Connect(settings) => return self.connect(client, settings),
            Request::Put { seq, items: lines } => {
                return self.enqueue_put(client, seq, lines, effects);
            }
            Request::Get { max } => return self.enqueue_get(client, max),
            Request::Done(batch_ref) => return self.mark_done(client, batch_ref, effects),
            Request::Requeue(batch_ref) => {
                let batch = self.take_in_flight(client, batch_ref)?;
                self.requeue(client, batch, effects);
            }
            Request::Fail { batch: batch_ref, try_count: tries, reason } => {
                let mut batch = self.take_in_flight(client, batch_ref)?;
                batch.attempt = batch.attempt.saturating_add(tries.saturating_sub(1));
                self.mark_failed(client, batch, &reason, effects);
            }
            Request::Attempt { id, attempt } => {
                let items = u64::from(self.begin_attempt(client, id, attempt, effects));
                effects.push(Effect::Affected { client, items });
            }
            Request::NotReceived { first_id: first } => self.requeue_unread(client, first, effects),
            Request::Cancel => self.cancel(client, effects),
            Request::Join => self.enqueue_join(client),
            Request::Close { now } => {
                let items = if now { self.close_now(effects) } else { self.close() };
                effects.push(Effect::Affected { client, items });
            }
            Request::Retry { id } => {
                let items = self.retry_failed(id)?;
                effects.push(Effect::Affected { client, items });
            }
            Request::Drop { id } => {
                let items = self.take_failed(id)?.len() as u64;
                effects.push(Effect::Affected { client, items });
            }
            Request::Disconnect => self.remove_client(client, false, effects),
            Request::ClientDied => self.remove_client(client, true, effects),
        }
        Ok(())
    }

    /// Accepts the oldest parked items that there is room for, or hands out the first items in
    /// line to whoever has asked first, or tells somebody of the end, or that everything is done.
    pub(crate) fn step(&mut self, now: Nanos) -> Option<Effect> {
        if self.free_capacity() > 0
            && let Some(&client) = self.blocked_putters.front()
        {
            return self.accept_put(now, client);
        }
        if self.ready.len() > 0 {
            let getter = self.waiting_getters.iter().copied().find(|&c| !self.has_ended_for(c));
            if let Some(getter) = getter {
                return self.deliver(now, getter);
            }
        }
        if let Some(told) = self.waiting_getters.iter().copied().find(|&c| self.has_ended_for(c)) {
            return self.deliver_end(told);
        }
        if self.ready.len() > 0 || self.in_flight_count > 0 {
            return None;
        }
        let client = self.waiting_joiners.pop_front()?;
        self.clients.get_mut(&client)?.is_joining = false;
        Some(Effect::Joined { client, failed: self.failed.len() as u64 })
    }

    /// Whether [`Queue::serve`] would do something for this client.
    pub(crate) fn can_serve(&self, client: ClientId) -> bool {
        let Some(c) = self.clients.get(&client) else {
            return false;
        };
        (!c.blocked_puts.is_empty() && self.free_capacity() > 0)
            || (c.pending_get.is_some() && (c.has_ended || self.ready.len() > 0))
    }

    /// Does the next thing for this client, if there is one.
    pub(crate) fn serve(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        if !self.can_serve(client) {
            return None;
        }
        let c = self.clients.get(&client)?;
        match (c.blocked_puts.is_empty(), c.has_ended) {
            (false, _) => self.accept_put(now, client),
            (true, true) => self.deliver_end(client),
            (true, false) => self.deliver(now, client),
        }
    }

    /// Puts the sentinel: no more puts, and the end after what is in line. Drops nothing.
    pub(crate) fn close(&mut self) -> u64 {
        self.begin_if_ended();
        self.sentinel = Some(Sentinel::Closed);
        0
    }

    /// Drops what is parked and in line, and puts the sentinel. Tells how many items were in line.
    pub(crate) fn close_now(&mut self, effects: &mut Vec<Effect>) -> u64 {
        self.close();
        for client in std::mem::take(&mut self.blocked_putters) {
            let parked = self.clients.get_mut(&client).and_then(|c| c.blocked_puts.remove_first());
            if let Some(seq) = parked {
                effects.push(Effect::Refused { client, seq, reason: PutRefusal::Closed });
            }
        }
        self.ready.clear()
    }

    /// Whether the sentinel's turn has come, and somebody waits for it: [`Queue::end`] is next.
    pub(crate) fn is_end_due(&self) -> bool {
        let waits =
            |c: &ClientId| self.clients.get(c).is_some_and(|c| !c.has_ended && !c.settings.follow);
        self.sentinel.is_some()
            && self.blocked_putters.is_empty()
            && self.ready.len() == 0
            && self.in_flight_count == 0
            && self.waiting_getters.iter().any(waits)
    }

    /// The sentinel is taken: every consumer that is here is to be told, and so is each that comes
    /// later but was `born` before `at`. The name of a shared queue is free for a new one.
    pub(crate) fn end(&mut self, at: ProcessBirth) {
        if self.is_shared {
            self.sentinel = None;
            self.capacity = None;
            // Who has asked for it, and is still here, counts on it.
            self.sync = self.clients.values().any(|c| c.settings.sync);
            self.has_begun = false;
        }
        self.ended_at = Some(at);
        for client in self.clients.values_mut() {
            client.has_ended = client.settings.role != Role::Producer && !client.settings.follow;
        }
    }

    /// How many items this client may have underway without an answer, beyond one.
    pub(crate) fn put_window(&self) -> u64 {
        let producers = self.client_count(Role::Producer).max(1) as u64;
        match self.capacity.flatten() {
            None => MAX_BLOCKED_ITEMS,
            Some(_) => (self.free_capacity() / producers).min(MAX_BLOCKED_ITEMS),
        }
    }

    fn connect(&mut self, client: ClientId, settings: ClientSettings) -> Result<(), Refusal> {
        let producer = settings.role == Role::Producer;
        let anew = producer && self.sentinel == Some(Sentinel::LastProducerLeft);
        if anew && settings.capacity.is_some() && self.ready.len() == 0 && self.in_flight_count == 0
        {
            // Nothing is left of what the old capacity was for.
            self.capacity = None;
        }
        if let Some(asked) = settings.capacity {
            let have = *self.capacity.get_or_insert(asked);
            if have != asked {
                let said = |capacity: Option<NonZeroU64>| match capacity {
                    Some(capacity) => capacity.to_string(),
                    None => "0 (unbounded)".to_owned(),
                };
                return Err(Refusal::Capacity { have: said(have), asked: said(asked) });
            }
        }
        if anew {
            self.sentinel = None;
        }
        if producer {
            self.begin_if_ended();
        }
        self.sync |= settings.sync;
        self.add_client(client, settings);
        Ok(())
    }

    fn add_client(&mut self, client: ClientId, settings: ClientSettings) {
        let joined = Client {
            has_ended: self.is_from_before_end(&settings),
            settings,
            blocked_puts: BlockedPuts::default(),
            pending_get: None,
            is_joining: false,
            in_flight: BTreeMap::new(),
        };
        self.clients.insert(client, joined);
    }

    /// Whether the queue that this client comes for has ended.
    ///
    /// A consumer comes for a queue that has ended if its process was there before the end. A visitor
    /// may be one of many that a loop or a pool of workers starts one after another, so what counts is
    /// whether it or any process that started it was there before the end; and it is told of the end
    /// only until something new begins.
    fn is_from_before_end(&self, settings: &ClientSettings) -> bool {
        let Some(end) = self.ended_at else {
            return false;
        };
        let was_there = |process: &ProcessBirth| process.is_at_or_before(end);
        match settings.role {
            Role::Producer => false,
            Role::Consumer => was_there(&settings.birth) && !settings.follow,
            Role::Visitor => {
                !self.has_begun
                    && (was_there(&settings.birth) || settings.ancestors.iter().any(was_there))
            }
        }
    }

    /// Something new begins, after an end.
    fn begin_if_ended(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            self.done_count = 0;
            // A visitor that does not wait for the end of the last queue is here for this one.
            let visits =
                |c: &&mut Client| c.settings.role == Role::Visitor && c.pending_get.is_none();
            self.clients.values_mut().filter(visits).for_each(|c| c.has_ended = false);
        }
    }

    fn enqueue_get(&mut self, client: ClientId, max: u64) -> Result<(), Refusal> {
        if let Some(c) = self.clients.get_mut(&client) {
            if c.pending_get.is_some() {
                return Err(Refusal::GetPending);
            }
            c.pending_get = Some(max.max(1));
            self.waiting_getters.push_back(client);
        }
        Ok(())
    }

    fn enqueue_join(&mut self, client: ClientId) {
        if let Some(c) = self.clients.get_mut(&client).filter(|c| !c.is_joining) {
            c.is_joining = true;
            self.waiting_joiners.push_back(client);
        }
    }

    fn cancel(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        if let Some(seq) = c.blocked_puts.remove_all() {
            effects.push(Effect::Refused { client, seq, reason: PutRefusal::Full });
        }
        if c.pending_get.take().is_some() {
            effects.push(Effect::Empty { client });
        }
        if std::mem::take(&mut c.is_joining) {
            let items = self.ready.len() + self.in_flight_count;
            effects.push(Effect::Unfinished { client, items });
        }
        self.clear_waits(client);
        effects.push(Effect::Cancelled { client });
    }

    fn clear_waits(&mut self, client: ClientId) {
        for waiting in
            [&mut self.blocked_putters, &mut self.waiting_getters, &mut self.waiting_joiners]
        {
            waiting.retain(|&c| c != client);
        }
    }

    fn remove_client(&mut self, client: ClientId, died: bool, effects: &mut Vec<Effect>) {
        self.release_all(client, died, effects);
        let Some(gone) = self.clients.remove(&client) else {
            return;
        };
        self.clear_waits(client);
        let last_producer =
            gone.settings.role == Role::Producer && self.client_count(Role::Producer) == 0;
        if last_producer && self.is_shared && !gone.settings.keep_open {
            self.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
    }

    fn deliver(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        // No more than a fair share of what is in line, so that one consumer doesn't sit on what
        // another could be doing.
        let takers =
            self.client_count(Role::Consumer).max(self.waiting_getters.len()).max(1) as u64;
        let share = self.ready.len().div_ceil(takers);
        let c = self.clients.get_mut(&client)?;
        let batch = self.ready.take(c.pending_get.take()?.min(share))?;
        self.waiting_getters.retain(|&g| g != client);
        self.in_flight_count += batch.count();
        self.last_delivered_id = self.last_delivered_id.max(batch.end_id() - 1);
        self.add_in_flight(
            client,
            InFlight { delivered_at: now, batch: batch.clone(), is_client_attempt: false },
        );
        Some(Effect::Delivered { client, batch })
    }

    fn deliver_end(&mut self, client: ClientId) -> Option<Effect> {
        let c = self.clients.get_mut(&client)?;
        c.pending_get.take()?;
        // A visitor that has asked before something new began is told now, and belongs to the new queue.
        c.has_ended &= c.settings.role == Role::Consumer || !self.has_begun;
        self.waiting_getters.retain(|&g| g != client);
        Some(Effect::Ended { client })
    }

    /// Whether this client is told of an end when it asks.
    pub(crate) fn has_ended_for(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|c| c.has_ended)
    }

    fn free_capacity(&self) -> u64 {
        match self.capacity.flatten() {
            None => u64::MAX,
            Some(capacity) => capacity.get().saturating_sub(self.ready.len()),
        }
    }
}
