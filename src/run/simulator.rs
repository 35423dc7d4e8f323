//! A run without processes: the rules, the clock and the random streams of a run at full speed, in one process. The events
//! equal those of the worker processes.
//!
//! A worker process does nothing but ask the queue and sleep. Here each worker is a [`Worker`] that makes the same
//! requests in the same order, and the [`Pacer`] decides whose turn it is, as in the keeper of a run.

use std::io;

use bytes::Bytes;

use super::config::Config;
use crate::clock::{DelaySampler, Nanos, ProcessBirth, nanos};
use crate::event::{Event, EventKind};
use crate::item::encode_string;
use crate::keeper::{Observer, Pacer, PacerStep, Speed};
use crate::queue::{
    Batch, BatchRef, ClientId, ClientSettings, Effect, EffectKind, Items, Queue, QueueState, Request,
};
use crate::role::{Role, WorkerId};

/// A run of [`Config`] as one computation.
pub(super) struct Simulator<'a, O> {
    queue: Queue,
    pacer: Pacer,
    /// By client. None: the worker has left.
    workers: Vec<Option<Worker>>,
    producers: usize,
    producers_left: usize,
    /// The items up to the number, before the number.
    item_prefix: Vec<u8>,
    observer: &'a mut O,
}

/// A worker process, as far as its requests go.
struct Worker {
    id: WorkerId,
    delays: DelaySampler,
    /// When the wait for an answer to the put or get began.
    waiting_since: Option<Nanos>,
    /// The numbers of the items that a producer has not put yet.
    next_item: u64,
    step: u64,
    end_item: u64,
    /// The items that a producer has put.
    seq: u64,
    /// What a consumer has in flight.
    in_flight: Option<BatchRef>,
}

impl<'a, O: Observer> Simulator<'a, O> {
    pub(super) fn new(config: &Config, seed: u64, observer: &'a mut O) -> Self {
        let state = QueueState { capacity: Some(config.capacity.into()), ..QueueState::default() };
        let ids = config.worker_ids();
        let mut item_prefix = Vec::new();
        encode_string(&config.item_name, &mut item_prefix);
        // The closing quote follows the number.
        item_prefix.pop();
        let worker = |&id: &WorkerId| {
            let delay = match id.role {
                Role::Producer => config.producer_delay,
                Role::Consumer | Role::Visitor => config.consumer_delay,
            };
            Some(Worker {
                id,
                delays: DelaySampler::new(delay, seed, id, 0),
                waiting_since: None,
                next_item: u64::from(id.index - 1),
                step: u64::from(config.producers),
                end_item: if id.role == Role::Producer { config.items } else { 0 },
                seq: 0,
                in_flight: None,
            })
        };
        let producers = config.producers as usize;
        Self {
            queue: Queue::new(state, false),
            pacer: Pacer::new(Speed::Max, ids.iter().copied()),
            workers: ids.iter().map(worker).collect(),
            producers,
            producers_left: producers,
            item_prefix,
            observer,
        }
    }

    /// Computes the run, until all workers have left or time is over. Returns the time of the last event.
    pub(super) fn run(&mut self) -> io::Result<Nanos> {
        for client in 0..self.workers.len() {
            self.connect(client);
        }
        loop {
            if self.queue.is_end_due() {
                self.queue.end(ProcessBirth::default());
            }
            let (queue, producers) = (&self.queue, self.producers);
            let step = self.pacer.next_step(
                0,
                |role| queue.can_serve_role(role),
                |worker| queue.can_serve(client_of(worker, producers)),
            );
            match step {
                PacerStep::Serve(worker) => {
                    let client = client_of(worker, self.producers);
                    if let Some(effect) = self.queue.serve(self.pacer.now(), client) {
                        self.publish(effect);
                    }
                }
                PacerStep::Wake(worker) => {
                    self.pacer.on_grant(worker, 0);
                    self.resume(client_of(worker, self.producers));
                }
                PacerStep::Wait(_) | PacerStep::OutOfTime => return Ok(self.pacer.now()),
            }
        }
    }

    pub(super) fn is_out_of_time(&self) -> bool {
        self.pacer.is_out_of_time()
    }

    fn connect(&mut self, client: ClientId) {
        let Some(worker) = &self.workers[client] else { return };
        let settings = ClientSettings {
            role: worker.id.role,
            keep_open: false,
            follow: false,
            birth: ProcessBirth::default(),
            ancestors: Vec::new(),
            lease: None,
            max_delivery_failures: 0,
            capacity: None,
            sync: false,
        };
        self.pacer.on_run(worker.id, 0);
        self.apply(client, Request::Connect(settings));
        self.resume(client);
    }

