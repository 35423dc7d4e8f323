//! Statistics of a run, collected from its events. The memory grows only with the number of items that
//! are in the queue, not with the number of all items.

mod batch_means;
mod figures;
mod summary;
mod text;
mod theory;

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::queue::Batch;
use crate::role::{Role, WorkerId};
use batch_means::{BatchMeans, RunningTotals};
pub(crate) use summary::StatsSummary;
#[cfg(test)]
pub(crate) use theory::textbook;
pub(crate) use theory::{Averages, ModelInput, SteadyState};

/// Percentiles are exact to one part in 10,000.
const SIGNIFICANT_DIGITS: u8 = 4;

/// Collects the statistics of a run.
#[derive(Debug)]
pub(crate) struct StatsCollector {
    model_input: ModelInput,
    /// Items with an id up to this number do not count.
    warmup: u64,
    last_event_at: Nanos,
    depth: u64,
    max_depth: u64,
    in_system: u64,
    sums: RunningTotals,
    batches: BatchMeans,
    waiting_times: TimeDistribution,
    sojourn_times: TimeDistribution,
    /// The items in the system, by id from `first_id` on; `None` for an item that is done.
    open_sojourns: VecDeque<Option<Sojourn>>,
    first_id: u64,
    /// Worker `n` is at `n - 1`.
    blocked_times: Vec<Nanos>,
    /// Worker `n` is at `n - 1`.
    consumer_stats: Vec<ConsumerStats>,
    /// The number of consumers that have items in flight.
    busy_consumers: u64,
    /// A worker died, or the run ended early: no formula covers such a run.
    is_model_invalid: bool,
    /// The run has dropped ready items: their times in the system have no end.
    has_dropped_items: bool,
}

/// The time of an item in the system, from its put until it is done.
#[derive(Clone, Copy, Debug)]
struct Sojourn {
    put_at: Nanos,
    /// The time that the item was ready, up to `state_since`.
    waiting_time: Nanos,
    /// The time when the item became ready or in flight.
    state_since: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct ConsumerStats {
    items_done: u64,
    in_flight: u64,
    /// The time in which the consumer had items in flight, up to `busy_since` if it has items in flight now.
    busy_time: Nanos,
    busy_since: Nanos,
}

impl ConsumerStats {
    /// The time in which the consumer had items in flight.
    fn busy_time_until(&self, now: Nanos) -> Nanos {
        let open = if self.in_flight > 0 { now.saturating_sub(self.busy_since) } else { 0 };
        self.busy_time + open
    }
}

/// The distribution of times.
#[derive(Debug)]
struct TimeDistribution {
    /// Small counters stay in the cache. A counter stops at 2³² - 1, which takes a run of billions of equal times.
    histogram: Option<Histogram<u32>>,
    min: Nanos,
    max: Nanos,
}

impl TimeDistribution {
    fn new() -> Self {
        // The call cannot fail: the number of digits is in range.
        let histogram = Histogram::new(SIGNIFICANT_DIGITS).ok();
        Self { histogram, min: Nanos::MAX, max: 0 }
    }

    fn record(&mut self, value: Nanos) {
        if let Some(histogram) = &mut self.histogram {
            // The histogram resizes itself, and so refuses no value.
            let _ = histogram.record(value);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// In nanoseconds.
    fn quantile(&self, part: f64) -> Option<Nanos> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        // The value of a bucket may lie outside of the recorded range.
        Some(histogram.value_at_quantile(part).clamp(self.min, self.max))
    }
}

impl StatsCollector {
    /// Statistics without the first `warmup` items.
    pub(crate) fn new(input: ModelInput, warmup: u64) -> Self {
        let [producers, consumers] = input.workers.map(|count| count as usize);
        let counted_items = input.items.saturating_sub(warmup);
        Self {
            model_input: input,
            warmup,
            last_event_at: 0,
            depth: 0,
            max_depth: 0,
            in_system: 0,
            sums: RunningTotals::default(),
            batches: BatchMeans::new(counted_items),
            waiting_times: TimeDistribution::new(),
            sojourn_times: TimeDistribution::new(),
            open_sojourns: VecDeque::new(),
            first_id: 1,
            blocked_times: vec![0; producers],
            consumer_stats: vec![ConsumerStats::default(); consumers],
            busy_consumers: 0,
            is_model_invalid: false,
            has_dropped_items: false,
        }
    }

    /// The same without percentiles, whose counters cost a sixth of the time of a simulated run.
    pub(crate) fn without_percentiles(mut self) -> Self {
        self.waiting_times.histogram = None;
        self.sojourn_times.histogram = None;
        self
    }

    /// The run no longer follows its model: no formula applies.
    pub(crate) fn invalidate_model(&mut self) {
        self.is_model_invalid = true;
    }

    pub(crate) fn on_event(&mut self, event: Event<'_>) {
        self.advance_to(event.at);
        match (event.kind, event.worker) {
            (EventKind::Put(batch), Some(producer)) => {
                self.record_put(producer, batch, event.waited.unwrap_or_default());
            }
            (EventKind::Delivered(batch), Some(consumer)) => self.record_delivery(consumer, batch),
            (EventKind::Requeued(batch), Some(consumer)) => self.record_requeue(consumer, batch),
            (EventKind::Done(batch), Some(consumer)) => self.record_done(consumer, batch),
            (EventKind::Died(_), _) => self.is_model_invalid = true,
            (EventKind::Cleared, _) => {
                self.in_system -= self.depth.min(self.in_system);
                self.has_dropped_items |= self.depth > 0;
                self.depth = 0;
                self.is_model_invalid = true;
            }
            _ => {}
        }
    }

