//! A picture of a run: a lane for each worker, an arrow for each delivery, and the queue's depth.
//!
//! A timeline keeps every event of a short run, as long as a picture can show the events apart. It
//! always keeps a bounded number of deliveries, and a bounded number of time bins with the states of each
//! worker and the depth of the queue. For a long run it keeps only these.

mod axis;
mod bins;
mod chart;
mod depth;
mod lane;
mod lanes;
mod page;
mod page_data;
mod recording;
mod statistics;
mod steps;
mod style;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::item::{display_text, escape_for_terminal};
use crate::queue::Batch;
use crate::role::WorkerId;
use bins::{Bins, DepthBin, MAX_BINS};
use lane::{Lane, Resolution};
pub(crate) use page::PictureFormat;
pub(crate) use recording::Recording;
use statistics::PageStatistics;
use steps::Step;

/// A picture can show this many deliveries apart.
const MAX_DELIVERIES: usize = 500;
/// The limit of all events, per delivery. Without it a timeline would keep every event of a run without
/// deliveries.
const MAX_EVENTS_PER_DELIVERY: usize = 16;
/// The longest label of an item in a picture, in characters.
const MAX_LABEL_LEN: usize = 40;

/// Collects the events of a run for its picture.
#[derive(Debug)]
pub(crate) struct Timeline {
    lanes: BTreeMap<WorkerId, Lane>,
    capacity: Option<u64>,
    /// The time of the first event, where the picture starts.
    origin: Option<Nanos>,
    /// The times of the timeline count from its origin.
    last_event_at: Nanos,
    resolution: Resolution,
    depth: u64,
    depth_bins: Bins<DepthBin>,
    /// Each change of the depth, while the resolution is exact.
    depth_changes: Vec<(Nanos, u64)>,
    /// The timeline follows the items with an id that is a multiple of this.
    sampling_stride: u64,
    /// The origins of the ready items that the timeline follows, by id.
    ready_sources: BTreeMap<u64, ArrowEnd>,
    deliveries: Vec<DeliveryArrow>,
    /// The number of all delivered items.
    delivered_total: u64,
    /// The number of all items that were put.
    put_total: u64,
    /// The labels of items by id, while the resolution is exact.
    item_labels: BTreeMap<u64, String>,
    /// Each event, while the resolution is exact.
    steps: Vec<Step>,
    /// The statistics of a page.
    statistics: Option<PageStatistics>,
}

/// One end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ArrowEnd {
    worker: WorkerId,
    at: Nanos,
}

/// The way of an item from a producer, or from a dead consumer, to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeliveryArrow {
    id: u64,
    attempt: u32,
    from: ArrowEnd,
    to: ArrowEnd,
}

impl Timeline {
    /// A timeline of a queue. Each of `workers` has a lane even without an event, and each further worker
    /// gets a lane with its first event.
    pub(crate) fn new(capacity: Option<u64>, workers: impl IntoIterator<Item = WorkerId>) -> Self {
        let lanes = workers.into_iter().map(|worker| (worker, Lane::new(worker.role)));
        Self {
            lanes: lanes.collect(),
            capacity,
            origin: None,
            last_event_at: 0,
            resolution: Resolution { bin_width: 1, is_exact: true },
            depth: 0,
            depth_bins: Bins::default(),
            depth_changes: vec![(0, 0)],
            sampling_stride: 1,
            ready_sources: BTreeMap::new(),
            deliveries: Vec::new(),
            delivered_total: 0,
            put_total: 0,
            item_labels: BTreeMap::new(),
            steps: Vec::new(),
            statistics: None,
        }
    }

    /// Collects the statistics too, which a page shows beside the picture.
    pub(crate) fn with_statistics(mut self, is_simulated: bool) -> Self {
        let workers = self.lanes.keys().copied();
        self.statistics = Some(PageStatistics::new(workers, is_simulated));
        self
    }

    /// Whether the run was paced. The first event of a paced run is at time 0; without delays the processes need some
    /// time to start.
    fn is_paced(&self) -> bool {
        self.origin.unwrap_or_default() == 0
    }

    pub(crate) fn on_event(&mut self, event: Event<'_>) {
        if let Some(statistics) = &mut self.statistics {
            statistics.on_event(event);
        }
        let origin = *self.origin.get_or_insert(event.at);
        self.advance_to(event.at.saturating_sub(origin));
        self.record_step(&event);
        if let EventKind::Cleared = event.kind {
            self.ready_sources.clear();
            self.set_depth(0);
        }
        let Some(worker) = event.worker else { return };
        let (at, resolution) = (self.last_event_at, self.resolution);
        self.lane_mut(worker).on_event(&Event { at, ..event }, resolution);
        let end = ArrowEnd { worker, at };
        match event.kind {
            EventKind::Put(batch) => {
                self.put_total += batch.count();
                self.record_ready(batch, end);
            }
            EventKind::Delivered(batch) => self.record_delivery(batch, end),
            EventKind::Requeued(batch) => self.record_ready(batch, end),
            _ => {}
        }
    }

