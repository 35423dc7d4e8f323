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
use std::num::NonZeroU64;

use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::journal::Record;
use crate::queue::{BatchRef, ClientId, Counts, Effect, Items, Queue, QueueState, Request};
use crate::role::{Role, WorkerId};
use crate::wire::{self, ClientKey, ErrorCode, Framer, MalformedRequest, Reply};
pub(crate) use clients::ClientRecord;
use clients::ConnectedClient;
pub(crate) use host::{Host, Observer};
pub(crate) use pacer::{Pacer, PacerStep, Speed};
pub(crate) use pipe_host::{PipeHost, Pipes};
use workers::worker_of;

/// What sets one queue apart from another.
#[derive(Debug)]
pub(crate) struct KeeperConfig {
    /// The queue, as it is when this keeper begins.
    pub(crate) queue: Queue,
    /// The workers of a run: only they may come, and the queue is closed when the last producer
    /// among them has left. None: anybody may come.
    pub(crate) workers: Option<BTreeSet<WorkerId>>,
    /// Paces time.
    pub(crate) pacer: Option<Pacer>,
}

/// The keeper, without its pipes.
#[derive(Debug)]
pub(crate) struct Keeper {
    framer: Framer,
    queue: Queue,
    /// Those of a run's workers that have not left.
    expected_workers: Option<BTreeSet<WorkerId>>,
    pacer: Option<Pacer>,
    clients: BTreeMap<ClientId, ConnectedClient>,
    clients_by_key: HashMap<ClientKey, ClientId>,
    /// The clients that are workers of the run.
    connected_workers: BTreeMap<WorkerId, ClientId>,
    next_client_id: ClientId,
    effects: Vec<Effect>,
    /// The last wall time that was given.
    last_wall_time: Nanos,
    /// How many bytes of items have come whose end is still to come.
    unfinished_bytes: u64,
    /// This client has asked for the queue to be removed, with so many items.
    removal_request: Option<(ClientId, u64)>,
}

impl Keeper {
    /// A keeper of an empty queue.
    pub(crate) fn new(plan: KeeperConfig) -> Self {
        Self {
            framer: Framer::default(),
            queue: plan.queue,
            expected_workers: plan.workers,
            pacer: plan.pacer,
            clients: BTreeMap::new(),
            clients_by_key: HashMap::new(),
            connected_workers: BTreeMap::new(),
            next_client_id: 0,
            effects: Vec::new(),
            last_wall_time: 0,
            unfinished_bytes: 0,
            removal_request: None,
        }
    }

    /// Takes in what the inbox gave.
    pub(crate) fn receive(&mut self, wall: Nanos, bytes: &[u8], host: &mut impl Host) {
        self.last_wall_time = wall;
        let mut framer = std::mem::take(&mut self.framer);
        framer.push_bytes(bytes);
        while let Some(message) = framer.next_request() {
            match message {
                // Whoever is not told anything any more comes to the next keeper.
                _ if self.removal_request.is_some() => {}
                Ok((key, wire::Request::Hello(hello))) => self.handle_hello(key, &hello, host),
                Ok((key, request)) => {
                    // A number that nobody here has is a stranger's.
                    if let Some(&client) = self.clients_by_key.get(&key) {
                        self.handle_request(client, request, host);
                    }
                }
                Err(malformed) => self.handle_malformed(&malformed, host),
            }
        }
        self.framer = framer;
    }

    /// A client has died: all that it wrote has been taken in. Of a run's worker that is for its
    /// parent to say, which knows how it ended and what comes after: see [`Keeper::worker_gone`].
    pub(crate) fn client_died(&mut self, wall: Nanos, client: ClientId, host: &mut impl Host) {
        if worker_of(&self.clients, client).is_none() {
            self.last_wall_time = wall;
            self.detach_from_queue(client, Request::ClientDied, host);
            self.forget_client(client, host);
        }
    }

