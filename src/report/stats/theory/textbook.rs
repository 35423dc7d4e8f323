//! Values that textbooks print, or that follow from their formulas: for the formulas here, and for runs.
//!
//! * Gross: Gross, Shortle, Thompson and Harris, *Fundamentals of Queueing Theory*, 4th edition.
//! * Adan: Adan and Resing, *Queueing Systems* (lecture notes, Eindhoven).

use super::{Averages, ModelInput};
use crate::clock::Delay::{
    self, Constant, Erlang, Exponential, Hyperexponential, LogNormal, Uniform,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const MINUTE: u64 = 60 * SECOND;

/// An average of a queue in a book.
pub(crate) struct TextbookValue {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    /// `[producer, consumer]`.
    pub(crate) delays: [Delay; 2],
    /// `[producers, consumers]`.
    pub(crate) workers: [u32; 2],
    /// 0 for an unbounded queue.
    pub(crate) capacity: u64,
    pub(crate) average: fn(&Averages) -> f64,
    /// Times are in seconds.
    pub(crate) value: f64,
    /// Half a unit of the last printed digit; almost nothing for an exact value.
    pub(crate) tolerance: f64,
}

impl TextbookValue {
    /// The parameters of a run of this many items.
    pub(crate) fn model_input(&self, items: u64) -> ModelInput {
        let (workers, delays, capacity) = (self.workers, self.delays.clone(), self.capacity);
        ModelInput { items, workers, delays, capacity, seed: Some(1) }
    }
}

fn exact(
    name: &'static str,
    source: &'static str,
    delays: [Delay; 2],
    average: fn(&Averages) -> f64,
    value: f64,
) -> TextbookValue {
    let tolerance = 1e-8;
    TextbookValue { name, source, delays, workers: [1, 1], capacity: 0, average, value, tolerance }
}

fn exp(mean: u64) -> Delay {
    Exponential { mean }
}

/// All values.
pub(crate) fn values() -> Vec<TextbookValue> {
    markovian().into_iter().chain(any_service()).chain(any_arrivals()).collect()
}

/// Exponential delays.
fn markovian() -> Vec<TextbookValue> {
    // λ = 1.8, μ = 1 for two servers; λ = 4.5 for five.
    let [for_two, for_five] = [555_555_556, 222_222_222].map(exp);
    let eye_clinic = [exp(10 * MINUTE), exp(20 * MINUTE)];
    vec![
        exact(
            "M/M/1: the hair salon, 5 customers an hour, 10 minutes each",
            "Gross, section 2.2: Lq = ρ² / (1 - ρ) = 4 1/6",
            [exp(12 * MINUTE), exp(10 * MINUTE)],
            depth,
            25.0 / 6.0,
        ),
        exact(
            "M/M/1: the time in the hair salon",
            "Gross, section 2.2: W = 1 / (μ - λ) = 1 hour",
            [exp(12 * MINUTE), exp(10 * MINUTE)],
            sojourn,
            3600.0,
        ),
        TextbookValue {
            workers: [1, 2],
            tolerance: 0.005,
            ..exact("M/M/2, ρ = 0.9", "Adan, table 5.1", [for_two, exp(SECOND)], wait, 4.26)
        },
        TextbookValue {
            workers: [1, 5],
            tolerance: 0.005,
            ..exact(
                "M/M/5, ρ = 0.9: Erlang's C",
                "Adan, table 5.1",
                [for_five, exp(SECOND)],
                waits,
                0.76,
            )
        },
        TextbookValue {
            workers: [1, 3],
            ..exact(
                "M/M/3: the eye clinic, 6 patients an hour, 20 minutes each",
                "Gross, section 2.3: Lq = 8/9",
                eye_clinic,
                depth,
                8.0 / 9.0,
            )
        },
    ]
}

/// Poisson arrivals.
fn any_service() -> Vec<TextbookValue> {
    vec![
        exact(
            "M/D/1, ρ = 0.8",
            "Gross, section 5.1: Lq = ρ² / (2 (1 - ρ))",
            [exp(SECOND), Constant(800 * MS)],
            depth,
            1.6,
        ),
        exact(
            "M/E4/1: the savings and loan, 16 customers an hour, 2.5 minutes each",
            "Gross, section 3.3: Lq = (1 + 1/k) / 2 × ρ² / (1 - ρ) = 5/6",
            [exp(225 * SECOND), Erlang { phases: 4, mean: 150 * SECOND }],
            depth,
            5.0 / 6.0,
        ),
        exact(
            "M/H2/1, ρ = 0.75",
            "Gross, section 5.1: Wq = λ E(S²) / (2 (1 - ρ)), E(S²) = 2.25",
            [exp(SECOND), Hyperexponential { probability: 0.9, means: [500 * MS, 3 * SECOND] }],
            wait,
            4.5,
        ),
        exact(
            "M/G/1 with a uniform service from 0 to 1",
            "Gross, section 5.1: E(S²) = 1/3",
            [exp(SECOND), Uniform { low: 0, high: SECOND }],
            wait,
            1.0 / 3.0,
        ),
        exact(
            "M/G/1 with a log-normal service",
            "Gross, section 5.1: E(S²) = 0.8² + 0.4²",
            [exp(SECOND), LogNormal { mean: 800 * MS, deviation: 400 * MS }],
            wait,
            2.0,
        ),
    ]
}

/// The other arrivals, and the bounded queue.
fn any_arrivals() -> Vec<TextbookValue> {
    vec![
        exact(
            "D/M/1, ρ = 0.5",
            "Gross, section 5.3: σ = exp(-(1 - σ) / ρ)",
            [Constant(2 * SECOND), exp(SECOND)],
            waits,
            0.203_187_869_98,
        ),
        exact(
            "E2/M/1, ρ = 0.5",
            "Gross, section 5.3: σ = (1 + 4ρ - √(1 + 8ρ)) / 2",
            [Erlang { phases: 2, mean: 2 * SECOND }, exp(SECOND)],
            waits,
            (3.0 - 5f64.sqrt()) / 2.0,
        ),
        exact(
            "H2/M/1, ρ = 0.5",
            "Gross, section 5.3: 3σ² - 7σ + 3 = 0",
            [Hyperexponential { probability: 0.5, means: [SECOND, 3 * SECOND] }, exp(SECOND)],
            waits,
            (7.0 - 13f64.sqrt()) / 6.0,
        ),
        exact(
            "D/D/1, ρ = 0.8",
            "Gross, section 1: no customer waits",
            [Constant(SECOND), Constant(800 * MS)],
            sojourn,
            0.8,
        ),
        TextbookValue {
            capacity: 1,
            ..exact(
                "M/M/1 with one place, whose producer blocks, ρ = 2",
                "Gross, section 2.1: the weights of the four states are 1, 2, 4, 8",
                [exp(500 * MS), exp(SECOND)],
                |a| a.blocked_share,
                8.0 / 15.0,
            )
        },
    ]
}

fn wait(averages: &Averages) -> f64 {
    averages.waiting_time
}

fn sojourn(averages: &Averages) -> f64 {
    averages.sojourn_time
}

fn depth(averages: &Averages) -> f64 {
    averages.depth
}

fn waits(averages: &Averages) -> f64 {
    averages.wait_probability
}

#[test]
fn the_formulas_give_the_values_of_textbooks() {
    for case in values() {
        let steady =
            case.model_input(1000).steady_state().unwrap_or_else(|| panic!("{}", case.name));
        assert!(!steady.is_bound && !steady.assumes_independence, "{}", case.name);
        let found = (case.average)(&steady.averages);
        let error = (found - case.value).abs();
        assert!(
            error <= case.tolerance * case.value.max(1.0),
            "{}: {found} ({})",
            case.name,
            case.source
        );
    }
}
