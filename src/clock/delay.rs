//! Delays, constant or random, and the random streams behind random delays.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::nanos::{Nanos, to_seconds};
use crate::role::{Role, WorkerId};

/// The distribution of a delay.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    /// Every delay has this length, in nanoseconds.
    Constant(Nanos),
    /// Exponentially distributed, as delays between independent events.
    Exponential {
        /// The mean in nanoseconds, at least 1.
        mean: Nanos,
    },
    /// Uniformly distributed from `low` to `high`, both included.
    Uniform {
        /// In nanoseconds.
        low: Nanos,
        /// In nanoseconds, at least `low`.
        high: Nanos,
    },
}

impl Delay {
    /// Whether every delay is 0.
    pub(crate) fn is_zero(&self) -> bool {
        matches!(self, Self::Constant(0) | Self::Uniform { high: 0, .. })
    }

    /// Whether the delay is random.
    pub(crate) fn is_random(&self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    /// The mean in seconds.
    pub(crate) fn mean(&self) -> f64 {
        match *self {
            Self::Constant(nanos) => to_seconds(nanos),
            Self::Exponential { mean } => to_seconds(mean),
            Self::Uniform { low, high } => f64::midpoint(to_seconds(low), to_seconds(high)),
        }
    }

    /// The mean of the squares, in seconds squared.
    pub(crate) fn mean_square(&self) -> f64 {
        match *self {
            Self::Constant(nanos) => to_seconds(nanos).powi(2),
            Self::Exponential { mean } => 2.0 * to_seconds(mean).powi(2),
            Self::Uniform { low, high } => {
                let (a, b) = (to_seconds(low), to_seconds(high));
                (a * a + a * b + b * b) / 3.0
            }
        }
    }

    /// The same distribution, scaled to another mean. `None` if every delay is 0, or if a random delay would
    /// have the mean 0.
    pub(crate) fn with_mean(&self, mean: Nanos) -> Option<Self> {
        if let Self::Constant(_) = self {
            return Some(Self::Constant(mean));
        }
        if mean == 0 || self.is_zero() {
            return None;
        }
        let factor = to_seconds(mean) / self.mean();
        // A product beyond the range becomes the longest delay.
        let scale = |nanos: Nanos| (nanos as f64 * factor).round() as Nanos;
        Some(match *self {
            Self::Constant(_) | Self::Exponential { .. } => Self::Exponential { mean },
            Self::Uniform { low, high } => Self::Uniform { low: scale(low), high: scale(high) },
        })
    }

    /// Draws the next delay.
    fn sample(&self, stream: &mut Xoshiro256PlusPlus) -> Nanos {
        match *self {
            Self::Constant(nanos) => nanos,
            Self::Exponential { mean } => {
                // By inversion. A delay beyond the range becomes the longest delay, which never ends.
                (-unit_sample(stream).ln() * mean as f64).round() as Nanos
            }
            Self::Uniform { low, high } => {
                let span = u128::from(high - low) + 1;
                low + ((u128::from(stream.next_u64()) * span) >> 64) as Nanos
            }
        }
    }
}

/// Formats the delay as the command line takes it.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(nanos) => write!(f, "{nanos}ns"),
            Self::Exponential { mean } => write!(f, "exp:{mean}ns"),
            Self::Uniform { low, high } => write!(f, "uniform:{low}ns..{high}ns"),
        }
    }
}