    /// Gives all answers that can be given now. Returns the wall time at which there may be more to
    /// do without anything arriving.
    pub(crate) fn process_pending(
        &mut self,
        wall: Nanos,
        host: &mut impl Host,
    ) -> io::Result<Option<Nanos>> {
        self.last_wall_time = wall;
        let now = self.now();
        self.with_effects(host, |queue, effects| queue.expire_leases(now, effects));
        loop {
            if self.queue.is_end_due() {
                let at = host.record_end()?;
                self.queue.end(at);
            }
            let now = self.now();
            let step = match self.next_paced_step(host) {
                None => self.queue.step(now),
                Some(PacerStep::Serve(worker)) => self.serve_worker(worker),
                Some(PacerStep::Wake(_)) => continue,
                Some(PacerStep::Wait(until)) => return Ok(until),
                Some(PacerStep::OutOfTime) => return Ok(None),
            };
            match step {
                Some(effect) => self.publish_effect(effect, host),
                None => return Ok(self.queue.next_lease_expiry()),
            }
        }
    }

    /// Ends the queue as soon as what is out is done: producers are refused, what is in line is
    /// dropped.
    pub(crate) fn close_now(&mut self, wall: Nanos, host: &mut impl Host) {
        self.last_wall_time = wall;
        self.with_effects(host, Queue::close_now);
        if let Some(pacer) = &mut self.pacer {
            pacer.skip_sleeps(Role::Producer, wall);
        }
    }

    /// Whether the queue is to be removed: then [`Keeper::tell_removed`] is next.
    pub(crate) fn is_removal_requested(&self) -> bool {
        self.removal_request.is_some()
    }

    /// The queue has been removed, or could not be: tells everybody whom that concerns.
    pub(crate) fn report_removal(&mut self, outcome: &io::Result<()>, host: &mut impl Host) {
        let Some((client, items)) = self.removal_request else {
            return;
        };
        if let Err(error) = outcome {
            let text = format!("the queue cannot be removed: {error}");
            return send_error(host, client, ErrorCode::Internal, &text);
        }
        let others: Vec<_> = self.clients.keys().copied().filter(|&peer| peer != client).collect();
        for other in others {
            send_error(host, other, ErrorCode::Removed, "the queue has been removed");
            self.forget_client(other, host);
        }
        send_reply(host, client, &Reply::Count { items });
    }

    /// How many items there are.
    pub(crate) fn counts(&self) -> Counts {
        self.queue.counts()
    }

    /// The queue.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The clients that the next keeper must know of, if it comes to one.
    pub(crate) fn client_records(
        &self,
    ) -> impl Iterator<Item = (ClientId, ClientKey, &ClientRecord)> {
        let recorded = self.clients.iter().filter(|(_, peer)| peer.is_recorded());
        recorded.map(|(&client, peer)| (client, peer.key, &peer.record))
    }

    /// Whether anybody is here.
    pub(crate) fn has_no_clients(&self) -> bool {
        self.clients.is_empty()
    }

    /// What is to be remembered when this keeper goes.
    pub(crate) fn queue_state(&self) -> QueueState {
        self.queue.state()
    }

    /// The time that events bear.
    pub(crate) fn now(&self) -> Nanos {
        self.pacer.as_ref().map_or(self.last_wall_time, Pacer::now)
    }

