//! Kills workers at random, to show that nothing is lost by it.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};

use crate::clock::Nanos;

/// Time passes between two kills even if less was asked for: a process needs some to start.
const SHORTEST: Nanos = 1_000_000;

/// When the next one dies, and who.
#[derive(Debug)]
pub(super) struct Chaos {
    /// The mean time between two kills, on the wall.
    every: Nanos,
    /// The wall time of the next one.
    due: Nanos,
    random: Xoshiro256PlusPlus,
}

impl Chaos {
    /// Kills about `every` so many nanoseconds of wall time, from `now` on.
    pub(super) fn new(every: Nanos, now: Nanos, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut chaos = Self { every: every.max(SHORTEST), due: now, random };
        chaos.wait_from(now);
        chaos
    }

    /// The wall time of the next kill.
    pub(super) fn due(&self) -> Nanos {
        self.due
    }

    /// Who is to be killed, if it is time, and if there is anybody.
    pub(super) fn pick<T>(&mut self, now: Nanos, candidates: impl FnOnce() -> Vec<T>) -> Option<T> {
        if now < self.due {
            return None;
        }
        self.wait_from(now);
        candidates().into_iter().choose(&mut self.random)
    }

    /// Half as long to one and a half times as long as the mean.
    fn wait_from(&mut self, now: Nanos) {
        let half = self.every / 2;
        let wait = self.random.random_range(half..=self.every.saturating_add(half));
        self.due = now.saturating_add(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_comes_about_as_often_as_was_asked_for_and_hits_everybody_some_time() {
        let mut chaos = Chaos::new(1_000_000_000, 0, 7);
        let (mut now, mut hits) = (0, [0; 3]);
        for _ in 0..300 {
            let due = chaos.due();
            let wait = due - now;
            assert!((500_000_000..=1_500_000_000).contains(&wait), "{wait}");
            assert_eq!(chaos.pick(due - 1, || vec![0]), None);
            hits[chaos.pick(due, || vec![0, 1, 2]).unwrap()] += 1;
            now = due;
        }
        assert!(hits.iter().all(|&hits| hits > 60), "{hits:?}");
        assert!((270..330).contains(&(now / 1_000_000_000)), "{now}");
    }

    #[test]
    fn where_nobody_can_be_killed_the_next_time_is_waited_for() {
        let mut chaos = Chaos::new(1, 0, 7);
        let due = chaos.due();
        assert_eq!(chaos.pick(due, Vec::<u32>::new), None);
        assert!(chaos.due() >= due + SHORTEST / 2, "and time passes");
    }
}
