//! Delays as queueing theory sees them: their letters, and the queue of arrivals in any renewal process.

use crate::clock::{Delay, to_seconds};

/// A bisection halves its interval this many times. Then the interval is as small as a double permits.
const BISECTIONS: usize = 100;

/// The simplest distribution that is the same as that of the delay.
pub(super) fn simplify(delay: &Delay) -> Delay {
    match *delay {
        Delay::Uniform { low, high } if low == high => Delay::Constant(low),
        Delay::Erlang { phases: 1, mean } => Delay::Exponential { mean },
        Delay::Hyperexponential { probability, means: [first, second] } => {
            if first == second || probability >= 1.0 {
                Delay::Exponential { mean: first }
            } else if probability <= 0.0 {
                Delay::Exponential { mean: second }
            } else {
                delay.clone()
            }
        }
        Delay::Normal { mean, deviation: 0 } | Delay::LogNormal { mean, deviation: 0 } => {
            Delay::Constant(mean)
        }
        Delay::Recorded(ref recorded) => match recorded.delays() {
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                Delay::Constant(*first)
            }
            _ => delay.clone(),
        },
        _ => delay.clone(),
    }
}

/// Kendall's letter for a delay.
pub(super) fn kendall_symbol(delay: &Delay) -> String {
    match delay {
        Delay::Constant(_) => "D".to_owned(),
        Delay::Exponential { .. } => "M".to_owned(),
        Delay::Erlang { phases, .. } => format!("E{phases}"),
        Delay::Hyperexponential { .. } => "H2".to_owned(),
        Delay::Uniform { .. }
        | Delay::Normal { .. }
        | Delay::LogNormal { .. }
        | Delay::Recorded(_) => "G".to_owned(),
    }
}

/// Whether the mean of exp(-s × delay) has a closed form.
pub(super) fn has_laplace_transform(delay: &Delay) -> bool {
    laplace_transform(delay, 1.0).is_finite()
}

/// The probability σ that an item waits in the queue GI/M/1: the root of σ = A(μ(1 − σ)) between 0 and 1,
/// where A is the Laplace transform of the time between two puts, and 1 / μ the mean `service` time in
/// seconds. At ρ ≥ 1 the result means nothing.
pub(super) fn gi_m_1_root(between: &Delay, service: f64) -> f64 {
    let [mut low, mut high] = [0.0, 1.0];
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        // The difference of the two sides is convex in σ, and 0 at the root and at 1.
        if laplace_transform(between, (1.0 - middle) / service) > middle {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The mean of exp(-s × delay), where `s` is in 1 / seconds, more than 0. NaN if it has no closed form.
fn laplace_transform(delay: &Delay, s: f64) -> f64 {
    let exponential = |mean| 1.0 / (1.0 + s * mean);
    match *delay {
        Delay::Constant(nanos) => (-s * to_seconds(nanos)).exp(),
        Delay::Exponential { mean } => exponential(to_seconds(mean)),
        Delay::Uniform { low, high } => {
            let (start, width) = (to_seconds(low), s * to_seconds(high - low));
            (-s * start).exp() * -(-width).exp_m1() / width
        }
        Delay::Erlang { phases, mean } => {
            let phases = f64::from(phases);
            exponential(to_seconds(mean) / phases).powf(phases)
        }
        Delay::Hyperexponential { probability, means } => {
            let [first, second] = means.map(|mean| exponential(to_seconds(mean)));
            probability * first + (1.0 - probability) * second
        }
        Delay::Normal { .. } | Delay::LogNormal { .. } | Delay::Recorded(_) => f64::NAN,
    }
}
