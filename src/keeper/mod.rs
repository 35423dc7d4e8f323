//! The keeper: reads the inbox, applies the rules, answers.
//!
//! [`Keeper`] is all of that without any I/O: bytes of the inbox come in, bytes for the mailboxes
//! and events go out through a [`Host`]. [`Post`] is the loop's other half: the pipes, and the
//! waiting. [`shared`] is the process that keeps a stand-alone queue.

mod clients;
pub(crate) mod daemon;
mod handshake;
mod host;
mod pacer;
mod partial_items;
pub(crate) mod persistence;
mod pipe_host;
mod replies;
#[cfg(test)]
mod tests;
mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use crate::clock::Nanos;
use crate::journal::Fact;
use crate::queue::{Census, ClientId, Effect, Lines, Queue, Remains, Request};
use crate::role::{Role, Worker};
use crate::wire::{Framer, Key, Malformed, Reply, RequestLine};
pub(crate) use clients::Known;
use clients::Peer;
pub(crate) use host::{Event, Host, Watch, What};
pub(crate) use pacer::{Next, Pacer, Speed};
pub(crate) use pipe_host::{Office, Post};
use workers::worker_of;

/// What sets one queue apart from another.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The queue, as it is when this keeper begins.
    pub(crate) queue: Queue,
    /// The workers of a run: only they may come, and the queue is closed when the last producer
    /// among them has left. None: anybody may come.
    pub(crate) workers: Option<BTreeSet<Worker>>,
    /// Paces time.
    pub(crate) pacer: Option<Pacer>,
}

/// The keeper, without its pipes.
#[derive(Debug)]
pub(crate) struct Keeper {
    framer: Framer,
    queue: Queue,
    /// Those of a run's workers that have not left.
    workers: Option<BTreeSet<Worker>>,
    pacer: Option<Pacer>,
    peers: BTreeMap<ClientId, Peer>,
    keys: HashMap<Key, ClientId>,
    /// The clients that are workers of the run.
    crew: BTreeMap<Worker, ClientId>,
    next_client: ClientId,
    effects: Vec<Effect>,
    /// The last wall time that was given.
    wall: Nanos,
    /// How many bytes of items have come whose end is still to come.
    unfinished: u64,
    /// This client has asked for the queue to be removed, with so many items.
    removed: Option<(ClientId, u64)>,
}

