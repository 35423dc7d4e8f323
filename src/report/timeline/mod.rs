//! A picture of a run: a lane for each worker, an arrow for each hand-over, and the queue's depth.
//!
//! Every event is kept while there are few enough to be told apart in the picture. Beside that, and of
//! long runs only that, parts of time are kept, at most so many: what each worker was about in them, and
//! how deep the queue was; and some of the hand-overs.

mod axis;
mod bins;
mod chart;
mod depth;
mod lane;
mod lanes;
mod page;
mod recording;
mod style;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use super::{EventName, RunEvent};
use crate::clock::Nanos;
use crate::item::{display_text, escape_for_terminal};
use crate::queue::Batch;
use crate::role::WorkerId;
use bins::{Bins, DepthBin, MAX_BINS};
use lane::{Lane, Resolution};
pub(crate) use page::PictureFormat;
pub(crate) use recording::Recording;

/// So many hand-overs can be told apart.
const MAX_DELIVERIES: usize = 500;
/// So many other events, for each of these; else a run without any hand-over would be kept whole.
const MAX_EVENTS_PER_DELIVERY: usize = 16;
/// The longest name of an item that a picture shows, in characters.
const MAX_LABEL_LEN: usize = 40;

/// Records what a picture is drawn from.
#[derive(Debug)]
pub(crate) struct Timeline {
    lanes: BTreeMap<WorkerId, Lane>,
    /// How many items may be in line.
    capacity: Option<u64>,
    /// The last event.
    last_event_at: Nanos,
    resolution: Resolution,
    /// How deep the queue is now, and was.
    depth: u64,
    depth_bins: Bins<DepthBin>,
    /// Each change of the depth, if every event is kept.
    depth_changes: Vec<(Nanos, u64)>,
    /// Each item whose number is a multiple of this is followed.
    sampling_stride: u64,
    /// Where the items in line that are followed came from.
    ready_sources: BTreeMap<u64, ArrowEnd>,
    deliveries: Vec<DeliveryArrow>,
    /// All that have been.
    delivered_total: u64,
    /// And all items.
    put_total: u64,
    /// By number: as long as every event is kept.
    item_labels: BTreeMap<u64, String>,
}

/// One end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ArrowEnd {
    worker: WorkerId,
    at: Nanos,
}

/// An item goes from one worker to another; or from a dead one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeliveryArrow {
    id: u64,
    attempt: u32,
    from: ArrowEnd,
    to: ArrowEnd,
}

impl Timeline {
    /// Of a queue with this capacity, if it is known and there is one; with a lane for each of these
    /// workers, whatever they do, and for whoever else comes.
    pub(crate) fn new(capacity: Option<u64>, workers: impl IntoIterator<Item = WorkerId>) -> Self {
        let lanes = workers.into_iter().map(|worker| (worker, Lane::new(worker.role)));
        Self {
            lanes: lanes.collect(),
            capacity,
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
        }
    }

    /// Takes in what happened.
    pub(crate) fn record(&mut self, event: &RunEvent<'_>) {
        let RunEvent { at, name: kind, worker, batch, waited } = *event;
        self.advance_to(at);
        let at = self.last_event_at;
        let scale = self.resolution;
        let lane = self.lanes.entry(worker).or_insert_with(|| Lane::new(worker.role));
        match (kind, batch) {
            (EventName::Put, Some(batch)) => {
                lane.record_put(at, waited, batch.first_id, batch.count(), scale)
            }
            (EventName::Delivered, Some(batch)) => {
                lane.record_delivery(at, batch.first_id, batch.count(), scale)
            }
            (EventName::Done | EventName::Requeued, Some(batch)) => {
                lane.release_items(at, batch.count(), scale)
            }
            (EventName::Died, _) => lane.record_death(at, waited, scale),
            (EventName::Restart, _) => lane.record_restart(at, scale),
            (EventName::Exited, _) => lane.record_exit(at, waited, scale),
            (EventName::Clear | EventName::End, _) | (_, None) => {}
        }
        let Some(batch) = batch else { return };
        let end = ArrowEnd { worker, at };
        match kind {
            EventName::Put => {
                self.put_total += batch.count();
                self.record_ready(batch, end);
            }
            EventName::Requeued => self.record_ready(batch, end),
            EventName::Delivered => self.record_delivery(batch, end),
            _ => {}
        }
        if self.resolution.is_exact {
            let others = self.depth_changes.len()
                + self.lanes.values().map(|l| l.intervals.len()).sum::<usize>();
            if others > MAX_DELIVERIES * MAX_EVENTS_PER_DELIVERY {
                self.drop_details();
            }
        }
    }

