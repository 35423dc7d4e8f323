//! The keeper: reads what clients write, applies the rules, answers.
//!
//! [`Keeper`] does no I/O: bytes of the inbox and of the clients' pipes come in; bytes for the mailboxes, events
//! and records go out through a [`Host`]. [`PipeHost`] has the pipes, and waits. [`daemon`] is the process that keeps a
//! stand-alone queue.

mod client_pipes;
mod clients;
pub(crate) mod daemon;
mod handshake;
mod host;
mod incoming;
mod pacer;
pub(crate) mod persistence;
mod pipe_host;
mod replies;
#[cfg(test)]
mod tests;
mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::num::NonZeroU64;

use crate::catalogue::message;
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::journal::Record;
use crate::os::os_text;
use crate::queue::{BatchRef, ClientId, Effect, EffectKind, FailedItem, Items, Queue, Request};
use crate::role::{Role, WorkerId};
use crate::wire::{self, AnnouncementReader, ClientKey, ErrorCode, Reply};
pub(crate) use clients::ClientRecord;
use clients::{ConnectedClient, worker_of};
pub(crate) use host::{Host, Observer};
pub(crate) use pacer::{Pacer, PacerStep, Speed};
pub(crate) use pipe_host::{Other, PipeHost, Pipes};

/// The keeper, without its pipes.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    announcements: AnnouncementReader,
    queue: Queue,
    /// The run's workers that have neither left nor been given up.
    expected_workers: Option<BTreeSet<WorkerId>>,
    pacer: Option<Pacer>,
    clients: BTreeMap<ClientId, ConnectedClient>,
    clients_by_key: HashMap<ClientKey, ClientId>,
    connected_workers: BTreeMap<WorkerId, ClientId>,
    /// Workers of a run that is not paced, which have asked since [`Keeper::begin_waits`].
    new_waiters: BTreeSet<WorkerId>,
    next_client_id: ClientId,
    last_wall_time: Nanos,
    /// The bytes of the incomplete requests of all clients.
    incomplete_bytes: usize,
    removal_request: Option<RemovalRequest>,
}

/// A client's request to remove the queue.
#[derive(Clone, Copy, Debug)]
struct RemovalRequest {
    client: ClientId,
    /// How many items the queue stores.
    items: u64,
}

impl Keeper {
    /// The keeper of this queue. With `workers` only these workers of a run may connect, and the disconnect of
    /// the last producer closes the queue. With `speed` their time is paced.
    pub(crate) fn new(
        queue: Queue,
        workers: Option<BTreeSet<WorkerId>>,
        speed: Option<Speed>,
    ) -> Self {
        Self {
            queue,
            pacer: speed.map(|speed| Pacer::new(speed, workers.iter().flatten().copied())),
            expected_workers: workers,
            ..Self::default()
        }
    }

    /// Removes a dead client, after everything that the client wrote was received. Ignores a worker of
    /// a run: its parent knows the cause of the death, and calls [`Keeper::worker_exited`].
    pub(crate) fn client_died(&mut self, wall: Nanos, client: ClientId, host: &mut impl Host) {
        if worker_of(&self.clients, client).is_none() {
            self.last_wall_time = wall;
            let now = self.now();
            self.detach_from_queue(client, Request::ClientDied { now }, host);
            self.forget_client(client, host);
        }
    }

    /// Gives all answers that are possible now. Returns the wall time at which another answer may be
    /// possible without new bytes.
    pub(crate) fn process_pending(
        &mut self,
        wall: Nanos,
        host: &mut impl Host,
    ) -> io::Result<Option<Nanos>> {
        self.last_wall_time = wall;
        let now = self.now();
        self.queue.expire_leases(now);
        self.publish_effects(host);
        loop {
            self.end_if_due(host)?;
            let paced_step = self.next_paced_step(host);
            let now = self.now();
            let step = match paced_step {
                None => self.queue.step(now),
                Some(PacerStep::Serve(worker)) => {
                    let client = self.connected_workers.get(&worker);
                    client.and_then(|&client| self.queue.serve(now, client))
                }
                Some(PacerStep::Wake(_) | PacerStep::BeginWait(_)) => continue,
                Some(PacerStep::Wait(until)) => return Ok(until),
                // The caller sees the time, and calls again after the kill.
                Some(PacerStep::Kill) => return Ok(Some(wall)),
                Some(PacerStep::OutOfTime) => return Ok(None),
            };
            match step {
                Some(effect) => self.publish_effect(effect, host),
                None => {
                    self.begin_waits(host);
                    return Ok(self.queue.next_lease_expiry());
                }
            }
        }
    }

