//! The delay before another try.

use std::time::Duration;

use crate::clock::{JitterSampler, Nanos, nanos};

/// The ceiling of the delays where the user names none.
pub(crate) const DEFAULT_CEILING: Duration = Duration::from_secs(300);
/// The jitter where the user names none.
pub(crate) const DEFAULT_JITTER: f64 = 0.5;

/// Exponential backoff with a ceiling and jitter, so that many items that failed together are not tried together again.
///
/// With a jitter of 1 a delay is any time up to the doubled one ("full jitter"), with 0.5 any time from half of it on
/// ("equal jitter"). Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Backoff {
    /// The delay before the second try, without jitter. Each failure doubles the delay.
    pub(crate) first: Duration,
    /// The longest delay.
    pub(crate) ceiling: Duration,
    /// The random part of each delay, from 0 to 1.
    pub(crate) jitter: f64,
}

impl Backoff {
    /// The delay after this number of earlier failures. `random` is more than 0 and at most 1.
    fn delay(&self, failures: u32, random: f64) -> Nanos {
        let doubled = nanos(self.first).saturating_mul(2u64.saturating_pow(failures));
        let longest = doubled.min(nanos(self.ceiling));
        // The conversion to an unsigned number cuts at its limits.
        let random_part = (longest as f64 * self.jitter * (1.0 - random)).round() as Nanos;
        longest.saturating_sub(random_part)
    }
}

/// Draws the delays of one consumer.
#[derive(Clone, Debug)]
pub(crate) struct BackoffSampler {
    backoff: Backoff,
    jitter: JitterSampler,
}

impl BackoffSampler {
    pub(crate) fn new(backoff: Backoff, seed: u64) -> Self {
        Self { backoff, jitter: JitterSampler::new(seed) }
    }

    /// Draws the delay after this number of earlier failures.
    pub(super) fn sample(&mut self, failures: u32) -> Nanos {
        let random = self.jitter.sample();
        self.backoff.delay(failures, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn backoff(jitter: f64) -> Backoff {
        Backoff { first: Duration::from_secs(1), ceiling: Duration::from_secs(10), jitter }
    }

    #[test]
    fn without_jitter_a_delay_doubles_up_to_the_ceiling() {
        let delays = [0, 1, 2, 3, 4, 5, 63, 64, u32::MAX].map(|n| backoff(0.0).delay(n, 0.3));
        assert_eq!(delays.map(|delay| delay / SECOND), [1, 2, 4, 8, 10, 10, 10, 10, 10]);
    }

    #[test]
    fn a_delay_at_the_limit_of_its_type_neither_overflows_nor_exceeds_its_ceiling() {
        let longest = Duration::from_nanos(u64::MAX);
        for jitter in [0.0, 0.5, 1.0] {
            let backoff = Backoff { first: Duration::from_secs(1 << 33), ceiling: longest, jitter };
            assert_eq!(backoff.delay(u32::MAX, 1.0), u64::MAX);
        }
        let none = Backoff { first: Duration::ZERO, ceiling: longest, jitter: 1.0 };
        assert_eq!(none.delay(u32::MAX, 0.5), 0);
    }

    #[test]
    fn jitter_takes_at_most_its_part_of_the_delay() {
        for (jitter, shortest) in [(0.0, 4.0), (0.25, 3.0), (0.5, 2.0), (1.0, 0.0)] {
            let at = |random| backoff(jitter).delay(2, random) as f64 / 1e9;
            assert_eq!(at(1.0), 4.0);
            assert!((at(f64::MIN_POSITIVE) - shortest).abs() < 1e-6, "jitter {jitter}");
        }
    }

    #[test]
    fn the_delays_with_jitter_are_spread_evenly() {
        let mut sampler = BackoffSampler::new(backoff(0.5), 7);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let delay = sampler.sample(1);
            assert!((SECOND..=2 * SECOND).contains(&delay), "{delay}");
            let tenth = (delay - SECOND).saturating_sub(1) / (SECOND / 10);
            tenths[usize::try_from(tenth).unwrap()] += 1;
        }
        // Five standard deviations of a binomial distribution around 1000.
        assert!(tenths.iter().all(|count| (850..=1150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_seed_makes_the_delays_repeatable() {
        let draw = |seed| {
            let mut sampler = BackoffSampler::new(backoff(1.0), seed);
            [0, 1, 2, 3].map(|failures| sampler.sample(failures))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
