//! Statistics of a run, gathered from its events as they come; what is kept does not grow with the
//! number of items, but for those that are in the queue.

mod batch_means;
mod summary;
mod text;
mod theory;

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::EventName;
use crate::clock::Nanos;
use crate::queue::Batch;
use crate::role::{Role, WorkerId};
use batch_means::{BatchMeans, RunningTotals};
pub(crate) use summary::StatsSummary;
pub(crate) use theory::ModelInput;

/// Percentiles are exact to one part in 10,000.
const SIGNIFICANT_DIGITS: u8 = 4;

/// Something that happened, as statistics and pictures take it in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEvent<'a> {
    /// Nanoseconds since the start of the run.
    pub(crate) at: Nanos,
    pub(crate) name: EventName,
    pub(crate) worker: WorkerId,
    /// The items, if it happened to some.
    pub(crate) batch: Option<&'a Batch>,
    /// For how long the worker had waited, for room or for an item.
    pub(crate) waited: Nanos,
}

/// Gathers.
#[derive(Debug)]
pub(crate) struct StatsCollector {
    model_input: ModelInput,
    /// Items up to this number are not counted.
    warmup: u64,
    /// When counting began: with the first item that counts.
    counting_since: Nanos,
    /// The last event.
    last_event_at: Nanos,
    depth: u64,
    max_depth: u64,
    in_system: u64,
    sums: RunningTotals,
    batches: BatchMeans,
    waiting_times: TimeDistribution,
    sojourn_times: TimeDistribution,
    /// What is in the system, by number from `first` on; none for what is done.
    open_sojourns: VecDeque<Option<Sojourn>>,
    first_id: u64,
    /// By number from 1.
    blocked_times: Vec<Nanos>,
    /// By number from 1.
    consumer_stats: Vec<ConsumerStats>,
    /// Somebody died, or it was ended early: no formula is about that.
    is_model_invalid: bool,
}

/// The stay of an item in the system.
#[derive(Clone, Copy, Debug)]
struct Sojourn {
    put_at: Nanos,
    /// For how long it has been in line, up to `since`.
    waiting_time: Nanos,
    /// When it came in line the last time, or was handed out.
    state_since: Nanos,
}

/// What a consumer has done.
#[derive(Clone, Copy, Debug, Default)]
struct ConsumerStats {
    items_done: u64,
    in_flight: u64,
    /// With something in hand.
    busy_time: Nanos,
}

/// How values are spread.
#[derive(Debug)]
struct TimeDistribution {
    histogram: Option<Histogram<u64>>,
    sum: u128,
    count: u64,
    min: Nanos,
    max: Nanos,
}

impl TimeDistribution {
    fn new() -> Self {
        // It can't be refused: the number of digits is in range.
        let histogram = Histogram::new(SIGNIFICANT_DIGITS).ok();
        Self { histogram, sum: 0, count: 0, min: Nanos::MAX, max: 0 }
    }

    fn record(&mut self, value: Nanos) {
        if let Some(histogram) = &mut self.histogram {
            // It grows with what it is given, and so refuses nothing.
            let _ = histogram.record(value);
        }
        self.sum += u128::from(value);
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// In nanoseconds.
    fn quantile(&self, part: f64) -> Option<Nanos> {
        let histogram = self.histogram.as_ref().filter(|_| self.count > 0)?;
        // A bucket's value may lie outside of what was in it.
        Some(histogram.value_at_quantile(part).clamp(self.min, self.max))
    }
}

impl StatsCollector {
    /// Of a run of this plant, without its first `warmup` items.
    pub(crate) fn new(input: ModelInput, warmup: u64) -> Self {
        let [producers, consumers] = input.workers.map(|count| count as usize);
        Self {
            model_input: input,
            warmup,
            counting_since: 0,
            last_event_at: 0,
            depth: 0,
            max_depth: 0,
            in_system: 0,
            sums: RunningTotals::default(),
            batches: BatchMeans::new(input.items.saturating_sub(warmup)),
            waiting_times: TimeDistribution::new(),
            sojourn_times: TimeDistribution::new(),
            open_sojourns: VecDeque::new(),
            first_id: 1,
            blocked_times: vec![0; producers],
            consumer_stats: vec![ConsumerStats::default(); consumers],
            is_model_invalid: false,
        }
    }

    /// What is not as the plant was planned.
    pub(crate) fn invalidate_model(&mut self) {
        self.is_model_invalid = true;
    }

    /// Takes in what happened.
    pub(crate) fn record(&mut self, event: &RunEvent<'_>) {
        let RunEvent { at, name: kind, worker, batch, waited } = *event;
        self.advance_to(at);
        let Some(batch) = batch else {
            return;
        };
        match kind {
            EventName::Put => self.record_put(worker, batch, waited),
            EventName::Delivered => self.record_delivery(worker, batch),
            EventName::Requeued => self.record_requeue(worker, batch),
            EventName::Done => self.record_done(worker, batch),
            EventName::Died
            | EventName::Restart
            | EventName::Exited
            | EventName::Clear
            | EventName::End => {}
        }
    }

    /// What was in line has been dropped.
    pub(crate) fn record_clear(&mut self, at: Nanos) {
        self.advance_to(at);
        self.in_system -= self.depth.min(self.in_system);
        self.depth = 0;
        self.is_model_invalid = true;
    }

