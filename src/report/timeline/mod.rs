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

use super::{Happening, Kind};
use crate::clock::Nanos;
use crate::item::{bare, printable};
use crate::queue::Run;
use crate::role::Worker;
use bins::{Bins, Level, MOST_BINS};
use lane::{Lane, Scale};
pub(crate) use page::Form;
pub(crate) use recording::Recording;

/// So many hand-overs can be told apart.
const MOST_HANDOVERS: usize = 500;
/// So many other events, for each of these; else a run without any hand-over would be kept whole.
const OTHERS: usize = 16;
/// The longest name of an item that a picture shows, in characters.
const LONGEST_NAME: usize = 40;

/// Records what a picture is drawn from.
#[derive(Debug)]
pub(crate) struct Timeline {
    lanes: BTreeMap<Worker, Lane>,
    /// How many items may be in line.
    capacity: Option<u64>,
    /// The last event.
    now: Nanos,
    scale: Scale,
    /// How deep the queue is now, and was.
    depth: u64,
    levels: Bins<Level>,
    /// Each change of the depth, if every event is kept.
    steps: Vec<(Nanos, u64)>,
    /// Each item whose number is a multiple of this is followed.
    stride: u64,
    /// Where the items in line that are followed came from.
    underway: BTreeMap<u64, End>,
    handovers: Vec<Handover>,
    /// All that have been.
    handed: u64,
    /// And all items.
    items: u64,
    /// By number: as long as every event is kept.
    names: BTreeMap<u64, String>,
}

/// One end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    worker: Worker,
    at: Nanos,
}

/// An item goes from one worker to another; or from a dead one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Handover {
    id: u64,
    attempt: u32,
    from: End,
    to: End,
}

impl Timeline {
    /// Of a queue with this capacity, if it is known and there is one; with a lane for each of these
    /// workers, whatever they do, and for whoever else comes.
    pub(crate) fn new(capacity: Option<u64>, workers: impl IntoIterator<Item = Worker>) -> Self {
        let lanes = workers.into_iter().map(|worker| (worker, Lane::new(worker.role)));
        Self {
            lanes: lanes.collect(),
            capacity,
            now: 0,
            scale: Scale { width: 1, exact: true },
            depth: 0,
            levels: Bins::default(),
            steps: vec![(0, 0)],
            stride: 1,
            underway: BTreeMap::new(),
            handovers: Vec::new(),
            handed: 0,
            items: 0,
            names: BTreeMap::new(),
        }
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, happening: &Happening<'_>) {
        let Happening { at, kind, worker, run, waited } = *happening;
        self.pass(at);
        let at = self.now;
        let scale = self.scale;
        let lane = self.lanes.entry(worker).or_insert_with(|| Lane::new(worker.role));
        match (kind, run) {
            (Kind::Put, Some(run)) => lane.put(at, waited, run.first, run.count(), scale),
            (Kind::Get, Some(run)) => lane.get(at, run.first, run.count(), scale),
            (Kind::Done | Kind::Back, Some(run)) => lane.lose(at, run.count(), scale),
            (Kind::Died, _) => lane.die(at, waited, scale),
            (Kind::Restart, _) => lane.restart(at, scale),
            (Kind::Left, _) => lane.leave(at, waited, scale),
            (Kind::Clear | Kind::End, _) | (_, None) => {}
        }
        let Some(run) = run else { return };
        let end = End { worker, at };
        match kind {
            Kind::Put => {
                self.items += run.count();
                self.comes_in_line(run, end);
            }
            Kind::Back => self.comes_in_line(run, end),
            Kind::Get => self.is_handed(run, end),
            _ => {}
        }
        if self.scale.exact {
            let others =
                self.steps.len() + self.lanes.values().map(|l| l.stretches.len()).sum::<usize>();
            if others > MOST_HANDOVERS * OTHERS {
                self.keep_parts_only();
            }
        }
    }

    /// What was in line has been dropped.
    pub(crate) fn clear(&mut self, at: Nanos) {
        self.pass(at);
        self.underway.clear();
        self.is_so_deep(0);
    }

    /// Whether nothing has happened.
    fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Time goes on.
    fn pass(&mut self, at: Nanos) {
        let at = at.max(self.now);
        while at / self.scale.width >= MOST_BINS as u64 {
            self.scale.width *= 2;
            self.levels.fold();
            self.lanes.values_mut().for_each(|lane| lane.shares.fold());
        }
        let depth = self.depth;
        self.levels.spread(self.scale.width, self.now, at, |level, time| level.add(depth, time));
        self.now = at;
    }

    fn comes_in_line(&mut self, run: &Run, from: End) {
        self.is_so_deep(self.depth + run.count());
        if self.scale.exact {
            self.remember_names(run);
        }
        let Some(first) = run.first.checked_next_multiple_of(self.stride) else { return };
        for id in (first..run.end()).step_by(usize::try_from(self.stride).unwrap_or(usize::MAX)) {
            if id % self.stride == 0 {
                self.underway.insert(id, from);
                self.follow_fewer_if_needed();
            }
        }
    }

    fn is_handed(&mut self, run: &Run, to: End) {
        self.is_so_deep(self.depth.saturating_sub(run.count()));
        self.handed += run.count();
        if self.scale.exact {
            self.remember_names(run);
        }
        let followed: Vec<_> =
            self.underway.range(run.first..run.end()).map(|(&id, _)| id).collect();
        for id in followed {
            if let Some(from) = self.underway.remove(&id) {
                self.handovers.push(Handover { id, attempt: run.attempt, from, to });
            }
        }
        self.follow_fewer_if_needed();
    }

    fn remember_names(&mut self, run: &Run) {
        for (id, item) in run.items().take(MOST_HANDOVERS + 1) {
            self.names.entry(id).or_insert_with(|| name(item));
        }
    }

    fn is_so_deep(&mut self, depth: u64) {
        self.depth = depth;
        self.levels.at(self.scale.width, self.now).add(depth, 0);
        if self.scale.exact {
            self.steps.push((self.now, depth));
        }
    }

    /// What is followed is bounded: when it becomes too much, it is every second item only.
    fn follow_fewer_if_needed(&mut self) {
        while self.underway.len() + self.handovers.len() > MOST_HANDOVERS {
            self.keep_parts_only();
            let Some(stride) = self.stride.checked_mul(2) else { return };
            self.stride = stride;
            self.underway.retain(|id, _| id % stride == 0);
            self.handovers.retain(|handover| handover.id % stride == 0);
        }
    }

    fn keep_parts_only(&mut self) {
        self.scale.exact = false;
        self.steps = Vec::new();
        self.names = BTreeMap::new();
        self.lanes.values_mut().for_each(Lane::forget_stretches);
    }

    /// Everything is over: nobody is about anything any more.
    fn finish(&mut self, at: Nanos) {
        self.pass(at);
        let (at, scale) = (self.now, self.scale);
        self.lanes.values_mut().for_each(|lane| lane.leave(at, 0, scale));
    }
}

/// What an item is called in a picture.
fn name(item: &[u8]) -> String {
    let name = bare(item);
    // XML has no words for these two.
    let name = printable(&name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LONGEST_NAME {
        return name;
    }
    // What tells items apart is often at the end.
    let half = LONGEST_NAME / 2;
    letters[..half].iter().chain(&['…']).chain(&letters[letters.len() - half..]).collect()
}
