//! What the parent of a run does with every event: it shows it, and counts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;

use crate::clock::{Nanos, Stamp};
use crate::journal::Fact;
use crate::keeper::{Event, Watch, What};
use crate::report::{Happening, Kind, Reporter, Statistics, Timeline, Toll};
use crate::role::Worker;

/// Shows every event, and counts.
pub(super) struct Show {
    pub(super) reporter: Reporter,
    pub(super) toll: Toll,
    pub(super) places: BTreeMap<Worker, Place>,
    pub(super) statistics: Option<Statistics>,
    pub(super) timeline: Option<Timeline>,
    /// How many items are in line.
    depth: u64,
    /// And were at most.
    pub(super) deepest: u64,
}

/// The place of a worker, which several processes may take one after another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// How many items were put from here, or done.
    pub(super) past: u64,
    /// How many more may die here of something else than chaos, and be replaced.
    pub(super) respawns: u32,
    /// Another has just taken it, and has neither put nor done anything yet.
    pub(super) fresh: bool,
    /// Whoever was here has died.
    pub(super) dead: bool,
}

impl Show {
    /// Of a run with these `workers` and so many items.
    pub(super) fn new(
        reporter: Reporter,
        items: u64,
        respawns: u32,
        workers: &BTreeSet<Worker>,
        statistics: Option<Statistics>,
        timeline: Option<Timeline>,
    ) -> Self {
        let place = Place { respawns, ..Place::default() };
        let places = workers.iter().map(|&worker| (worker, place)).collect();
        let toll = Toll { items, ..Toll::default() };
        Self { reporter, toll, places, statistics, timeline, depth: 0, deepest: 0 }
    }

    /// Another takes this worker's place.
    pub(super) fn restarted(&mut self, at: Nanos, worker: Worker) {
        self.happens(&Happening { at, kind: Kind::Restart, worker, run: None, waited: 0 });
        self.reporter.restarted(at, worker);
    }

    /// What was in line has been dropped.
    pub(super) fn cleared(&mut self, at: Nanos) {
        self.depth = 0;
        self.reporter.cleared(at);
        if let Some(statistics) = &mut self.statistics {
            statistics.clear(at);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.clear(at);
        }
    }

    /// Statistics and the picture take it in.
    fn happens(&mut self, happening: &Happening<'_>) {
        if let Some(statistics) = &mut self.statistics {
            statistics.take(happening);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.take(happening);
        }
    }

    pub(super) fn place(&self, worker: Worker) -> Place {
        self.places.get(&worker).copied().unwrap_or_default()
    }

    fn count(&mut self, worker: Worker, what: &What<'_>) {
        match what {
            What::Put(run, _) | What::Back(run) => self.depth += run.count(),
            What::Get(run, _) => self.depth = self.depth.saturating_sub(run.count()),
            _ => {}
        }
        self.deepest = self.deepest.max(self.depth);
        let place = self.places.entry(worker).or_default();
        match what {
            What::Put(run, _) => {
                place.past += run.count();
                place.fresh = false;
            }
            // Once is enough to be counted.
            What::Get(run, _) if run.attempt == 2 => self.toll.again += run.count(),
            What::Done(run) => {
                self.toll.done += run.count();
                place.past += run.count();
                place.fresh = false;
            }
            What::Died(..) => {
                place.dead = true;
                self.toll.died += 1;
                if let Some(statistics) = &mut self.statistics {
                    statistics.disturb();
                }
            }
            What::Get(..) | What::Back(_) | What::Left(_) => {}
        }
    }
}

impl Watch for Show {
    fn end(&mut self) -> io::Result<Stamp> {
        Ok(Stamp::now())
    }

    /// A run is not remembered.
    fn record(&mut self, _: &Fact<'_>) {}

    fn event(&mut self, event: Event<'_>) {
        let Some(worker) = event.worker else {
            return;
        };
        self.count(worker, &event.what);
        let at = event.at;
        let (kind, run, waited) = match event.what {
            What::Put(run, waited) => (Kind::Put, Some(run), Some(waited)),
            What::Get(run, waited) => (Kind::Get, Some(run), Some(waited)),
            What::Done(run) => (Kind::Done, Some(run), None),
            What::Back(run) => (Kind::Back, Some(run), None),
            What::Died(_, waited) => (Kind::Died, None, waited),
            What::Left(waited) => (Kind::Left, None, waited),
        };
        let waited_so_long = waited.unwrap_or_default();
        self.happens(&Happening { at, kind, worker, run, waited: waited_so_long });
        match (event.what, run) {
            (What::Died(death, _), _) => self.reporter.died(at, worker, waited, death),
            (_, None) => self.reporter.left(at, worker, waited),
            (_, Some(run)) => {
                let Worker { role, number } = worker;
                self.reporter.items(at, kind, role, Some(number), run, waited);
            }
        }
    }
}