    /// Time goes on.
    pub(crate) fn advance_to(&mut self, at: Nanos) {
        let span = at.saturating_sub(self.last_event_at);
        if span == 0 {
            return;
        }
        self.last_event_at = at;
        self.sums.elapsed += span;
        self.sums.depth_integral += u128::from(self.depth) * u128::from(span);
        self.sums.in_system_integral += u128::from(self.in_system) * u128::from(span);
        for hands in self.consumer_stats.iter_mut().filter(|hands| hands.in_flight > 0) {
            hands.busy_time += span;
            self.sums.busy_time += u128::from(span);
        }
    }

    fn record_put(&mut self, producer: WorkerId, batch: &Batch, waited: Nanos) {
        let first_counted = self.first_counted_id();
        if batch.first_id <= first_counted && first_counted < batch.end_id() {
            self.start_counting();
        }
        if let Some(blocked) = self.blocked_times.get_mut(producer.index as usize - 1) {
            // As far as it lies in what is counted.
            *blocked += waited.min(self.last_event_at - self.counting_since);
        }
        self.sums.blocked_time += u128::from(waited.min(self.last_event_at - self.counting_since));
        let stay = Sojourn {
            put_at: self.last_event_at,
            waiting_time: 0,
            state_since: self.last_event_at,
        };
        self.open_sojourns.extend((0..batch.count()).map(|_| Some(stay)));
        self.in_system += batch.count();
        self.add_ready(batch.count());
    }

    /// The number of the first item that counts. No run has so many items that it would not fit.
    fn first_counted_id(&self) -> u64 {
        self.warmup.saturating_add(1)
    }

    /// The first item that counts is there.
    fn start_counting(&mut self) {
        self.counting_since = self.last_event_at;
        self.sums = RunningTotals::default();
        self.max_depth = self.depth;
        self.blocked_times.fill(0);
        self.consumer_stats.iter_mut().for_each(|hands| hands.busy_time = 0);
    }

    fn add_ready(&mut self, count: u64) {
        self.depth += count;
        self.max_depth = self.max_depth.max(self.depth);
    }

    fn record_delivery(&mut self, consumer: WorkerId, batch: &Batch) {
        self.depth -= batch.count().min(self.depth);
        let now = self.last_event_at;
        for stay in self.sojourns_mut(batch) {
            stay.waiting_time += now - stay.state_since;
            stay.state_since = now;
        }
        if let Some(hands) = self.consumer_stats_mut(consumer) {
            hands.in_flight += batch.count();
        }
    }

    fn record_requeue(&mut self, consumer: WorkerId, batch: &Batch) {
        let now = self.last_event_at;
        self.sojourns_mut(batch).for_each(|stay| stay.state_since = now);
        self.add_ready(batch.count());
        if let Some(hands) = self.consumer_stats_mut(consumer) {
            hands.in_flight -= batch.count().min(hands.in_flight);
        }
    }

    fn record_done(&mut self, consumer: WorkerId, batch: &Batch) {
        let count = batch.count();
        self.in_system -= count.min(self.in_system);
        let counted = batch.end_id().saturating_sub(batch.first_id.max(self.first_counted_id()));
        if let Some(hands) = self.consumer_stats_mut(consumer) {
            hands.in_flight -= count.min(hands.in_flight);
            hands.items_done += counted;
        }
        for id in batch.first_id..batch.end_id() {
            let stay = self.sojourn_entry(id).and_then(Option::take);
            if let Some(stay) = stay.filter(|_| id > self.warmup) {
                self.record_sojourn(stay);
            }
        }
        while let Some(None) = self.open_sojourns.front() {
            self.open_sojourns.pop_front();
            self.first_id += 1;
        }
    }

    fn record_sojourn(&mut self, stay: Sojourn) {
        let sojourn = self.last_event_at - stay.put_at;
        self.waiting_times.record(stay.waiting_time);
        self.sojourn_times.record(sojourn);
        self.sums.items_done += 1;
        self.sums.total_waiting_time += u128::from(stay.waiting_time);
        self.sums.total_sojourn_time += u128::from(sojourn);
        self.sums.items_delayed += u64::from(stay.waiting_time > 0);
        self.batches.record_done(&self.sums);
    }

    fn consumer_stats_mut(&mut self, consumer: WorkerId) -> Option<&mut ConsumerStats> {
        debug_assert!(consumer.role == Role::Consumer);
        self.consumer_stats.get_mut(consumer.index as usize - 1)
    }

    fn sojourn_entry(&mut self, id: u64) -> Option<&mut Option<Sojourn>> {
        self.open_sojourns.get_mut(usize::try_from(id.checked_sub(self.first_id)?).ok()?)
    }

    fn sojourns_mut(&mut self, batch: &Batch) -> impl Iterator<Item = &mut Sojourn> {
        let from =
            usize::try_from(batch.first_id.saturating_sub(self.first_id)).unwrap_or(usize::MAX);
        let count = usize::try_from(batch.count()).unwrap_or(usize::MAX);
        self.open_sojourns.iter_mut().skip(from).take(count).flatten()
    }
}