    /// What was in line has been dropped.
    pub(crate) fn record_clear(&mut self, at: Nanos) {
        self.advance_to(at);
        self.ready_sources.clear();
        self.set_depth(0);
    }

    /// Whether nothing has happened.
    fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Time goes on.
    fn advance_to(&mut self, at: Nanos) {
        let at = at.max(self.last_event_at);
        while at / self.resolution.bin_width >= MAX_BINS as u64 {
            self.resolution.bin_width *= 2;
            self.depth_bins.merge_pairs();
            self.lanes.values_mut().for_each(|lane| lane.time_bins.merge_pairs());
        }
        let depth = self.depth;
        self.depth_bins.for_each_bin(
            self.resolution.bin_width,
            self.last_event_at,
            at,
            |level, time| level.add(depth, time),
        );
        self.last_event_at = at;
    }

    fn record_ready(&mut self, batch: &Batch, from: ArrowEnd) {
        self.set_depth(self.depth + batch.count());
        if self.resolution.is_exact {
            self.keep_labels(batch);
        }
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
        if self.resolution.is_exact {
            self.keep_labels(batch);
        }
        let followed: Vec<_> =
            self.ready_sources.range(batch.first_id..batch.end_id()).map(|(&id, _)| id).collect();
        for id in followed {
            if let Some(from) = self.ready_sources.remove(&id) {
                self.deliveries.push(DeliveryArrow { id, attempt: batch.attempt, from, to });
            }
        }
        self.thin_out_deliveries();
    }

    fn keep_labels(&mut self, batch: &Batch) {
        for (id, item) in batch.iter_with_ids().take(MAX_DELIVERIES + 1) {
            self.item_labels.entry(id).or_insert_with(|| item_label(item));
        }
    }

    fn set_depth(&mut self, depth: u64) {
        self.depth = depth;
        self.depth_bins.bin_mut(self.resolution.bin_width, self.last_event_at).add(depth, 0);
        if self.resolution.is_exact {
            self.depth_changes.push((self.last_event_at, depth));
        }
    }

    /// What is followed is bounded: when it becomes too much, it is every second item only.
    fn thin_out_deliveries(&mut self) {
        while self.ready_sources.len() + self.deliveries.len() > MAX_DELIVERIES {
            self.drop_details();
            let Some(stride) = self.sampling_stride.checked_mul(2) else { return };
            self.sampling_stride = stride;
            self.ready_sources.retain(|id, _| id % stride == 0);
            self.deliveries.retain(|handover| handover.id % stride == 0);
        }
    }

    fn drop_details(&mut self) {
        self.resolution.is_exact = false;
        self.depth_changes = Vec::new();
        self.item_labels = BTreeMap::new();
        self.lanes.values_mut().for_each(Lane::drop_intervals);
    }

    /// Everything is over: nobody is about anything any more.
    fn finish(&mut self, at: Nanos) {
        self.advance_to(at);
        let (at, scale) = (self.last_event_at, self.resolution);
        self.lanes.values_mut().for_each(|lane| lane.record_exit(at, 0, scale));
    }
}

/// What an item is called in a picture.
fn item_label(item: &[u8]) -> String {
    let name = display_text(item);
    // XML has no words for these two.
    let name = escape_for_terminal(&name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= MAX_LABEL_LEN {
        return name;
    }
    // What tells items apart is often at the end.
    let half = MAX_LABEL_LEN / 2;
    letters[..half].iter().chain(&['…']).chain(&letters[letters.len() - half..]).collect()
}