    /// Whether a client has requested the removal of the queue. The caller removes the files, and then
    /// calls [`Keeper::report_removal`].
    pub(crate) fn is_removal_requested(&self) -> bool {
        self.removal_request.is_some()
    }

    /// Reports the removal of the queue to all clients, or a failure to the client that requested the
    /// removal.
    pub(crate) fn report_removal(&mut self, outcome: &io::Result<()>, host: &mut impl Host) {
        let Some(RemovalRequest { client, items }) = self.removal_request else {
            return;
        };
        if let Err(error) = outcome {
            let text = || message!("refusal-not-removed", error = os_text(error));
            return send_error(host, client, ErrorCode::Internal, text);
        }
        let others: Vec<_> =
            self.clients.keys().copied().filter(|&other| other != client).collect();
        for other in others {
            send_error(host, other, ErrorCode::Removed, || message!("refusal-removed"));
            self.forget_client(other, host);
        }
        send_reply(host, client, &Reply::Count { items });
    }

    /// The client that is this worker, while the worker is connected.
    pub(crate) fn client_of(&self, worker: WorkerId) -> Option<ClientId> {
        self.connected_workers.get(&worker).copied()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The time of events: paced time in a paced run, else wall time.
    pub(crate) fn now(&self) -> Nanos {
        self.pacer.as_ref().map_or(self.last_wall_time, Pacer::now)
    }

    /// Whether the next event of a paced run is beyond the range of time: nothing happens any more.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.pacer.as_ref().is_some_and(Pacer::is_out_of_time)
    }

    fn handle_request(&mut self, client: ClientId, request: wire::Request, host: &mut impl Host) {
        let request = match request {
            wire::Request::Sleep(delay) => return self.handle_sleep(client, delay, host),
            wire::Request::Bye => return self.handle_bye(client, host),
            wire::Request::Size
            | wire::Request::Status
            | wire::Request::Peek { .. }
            | wire::Request::ListFailed { .. } => return self.handle_query(client, &request, host),
            wire::Request::Remove { force } => return self.handle_remove(client, force, host),
            wire::Request::Put { seq, items } => {
                let Some(items) = self.drop_already_accepted(client, seq, items, host) else {
                    return;
                };
                Request::Put { seq, items }
            }
            wire::Request::Get { max } => Request::Get { max },
            wire::Request::Done(batch_ref) => Request::Done(batch_ref),
            wire::Request::Requeue(batch_ref) => Request::Requeue(batch_ref),
            wire::Request::Fail { id, attempt, try_count, reason } => {
                let batch = BatchRef { first_id: id, count: 1, attempt: Some(attempt) };
                Request::Fail { batch, try_count, reason }
            }
            wire::Request::Attempt { id, attempt } => Request::Attempt { id, attempt },
            wire::Request::Renew(batch) => Request::Renew { batch, now: self.now() },
            wire::Request::Cancel => Request::Cancel,
            wire::Request::Join => Request::Join,
            wire::Request::Close { now } => Request::Close { now },
            wire::Request::Retry(id) => Request::Retry(id),
            wire::Request::Drop(id) => Request::Drop(id),
        };
        self.prepare(client, &request, host);
        self.apply(client, request, host);
    }

