//! Random kills of workers, which show that a run loses no item.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};

use crate::clock::Nanos;

/// The shortest mean time between two kills: a process needs time to start.
const MIN_KILL_INTERVAL: Nanos = 1_000_000;

/// Separates the stream of the kills from the streams of the delays.
const STREAM: u64 = 0x6b69_6c6c_6b69_6c6c;

/// Chooses the times of kills and their victims.
#[derive(Debug)]
pub(super) struct KillSchedule {
    /// The mean time between two kills: paced time in a paced run, else wall time.
    mean_interval: Nanos,
    /// The time of the next kill.
    pub(super) next_kill: Nanos,
    random: Xoshiro256PlusPlus,
}

impl KillSchedule {
    /// A schedule with kills about every `mean_interval`, from `now` on. The seed and the times of the calls determine it.
    pub(super) fn new(mean_interval: Nanos, now: Nanos, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed ^ STREAM);
        let mean_interval = mean_interval.max(MIN_KILL_INTERVAL);
        let mut schedule = Self { mean_interval, next_kill: now, random };
        schedule.schedule_next(now);
        schedule
    }

    /// One of the candidates, if the time of a kill has come and there is a candidate.
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

    /// Draws the next interval, from half the mean to one and a half times the mean.
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
    fn kills_have_the_mean_interval_and_hit_all_workers() {
        let mut schedule = KillSchedule::new(1_000_000_000, 0, 7);
        let (mut now, mut hits) = (0, [0; 3]);
        for _ in 0..300 {
            let due = schedule.next_kill;
            let wait = due - now;
            assert!((500_000_000..=1_500_000_000).contains(&wait), "{wait}");
            assert_eq!(schedule.pick_victim(due - 1, || vec![0]), None);
            hits[schedule.pick_victim(due, || vec![0, 1, 2]).unwrap()] += 1;
            now = due;
        }
        assert!(hits.iter().all(|&hits| hits > 60), "{hits:?}");
        assert!((270..330).contains(&(now / 1_000_000_000)), "{now}");
    }

    #[test]
    fn a_kill_without_candidates_waits_for_the_next_time() {
        let mut schedule = KillSchedule::new(1, 0, 7);
        let due = schedule.next_kill;
        assert_eq!(schedule.pick_victim(due, Vec::<u32>::new), None);
        assert!(schedule.next_kill >= due + MIN_KILL_INTERVAL / 2, "the schedule moves on");
    }
}
