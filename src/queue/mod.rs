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

use crate::clock::{Nanos, Stamp};
use crate::role::Role;
pub(crate) use batch::{Line, Lines, Run};
use blocked::{MOST_ITEMS, Parked};
pub(crate) use in_flight::Failed;
use in_flight::Held;
pub(crate) use recovery::Replay;
pub(crate) use types::{
    Census, ClientId, Doing, Effect, Member, NotTaken, Refusal, Remains, Request, Sentinel,
    WaitsFor, Which,
};

#[derive(Debug)]
struct Client {
    member: Member,
    /// Puts that the queue has no room for yet.
    parked: Parked,
    /// The `max` of the get that is waiting.
    wants: Option<u64>,
    /// It waits for everything to be done.
    joins: bool,
    /// What it has, by first number.
    out: BTreeMap<u64, Held>,
    /// The queue that it came for has ended.
    over: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: Option<Option<NonZeroU64>>,
    /// Whether anybody may come: then the sentinel goes in by itself when the last producer leaves,
    /// and after the end a new queue begins.
    shared: bool,
    /// What is accepted is to be on the disk. Nothing here depends on it.
    sync: bool,
    sentinel: Option<Sentinel>,
    end: Option<Stamp>,
    begun: bool,
    line: Line,
    last_number: u64,
    /// The highest number of an item that has been handed out, as far as is known.
    last_handed: u64,
    out: u64,
    done: u64,
    /// What has been put aside, by number.
    failed: BTreeMap<u64, Failed>,
    /// When a lease runs out, of which item, that is with whom.
    leases: BTreeSet<(Nanos, u64, ClientId)>,
    clients: BTreeMap<ClientId, Client>,
    /// Clients with parked puts, once a put, in the order of asking.
    putters: VecDeque<ClientId>,
    /// Clients with a waiting get, in the order of asking.
    getters: VecDeque<ClientId>,
    /// Clients that wait for everything to be done.
    joiners: VecDeque<ClientId>,
}

impl Queue {
    /// An empty queue. The last producer to leave ends a `shared` one, and only [`Queue::close`]
    /// does another, once and for all.
    pub(crate) fn new(remains: Remains, shared: bool) -> Self {
        Self {
            capacity: remains.capacity,
            shared,
            sync: remains.sync,
            sentinel: remains.sentinel,
            end: remains.end,
            begun: remains.begun,
            line: Line::default(),
            last_number: remains.last_number,
            last_handed: remains.last_number,
            out: 0,
            done: remains.done,
            failed: BTreeMap::new(),
            leases: BTreeSet::new(),
            clients: BTreeMap::new(),
            putters: VecDeque::new(),
            getters: VecDeque::new(),
            joiners: VecDeque::new(),
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
            Request::Come(member) => return self.come(client, member),
            Request::Put { seq, lines } => return self.park(client, seq, lines, effects),
            Request::Get { max } => return self.ask(client, max),
            Request::Done(which) => return self.done(client, which, effects),
            Request::GiveBack(which) => {
                let run = self.take_back(client, which)?;
                self.give_back(client, run, effects);
            }
            Request::Fail { which, tries, why } => {
                let mut run = self.take_back(client, which)?;
                run.attempt = run.attempt.saturating_add(tries.saturating_sub(1));
                self.put_aside(client, run, &why, effects);
            }
            Request::Attempt { id, attempt } => {
                let items = u64::from(self.begin_attempt(client, id, attempt, effects));
                effects.push(Effect::Counted { client, items });
            }
            Request::NotSeen { first } => self.take_unseen(client, first, effects),
            Request::Cancel => self.cancel(client, effects),
            Request::Join => self.wait_for_all(client),
            Request::Close { now } => {
                let items = if now { self.close_now(effects) } else { self.close() };
                effects.push(Effect::Counted { client, items });
            }
            Request::Retry { id } => {
                let items = self.retry(id)?;
                effects.push(Effect::Counted { client, items });
            }
            Request::Drop { id } => {
                let items = self.take_failed(id)?.len() as u64;
                effects.push(Effect::Counted { client, items });
            }
            Request::Leave => self.leave(client, false, effects),
            Request::Die => self.leave(client, true, effects),
        }
        Ok(())
    }