    /// Does what has to precede a request to the queue.
    fn prepare(&mut self, client: ClientId, request: &Request, host: &mut impl Host) {
        match *request {
            Request::Put { .. } | Request::Get { .. } => self.start_waiting(client),
            Request::Close { now: true } => host.observer().append_record(&Record::Clear),
            Request::Retry(id) => host.observer().append_record(&Record::Retry(id)),
            Request::Drop(id) => host.observer().append_record(&Record::Drop(id)),
            // A dead client may have reported that its request was not answered: the request must not
            // be granted now.
            Request::Cancel if host.is_client_dead(client) => {}
            // A request that can be granted at once is not cancelled.
            Request::Cancel => self.run_possible_steps(host),
            _ => {}
        }
    }

    fn apply(&mut self, client: ClientId, request: Request, host: &mut impl Host) {
        let result = self.queue.apply(client, request);
        self.publish_effects(host);
        if let Err(refusal) = result {
            send_reply(host, client, &replies::refusal_reply(&refusal));
        }
    }

    fn publish_effects(&mut self, host: &mut impl Host) {
        while let Some(effect) = self.queue.next_effect() {
            self.publish_effect(effect, host);
        }
    }

    /// Takes all steps that are possible now. In a paced run only the pacer decides on steps.
    fn run_possible_steps(&mut self, host: &mut impl Host) {
        if self.pacer.is_some() {
            return;
        }
        loop {
            // If the end cannot be recorded now, the next `process_pending` returns the error.
            let _ = self.end_if_due(host);
            match self.queue.step(self.now()) {
                Some(effect) => self.publish_effect(effect, host),
                None => return,
            }
        }
    }

    /// Ends the queue if the end is due and can be recorded.
    fn end_if_due(&mut self, host: &mut impl Host) -> io::Result<()> {
        if self.queue.is_end_due() {
            self.queue.end(host.observer().record_end()?);
        }
        Ok(())
    }

    /// Journals the effect (not in a run), then tells the observer, then the client.
    fn publish_effect(&mut self, effect: Effect, host: &mut impl Host) {
        let Effect { client, kind } = effect;
        let worker = worker_of(&self.clients, client);
        let at = self.now();
        let waited = match worker {
            None => {
                self.record_effect(client, &kind, at, host);
                None
            }
            Some(_) => self.take_wait_time(client, &kind, at),
        };
        let event = match &kind {
            EffectKind::Accepted { batch, .. } => Some(EventKind::Put(batch)),
            EffectKind::Delivered(batch) => Some(EventKind::Delivered(batch)),
            EffectKind::Done(batch) => Some(EventKind::Done(batch)),
            EffectKind::Requeued(batch) => Some(EventKind::Requeued(batch)),
            _ => None,
        };
        if let Some(kind) = event {
            host.observer().on_event(Event { at, worker, waited, kind });
        }
        let is_grant = kind.is_grant();
        if let Some(reply) = replies::reply_to(kind, || self.put_window()) {
            if let (Some(pacer), Some(worker)) = (&mut self.pacer, worker) {
                if is_grant {
                    pacer.on_grant(worker, self.last_wall_time);
                } else {
                    pacer.on_run(worker, self.last_wall_time);
                }
            }
            send_reply(host, client, &reply);
        }
    }

