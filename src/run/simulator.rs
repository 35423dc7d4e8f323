//! A run without processes: the rules, the clock and the random streams of a run at full speed, in one process. The
//! events equal those of the worker processes.
//!
//! A worker process does nothing but ask the queue and sleep. Here each worker is a [`Worker`] that makes the same
//! requests in the same order, and the [`Pacer`] decides whose turn it is, as in the keeper of a run.

use bytes::BytesMut;
use rustix::process::Signal;

use super::chaos::KillSchedule;
use super::config::Config;
use super::result::RunEnd;
use crate::clock::{DelaySampler, Nanos, ProcessBirth, nanos};
use crate::event::{Event, EventKind};
use crate::item::encode_string;
use crate::keeper::{Observer, Pacer, PacerStep, Speed};
use crate::os::ExitCause;
use crate::queue::{
    Batch, BatchRef, ClientId, ClientSettings, Effect, EffectKind, Items, Queue, Request,
    WaitReason,
};
use crate::role::{Role, WorkerId};

/// How many bytes of items one allocation has.
const ITEM_MEMORY_BYTES: usize = 4096;
/// The longest number, the closing quote and the newline.
const MAX_ITEM_END_BYTES: usize = 22;

/// A run of [`Config`] as one computation.
pub(crate) struct Simulator<'a, O> {
    config: &'a Config,
    queue: Queue,
    pacer: Pacer,
    kill_schedule: Option<KillSchedule>,
    /// By client. `None`: the worker has left.
    workers: Vec<Option<Worker>>,
    producers_left: u32,
    /// An item, up to its number.
    item_prefix: Vec<u8>,
    /// The texts of items are parts of this memory, so that few items need an allocation.
    item_memory: BytesMut,
    observer: &'a mut O,
}

/// A worker process, as far as its requests go.
struct Worker {
    id: WorkerId,
    delays: DelaySampler,
    /// In a run with kills: the delays of a successor. It draws again the delay of the item that the worker has not
    /// finished.
    successor_delays: Option<DelaySampler>,
    /// When the wait for an answer to the put or get began.
    waiting_since: Option<Nanos>,
    /// The number of the producer's next item.
    next_item: u64,
    /// The sequence number of the producer's last put.
    seq: u64,
    /// The items that the worker has put or done, with those of its earlier processes.
    finished_items: u64,
    /// The last respawn has neither put nor done an item yet.
    is_just_restarted: bool,
    /// What a consumer has in flight.
    in_flight: Option<BatchRef>,
}

impl Worker {
    fn new(id: WorkerId, config: &Config, seed: u64) -> Self {
        let delay = match id.role {
            Role::Producer => &config.producer_delay,
            Role::Consumer | Role::Visitor => &config.consumer_delay,
        };
        Self {
            id,
            delays: DelaySampler::new(delay, seed, id, 0),
            successor_delays: None,
            waiting_since: None,
            next_item: u64::from(id.index - 1),
            seq: 0,
            finished_items: 0,
            is_just_restarted: false,
            in_flight: None,
        }
    }

    /// The worker that takes the place of this one after its death, and goes on behind the items that this one has finished.
    fn successor(self, config: &Config) -> Self {
        let first_item = u64::from(self.id.index - 1);
        Self {
            delays: self.successor_delays.unwrap_or(self.delays),
            successor_delays: None,
            waiting_since: None,
            next_item: first_item + self.finished_items * u64::from(config.producers),
            seq: 0,
            is_just_restarted: true,
            in_flight: None,
            ..self
        }
    }

    /// The worker has put or done these items.
    fn finish(&mut self, batch: &Batch) {
        self.finished_items += batch.count();
        self.is_just_restarted = false;
        self.successor_delays = None;
    }
}

impl<'a, O: Observer> Simulator<'a, O> {
    /// All workers are connected and have asked for the first time. `seed` is that of the random delays and kills.
    pub(crate) fn new(config: &'a Config, seed: u64, observer: &'a mut O) -> Self {
        let ids = config.worker_ids();
        let mut item_prefix = Vec::new();
        encode_string(&config.item_name, &mut item_prefix);
        // The closing quote follows the number.
        item_prefix.pop();
        let mut simulator = Self {
            config,
            queue: Queue::new(config.queue_state(), false),
            pacer: Pacer::new(Speed::Max, ids.iter().copied()),
            kill_schedule: config.chaos.map(|mean| KillSchedule::new(nanos(mean), 0, seed)),
            workers: ids.iter().map(|&id| Some(Worker::new(id, config, seed))).collect(),
            producers_left: config.producers,
            item_prefix,
            item_memory: BytesMut::with_capacity(ITEM_MEMORY_BYTES),
            observer,
        };
        for client in 0..simulator.workers.len() {
            simulator.connect(client);
        }
        simulator
    }

