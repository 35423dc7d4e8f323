//! Delays, constant or random: their distributions, means and options.

mod jitter;
mod recorded;
mod sampler;

use std::f64::consts::{PI, SQRT_2};
use std::fmt;
use std::sync::Arc;

use super::nanos::{Nanos, to_seconds};
pub(crate) use jitter::JitterSampler;
pub use recorded::RecordedDelays;
pub(crate) use sampler::{DelaySampler, random_seed};

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
    /// The sum of exponentially distributed phases that have the same mean.
    Erlang {
        /// At least 1.
        phases: u32,
        /// The mean of the sum in nanoseconds, at least 1.
        mean: Nanos,
    },
    /// Exponentially distributed, with one of two means.
    Hyperexponential {
        /// The probability of the first mean, from 0 to 1.
        probability: f64,
        /// In nanoseconds, each at least 1.
        means: [Nanos; 2],
    },
    /// Normally distributed. A draw below 0 becomes 0.
    Normal {
        /// The mean of the draws in nanoseconds, at least 1.
        mean: Nanos,
        /// The standard deviation of the draws in nanoseconds.
        deviation: Nanos,
    },
    /// A delay whose logarithm is normally distributed.
    LogNormal {
        /// The mean of the delay in nanoseconds, at least 1.
        mean: Nanos,
        /// The standard deviation of the delay in nanoseconds.
        deviation: Nanos,
    },
    /// The delays of a file in their order.
    Recorded(Arc<RecordedDelays>),
}

impl Delay {
    /// Whether every delay is 0.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Constant(0) | Self::Uniform { high: 0, .. } => true,
            Self::Recorded(recorded) => recorded.sum() == 0,
            _ => false,
        }
    }

    /// Whether the delay is random.
    pub(crate) fn is_random(&self) -> bool {
        !matches!(self, Self::Constant(_) | Self::Recorded(_))
    }

    /// The delays of a file.
    pub(crate) fn recorded(&self) -> Option<&RecordedDelays> {
        match self {
            Self::Recorded(recorded) => Some(recorded),
            _ => None,
        }
    }

    /// The mean in seconds.
    pub(crate) fn mean(&self) -> f64 {
        match self {
            Self::Constant(nanos) => to_seconds(*nanos),
            Self::Exponential { mean }
            | Self::Erlang { mean, .. }
            | Self::LogNormal { mean, .. } => to_seconds(*mean),
            Self::Uniform { low, high } => f64::midpoint(to_seconds(*low), to_seconds(*high)),
            Self::Hyperexponential { probability, means } => {
                let [first, second] = means.map(to_seconds);
                probability * first + (1.0 - probability) * second
            }
            Self::Normal { mean, deviation } => cut_normal_moments(*mean, *deviation)[0],
            Self::Recorded(recorded) => recorded.mean(),
        }
    }

    /// The mean of the squares, in seconds squared.
    pub(crate) fn mean_square(&self) -> f64 {
        match self {
            Self::Constant(nanos) => to_seconds(*nanos).powi(2),
            Self::Exponential { mean } => 2.0 * to_seconds(*mean).powi(2),
            Self::Uniform { low, high } => {
                let (a, b) = (to_seconds(*low), to_seconds(*high));
                (a * a + a * b + b * b) / 3.0
            }
            Self::Erlang { phases, mean } => {
                to_seconds(*mean).powi(2) * (1.0 + 1.0 / f64::from(*phases))
            }
            Self::Hyperexponential { probability, means } => {
                let [first, second] = means.map(|mean| 2.0 * to_seconds(mean).powi(2));
                probability * first + (1.0 - probability) * second
            }
            Self::Normal { mean, deviation } => cut_normal_moments(*mean, *deviation)[1],
            Self::LogNormal { mean, deviation } => {
                to_seconds(*mean).powi(2) + to_seconds(*deviation).powi(2)
            }
            Self::Recorded(recorded) => recorded.mean_square(),
        }
    }

    /// In seconds squared.
    pub(crate) fn variance(&self) -> f64 {
        // The difference of two nearly equal numbers may be below 0.
        (self.mean_square() - self.mean().powi(2)).max(0.0)
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
        let scale_mean = |mean| scale(mean).max(1);
        Some(match self {
            Self::Constant(_) | Self::Exponential { .. } => Self::Exponential { mean },
            Self::Uniform { low, high } => Self::Uniform { low: scale(*low), high: scale(*high) },
            Self::Erlang { phases, .. } => Self::Erlang { phases: *phases, mean },
            Self::Hyperexponential { probability, means } => {
                Self::Hyperexponential { probability: *probability, means: means.map(scale_mean) }
            }
            // The mean of the draws is less than that of the delays, where draws are cut.
            Self::Normal { mean, deviation } => {
                Self::Normal { mean: scale_mean(*mean), deviation: scale(*deviation) }
            }
            Self::LogNormal { deviation, .. } => {
                Self::LogNormal { mean, deviation: scale(*deviation) }
            }
            Self::Recorded(recorded) => Self::Recorded(Arc::new(recorded.map(scale))),
        })
    }
}

