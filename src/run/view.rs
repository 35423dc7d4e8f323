//! The live view of a run: what everybody does now.

use std::collections::BTreeMap;

use super::observer::Show;
use crate::clock::Nanos;
use crate::item::bare;
use crate::keeper::Keeper;
use crate::queue::{Doing, Run, WaitsFor};
use crate::report::{Activity, Actor, Depth, Scene};
use crate::role::Worker;

/// It is not drawn more often than this, on the wall.
const PAUSE: Nanos = 50_000_000;

/// When it is drawn next.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Not before this.
    rests_until: Nanos,
    /// Something has happened since it was drawn.
    due: Option<Nanos>,
}

impl View {
    /// The wall time at which it is to be drawn even if nothing happens before.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.due
    }

    /// Whether it is to be drawn now, that something has happened.
    pub(super) fn is_due(&mut self, now: Nanos) -> bool {
        let is_due = now >= self.rests_until;
        if is_due {
            self.rests_until = now.saturating_add(PAUSE);
        }
        self.due = (!is_due).then_some(self.rests_until);
        is_due
    }
}

/// Everything as it is now.
pub(super) fn scene(keeper: &Keeper, watch: &Show, capacity: u64) -> Scene {
    let here = keeper.doing().map(|(worker, doing, first)| (worker, (doing, first)));
    let here: BTreeMap<_, _> = here.collect();
    let actor = |&worker: &Worker| {
        let does = match here.get(&worker) {
            Some((doing, first)) => activity(doing, *first),
            None if keeper.expects(worker) => Activity::Starts,
            None if watch.place(worker).dead => Activity::Dead,
            None => Activity::Finished,
        };
        Actor { worker, does, items: watch.place(worker).past }
    };
    let capacity = Some(capacity).filter(|&most| most > 0);
    let in_line = keeper.census().in_line;
    Scene {
        actors: watch.places.keys().map(actor).collect(),
        depth: Depth { in_line, capacity, most: watch.deepest },
        done: watch.toll.done,
        items: watch.toll.items,
    }
}

fn activity(doing: &Doing, first: Option<&Run>) -> Activity {
    match doing.waits_for {
        Some(WaitsFor::Room) => Activity::WaitsForRoom,
        Some(WaitsFor::Item) if doing.holds == 0 => Activity::WaitsForItem,
        _ => {
            let first = first.and_then(|run| run.items().next());
            Activity::Works(doing.holds, first.map(|(_, item)| bare(item).into_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_drawn_soon_and_not_too_often() {
        let mut view = View::default();
        assert!(view.is_due(7), "the first time at once");
        assert_eq!(view.due(), None, "nothing has happened since");
        assert!(!view.is_due(8));
        assert!(!view.is_due(9));
        assert_eq!(view.due(), Some(7 + PAUSE));
        assert!(view.is_due(7 + PAUSE));
        assert_eq!(view.due(), None);
    }
}