    /// Accepts the oldest parked items that there is room for, or hands out the first items in
    /// line to whoever has asked first, or tells somebody of the end, or that everything is done.
    pub(crate) fn step(&mut self, now: Nanos) -> Option<Effect> {
        if self.room() > 0
            && let Some(&putter) = self.putters.front()
        {
            return self.accept(now, putter);
        }
        if self.line.len() > 0 {
            let getter = self.getters.iter().copied().find(|&c| !self.is_told(c));
            if let Some(getter) = getter {
                return self.hand_out(now, getter);
            }
        }
        if let Some(told) = self.getters.iter().copied().find(|&c| self.is_told(c)) {
            return self.tell_end(told);
        }
        if self.line.len() > 0 || self.out > 0 {
            return None;
        }
        let client = self.joiners.pop_front()?;
        self.clients.get_mut(&client)?.joins = false;
        Some(Effect::Joined { client, failed: self.failed.len() as u64 })
    }

    /// Whether [`Queue::serve`] would do something for this client.
    pub(crate) fn can_serve(&self, client: ClientId) -> bool {
        let Some(c) = self.clients.get(&client) else {
            return false;
        };
        (!c.parked.is_empty() && self.room() > 0)
            || (c.wants.is_some() && (c.over || self.line.len() > 0))
    }

    /// Does the next thing for this client, if there is one.
    pub(crate) fn serve(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        if !self.can_serve(client) {
            return None;
        }
        let c = self.clients.get(&client)?;
        match (c.parked.is_empty(), c.over) {
            (false, _) => self.accept(now, client),
            (true, true) => self.tell_end(client),
            (true, false) => self.hand_out(now, client),
        }
    }

    /// Puts the sentinel: no more puts, and the end after what is in line. Drops nothing.
    pub(crate) fn close(&mut self) -> u64 {
        self.begin();
        self.sentinel = Some(Sentinel::Closed);
        0
    }

    /// Drops what is parked and in line, and puts the sentinel. Tells how many items were in line.
    pub(crate) fn close_now(&mut self, effects: &mut Vec<Effect>) -> u64 {
        self.close();
        for client in std::mem::take(&mut self.putters) {
            let parked = self.clients.get_mut(&client).and_then(|c| c.parked.drop_first());
            if let Some(seq) = parked {
                effects.push(Effect::Refused { client, seq, why: NotTaken::Closed });
            }
        }
        self.line.clear()
    }

    /// Whether the sentinel's turn has come, and somebody waits for it: [`Queue::end`] is next.
    pub(crate) fn end_is_due(&self) -> bool {
        let waits = |c: &ClientId| self.clients.get(c).is_some_and(|c| !c.over && !c.member.follow);
        self.sentinel.is_some()
            && self.putters.is_empty()
            && self.line.len() == 0
            && self.out == 0
            && self.getters.iter().any(waits)
    }

    /// The sentinel is taken: every consumer that is here is to be told, and so is each that comes
    /// later but was `born` before `at`. The name of a shared queue is free for a new one.
    pub(crate) fn end(&mut self, at: Stamp) {
        if self.shared {
            self.sentinel = None;
            self.capacity = None;
            // Who has asked for it, and is still here, counts on it.
            self.sync = self.clients.values().any(|c| c.member.sync);
            self.begun = false;
        }
        self.end = Some(at);
        for client in self.clients.values_mut() {
            client.over = client.member.role != Role::Producer && !client.member.follow;
        }
    }

    /// How many items this client may have underway without an answer, beyond one.
    pub(crate) fn grant(&self) -> u64 {
        let producers = self.count(Role::Producer).max(1) as u64;
        match self.capacity.flatten() {
            None => MOST_ITEMS,
            Some(_) => (self.room() / producers).min(MOST_ITEMS),
        }
    }

    fn come(&mut self, client: ClientId, member: Member) -> Result<(), Refusal> {
        let producer = member.role == Role::Producer;
        let anew = producer && self.sentinel == Some(Sentinel::LastProducerLeft);
        if anew && member.capacity.is_some() && self.line.len() == 0 && self.out == 0 {
            // Nothing is left of what the old capacity was for.
            self.capacity = None;
        }
        if let Some(asked) = member.capacity {
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
            self.begin();
        }
        self.sync |= member.sync;
        self.join_in(client, member);
        Ok(())
    }

