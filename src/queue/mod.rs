//! The rules of the queue: a pure state machine.
//!
//! [`Queue::apply`] takes in what clients ask for, in the order of the inbox. Nothing is accepted
//! or handed out by it: that is [`Queue::step`] (in the order of asking) or [`Queue::serve`] (whom
//! the caller picks), one visible step at a time. No I/O, no clock, no processes in here.
//!
//! ```text
//!           put                step              step              done
//!  (client) ───► parked ──────────────► in line ──────► out ──────────────► (gone)
//!                  │  room in the queue    ▲              │
//!                  │                       └──────────────┘ its consumer left: attempt + 1
//!                  └─► refused: the queue is closed
//! ```

mod run;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;

use crate::clock::Stamp;
pub(crate) use run::{Line, Lines, Run};
pub use words::Role;
pub(crate) use words::{Census, ClientId, Effect, Member, Refusal, Remains, Request, Worker};

/// How many items of a client may wait for room at the most. One that sends more than it was granted,
/// which is never more than this, is stopped there.
const MOST_GRANTED: u64 = 1 << 16;

/// The sentinel: why it is there decides who may take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sentinel {
    /// The last producer left; one that comes takes the sentinel back.
    LastProducerLeft,
    /// Somebody closed the queue.
    Closed,
}

#[derive(Debug)]
struct Parked {
    seq: u64,
    lines: Lines,
}

#[derive(Debug)]
struct Client {
    member: Member,
    /// Puts that the queue has no room for yet.
    parked: VecDeque<Parked>,
    /// The `max` of the get that is waiting.
    wants: Option<u64>,
    /// What it has, by first number.
    out: BTreeMap<u64, Run>,
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
    sentinel: Option<Sentinel>,
    end: Option<Stamp>,
    line: Line,
    next_number: u64,
    out: u64,
    clients: BTreeMap<ClientId, Client>,
    /// Clients with parked puts, once a put, in the order of asking.
    putters: VecDeque<ClientId>,
    /// Clients with a waiting get, in the order of asking.
    getters: VecDeque<ClientId>,
}

impl Queue {
    /// An empty queue. The last producer to leave ends a `shared` one, and only [`Queue::close`]
    /// does another, once and for all.
    pub(crate) fn new(remains: &Remains, shared: bool) -> Self {
        Self {
            capacity: remains.capacity,
            shared,
            sentinel: remains.sentinel.then_some(Sentinel::LastProducerLeft),
            end: remains.end,
            line: Line::default(),
            next_number: 1,
            out: 0,
            clients: BTreeMap::new(),
            putters: VecDeque::new(),
            getters: VecDeque::new(),
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
            Request::Join(member) => self.join(client, member),
            Request::Put { seq, lines } => self.park(client, Parked { seq, lines }, effects),
            Request::Get { max } => self.ask(client, max),
            Request::Done { first, count } => self.done(client, first, count, effects),
            Request::Leave => {
                self.leave(client, effects);
                Ok(())
            }
        }
    }