    /// Keeps the event for a page, unless there are too many.
    fn record_step(&mut self, event: &Event<'_>) {
        if !self.resolution.is_exact {
            return;
        }
        let limit = MAX_DELIVERIES * MAX_EVENTS_PER_DELIVERY;
        self.steps.extend(Step::all_of(self.last_event_at, event).take(limit));
        if self.steps.len() > limit {
            self.drop_details();
        }
    }

    /// The lane of a worker. A new worker gets a new lane.
    fn lane_mut(&mut self, worker: WorkerId) -> &mut Lane {
        self.lanes.entry(worker).or_insert_with(|| Lane::new(worker.role))
    }

    /// Fills the bins up to this time. A bin becomes twice as wide when there would be too many bins.
    fn advance_to(&mut self, at: Nanos) {
        let at = at.max(self.last_event_at);
        while at / self.resolution.bin_width >= MAX_BINS as u64 {
            self.resolution.bin_width *= 2;
            self.depth_bins.merge_pairs();
            self.lanes.values_mut().for_each(|lane| lane.time_bins.merge_pairs());
        }
        let depth = self.depth;
        let width = self.resolution.bin_width;
        self.depth_bins
            .for_each_bin(width, self.last_event_at, at, |bin, time| bin.add(depth, time));
        self.last_event_at = at;
    }

    fn record_ready(&mut self, batch: &Batch, from: ArrowEnd) {
        self.set_depth(self.depth + batch.count());
        self.keep_labels(batch);
        let Some(first) = batch.first_id.checked_next_multiple_of(self.sampling_stride) else {
            return;
        };
        for id in (first..batch.end_id())
            .step_by(usize::try_from(self.sampling_stride).unwrap_or(usize::MAX))
        {
            if id % self.sampling_stride == 0 {
                self.ready_sources.insert(id, from);
                self.thin_out_deliveries();
            }
        }
    }

    fn record_delivery(&mut self, batch: &Batch, to: ArrowEnd) {
        self.set_depth(self.depth.saturating_sub(batch.count()));
        self.delivered_total += batch.count();
        self.keep_labels(batch);
        let followed_ids: Vec<_> =
            self.ready_sources.range(batch.first_id..batch.end_id()).map(|(&id, _)| id).collect();
        for id in followed_ids {
            if let Some(from) = self.ready_sources.remove(&id) {
                self.deliveries.push(DeliveryArrow { id, attempt: batch.attempt, from, to });
            }
        }
        self.thin_out_deliveries();
    }

    fn keep_labels(&mut self, batch: &Batch) {
        if !self.resolution.is_exact {
            return;
        }
        for (id, item) in batch.iter_with_ids().take(MAX_DELIVERIES + 1) {
            self.item_labels.entry(id).or_insert_with(|| item_label(item));
        }
    }

    fn set_depth(&mut self, depth: u64) {
        self.depth = depth;
        if !self.resolution.is_exact {
            return;
        }
        let at = self.last_event_at;
        // A depth of no duration would be a needle that nobody can see in the run.
        if self.depth_changes.last().is_some_and(|last| last.0 == at) {
            self.depth_changes.pop();
        }
        if self.depth_changes.last().is_none_or(|last| last.1 != depth) {
            self.depth_changes.push((at, depth));
        }
    }

    /// Bounds the number of followed items: as long as there are too many, the stride doubles.
    fn thin_out_deliveries(&mut self) {
        while self.ready_sources.len() + self.deliveries.len() > MAX_DELIVERIES {
            self.drop_details();
            let Some(stride) = self.sampling_stride.checked_mul(2) else { return };
            self.sampling_stride = stride;
            self.ready_sources.retain(|id, _| id % stride == 0);
            self.deliveries.retain(|delivery| delivery.id % stride == 0);
        }
    }

    /// Drops single events: from now on the timeline keeps bins only.
    fn drop_details(&mut self) {
        self.resolution.is_exact = false;
        self.depth_changes = Vec::new();
        self.item_labels = BTreeMap::new();
        self.steps = Vec::new();
        self.lanes.values_mut().for_each(Lane::drop_intervals);
    }

    /// Ends all lanes: the run ended at this time.
    fn finish(&mut self, at: Nanos) {
        self.advance_to(at.saturating_sub(self.origin.unwrap_or_default()));
        let (at, resolution) = (self.last_event_at, self.resolution);
        self.lanes.values_mut().for_each(|lane| lane.finish(at, resolution));
    }
}

/// The label of an item in a picture.
fn item_label(item: &[u8]) -> String {
    let name = display_text(item);
    // XML allows neither of these two characters.
    let name = escape_for_terminal(&name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= MAX_LABEL_LEN {
        return name;
    }
    // Items often differ only at their ends.
    let half = MAX_LABEL_LEN / 2;
    chars[..half].iter().chain(&['…']).chain(&chars[chars.len() - half..]).collect()
}
