//! Pauses, constant or random, and the streams of chance that they are drawn from.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::Nanos;
use crate::role::{Role, Worker};

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
    pub(crate) fn draw(self, stream: &mut Stream) -> Nanos {
        match self {
            Self::Constant(nanos) => nanos,
            Self::Exponential { mean } => {
                // By inversion. One that doesn't fit becomes the longest that there is, which is never over:
                // see [`super::pace`].
                (-stream.part().ln() * mean as f64).round() as Nanos
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
pub(crate) struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// Of this worker, in a run with this seed.
    pub(crate) fn of(seed: u64, worker: Worker) -> Self {
        // Streams of their own, far apart: the generator mixes each seed well.
        let role = u64::from(worker.role == Role::Consumer);
        let own = (role << 32 | u64::from(worker.number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ own))
    }

    /// More than 0 and at most 1, each 2⁻⁵³ of it equally likely. (Not left to a library's taste, which
    /// may change, as a seed is to mean the same for ever.)
    fn part(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// The pauses of one worker, one after another.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    delay: Delay,
    stream: Stream,
}

impl Pauses {
    /// Of this worker; so many are over.
    pub(crate) fn new(delay: Delay, stream: Stream, over: u64) -> Self {
        let mut pauses = Self { delay, stream };
        if delay.is_random() {
            for _ in 0..over {
                let _over = pauses.draw();
            }
        }
        pauses
    }

    /// None, ever.
    pub(crate) fn none() -> Self {
        let nobody = Worker { role: Role::Visitor, number: 0 };
        Self { delay: Delay::Constant(0), stream: Stream::of(0, nobody) }
    }

    /// Whether there is never any.
    pub(crate) fn are_none(&self) -> bool {
        self.delay.is_zero()
    }

    /// The next one.
    pub(crate) fn draw(&mut self) -> Duration {
        Duration::from_nanos(self.delay.draw(&mut self.stream))
    }
}

/// A seed that nobody has asked for. It is short, so that it can be typed again.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn draw_seed() -> Result<u64, getrandom::Error> {
    getrandom::u32().map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn stream(seed: u64, number: u32) -> Stream {
        Stream::of(seed, Worker { role: Role::Producer, number })
    }

    fn drawn(delay: Delay, stream: &mut Stream, count: usize) -> Vec<Nanos> {
        (0..count).map(|_| delay.draw(stream)).collect()
    }

    #[test]
    fn the_same_seed_and_worker_give_the_same_pauses_and_others_give_others() {
        let delay = Delay::Exponential { mean: SECOND };
        let one = drawn(delay, &mut stream(7, 1), 100);
        assert_eq!(drawn(delay, &mut stream(7, 1), 100), one);
        assert_ne!(drawn(delay, &mut stream(8, 1), 100), one);
        assert_ne!(drawn(delay, &mut stream(7, 2), 100), one);
        let consumer = Worker { role: Role::Consumer, number: 1 };
        assert_ne!(drawn(delay, &mut Stream::of(7, consumer), 100), one);
    }

    /// What a seed means must not change: runs are repeated by it.
    #[test]
    fn the_pauses_of_a_seed_are_these_for_ever() {
        let exponential = drawn(Delay::Exponential { mean: SECOND }, &mut stream(1, 1), 3);
        let uniform = drawn(Delay::Uniform { low: 5, high: SECOND }, &mut stream(1, 1), 3);
        assert_eq!(exponential, [348_198_688, 370_899_880, 627_049_105]);
        assert_eq!(uniform, [705_958_599, 690_113_034, 534_165_747]);
    }

    #[test]
    fn means_and_spreads_are_those_of_the_distributions() {
        let count = 200_000;
        let moments = |delay| {
            let all = drawn(delay, &mut stream(3, 1), count);
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
        let all = drawn(Delay::Uniform { low: 1, high: 3 }, &mut stream(1, 1), 100);
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&1), Some(&3)));
        assert_eq!(drawn(Delay::Uniform { low: 9, high: 9 }, &mut stream(1, 1), 2), [9, 9]);
    }
}