/// The random stream of `worker` in a run with `seed`. The seed and the worker alone determine the stream.
fn worker_stream(seed: u64, worker: WorkerId) -> Xoshiro256PlusPlus {
    // Distinct seeds give independent streams: the generator mixes each seed well.
    let role = u64::from(worker.role == Role::Consumer);
    let own = (role << 32 | u64::from(worker.index)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Xoshiro256PlusPlus::seed_from_u64(seed ^ own)
}

/// Draws a number that is more than 0 and at most 1; all multiples of 2⁻⁵³ are equally likely. No library
/// function does this, since a library may change, and a seed must keep its meaning.
fn unit_sample(stream: &mut Xoshiro256PlusPlus) -> f64 {
    ((stream.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Draws the delays of one worker.
#[derive(Clone, Debug)]
pub(crate) struct DelaySampler {
    delay: Delay,
    stream: Xoshiro256PlusPlus,
}

impl DelaySampler {
    /// A sampler for `worker` in a run with `seed` that skips the first `skipped` delays.
    pub(crate) fn new(delay: Delay, seed: u64, worker: WorkerId, skipped: u64) -> Self {
        let mut sampler = Self { delay, stream: worker_stream(seed, worker) };
        if sampler.delay.is_random() {
            for _ in 0..skipped {
                let _skipped = sampler.sample();
            }
        }
        sampler
    }

    /// A sampler whose every delay is 0.
    pub(crate) fn zero() -> Self {
        Self::new(Delay::Constant(0), 0, WorkerId { role: Role::Visitor, index: 0 }, 0)
    }

    /// Whether every delay is 0.
    pub(crate) fn is_zero(&self) -> bool {
        self.delay.is_zero()
    }

    /// Draws the next delay.
    pub(crate) fn sample(&mut self) -> Duration {
        Duration::from_nanos(self.delay.sample(&mut self.stream))
    }
}

/// Draws a seed. The seed is short enough to be typed.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn random_seed() -> Result<u64, getrandom::Error> {
    getrandom::u32().map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn stream(seed: u64, index: u32) -> Xoshiro256PlusPlus {
        worker_stream(seed, WorkerId { role: Role::Producer, index })
    }

    fn samples(delay: &Delay, stream: &mut Xoshiro256PlusPlus, count: usize) -> Vec<Nanos> {
        (0..count).map(|_| delay.sample(stream)).collect()
    }

    #[test]
    fn only_the_seed_and_the_worker_determine_the_delays() {
        let delay = Delay::Exponential { mean: SECOND };
        let one = samples(&delay, &mut stream(7, 1), 100);
        assert_eq!(samples(&delay, &mut stream(7, 1), 100), one);
        assert_ne!(samples(&delay, &mut stream(8, 1), 100), one);
        assert_ne!(samples(&delay, &mut stream(7, 2), 100), one);
        let consumer = WorkerId { role: Role::Consumer, index: 1 };
        assert_ne!(samples(&delay, &mut worker_stream(7, consumer), 100), one);
    }

    /// The meaning of a seed must not change: a seed repeats a run.
    #[test]
    fn the_delays_of_a_seed_never_change() {
        let exponential = samples(&Delay::Exponential { mean: SECOND }, &mut stream(1, 1), 3);
        let uniform = samples(&Delay::Uniform { low: 5, high: SECOND }, &mut stream(1, 1), 3);
        assert_eq!(exponential, [348_198_688, 370_899_880, 627_049_105]);
        assert_eq!(uniform, [705_958_599, 690_113_034, 534_165_747]);
    }

    #[test]
    fn means_and_deviations_match_the_distributions() {
        let count = 200_000;
        let moments = |delay: &Delay| {
            let all = samples(delay, &mut stream(3, 1), count);
            let mean = all.iter().map(|&x| x as f64).sum::<f64>() / count as f64;
            let square = all.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>();
            (mean / 1e9, (square / count as f64).sqrt() / 1e9)
        };
        let (mean, deviation) = moments(&Delay::Exponential { mean: SECOND });
        // Five standard errors, which is 1 / √count for the mean.
        assert!((mean - 1.0).abs() < 0.012 && (deviation - 1.0).abs() < 0.025);
        let (mean, deviation) = moments(&Delay::Uniform { low: SECOND, high: 3 * SECOND });
        assert!((mean - 2.0).abs() < 0.01 && (deviation - 1.0 / 3f64.sqrt()).abs() < 0.01);
    }

    #[test]
    fn a_scaled_delay_has_the_other_mean() {
        for delay in [
            Delay::Constant(SECOND),
            Delay::Exponential { mean: SECOND },
            Delay::Uniform { low: SECOND, high: 3 * SECOND },
        ] {
            for mean in [SECOND / 2, SECOND, 7 * SECOND] {
                let scaled = delay.with_mean(mean).unwrap();
                assert!((scaled.mean() - to_seconds(mean)).abs() < 1e-9, "{delay} {scaled}");
                // The ratio of the deviation to the mean stays.
                let ratio = |delay: &Delay| delay.mean_square() / delay.mean().powi(2);
                assert!((ratio(&scaled) - ratio(&delay)).abs() < 1e-8, "{delay} {scaled}");
            }
        }
        assert_eq!(Delay::Constant(0).with_mean(5), Some(Delay::Constant(5)));
        assert_eq!(Delay::Constant(5).with_mean(0), Some(Delay::Constant(0)));
        assert_eq!(Delay::Exponential { mean: 5 }.with_mean(0), None);
        assert_eq!(Delay::Uniform { low: 0, high: 0 }.with_mean(5), None);
    }

    #[test]
    fn a_uniform_delay_includes_both_ends() {
        let all = samples(&Delay::Uniform { low: 1, high: 3 }, &mut stream(1, 1), 100);
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&1), Some(&3)));
        assert_eq!(samples(&Delay::Uniform { low: 9, high: 9 }, &mut stream(1, 1), 2), [9, 9]);
    }
}