    /// The worker goes on until it rests or leaves.
    fn resume(&mut self, client: ClientId) {
        let Some(worker) = &mut self.workers[client] else { return };
        let id = worker.id;
        if let Some(batch) = worker.in_flight.take() {
            self.apply(client, Request::Done(batch));
        }
        match id.role {
            Role::Producer => self.put(client),
            Role::Consumer | Role::Visitor => self.wait_for(client, Request::Get { max: 1 }),
        }
    }

    /// The producer puts its next item, or leaves.
    fn put(&mut self, client: ClientId) {
        let Some(worker) = &mut self.workers[client] else { return };
        if worker.next_item >= worker.end_item {
            return self.leave(client);
        }
        let mut bytes = Vec::with_capacity(self.item_prefix.len() + 22);
        bytes.extend_from_slice(&self.item_prefix);
        bytes.extend_from_slice(itoa::Buffer::new().format(worker.next_item).as_bytes());
        bytes.extend_from_slice(b"\"\n");
        worker.next_item += worker.step;
        worker.seq += 1;
        let items = Items { count: 1, bytes: Bytes::from(bytes) };
        let put = Request::Put { seq: worker.seq, items };
        self.wait_for(client, put);
    }

    /// The worker rests until the answer to its put or get, and then for its next delay.
    fn wait_for(&mut self, client: ClientId, request: Request) {
        let now = self.pacer.now();
        let Some(worker) = &mut self.workers[client] else { return };
        worker.waiting_since.get_or_insert(now);
        self.pacer.on_request(worker.id, 0);
        let delay = nanos(worker.delays.sample());
        if delay > 0 {
            self.pacer.on_sleep(worker.id, delay, 0);
        }
        self.apply(client, request);
    }

    fn apply(&mut self, client: ClientId, request: Request) {
        // A simulated worker makes no request that the queue refuses.
        let _ = self.queue.apply(client, request);
        while let Some(effect) = self.queue.next_effect() {
            self.publish(effect);
        }
    }

    /// Tells the observer and then the worker.
    fn publish(&mut self, effect: Effect) {
        let Effect { client, kind } = effect;
        let at = self.pacer.now();
        let Some(worker) = self.workers.get_mut(client).and_then(Option::as_mut) else { return };
        let id = worker.id;
        let waited = kind.is_grant().then(|| {
            worker.waiting_since.take().map_or(0, |since| at.saturating_sub(since))
        });
        let mut on_event =
            |kind| self.observer.on_event(Event { at, worker: Some(id), waited, kind });
        match &kind {
            EffectKind::Accepted { batch, .. } => on_event(EventKind::Put(batch)),
            EffectKind::Delivered(batch) => {
                on_event(EventKind::Delivered(batch));
                worker.in_flight = Some(whole(batch));
            }
            EffectKind::Done(batch) => return on_event(EventKind::Done(batch)),
            EffectKind::Requeued(batch) => return on_event(EventKind::Requeued(batch)),
            EffectKind::Ended => {
                self.pacer.on_run(id, 0);
                return self.leave(client);
            }
            _ => return,
        }
        self.pacer.on_grant(id, 0);
        if !self.pacer.is_asleep(id) {
            self.resume(client);
        }
    }

    fn leave(&mut self, client: ClientId) {
        let Some(worker) = self.workers[client].take() else { return };
        let at = self.pacer.now();
        self.apply(client, Request::Disconnect);
        let waited = worker.waiting_since.map(|since| at.saturating_sub(since));
        let kind = EventKind::Left;
        self.observer.on_event(Event { at, worker: Some(worker.id), waited, kind });
        self.pacer.on_disconnect(worker.id);
        if worker.id.role == Role::Producer {
            self.producers_left -= 1;
            if self.producers_left == 0 {
                self.queue.close();
            }
        }
    }
}

/// The client of a worker: producers come first.
fn client_of(worker: WorkerId, producers: usize) -> ClientId {
    let before = if worker.role == Role::Producer { 0 } else { producers };
    before + worker.index as usize - 1
}

/// All of a batch in flight.
fn whole(batch: &Batch) -> BatchRef {
    BatchRef { first_id: batch.first_id, count: batch.count(), attempt: Some(batch.attempt) }
}