    fn join_in(&mut self, client: ClientId, member: Member) {
        let joined = Client {
            over: self.comes_late(&member),
            member,
            parked: Parked::default(),
            wants: None,
            joins: false,
            out: BTreeMap::new(),
        };
        self.clients.insert(client, joined);
    }

    /// Whether the queue that this client comes for has ended.
    ///
    /// A consumer comes for a queue that has ended if its process was there before the end. A visitor
    /// may be one of many that a loop or a pool of workers starts one after another, so what counts is
    /// whether it or any process that started it was there before the end; and it is told of the end
    /// only until something new begins.
    fn comes_late(&self, member: &Member) -> bool {
        let Some(end) = self.end else {
            return false;
        };
        let was_there = |process: &Stamp| process.before_or_at(end);
        match member.role {
            Role::Producer => false,
            Role::Consumer => was_there(&member.born) && !member.follow,
            Role::Visitor => {
                !self.begun && (was_there(&member.born) || member.callers.iter().any(was_there))
            }
        }
    }

    /// Something new begins, after an end.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.done = 0;
            // A visitor that does not wait for the end of the last queue is here for this one.
            let visits = |c: &&mut Client| c.member.role == Role::Visitor && c.wants.is_none();
            self.clients.values_mut().filter(visits).for_each(|c| c.over = false);
        }
    }

    fn ask(&mut self, client: ClientId, max: u64) -> Result<(), Refusal> {
        if let Some(c) = self.clients.get_mut(&client) {
            if c.wants.is_some() {
                return Err(Refusal::GetTwice);
            }
            c.wants = Some(max.max(1));
            self.getters.push_back(client);
        }
        Ok(())
    }

    fn wait_for_all(&mut self, client: ClientId) {
        if let Some(c) = self.clients.get_mut(&client).filter(|c| !c.joins) {
            c.joins = true;
            self.joiners.push_back(client);
        }
    }

    fn cancel(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        if let Some(seq) = c.parked.clear() {
            effects.push(Effect::Refused { client, seq, why: NotTaken::Full });
        }
        if c.wants.take().is_some() {
            effects.push(Effect::Empty { client });
        }
        if std::mem::take(&mut c.joins) {
            let items = self.line.len() + self.out;
            effects.push(Effect::Unfinished { client, items });
        }
        self.waits_for_nothing(client);
        effects.push(Effect::Cancelled { client });
    }

    fn waits_for_nothing(&mut self, client: ClientId) {
        for waiting in [&mut self.putters, &mut self.getters, &mut self.joiners] {
            waiting.retain(|&c| c != client);
        }
    }

    fn leave(&mut self, client: ClientId, died: bool, effects: &mut Vec<Effect>) {
        self.lose_all(client, died, effects);
        let Some(gone) = self.clients.remove(&client) else {
            return;
        };
        self.waits_for_nothing(client);
        let last_producer = gone.member.role == Role::Producer && self.count(Role::Producer) == 0;
        if last_producer && self.shared && !gone.member.keep_open {
            self.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
    }

    fn hand_out(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        // No more than a fair share of what is in line, so that one consumer doesn't sit on what
        // another could be doing.
        let takers = self.count(Role::Consumer).max(self.getters.len()).max(1) as u64;
        let share = self.line.len().div_ceil(takers);
        let c = self.clients.get_mut(&client)?;
        let run = self.line.take(c.wants.take()?.min(share))?;
        self.getters.retain(|&g| g != client);
        self.out += run.count();
        self.last_handed = self.last_handed.max(run.end() - 1);
        self.hold(client, Held { since: now, run: run.clone(), again: false });
        Some(Effect::Handed { client, run })
    }

    fn tell_end(&mut self, client: ClientId) -> Option<Effect> {
        let c = self.clients.get_mut(&client)?;
        c.wants.take()?;
        // A visitor that has asked before something new began is told now, and belongs to the new queue.
        c.over &= c.member.role == Role::Consumer || !self.begun;
        self.getters.retain(|&g| g != client);
        Some(Effect::Ended { client })
    }

    /// Whether this client is told of an end when it asks.
    pub(crate) fn is_told(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|c| c.over)
    }

    fn room(&self) -> u64 {
        match self.capacity.flatten() {
            None => u64::MAX,
            Some(capacity) => capacity.get().saturating_sub(self.line.len()),
        }
    }
}