    /// Whether the next event of a paced run is later than can be counted: nothing happens any more.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.pacer.as_ref().is_some_and(Pacer::is_out_of_time)
    }

    fn handle_request(
        &mut self,
        client: ClientId,
        request: wire::Request<'_>,
        host: &mut impl Host,
    ) {
        let request = match request {
            wire::Request::ItemPart(piece) => return self.handle_part(client, piece, host),
            wire::Request::Sleep(delay) => return self.handle_sleep(client, delay, host),
            wire::Request::Bye => return self.handle_bye(client, host),
            wire::Request::Hello(_) => return,
            wire::Request::Size
            | wire::Request::Status
            | wire::Request::Peek { .. }
            | wire::Request::ListFailed { .. } => return self.handle_query(client, &request, host),
            wire::Request::Remove { force } => return self.handle_remove(client, force, host),
            wire::Request::Put { seq, count, items: lines } => {
                match self.assemble_put(client, count, lines) {
                    Some(lines) => match self.drop_already_accepted(client, seq, lines, host) {
                        Some(lines) => Request::Put { seq, items: lines },
                        None => return,
                    },
                    None => return self.disconnect_oversized_client(client, host),
                }
            }
            wire::Request::Get { max } => Request::Get { max },
            wire::Request::Done(batch_ref) => Request::Done(batch_ref),
            wire::Request::Requeue(batch_ref) => Request::Requeue(batch_ref),
            wire::Request::Fail { id, attempt, try_count, reason } => {
                let batch = BatchRef { first_id: id, count: 1, attempt: Some(attempt) };
                Request::Fail { batch, try_count, reason: reason.into_owned() }
            }
            wire::Request::Attempt { id, attempt } => Request::Attempt { id, attempt },
            wire::Request::Cancel => Request::Cancel,
            wire::Request::Join => Request::Join,
            wire::Request::Close { now } => Request::Close { now },
            wire::Request::Retry(id) => Request::Retry { id: id.map(NonZeroU64::get) },
            wire::Request::Drop(id) => Request::Drop { id: id.map(NonZeroU64::get) },
        };
        match request {
            Request::Put { .. } | Request::Get { .. } => self.start_waiting(client),
            Request::Close { now: true } => host.append_record(&Record::Clear),
            Request::Retry { id } => host.append_record(&Record::Retry(id.unwrap_or(0))),
            Request::Drop { id } => host.append_record(&Record::Drop(id.unwrap_or(0))),
            // A client that is gone may have said that it was not answered: what it waits for in
            // vain must not happen now.
            Request::Cancel if host.is_client_dead(client) => {}
            // What can be done at once is not taken back.
            Request::Cancel => self.run_ready_steps(host),
            _ => {}
        }
        self.apply(client, request, host);
    }

    fn apply(&mut self, client: ClientId, request: Request, host: &mut impl Host) {
        let refused =
            self.with_effects(host, |queue, effects| queue.apply(client, request, effects)).err();
        if let Some(refusal) = refused {
            send_reply(host, client, &replies::refusal_reply(&refusal));
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
            self.publish_effect(effect, host);
        }
        self.effects = effects;
        result
    }

    /// Does all that can be done now, unless that is for the pace to decide.
    fn run_ready_steps(&mut self, host: &mut impl Host) {
        if self.pacer.is_some() {
            return;
        }
        loop {
            // If the end cannot be remembered now, the next turn says so.
            if self.queue.is_end_due()
                && let Ok(at) = host.record_end()
            {
                self.queue.end(at);
            }
            let now = self.now();
            match self.queue.step(now) {
                Some(effect) => self.publish_effect(effect, host),
                None => return,
            }
        }
    }

    /// Tells of an effect: the client, and whoever watches.
    fn publish_effect(&mut self, effect: Effect, host: &mut impl Host) {
        let client = effect.client();
        let worker = worker_of(&self.clients, client);
        let at = self.now();
        let mut waited = None;
        match worker {
            None => self.record_effect(&effect, at, host),
            Some(_) => waited = self.take_wait_time(client, &effect, at),
        }
        let kind = match &effect {
            Effect::Accepted { batch, .. } => Some(EventKind::Put(batch)),
            Effect::Delivered { batch, .. } => Some(EventKind::Delivered(batch)),
            Effect::Done { batch, .. } => Some(EventKind::Done(batch)),
            Effect::Requeued { batch, .. } => Some(EventKind::Requeued(batch)),
            _ => None,
        };
        if let Some(kind) = kind {
            host.on_event(Event { at, worker, waited, kind });
        }
        let gets = matches!(effect, Effect::Accepted { .. } | Effect::Delivered { .. });
        if let Some(reply) = replies::reply_to(effect, || self.put_window()) {
            match (&mut self.pacer, worker) {
                (Some(pacer), Some(worker)) if gets => pacer.on_answer(worker, self.last_wall_time),
                (Some(pacer), Some(worker)) => pacer.on_refusal(worker, self.last_wall_time),
                _ => {}
            }
            send_reply(host, client, &reply);
        }
    }

    /// Whatever becomes so is written down, before anybody is told.
    fn record_effect(&mut self, effect: &Effect, at: Nanos, host: &mut impl Host) {
        let Some(peer) = self.clients.get_mut(&effect.client()) else {
            return;
        };
        let key = peer.key;
        if let Some(json) = peer.apply_effect(effect) {
            host.append_record(&Record::Client { key, json: &json });
        }
        if let Some(record) = replies::record_of(effect, key, at) {
            host.append_record(&record);
        }
    }

    /// Answers a question, which changes nothing.
    fn handle_query(
        &mut self,
        client: ClientId,
        question: &wire::Request<'_>,
        host: &mut impl Host,
    ) {
        // What was asked for before counts.
        self.run_ready_steps(host);
        let reply = match *question {
            wire::Request::Peek { from_id: from, max } => {
                replies::peek_reply(self.queue.peek(from, max))
            }
            wire::Request::ListFailed { from_id: from } => {
                replies::failed_item_reply(&self.queue, from)
            }
            wire::Request::Status => {
                let record =
                    |client| self.clients.get(&client).map(|p| (p.pid(), p.processed_items));
                let status = replies::queue_status(&self.queue, record, self.now());
                Reply::Status(Box::new(status))
            }
            _ => replies::size_reply(&self.queue),
        };
        send_reply(host, client, &reply);
    }

    /// Ends the queue for everybody, whatever is in it if that is what is wanted.
    fn handle_remove(&mut self, client: ClientId, force: bool, host: &mut impl Host) {
        self.run_ready_steps(host);
        let Counts { ready: in_line, in_flight: out, failed, .. } = self.queue.counts();
        let items = in_line + out + failed;
        let others = self.clients.keys().filter(|&&peer| peer != client).count();
        if !force && (items > 0 || others > 0) {
            let text = replies::in_use_message(&self.queue.counts(), others);
            return send_error(host, client, ErrorCode::InUse, &text);
        }
        self.removal_request = Some((client, items));
    }

    /// What of these items was not accepted before: a client that has lost a keeper may not know.
    fn drop_already_accepted(
        &mut self,
        client: ClientId,
        seq: u64,
        mut lines: Items,
        host: &mut impl Host,
    ) -> Option<Items> {
        let record = &self.clients.get(&client)?.record;
        let before = seq - lines.count;
        if record.last_accepted_seq() <= before {
            return Some(lines);
        }
        lines.split_to((record.last_accepted_seq() - before).min(lines.count));
        if lines.count == 0 {
            let &(seq, id) = record.accepted.last()?;
            let window = self.put_window();
            send_reply(host, client, &Reply::Ok { seq, id, window });
            return None;
        }
        Some(lines)
    }

    fn handle_bye(&mut self, client: ClientId, host: &mut impl Host) {
        self.disconnect_client(client, host);
        let in_line = self.queue.counts().ready;
        let consumers = self.queue.client_count(Role::Consumer) as u64;
        send_reply(host, client, &Reply::Bye { ready: in_line, consumers });
        self.forget_client(client, host);
    }

    fn disconnect_client(&mut self, client: ClientId, host: &mut impl Host) {
        self.detach_from_queue(client, Request::Disconnect, host);
        if let Some(worker) = worker_of(&self.clients, client) {
            let waited = self.ongoing_wait_time(client);
            let at = self.now();
            host.on_event(Event { at, worker: Some(worker), waited, kind: EventKind::Left });
            self.remove_worker(worker);
        }
    }

    fn detach_from_queue(&mut self, client: ClientId, how: Request, host: &mut impl Host) {
        // What it put before it left is in the queue, if there was room for it.
        self.run_ready_steps(host);
        self.apply(client, how, host);
    }

    fn forget_client(&mut self, client: ClientId, host: &mut impl Host) {
        if let Some(peer) = self.clients.remove(&client) {
            self.unfinished_bytes -= peer.partial_item.len() as u64;
            self.clients_by_key.remove(&peer.key);
            if peer.is_recorded() {
                host.append_record(&Record::Disconnected(peer.key));
            }
            if let Some(worker) = peer.worker {
                self.connected_workers.remove(&worker);
            }
        }
        host.close_mailbox(client);
    }

    fn handle_malformed(&mut self, malformed: &MalformedRequest, host: &mut impl Host) {
        let client = malformed.key.and_then(|key| self.clients_by_key.get(&key));
        if let Some(&client) = client {
            send_error(host, client, ErrorCode::Malformed, malformed.reason);
        }
    }
}

fn send_reply(host: &mut impl Host, client: ClientId, reply: &Reply) {
    if let Some(mail) = host.output_buffer(client) {
        reply.write(mail);
    }
}

fn send_error(host: &mut impl Host, client: ClientId, code: ErrorCode, text: &str) {
    send_reply(host, client, &replies::error_reply(code, text));
}