    /// Takes up to `turns` turns of workers. Returns whether there may be more.
    pub(crate) fn advance(&mut self, turns: u64) -> bool {
        for _ in 0..turns {
            if self.queue.is_end_due() {
                self.queue.end(ProcessBirth::default());
            }
            let (queue, producers) = (&self.queue, self.config.producers);
            let step = self.pacer.next_step(
                0,
                |role| queue.can_serve_role(role),
                |worker| queue.can_serve(client_of(worker, producers)),
            );
            match step {
                PacerStep::Serve(worker) => {
                    if let Some(effect) = self.queue.serve(self.pacer.now(), self.client(worker)) {
                        self.publish(effect);
                    }
                }
                PacerStep::Wake(worker) => {
                    self.pacer.on_grant(worker, 0);
                    self.resume(self.client(worker));
                }
                PacerStep::BeginWait(worker) => {
                    let reason = WaitReason::of_role(worker.role);
                    let wait = Event::new(self.pacer.now(), EventKind::Waiting(reason));
                    self.observer.on_event(Event { worker: Some(worker), ..wait });
                }
                PacerStep::Kill => self.kill_random_worker(),
                PacerStep::Wait(_) | PacerStep::OutOfTime => return false,
            }
        }
        true
    }

    pub(super) fn observer(&mut self) -> &mut O {
        self.observer
    }

    /// The end of the run, if the run takes no more turns.
    pub(super) fn run_end(&self) -> RunEnd {
        RunEnd {
            at: self.pacer.now(),
            is_out_of_time: self.pacer.is_out_of_time(),
            is_folder_removed: false,
        }
    }

    fn client(&self, worker: WorkerId) -> ClientId {
        client_of(worker, self.config.producers)
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
        let has_no_item = worker.id.role == Role::Producer && worker.next_item >= self.config.items;
        if has_no_item {
            // The worker leaves in its turn.
            self.pacer.on_sleep(worker.id, 0, 0);
        }
        self.apply(client, Request::Connect(settings));
        if !has_no_item {
            self.resume(client);
        }
    }

    /// The worker runs until it rests or leaves.
    fn resume(&mut self, client: ClientId) {
        self.skip_missed_kill();
        let Some(worker) = &mut self.workers[client] else { return };
        let role = worker.id.role;
        if let Some(batch) = worker.in_flight.take() {
            self.apply(client, Request::Done(batch));
        }
        match role {
            Role::Producer => self.put(client),
            Role::Consumer | Role::Visitor => self.wait_for(client, Request::Get { max: 1 }),
        }
        self.prepare_kill();
    }

    /// The producer puts its next item, or leaves.
    fn put(&mut self, client: ClientId) {
        let Some(worker) = &mut self.workers[client] else { return };
        if worker.next_item >= self.config.items {
            return self.leave(client);
        }
        let memory = &mut self.item_memory;
        memory.reserve(self.item_prefix.len() + MAX_ITEM_END_BYTES);
        memory.extend_from_slice(&self.item_prefix);
        memory.extend_from_slice(itoa::Buffer::new().format(worker.next_item).as_bytes());
        memory.extend_from_slice(b"\"\n");
        worker.next_item += u64::from(self.config.producers);
        worker.seq += 1;
        let items = Items { count: 1, bytes: memory.split().freeze() };
        let put = Request::Put { seq: worker.seq, items };
        self.wait_for(client, put);
    }