    /// Adds the time since the last event to all averages over time.
    fn advance_to(&mut self, at: Nanos) {
        let span = at.saturating_sub(self.last_event_at);
        if span == 0 {
            return;
        }
        self.last_event_at = at;
        self.sums.elapsed += span;
        self.sums.depth_integral += u128::from(self.depth) * u128::from(span);
        self.sums.in_system_integral += u128::from(self.in_system) * u128::from(span);
        self.sums.busy_time += u128::from(self.busy_consumers) * u128::from(span);
    }

    fn record_put(&mut self, producer: WorkerId, batch: &Batch, waited: Nanos) {
        let first_counted = self.first_counted_id();
        if batch.first_id <= first_counted && first_counted < batch.end_id() {
            self.start_counting();
        }
        // A wait before the first item that counts does not count.
        let waited = waited.min(self.sums.elapsed);
        let index = producer.index as usize;
        // A recording does not tell the number of workers beforehand.
        if self.blocked_times.len() < index {
            self.blocked_times.resize(index, 0);
        }
        if let Some(blocked) = self.blocked_times.get_mut(index - 1) {
            *blocked += waited;
        }
        self.sums.blocked_time += u128::from(waited);
        let sojourn = Sojourn {
            put_at: self.last_event_at,
            waiting_time: 0,
            state_since: self.last_event_at,
        };
        self.open_sojourns.extend((0..batch.count()).map(|_| Some(sojourn)));
        self.in_system += batch.count();
        self.add_ready(batch.count());
    }

    /// The id of the first item that counts. No run has enough items for an overflow.
    fn first_counted_id(&self) -> u64 {
        self.warmup.saturating_add(1)
    }

    /// Counts from now on: the first item that counts is put.
    fn start_counting(&mut self) {
        self.sums = RunningTotals::default();
        self.max_depth = self.depth;
        self.blocked_times.fill(0);
        for consumer in &mut self.consumer_stats {
            (consumer.busy_time, consumer.busy_since) = (0, self.last_event_at);
        }
    }

    fn add_ready(&mut self, count: u64) {
        self.depth += count;
        self.max_depth = self.max_depth.max(self.depth);
    }

    fn record_delivery(&mut self, consumer: WorkerId, batch: &Batch) {
        self.depth -= batch.count().min(self.depth);
        let now = self.last_event_at;
        for sojourn in self.sojourns_mut(batch) {
            sojourn.waiting_time += now - sojourn.state_since;
            sojourn.state_since = now;
        }
        self.change_in_flight(consumer, |in_flight| in_flight + batch.count());
    }

    fn record_requeue(&mut self, consumer: WorkerId, batch: &Batch) {
        let now = self.last_event_at;
        self.sojourns_mut(batch).for_each(|sojourn| sojourn.state_since = now);
        self.add_ready(batch.count());
        self.change_in_flight(consumer, |in_flight| in_flight.saturating_sub(batch.count()));
    }

    fn record_done(&mut self, consumer: WorkerId, batch: &Batch) {
        let count = batch.count();
        self.in_system -= count.min(self.in_system);
        let counted = batch.end_id().saturating_sub(batch.first_id.max(self.first_counted_id()));
        self.change_in_flight(consumer, |in_flight| in_flight.saturating_sub(count));
        if let Some(stats) = self.consumer_stats_mut(consumer) {
            stats.items_done += counted;
        }
        for id in batch.first_id..batch.end_id() {
            let sojourn = self.sojourn_entry(id).and_then(Option::take);
            if let Some(sojourn) = sojourn.filter(|_| id > self.warmup) {
                self.record_sojourn(sojourn);
            }
        }
        while let Some(None) = self.open_sojourns.front() {
            self.open_sojourns.pop_front();
            self.first_id += 1;
        }
    }

    fn record_sojourn(&mut self, sojourn: Sojourn) {
        let sojourn_time = self.last_event_at - sojourn.put_at;
        self.waiting_times.record(sojourn.waiting_time);
        self.sojourn_times.record(sojourn_time);
        self.sums.items_done += 1;
        self.sums.total_waiting_time += u128::from(sojourn.waiting_time);
        self.sums.total_sojourn_time += u128::from(sojourn_time);
        self.sums.items_delayed += u64::from(sojourn.waiting_time > 0);
        self.batches.record_done(&self.sums);
    }

    /// Changes the number of items that a consumer has in flight.
    fn change_in_flight(&mut self, consumer: WorkerId, change: impl FnOnce(u64) -> u64) {
        let now = self.last_event_at;
        let Some(stats) = self.consumer_stats_mut(consumer) else { return };
        stats.busy_time = stats.busy_time_until(now);
        stats.busy_since = now;
        let before = stats.in_flight;
        stats.in_flight = change(before);
        let after = stats.in_flight;
        self.busy_consumers -= u64::from(before > 0);
        self.busy_consumers += u64::from(after > 0);
    }

    fn consumer_stats_mut(&mut self, consumer: WorkerId) -> Option<&mut ConsumerStats> {
        debug_assert!(consumer.role == Role::Consumer);
        let index = consumer.index as usize;
        if self.consumer_stats.len() < index {
            self.consumer_stats.resize(index, ConsumerStats::default());
        }
        self.consumer_stats.get_mut(index - 1)
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