    /// Accepts the oldest parked items that there is room for, or hands out the first items in
    /// line to whoever has asked first, or tells somebody of the end.
    pub(crate) fn step(&mut self) -> Option<Effect> {
        if self.room() > 0
            && let Some(&putter) = self.putters.front()
        {
            return self.accept(putter);
        }
        if self.line.len() > 0 {
            let getter = self.getters.iter().copied().find(|&c| !self.is_over(c));
            if let Some(getter) = getter {
                return self.hand_out(getter);
            }
        }
        let told = self.getters.iter().copied().find(|&c| self.is_over(c))?;
        self.tell_end(told)
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
    pub(crate) fn serve(&mut self, client: ClientId) -> Option<Effect> {
        if !self.can_serve(client) {
            return None;
        }
        let c = self.clients.get(&client)?;
        match (c.parked.is_empty(), c.over) {
            (false, _) => self.accept(client),
            (true, true) => self.tell_end(client),
            (true, false) => self.hand_out(client),
        }
    }

    /// Puts the sentinel, unless it is there: no more puts, and the end after what is in line.
    pub(crate) fn close(&mut self) {
        self.sentinel.get_or_insert(Sentinel::Closed);
    }

    /// Drops what is parked and in line, and puts the sentinel. Tells how many items were in line.
    pub(crate) fn close_now(&mut self, effects: &mut Vec<Effect>) -> u64 {
        self.close();
        for putter in std::mem::take(&mut self.putters) {
            let parked = self.clients.get_mut(&putter).map(|c| c.parked.pop_front());
            if let Some(Some(put)) = parked {
                effects.push(Effect::Refused { client: putter, seq: put.seq });
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
        }
        self.end = Some(at);
        for client in self.clients.values_mut() {
            client.over = client.member.role == Role::Consumer && !client.member.follow;
        }
    }

    /// How many items this client may have underway without an answer, beyond one.
    pub(crate) fn grant(&self) -> u64 {
        let producers = self.count(Role::Producer).max(1) as u64;
        match self.capacity.flatten() {
            None => MOST_GRANTED,
            Some(_) => (self.room() / producers).min(MOST_GRANTED),
        }
    }

    /// How many items and clients there are.
    pub(crate) fn census(&self) -> Census {
        Census {
            in_line: self.line.len(),
            out: self.out,
            producers: self.count(Role::Producer),
            consumers: self.count(Role::Consumer),
        }
    }

    /// What is to be remembered when nobody keeps the queue.
    pub(crate) fn remains(&self) -> Remains {
        let sentinel = self.sentinel.is_some();
        Remains { sentinel, capacity: self.capacity.filter(|_| sentinel), end: self.end }
    }

    fn join(&mut self, client: ClientId, member: Member) -> Result<(), Refusal> {
        let consumer = member.role == Role::Consumer;
        let anew = !consumer && self.sentinel == Some(Sentinel::LastProducerLeft);
        if anew && member.capacity.is_some() && self.line.len() == 0 && self.out == 0 {
            // Nothing is left of what the old capacity was for.
            self.capacity = None;
        }
        if let Some(asked) = member.capacity {
            let have = *self.capacity.get_or_insert(asked);
            if have != asked {
                let number = |c: Option<NonZeroU64>| c.map_or(0, NonZeroU64::get);
                return Err(Refusal::Capacity { have: number(have), asked: number(asked) });
            }
        }
        if anew {
            self.sentinel = None;
        }
        let late = self.end.is_some_and(|end| member.born.before_or_at(end));
        let joined = Client {
            over: consumer && !member.follow && late,
            member,
            parked: VecDeque::new(),
            wants: None,
            out: BTreeMap::new(),
        };
        self.clients.insert(client, joined);
        Ok(())
    }

    fn park(
        &mut self,
        client: ClientId,
        put: Parked,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(c) = self.clients.get_mut(&client) else {
            return Ok(());
        };
        let waiting: u64 = c.parked.iter().map(|put| put.lines.count).sum();
        if waiting > MOST_GRANTED {
            return Err(Refusal::TooFar { seq: put.seq });
        }
        if self.sentinel.is_some() {
            let seq = put.seq;
            effects.push(Effect::Refused { client, seq });
        } else {
            c.parked.push_back(put);
            self.putters.push_back(client);
        }
        Ok(())
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

    fn done(
        &mut self,
        client: ClientId,
        first: u64,
        count: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let not_out =
            || Refusal::NotOut { first, last: first.saturating_add(count.saturating_sub(1)) };
        let c = self.clients.get_mut(&client).ok_or_else(not_out)?;
        let holding = c.out.range_mut(..=first).next_back();
        let (&key, held) = holding.ok_or_else(not_out)?;
        if count == 0 || first.saturating_add(count) > held.end() {
            return Err(not_out());
        }
        let before = held.split_to(first - key);
        let run = held.split_to(count);
        if let Some(after) = c.out.remove(&key).filter(|r| r.count() > 0) {
            c.out.insert(after.first, after);
        }
        if before.count() > 0 {
            c.out.insert(before.first, before);
        }
        self.out -= run.count();
        effects.push(Effect::Done { client, run });
        Ok(())
    }

    fn leave(&mut self, client: ClientId, effects: &mut Vec<Effect>) {
        let Some(gone) = self.clients.remove(&client) else {
            return;
        };
        self.putters.retain(|&c| c != client);
        self.getters.retain(|&c| c != client);
        for mut run in gone.out.into_values() {
            run.attempt += 1;
            self.out -= run.count();
            self.line.give_back(run.clone());
            effects.push(Effect::Returned { client, run });
        }
        let last_producer = gone.member.role == Role::Producer && self.count(Role::Producer) == 0;
        if last_producer && self.shared && !gone.member.keep_open {
            self.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
    }

    fn accept(&mut self, client: ClientId) -> Option<Effect> {
        let room = self.room();
        let c = self.clients.get_mut(&client)?;
        let put = c.parked.front_mut()?;
        let lines = put.lines.split_to(room.min(put.lines.count));
        let seq = put.seq - put.lines.count;
        if put.lines.count == 0 {
            c.parked.pop_front();
            let at = self.putters.iter().position(|&p| p == client)?;
            self.putters.remove(at);
        }
        let run = Run { first: self.next_number, attempt: 1, lines };
        self.next_number = run.end();
        self.line.push(run.clone());
        Some(Effect::Accepted { client, seq, run })
    }

    fn hand_out(&mut self, client: ClientId) -> Option<Effect> {
        // No more than a fair share of what is in line, so that one consumer doesn't sit on what
        // another could be doing.
        let share = self.line.len().div_ceil(self.count(Role::Consumer).max(1) as u64);
        let c = self.clients.get_mut(&client)?;
        let run = self.line.take(c.wants.take()?.min(share))?;
        self.getters.retain(|&g| g != client);
        self.out += run.count();
        c.out.insert(run.first, run.clone());
        Some(Effect::Handed { client, run })
    }

    fn tell_end(&mut self, client: ClientId) -> Option<Effect> {
        self.clients.get_mut(&client)?.wants.take()?;
        self.getters.retain(|&g| g != client);
        Some(Effect::Ended { client })
    }

    fn is_over(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|c| c.over)
    }

    fn room(&self) -> u64 {
        match self.capacity.flatten() {
            None => u64::MAX,
            Some(capacity) => capacity.get().saturating_sub(self.line.len()),
        }
    }

    fn count(&self, role: Role) -> usize {
        self.clients.values().filter(|c| c.member.role == role).count()
    }
}
