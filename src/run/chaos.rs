//! Kills workers at random, to show that nothing is lost by it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};

use crate::clock::Nanos;

/// Time passes between two kills even if less was asked for: a process needs some to start.
const MIN_KILL_INTERVAL: Nanos = 1_000_000;

/// When the next one dies, and who.
#[derive(Debug)]
pub(super) struct KillSchedule {
    /// The mean time between two kills, on the wall.
    mean_interval: Nanos,
    /// The wall time of the next one.
    next_kill: Nanos,
    random: Xoshiro256PlusPlus,
}

impl KillSchedule {
    /// Kills about `every` so many nanoseconds of wall time, from `now` on.
    pub(super) fn new(every: Nanos, now: Nanos, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut chaos =
            Self { mean_interval: every.max(MIN_KILL_INTERVAL), next_kill: now, random };
        chaos.schedule_next(now);
        chaos
    }

    /// The wall time of the next kill.
    pub(super) fn next_kill(&self) -> Nanos {
        self.next_kill
    }

    /// Who is to be killed, if it is time, and if there is anybody.
    pub(super) fn pick_victim<T>(
        &mut self,
        now: Nanos,
        candidates: impl FnOnce() -> Vec<T>,
    ) -> Option<T> {
        if now < self.next_kill {
            return None;
        }
        self.schedule_next(now);
        candidates().into_iter().choose(&mut self.random)
    }

    /// Half as long to one and a half times as long as the mean.
    fn schedule_next(&mut self, now: Nanos) {
        let half = self.mean_interval / 2;
        let wait = self.random.random_range(half..=self.mean_interval.saturating_add(half));
        self.next_kill = now.saturating_add(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_comes_about_as_often_as_was_asked_for_and_hits_everybody_some_time() {
        let mut chaos = KillSchedule::new(1_000_000_000, 0, 7);
        let (mut now, mut hits) = (0, [0; 3]);
        for _ in 0..300 {
            let due = chaos.next_kill();
            let wait = due - now;
            assert!((500_000_000..=1_500_000_000).contains(&wait), "{wait}");
            assert_eq!(chaos.pick_victim(due - 1, || vec![0]), None);
            hits[chaos.pick_victim(due, || vec![0, 1, 2]).unwrap()] += 1;
            now = due;
        }
        assert!(hits.iter().all(|&hits| hits > 60), "{hits:?}");
        assert!((270..330).contains(&(now / 1_000_000_000)), "{now}");
    }

    #[test]
    fn where_nobody_can_be_killed_the_next_time_is_waited_for() {
        let mut chaos = KillSchedule::new(1, 0, 7);
        let due = chaos.next_kill();
        assert_eq!(chaos.pick_victim(due, Vec::<u32>::new), None);
        assert!(chaos.next_kill() >= due + MIN_KILL_INTERVAL / 2, "and time passes");
    }
}
