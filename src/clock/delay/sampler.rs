//! Draws delays from the random stream of a worker.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Gamma, LogNormal, Normal};

use super::{Delay, RecordedDelays};
use crate::clock::nanos::Nanos;
use crate::role::{Role, WorkerId};

/// The random stream of `worker` in a run with `seed`. The seed and the worker alone determine the stream.
fn worker_stream(seed: u64, worker: WorkerId) -> Xoshiro256PlusPlus {
    // Distinct seeds give independent streams: the generator mixes each seed well.
    let role = u64::from(worker.role == Role::Consumer);
    let own = (role << 32 | u64::from(worker.index)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Xoshiro256PlusPlus::seed_from_u64(seed ^ own)
}

/// Draws a number that is more than 0 and at most 1; all multiples of 2⁻⁵³ are equally likely. No library
/// function does this, since a library may change, and a seed must keep its meaning.
///
/// The Erlang, normal and log-normal delays are those of `rand_distr`, whose rejection methods are fast. A new
/// version of that crate may draw other delays from the same stream; then a test of this file fails. Such a
/// version changes what a seed means, and needs a word in the change log.
pub(super) fn unit_sample(stream: &mut Xoshiro256PlusPlus) -> f64 {
    ((stream.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Draws the delays of one worker.
#[derive(Clone, Debug)]
pub(crate) struct DelaySampler {
    distribution: Prepared,
    stream: Xoshiro256PlusPlus,
    is_zero: bool,
}

/// A distribution with the numbers that each draw needs.
#[derive(Clone, Debug)]
enum Prepared {
    Constant(Nanos),
    Exponential { mean: f64 },
    Uniform { low: Nanos, span: u128 },
    Erlang(Gamma<f64>),
    Hyperexponential { probability: f64, means: [f64; 2] },
    Normal(Normal<f64>),
    LogNormal(LogNormal<f64>),
    Recorded { delays: Arc<RecordedDelays>, next: usize },
}

impl Prepared {
    /// Prepares the delays of the worker with this index, from 1 on.
    fn new(delay: &Delay, index: u32) -> Self {
        // The parameters of a delay are valid, so the constant is never used.
        let constant = |mean: Nanos| Self::Constant(mean);
        match *delay {
            Delay::Constant(nanos) => Self::Constant(nanos),
            Delay::Exponential { mean } => Self::Exponential { mean: mean as f64 },
            Delay::Uniform { low, high } => Self::Uniform { low, span: u128::from(high - low) + 1 },
            // The time of a draw does not depend on the number of phases.
            Delay::Erlang { phases, mean } => {
                let phases = f64::from(phases);
                Gamma::new(phases, mean as f64 / phases).map_or(constant(mean), Self::Erlang)
            }
            Delay::Hyperexponential { probability, means } => {
                let means = means.map(|mean| mean as f64);
                Self::Hyperexponential { probability, means }
            }
            Delay::Normal { mean, deviation } => {
                let normal = Normal::new(mean as f64, deviation as f64);
                normal.map_or(constant(mean), Self::Normal)
            }
            Delay::LogNormal { mean, deviation } => {
                let variation = deviation as f64 / mean as f64;
                let normal = LogNormal::from_mean_cv(mean as f64, variation);
                normal.map_or(constant(mean), Self::LogNormal)
            }
            // Worker 1 begins with the first delay, worker 2 with the second.
            Delay::Recorded(ref delays) => {
                let next = delays.advance(0, u64::from(index.saturating_sub(1)));
                Self::Recorded { delays: Arc::clone(delays), next }
            }
        }
    }

    /// Draws the next delay. A delay beyond the range becomes the longest delay, which never ends.
    fn sample(&mut self, stream: &mut Xoshiro256PlusPlus) -> Nanos {
        match self {
            Self::Constant(nanos) => *nanos,
            Self::Exponential { mean } => exponential_sample(*mean, stream),
            Self::Uniform { low, span } => {
                *low + ((u128::from(stream.next_u64()) * *span) >> 64) as Nanos
            }
            Self::Erlang(gamma) => gamma.sample(stream).round() as Nanos,
            Self::Hyperexponential { probability, means: [first, second] } => {
                let is_first = unit_sample(stream) <= *probability;
                exponential_sample(if is_first { *first } else { *second }, stream)
            }
            // The conversion to an unsigned number cuts at 0.
            Self::Normal(normal) => normal.sample(stream).round() as Nanos,
            Self::LogNormal(normal) => normal.sample(stream).round() as Nanos,
            Self::Recorded { delays, next } => delays.take(next),
        }
    }

    /// Skips delays. A draw may take several numbers of the stream, so random delays are drawn.
    fn skip(&mut self, count: u64, stream: &mut Xoshiro256PlusPlus) {
        match self {
            Self::Constant(_) => {}
            Self::Recorded { delays, next } => *next = delays.advance(*next, count),
            _ => {
                for _ in 0..count {
                    let _skipped = self.sample(stream);
                }
            }
        }
    }
}

/// Draws by inversion.
fn exponential_sample(mean: f64, stream: &mut Xoshiro256PlusPlus) -> Nanos {
    (-unit_sample(stream).ln() * mean).round() as Nanos
}

impl DelaySampler {
    /// A sampler for `worker` in a run with `seed` that skips the first `skipped` delays.
    pub(crate) fn new(delay: &Delay, seed: u64, worker: WorkerId, skipped: u64) -> Self {
        let mut stream = worker_stream(seed, worker);
        let mut distribution = Prepared::new(delay, worker.index);
        distribution.skip(skipped, &mut stream);
        Self { distribution, stream, is_zero: delay.is_zero() }
    }

    /// A sampler whose every delay is 0.
    pub(crate) fn zero() -> Self {
        Self::new(&Delay::Constant(0), 0, WorkerId { role: Role::Visitor, index: 0 }, 0)
    }

    /// Whether every delay is 0.
    pub(crate) fn is_zero(&self) -> bool {
        self.is_zero
    }

    /// Draws the next delay.
    pub(crate) fn sample(&mut self) -> Duration {
        Duration::from_nanos(self.distribution.sample(&mut self.stream))
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
        let mut distribution = Prepared::new(delay, 1);
        (0..count).map(|_| distribution.sample(stream)).collect()
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

    fn random_delays() -> Vec<Delay> {
        vec![
            Delay::Exponential { mean: SECOND },
            Delay::Uniform { low: SECOND, high: 3 * SECOND },
            Delay::Erlang { phases: 3, mean: SECOND },
            Delay::Hyperexponential { probability: 0.9, means: [SECOND / 2, 5 * SECOND] },
            Delay::Normal { mean: SECOND, deviation: SECOND / 5 },
            // Every third draw is cut.
            Delay::Normal { mean: SECOND, deviation: 2 * SECOND },
            Delay::LogNormal { mean: SECOND, deviation: SECOND / 2 },
        ]
    }

    /// A new version of `rand_distr` may change these: see [`unit_sample`].
    #[test]
    fn the_delays_of_a_seed_do_not_change_with_a_library() {
        let found: Vec<_> = random_delays()
            .iter()
            .skip(2)
            .map(|delay| samples(delay, &mut stream(1, 1), 3))
            .collect();
        let expected = [
            [1_064_688_262, 990_468_553, 770_431_181],
            [185_449_940, 256_287_779, 936_848_211],
            [1_060_748_494, 1_171_834_584, 1_035_984_953],
            [1_607_484_942, 2_718_345_842, 1_359_849_531],
            [1_032_424_907, 1_342_166_304, 973_771_323],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn means_and_deviations_match_the_distributions() {
        let count = 200_000;
        for delay in random_delays() {
            let all = samples(&delay, &mut stream(3, 1), count);
            let mean = all.iter().map(|&x| x as f64 / 1e9).sum::<f64>() / count as f64;
            let square = all.iter().map(|&x| (x as f64 / 1e9).powi(2)).sum::<f64>() / count as f64;
            // Five standard errors of the mean. The tails of the squares are heavier.
            let error = 5.0 * (delay.variance() / count as f64).sqrt();
            assert!((mean - delay.mean()).abs() < error, "{delay}: {mean}");
            let ratio = square / delay.mean_square();
            assert!((ratio - 1.0).abs() < 0.04, "{delay}: {ratio}");
        }
    }

    #[test]
    fn a_successor_continues_with_the_delays_that_are_left() {
        let recorded = RecordedDelays::new("file".into(), vec![1, 2, 3]).unwrap();
        let others = [Delay::Constant(5), Delay::Recorded(recorded.into())];
        for delay in random_delays().into_iter().chain(others) {
            let worker = WorkerId { role: Role::Consumer, index: 2 };
            let mut first = DelaySampler::new(&delay, 1, worker, 0);
            for skipped in 0..30 {
                let mut successor = DelaySampler::new(&delay, 1, worker, skipped);
                assert_eq!(first.sample(), successor.sample(), "{delay} without {skipped}");
            }
        }
    }

    #[test]
    fn each_worker_starts_at_its_own_place_of_a_file() {
        let recorded = RecordedDelays::new("file".into(), vec![1, 2, 3]).unwrap();
        let delay = Delay::Recorded(recorded.into());
        for (index, expected) in [(1, [1, 2, 3, 1]), (2, [2, 3, 1, 2]), (4, [1, 2, 3, 1])] {
            let worker = WorkerId { role: Role::Producer, index };
            let mut sampler = DelaySampler::new(&delay, 0, worker, 0);
            assert_eq!(expected.map(Duration::from_nanos), [(); 4].map(|()| sampler.sample()));
        }
    }

    #[test]
    fn a_uniform_delay_includes_both_ends() {
        let all = samples(&Delay::Uniform { low: 1, high: 3 }, &mut stream(1, 1), 100);
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&1), Some(&3)));
        assert_eq!(samples(&Delay::Uniform { low: 9, high: 9 }, &mut stream(1, 1), 2), [9, 9]);
    }
}