    /// The worker rests until the answer to its put or get, and then for its next delay.
    fn wait_for(&mut self, client: ClientId, request: Request) {
        let now = self.pacer.now();
        let Some(worker) = &mut self.workers[client] else { return };
        worker.waiting_since.get_or_insert(now);
        self.pacer.on_request(worker.id, 0);
        if self.kill_schedule.is_some() {
            worker.successor_delays = Some(worker.delays.clone());
        }
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
        let waited = kind
            .is_grant()
            .then(|| worker.waiting_since.take().map_or(0, |since| at.saturating_sub(since)));
        let mut on_event =
            |kind| self.observer.on_event(Event { at, worker: Some(id), waited, kind });
        match &kind {
            EffectKind::Accepted { batch, .. } => {
                worker.finish(batch);
                on_event(EventKind::Put(batch));
            }
            EffectKind::Delivered(batch) => {
                on_event(EventKind::Delivered(batch));
                worker.in_flight = Some(whole(batch));
            }
            EffectKind::Done(batch) => {
                worker.finish(batch);
                return on_event(EventKind::Done(batch));
            }
            EffectKind::Requeued(batch) => return on_event(EventKind::Requeued(batch)),
            EffectKind::Ended => {
                self.pacer.on_run(id, 0);
                self.skip_missed_kill();
                self.leave(client);
                return self.prepare_kill();
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
        self.remove(worker.id);
    }

    /// The worker does not come again.
    fn remove(&mut self, worker: WorkerId) {
        self.pacer.on_disconnect(worker);
        if worker.role == Role::Producer {
            self.producers_left -= 1;
            if self.producers_left == 0 {
                self.queue.close();
                self.observer.on_event(Event::new(self.pacer.now(), EventKind::SentinelPut));
            }
        }
    }
}

/// The kills, as those of the parent of a run with processes.
impl<O: Observer> Simulator<'_, O> {
    /// The time of a kill has come, and all workers are at rest.
    fn kill_random_worker(&mut self) {
        let Some(mut schedule) = self.kill_schedule.take() else { return };
        let victim = schedule.pick_victim(self.pacer.now(), || self.kill_candidates().collect());
        self.kill_schedule = Some(schedule);
        if let Some(client) = victim {
            self.kill(client);
        }
        self.prepare_kill();
    }

    /// A worker that has died comes again, unless no work is left for it.
    fn kill(&mut self, client: ClientId) {
        let Some(worker) = &self.workers[client] else { return };
        let id = worker.id;
        let at = self.pacer.now();
        self.pacer.on_death(id, 0);
        let waited = worker.waiting_since.map(|since| at.saturating_sub(since));
        let kind = EventKind::Died(Some(ExitCause::Signal(Signal::KILL.as_raw())));
        self.observer.on_event(Event { at, worker: Some(id), waited, kind });
        self.apply(client, Request::ClientDied { now: at });
        let has_work = self.has_work(client);
        let Some(worker) = self.workers[client].take() else { return };
        if !has_work {
            return self.remove(id);
        }
        let kind = EventKind::Restarted;
        self.observer.on_event(Event { worker: Some(id), ..Event::new(at, kind) });
        self.workers[client] = Some(worker.successor(self.config));
        self.connect(client);
    }

    /// The clients of the workers that a kill may hit. A respawn is safe until it has put or done an item.
    fn kill_candidates(&self) -> impl Iterator<Item = ClientId> {
        let is_candidate = |&client: &ClientId| {
            let worker = self.workers[client].as_ref();
            worker.is_some_and(|worker| !worker.is_just_restarted) && self.has_work(client)
        };
        (0..self.workers.len()).filter(is_candidate)
    }

    fn has_work(&self, client: ClientId) -> bool {
        let Some(worker) = &self.workers[client] else { return false };
        let counts = self.queue.counts();
        match worker.id.role {
            Role::Producer => worker.finished_items < self.config.producer_item_count(worker.id),
            Role::Consumer | Role::Visitor => {
                self.producers_left > 0 || counts.ready + counts.in_flight > 0
            }
        }
    }

    /// Lets time stop at the next kill, if it has a candidate.
    fn prepare_kill(&mut self) {
        if let Some(schedule) = &self.kill_schedule {
            let next = schedule.next_kill;
            let has_candidates = self.kill_candidates().next().is_some();
            self.pacer.set_next_kill(has_candidates.then_some(next));
        }
    }

    /// A kill whose time has passed without a candidate comes at the next time.
    fn skip_missed_kill(&mut self) {
        if let Some(schedule) = &mut self.kill_schedule {
            let _none = schedule.pick_victim(self.pacer.now(), Vec::<ClientId>::new);
        }
    }
}

/// The client of a worker: producers come first.
fn client_of(worker: WorkerId, producers: u32) -> ClientId {
    let before = if worker.role == Role::Producer { 0 } else { producers };
    (before + worker.index - 1) as ClientId
}

/// All of a batch in flight.
fn whole(batch: &Batch) -> BatchRef {
    BatchRef { first_id: batch.first_id, count: batch.count(), attempt: Some(batch.attempt) }
}
