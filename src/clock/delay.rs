//! Pauses, constant or random, and the streams of chance that they are drawn from.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::Nanos;
use crate::role::{Role, WorkerId};

/// How long a pause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always so long.
    Constant(Nanos),
    /// Exponentially distributed, with this mean: as between events that know nothing of each other.
    Exponential {
        /// In nanoseconds, at least 1.
        mean: Nanos,
    },
    /// Anything from `low` to `high`, both of them too, equally likely.
    Uniform {
        /// In nanoseconds.
        low: Nanos,
        /// In nanoseconds, at least `low`.
        high: Nanos,
    },
}

impl Delay {
    /// Whether there is never any pause.
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Constant(0) | Self::Uniform { high: 0, .. })
    }

    /// Whether chance has a say.
    pub(crate) fn is_random(self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    /// The next one.
    pub(crate) fn sample(self, stream: &mut RandomStream) -> Nanos {
        match self {
            Self::Constant(nanos) => nanos,
            Self::Exponential { mean } => {
                // By inversion. One that doesn't fit becomes the longest that there is, which is never over:
                // see [`super::pace`].
                (-stream.next_unit().ln() * mean as f64).round() as Nanos
            }
            Self::Uniform { low, high } => {
                let span = u128::from(high - low) + 1;
                low + ((u128::from(stream.0.next_u64()) * span) >> 64) as Nanos
            }
        }
    }
}

/// As it is given on the command line.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(nanos) => write!(f, "{nanos}ns"),
            Self::Exponential { mean } => write!(f, "exp:{mean}ns"),
            Self::Uniform { low, high } => write!(f, "uniform:{low}ns..{high}ns"),
        }
    }
}

/// One worker's chances: the same for the same seed and worker, whoever else is there.
#[derive(Clone, Debug)]
pub(crate) struct RandomStream(Xoshiro256PlusPlus);

impl RandomStream {
    /// Of this worker, in a run with this seed.
    pub(crate) fn for_worker(seed: u64, worker: WorkerId) -> Self {
        // Streams of their own, far apart: the generator mixes each seed well.
        let role = u64::from(worker.role == Role::Consumer);
        let own = (role << 32 | u64::from(worker.index)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ own))
    }

    /// More than 0 and at most 1, each 2⁻⁵³ of it equally likely. (Not left to a library's taste, which
    /// may change, as a seed is to mean the same for ever.)
    fn next_unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// The pauses of one worker, one after another.
#[derive(Clone, Debug)]
pub(crate) struct DelaySampler {
    delay: Delay,
    stream: RandomStream,
}

impl DelaySampler {
    /// Of this worker; so many are over.
    pub(crate) fn new(delay: Delay, stream: RandomStream, over: u64) -> Self {
        let mut pauses = Self { delay, stream };
        if delay.is_random() {
            for _ in 0..over {
                let _over = pauses.sample();
            }
        }
        pauses
    }

    /// None, ever.
    pub(crate) fn zero() -> Self {
        let nobody = WorkerId { role: Role::Visitor, index: 0 };
        Self { delay: Delay::Constant(0), stream: RandomStream::for_worker(0, nobody) }
    }

    /// Whether there is never any.
    pub(crate) fn is_zero(&self) -> bool {
        self.delay.is_zero()
    }

    /// The next one.
    pub(crate) fn sample(&mut self) -> Duration {
        Duration::from_nanos(self.delay.sample(&mut self.stream))
    }
}

/// A seed that nobody has asked for. It is short, so that it can be typed again.
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

    fn stream(seed: u64, number: u32) -> RandomStream {
        RandomStream::for_worker(seed, WorkerId { role: Role::Producer, index: number })
    }

    fn samples(delay: Delay, stream: &mut RandomStream, count: usize) -> Vec<Nanos> {
        (0..count).map(|_| delay.sample(stream)).collect()
    }

    #[test]
    fn the_same_seed_and_worker_give_the_same_pauses_and_others_give_others() {
        let delay = Delay::Exponential { mean: SECOND };
        let one = samples(delay, &mut stream(7, 1), 100);
        assert_eq!(samples(delay, &mut stream(7, 1), 100), one);
        assert_ne!(samples(delay, &mut stream(8, 1), 100), one);
        assert_ne!(samples(delay, &mut stream(7, 2), 100), one);
        let consumer = WorkerId { role: Role::Consumer, index: 1 };
        assert_ne!(samples(delay, &mut RandomStream::for_worker(7, consumer), 100), one);
    }

    /// What a seed means must not change: runs are repeated by it.
    #[test]
    fn the_pauses_of_a_seed_are_these_for_ever() {
        let exponential = samples(Delay::Exponential { mean: SECOND }, &mut stream(1, 1), 3);
        let uniform = samples(Delay::Uniform { low: 5, high: SECOND }, &mut stream(1, 1), 3);
        assert_eq!(exponential, [348_198_688, 370_899_880, 627_049_105]);
        assert_eq!(uniform, [705_958_599, 690_113_034, 534_165_747]);
    }

    #[test]
    fn means_and_spreads_are_those_of_the_distributions() {
        let count = 200_000;
        let moments = |delay| {
            let all = samples(delay, &mut stream(3, 1), count);
            let mean = all.iter().map(|&x| x as f64).sum::<f64>() / count as f64;
            let square = all.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>();
            (mean / 1e9, (square / count as f64).sqrt() / 1e9)
        };
        let (mean, deviation) = moments(Delay::Exponential { mean: SECOND });
        // Five standard errors, which is 1 / √count for the mean.
        assert!((mean - 1.0).abs() < 0.012 && (deviation - 1.0).abs() < 0.025);
        let (mean, deviation) = moments(Delay::Uniform { low: SECOND, high: 3 * SECOND });
        assert!((mean - 2.0).abs() < 0.01 && (deviation - 1.0 / 3f64.sqrt()).abs() < 0.01);
    }

    #[test]
    fn the_ends_of_a_range_belong_to_it() {
        let all = samples(Delay::Uniform { low: 1, high: 3 }, &mut stream(1, 1), 100);
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&1), Some(&3)));
        assert_eq!(samples(Delay::Uniform { low: 9, high: 9 }, &mut stream(1, 1), 2), [9, 9]);
    }
}