    /// Writes an effect to the journal. The client reads about the effect only after the commit.
    fn record_effect(
        &mut self,
        client: ClientId,
        kind: &EffectKind,
        at: Nanos,
        host: &mut impl Host,
    ) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        let key = c.key;
        if let Some(json) = c.apply_effect(kind) {
            host.observer().append_record(&Record::Client { key, json: &json });
        }
        if let Some(record) = replies::record_of(kind, key, at) {
            host.observer().append_record(&record);
        }
    }

    fn handle_query(&mut self, client: ClientId, query: &wire::Request, host: &mut impl Host) {
        // Earlier requests count. But a client that asks during its wait asks after a silence of the keeper, perhaps: steps
        // now could deliver an item to a client that has given up in the meantime, whose cancel is still unread.
        let asks_in_wait = matches!(query, wire::Request::Status) && self.queue.is_waiting(client);
        if !asks_in_wait {
            self.run_possible_steps(host);
        }
        let reply = match *query {
            wire::Request::Peek { from_id, max } => {
                self.queue.peek(from_id, max).map_or(Reply::Empty, Reply::Batch)
            }
            wire::Request::ListFailed { from_id } => {
                let failed = self.queue.next_failed(from_id).cloned();
                failed.map_or(Reply::Empty, |FailedItem { batch, reason }| Reply::Failed {
                    batch,
                    reason,
                })
            }
            wire::Request::Status => {
                let totals = |client| {
                    self.clients.get(&client).map(|c| (c.record.hello.pid, c.processed_items))
                };
                let status = replies::queue_status(&self.queue, totals, self.now());
                Reply::Status(Box::new(status))
            }
            _ => Reply::Size {
                counts: self.queue.counts(),
                capacity: self.queue.capacity().map_or(0, NonZeroU64::get),
            },
        };
        send_reply(host, client, &reply);
    }

    /// Accepts the request to remove the queue, if the queue is unused or the client forces the removal.
    fn handle_remove(&mut self, client: ClientId, force: bool, host: &mut impl Host) {
        self.run_possible_steps(host);
        let counts = self.queue.counts();
        let items = counts.stored();
        let others = self.clients.keys().filter(|&&other| other != client).count();
        if !force && (items > 0 || others > 0) {
            let text = || replies::in_use_text(&counts, others);
            return send_error(host, client, ErrorCode::InUse, text);
        }
        self.removal_request = Some(RemovalRequest { client, items });
    }

    /// The items that were not accepted before: after a loss of its keeper, a client may repeat a put.
    /// Answers the put if no item is new.
    fn drop_already_accepted(
        &mut self,
        client: ClientId,
        seq: u64,
        mut items: Items,
        host: &mut impl Host,
    ) -> Option<Items> {
        let record = &self.clients.get(&client)?.record;
        let before = seq - items.count;
        if record.last_accepted_seq() <= before {
            return Some(items);
        }
        items.split_to((record.last_accepted_seq() - before).min(items.count));
        if items.count == 0 {
            let &(seq, id) = record.accepted.last()?;
            let window = self.put_window();
            send_reply(host, client, &Reply::Ok { seq, id, window });
            return None;
        }
        Some(items)
    }

    fn handle_bye(&mut self, client: ClientId, host: &mut impl Host) {
        self.disconnect_client(client, host);
        let ready = self.queue.counts().ready;
        let consumers = self.queue.client_count(Role::Consumer) as u64;
        send_reply(host, client, &Reply::Bye { ready, consumers });
        self.forget_client(client, host);
    }

    fn disconnect_client(&mut self, client: ClientId, host: &mut impl Host) {
        self.detach_from_queue(client, Request::Disconnect, host);
        if let Some(worker) = worker_of(&self.clients, client) {
            let waited = self.ongoing_wait_time(client);
            let at = self.now();
            host.observer().on_event(Event {
                at,
                worker: Some(worker),
                waited,
                kind: EventKind::Left,
            });
            self.remove_worker(worker, host);
        }
    }

    /// Applies a disconnect or a death to the queue, after the puts that the queue has room for.
    fn detach_from_queue(&mut self, client: ClientId, request: Request, host: &mut impl Host) {
        self.run_possible_steps(host);
        self.apply(client, request, host);
    }

    fn forget_client(&mut self, client: ClientId, host: &mut impl Host) {
        if let Some(c) = self.clients.remove(&client) {
            self.incomplete_bytes -= c.incomplete_bytes;
            self.clients_by_key.remove(&c.key);
            if c.is_recorded {
                host.observer().append_record(&Record::Disconnected(c.key));
            }
            if let Some(worker) = c.worker {
                self.connected_workers.remove(&worker);
            }
        }
        host.close_pipes(client);
    }
}

fn send_reply(host: &mut impl Host, client: ClientId, reply: &Reply) {
    if let Some(mail) = host.output(client) {
        reply.write(mail);
    }
}

fn send_error(
    host: &mut impl Host,
    client: ClientId,
    code: ErrorCode,
    text: impl FnOnce() -> String,
) {
    send_reply(host, client, &replies::error_reply(code, text));
}