/// The first two moments of max(0, X), in seconds and seconds squared, where X is normally distributed. With
/// z = mean / deviation, Φ the distribution function and φ the density of the standard normal distribution:
/// E = m Φ(z) + s φ(z), E² = (m² + s²) Φ(z) + m s φ(z) (Johnson, Kotz and Balakrishnan, *Continuous
/// Univariate Distributions*, volume 1, section 13.10.1, for the truncated distribution).
fn cut_normal_moments(mean: Nanos, deviation: Nanos) -> [f64; 2] {
    let (m, s) = (to_seconds(mean), to_seconds(deviation));
    if deviation == 0 {
        return [m, m * m];
    }
    let z = m / s;
    let below = 0.5 * libm::erfc(-z / SQRT_2);
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    [m * below + s * density, (m * m + s * s) * below + m * s * density]
}

/// Formats the delay as the command line takes it. Scaled delays of a file have the name of their file.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(nanos) => write!(f, "{nanos}ns"),
            Self::Exponential { mean } => write!(f, "exp:{mean}ns"),
            Self::Uniform { low, high } => write!(f, "uniform:{low}ns..{high}ns"),
            Self::Erlang { phases, mean } => write!(f, "erlang:{phases},{mean}ns"),
            Self::Hyperexponential { probability, means: [first, second] } => {
                write!(f, "hyper:{probability},{first}ns,{second}ns")
            }
            Self::Normal { mean, deviation } => write!(f, "normal:{mean}ns,{deviation}ns"),
            Self::LogNormal { mean, deviation } => write!(f, "lognormal:{mean}ns,{deviation}ns"),
            Self::Recorded(recorded) => write!(f, "file:{}", recorded.path().display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_scaled_delay_has_the_other_mean() {
        for delay in [
            Delay::Constant(SECOND),
            Delay::Exponential { mean: SECOND },
            Delay::Uniform { low: SECOND, high: 3 * SECOND },
            Delay::Erlang { phases: 3, mean: SECOND },
            Delay::Hyperexponential { probability: 0.9, means: [SECOND / 2, 5 * SECOND] },
            Delay::Normal { mean: SECOND, deviation: SECOND },
            Delay::LogNormal { mean: SECOND, deviation: SECOND / 2 },
            recorded(&[0, SECOND, 5 * SECOND]),
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
        assert_eq!(recorded(&[0, 0]).with_mean(5), None);
        assert_eq!(recorded(&[1, 3]).with_mean(4), Some(recorded(&[2, 6])));
    }

    fn recorded(delays: &[Nanos]) -> Delay {
        Delay::Recorded(RecordedDelays::new("delays.txt".into(), delays.to_vec()).unwrap().into())
    }

    #[test]
    fn moments_of_cut_draws_match_an_integral_over_the_density() {
        for (mean, deviation) in [(1.0, 0.2), (1.0, 1.0), (0.5, 3.0)] {
            let step = deviation / 1000.0;
            let mut moments = [0.0; 2];
            for at in (0..10_000).map(|n| (f64::from(n) + 0.5) * step) {
                let z = (at - mean) / deviation;
                let part = (-0.5 * z * z).exp() / (2.0 * PI).sqrt() / deviation * step;
                moments[0] += at * part;
                moments[1] += at * at * part;
            }
            let found = cut_normal_moments((mean * 1e9) as Nanos, (deviation * 1e9) as Nanos);
            for (found, expected) in found.into_iter().zip(moments) {
                assert!((found - expected).abs() < 1e-5, "{mean} {deviation}: {found} {expected}");
            }
        }
        assert_eq!(cut_normal_moments(2 * SECOND, 0), [2.0, 4.0]);
    }
}