impl Keeper {
    /// A keeper of an empty queue.
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            framer: Framer::default(),
            queue: plan.queue,
            workers: plan.workers,
            pacer: plan.pacer,
            peers: BTreeMap::new(),
            keys: HashMap::new(),
            crew: BTreeMap::new(),
            next_client: 0,
            effects: Vec::new(),
            wall: 0,
            unfinished: 0,
            removed: None,
        }
    }

    /// Takes in what the inbox gave.
    pub(crate) fn receive(&mut self, wall: Nanos, bytes: &[u8], host: &mut impl Host) {
        self.wall = wall;
        let mut framer = std::mem::take(&mut self.framer);
        framer.feed(bytes);
        while let Some(message) = framer.next() {
            match message {
                // Whoever is not told anything any more comes to the next keeper.
                _ if self.removed.is_some() => {}
                Ok((key, RequestLine::Hello(hello))) => self.hello(key, &hello, host),
                Ok((key, request)) => {
                    // A number that nobody here has is a stranger's.
                    if let Some(&client) = self.keys.get(&key) {
                        self.request(client, request, host);
                    }
                }
                Err(malformed) => self.malformed(&malformed, host),
            }
        }
        self.framer = framer;
    }

    /// A client has died: all that it wrote has been taken in. Of a run's worker that is for its
    /// parent to say, which knows how it ended and what comes after: see [`Keeper::worker_gone`].
    pub(crate) fn died(&mut self, wall: Nanos, client: ClientId, host: &mut impl Host) {
        if worker_of(&self.peers, client).is_none() {
            self.wall = wall;
            self.leave_queue(client, Request::Die, host);
            self.forget(client, host);
        }
    }

    /// Gives all answers that can be given now. Returns the wall time at which there may be more to
    /// do without anything arriving.
    pub(crate) fn turn(&mut self, wall: Nanos, host: &mut impl Host) -> io::Result<Option<Nanos>> {
        self.wall = wall;
        let now = self.now();
        self.with_effects(host, |queue, effects| queue.expire(now, effects));
        loop {
            if self.queue.end_is_due() {
                let at = host.end()?;
                self.queue.end(at);
            }
            let now = self.now();
            let step = match self.next_in_pace(host) {
                None => self.queue.step(now),
                Some(Next::Serve(worker)) => self.serve(worker),
                Some(Next::Wake(_)) => continue,
                Some(Next::Wait(until)) => return Ok(until),
                Some(Next::OutOfTime) => return Ok(None),
            };
            match step {
                Some(effect) => self.carry_out(effect, host),
                None => return Ok(self.queue.next_expiry()),
            }
        }
    }

    /// Ends the queue as soon as what is out is done: producers are refused, what is in line is
    /// dropped.
    pub(crate) fn close_now(&mut self, wall: Nanos, host: &mut impl Host) {
        self.wall = wall;
        self.with_effects(host, Queue::close_now);
        if let Some(pacer) = &mut self.pacer {
            pacer.hurry(Role::Producer, wall);
        }
    }

    /// Whether the queue is to be removed: then [`Keeper::tell_removed`] is next.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    /// The queue has been removed, or could not be: tells everybody whom that concerns.
    pub(crate) fn tell_removed(&mut self, outcome: &io::Result<()>, host: &mut impl Host) {
        let Some((client, items)) = self.removed else {
            return;
        };
        if let Err(error) = outcome {
            let text = format!("the queue cannot be removed: {error}");
            return send_error(host, client, "internal", &text);
        }
        let others: Vec<_> = self.peers.keys().copied().filter(|&peer| peer != client).collect();
        for other in others {
            send_error(host, other, "removed", "the queue has been removed");
            self.forget(other, host);
        }
        send(host, client, &Reply::Count { items });
    }

    /// How many items there are.
    pub(crate) fn census(&self) -> Census {
        self.queue.census()
    }

    /// The queue.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The clients that the next keeper must know of, if it comes to one.
    pub(crate) fn known(&self) -> impl Iterator<Item = (ClientId, Key, &Known)> {
        let recorded = self.peers.iter().filter(|(_, peer)| peer.is_recorded());
        recorded.map(|(&client, peer)| (client, peer.key, &peer.known))
    }

    /// Whether anybody is here.
    pub(crate) fn is_alone(&self) -> bool {
        self.peers.is_empty()
    }

    /// What is to be remembered when this keeper goes.
    pub(crate) fn remains(&self) -> Remains {
        self.queue.remains()
    }

    /// The time that events bear.
    pub(crate) fn now(&self) -> Nanos {
        self.pacer.as_ref().map_or(self.wall, Pacer::now)
    }

    /// Whether the next event of a paced run is later than can be counted: nothing happens any more.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.pacer.as_ref().is_some_and(Pacer::is_out_of_time)
    }

    fn request(&mut self, client: ClientId, request: RequestLine<'_>, host: &mut impl Host) {
        let some = |id| (id > 0).then_some(id);
        let request = match request {
            RequestLine::Part(piece) => return self.part(client, piece, host),
            RequestLine::Sleep(delay) => return self.sleep(client, delay, host),
            RequestLine::Bye => return self.bye(client, host),
            RequestLine::Hello(_) => return,
            RequestLine::Size
            | RequestLine::Status
            | RequestLine::Peek { .. }
            | RequestLine::Failed { .. } => return self.show(client, &request, host),
            RequestLine::Remove { force } => return self.remove(client, force, host),
            RequestLine::Put { seq, count, lines } => match self.whole(client, count, lines) {
                Some(lines) => match self.not_known(client, seq, lines, host) {
                    Some(lines) => Request::Put { seq, lines },
                    None => return,
                },
                None => return self.show_out(client, host),
            },
            RequestLine::Get { max } => Request::Get { max },
            RequestLine::Done(which) => Request::Done(which),
            RequestLine::Back(which) => Request::GiveBack(which),
            RequestLine::Fail { which, tries, why } => {
                let why = String::from_utf8_lossy(why).into_owned();
                Request::Fail { which, tries, why }
            }
            RequestLine::Attempt { id, attempt } => Request::Attempt { id, attempt },
            RequestLine::Cancel => Request::Cancel,
            RequestLine::Join => Request::Join,
            RequestLine::Close { now } => Request::Close { now },
            RequestLine::Retry { id } => Request::Retry { id: some(id) },
            RequestLine::Drop { id } => Request::Drop { id: some(id) },
        };
        match request {
            Request::Put { .. } | Request::Get { .. } => self.begins_to_wait(client),
            Request::Close { now: true } => host.record(&Fact::Clear),
            Request::Retry { id } => host.record(&Fact::Retry(id.unwrap_or(0))),
            Request::Drop { id } => host.record(&Fact::Drop(id.unwrap_or(0))),
            // A client that is gone may have said that it was not answered: what it waits for in
            // vain must not happen now.
            Request::Cancel if host.is_gone(client) => {}
            // What can be done at once is not taken back.
            Request::Cancel => self.settle(host),
            _ => {}
        }
        self.apply(client, request, host);
    }

    fn apply(&mut self, client: ClientId, request: Request, host: &mut impl Host) {
        let refused =
            self.with_effects(host, |queue, effects| queue.apply(client, request, effects)).err();
        if let Some(refusal) = refused {
            send(host, client, &replies::refused(&refusal));
        }
    }

    /// Does something to the queue, and then tells of what that did.
    fn with_effects<T>(
        &mut self,
        host: &mut impl Host,
        what: impl FnOnce(&mut Queue, &mut Vec<Effect>) -> T,
    ) -> T {
        let mut effects = std::mem::take(&mut self.effects);
        let result = what(&mut self.queue, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect, host);
        }
        self.effects = effects;
        result
    }

    /// Does all that can be done now, unless that is for the pace to decide.
    fn settle(&mut self, host: &mut impl Host) {
        if self.pacer.is_some() {
            return;
        }
        loop {
            // If the end cannot be remembered now, the next turn says so.
            if self.queue.end_is_due()
                && let Ok(at) = host.end()
            {
                self.queue.end(at);
            }
            let now = self.now();
            match self.queue.step(now) {
                Some(effect) => self.carry_out(effect, host),
                None => return,
            }
        }
    }

    /// Tells of an effect: the client, and whoever watches.
    fn carry_out(&mut self, effect: Effect, host: &mut impl Host) {
        let client = effect.client();
        let worker = worker_of(&self.peers, client);
        let at = self.now();
        let event = |what| Event { at, worker, what };
        let mut waited = 0;
        match worker {
            None => self.remember(&effect, at, host),
            Some(_) => waited = self.has_waited(client, &effect, at),
        }
        match &effect {
            Effect::Accepted { run, .. } => host.event(event(What::Put(run, waited))),
            Effect::Handed { run, .. } => host.event(event(What::Get(run, waited))),
            Effect::Done { run, .. } => host.event(event(What::Done(run))),
            Effect::Returned { run, .. } => host.event(event(What::Back(run))),
            _ => {}
        }
        let gets = matches!(effect, Effect::Accepted { .. } | Effect::Handed { .. });
        if let Some(reply) = replies::reply_to(effect, || self.window()) {
            match (&mut self.pacer, worker) {
                (Some(pacer), Some(worker)) if gets => pacer.answered(worker, self.wall),
                (Some(pacer), Some(worker)) => pacer.refused(worker, self.wall),
                _ => {}
            }
            send(host, client, &reply);
        }
    }

    /// Whatever becomes so is written down, before anybody is told.
    fn remember(&mut self, effect: &Effect, at: Nanos, host: &mut impl Host) {
        let Some(peer) = self.peers.get_mut(&effect.client()) else {
            return;
        };
        let key = peer.key;
        if let Some(json) = peer.note(effect) {
            host.record(&Fact::Client { key, json: &json });
        }
        if let Some(fact) = replies::fact_of(effect, key, at) {
            host.record(&fact);
        }
    }

    /// Answers a question, which changes nothing.
    fn show(&mut self, client: ClientId, question: &RequestLine<'_>, host: &mut impl Host) {
        // What was asked for before counts.
        self.settle(host);
        let reply = match *question {
            RequestLine::Peek { from, max } => replies::shown(self.queue.peek(from, max)),
            RequestLine::Failed { from } => replies::failed(&self.queue, from),
            RequestLine::Status => {
                let known = |client| self.peers.get(&client).map(|p| (p.pid(), p.items));
                let status = replies::status(&self.queue, known, self.now());
                Reply::Status(Box::new(status))
            }
            _ => replies::size(&self.queue),
        };
        send(host, client, &reply);
    }

    /// Ends the queue for everybody, whatever is in it if that is what is wanted.
    fn remove(&mut self, client: ClientId, force: bool, host: &mut impl Host) {
        self.settle(host);
        let Census { in_line, out, failed, .. } = self.queue.census();
        let items = in_line + out + failed;
        let others = self.peers.keys().filter(|&&peer| peer != client).count();
        if !force && (items > 0 || others > 0) {
            let text = replies::in_use(&self.queue.census(), others);
            return send_error(host, client, "in-use", &text);
        }
        self.removed = Some((client, items));
    }

    /// What of these items was not accepted before: a client that has lost a keeper may not know.
    fn not_known(
        &mut self,
        client: ClientId,
        seq: u64,
        mut lines: Lines,
        host: &mut impl Host,
    ) -> Option<Lines> {
        let known = &self.peers.get(&client)?.known;
        let before = seq - lines.count;
        if known.last_accepted() <= before {
            return Some(lines);
        }
        lines.split_to((known.last_accepted() - before).min(lines.count));
        if lines.count == 0 {
            let &(seq, id) = known.accepted.last()?;
            let window = self.window();
            send(host, client, &Reply::Ok { seq, id, window });
            return None;
        }
        Some(lines)
    }

    fn bye(&mut self, client: ClientId, host: &mut impl Host) {
        self.leave_for_good(client, host);
        let in_line = self.queue.census().in_line;
        let consumers = self.queue.count(Role::Consumer) as u64;
        send(host, client, &Reply::Bye { in_line, consumers });
        self.forget(client, host);
    }

    fn leave_for_good(&mut self, client: ClientId, host: &mut impl Host) {
        self.leave_queue(client, Request::Leave, host);
        if let Some(worker) = worker_of(&self.peers, client) {
            let what = What::Left(self.has_been_waiting(client));
            host.event(Event { at: self.now(), worker: Some(worker), what });
            self.worker_left(worker);
        }
    }

    fn leave_queue(&mut self, client: ClientId, how: Request, host: &mut impl Host) {
        // What it put before it left is in the queue, if there was room for it.
        self.settle(host);
        self.apply(client, how, host);
    }

    fn forget(&mut self, client: ClientId, host: &mut impl Host) {
        if let Some(peer) = self.peers.remove(&client) {
            self.unfinished -= peer.parts.len() as u64;
            self.keys.remove(&peer.key);
            if peer.is_recorded() {
                host.record(&Fact::Left(peer.key));
            }
            if let Some(worker) = peer.worker {
                self.crew.remove(&worker);
            }
        }
        host.close(client);
    }

    fn malformed(&mut self, malformed: &Malformed, host: &mut impl Host) {
        let client = malformed.key.and_then(|key| self.keys.get(&key));
        if let Some(&client) = client {
            send_error(host, client, "malformed", malformed.why);
        }
    }
}

fn send(host: &mut impl Host, client: ClientId, reply: &Reply) {
    if let Some(mail) = host.mail(client) {
        reply.write(mail);
    }
}

fn send_error(host: &mut impl Host, client: ClientId, code: &str, text: &str) {
    send(host, client, &replies::error(code, text));
}
