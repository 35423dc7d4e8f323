//! The closed forms of queueing theory for a run, as far as there are any.
//!
//! Source: Gross, Shortle, Thompson and Harris, *Fundamentals of Queueing Theory*, 4th edition, sections 2.3
//! (M/M/c, Erlang's C), 5.1 (M/G/1, Pollaczek and Khinchine), 5.3 (G/M/1) and 7.1 (Kingman's bound).

mod birth_death;
mod renewal;
#[cfg(test)]
pub(crate) mod textbook;

use serde::{Serialize, Serializer};

use crate::catalogue::{Lang, message};
use crate::clock::Delay;
use renewal::{gi_m_1_root, has_laplace_transform, kendall_symbol, simplify};

/// The parameters of a run.
#[derive(Clone, Debug)]
pub(crate) struct ModelInput {
    pub(crate) items: u64,
    /// `[producers, consumers]`.
    pub(crate) workers: [u32; 2],
    /// `[producer, consumer]`: the delay after each item.
    pub(crate) delays: [Delay; 2],
    /// 0 for an unbounded queue.
    pub(crate) capacity: u64,
    /// `None` if no delay is random.
    pub(crate) seed: Option<u64>,
}

/// A model and its averages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QueueingModel {
    pub(super) name: ModelName,
    /// The offered load of each consumer: the arrivals per second without blocking, times the mean service
    /// time, divided by the number of consumers.
    pub(super) rho: f64,
    /// `None` if the model is unstable: the queue grows without limit. A value that theory does not give is
    /// NaN.
    pub(super) steady_state: Option<Averages>,
    /// The depth, the number in the system, and the waiting and sojourn times are upper bounds (Kingman's).
    /// The other averages are exact.
    pub(super) is_bound: bool,
    /// The formula takes the delays of a file as independent of each other. A run replays them in order.
    pub(super) assumes_independence: bool,
}

/// The name of a model. In JSON it is English.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelName {
    /// In Kendall's notation.
    kendall: String,
    /// The capacity of a bounded queue, whose producers block.
    capacity: Option<u64>,
}

impl ModelName {
    pub(super) fn text(&self, lang: Lang) -> String {
        let kendall = &self.kendall;
        match self.capacity {
            None => kendall.clone(),
            Some(capacity) => {
                message!(lang, "stats-bounded-model", kendall = kendall, capacity = capacity)
            }
        }
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text(Lang::En))
    }
}

/// Averages of a queue: of a formula in the steady state, or of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Averages {
    /// Items per second.
    pub(crate) throughput: f64,
    /// Ready items.
    pub(crate) depth: f64,
    /// Items ready or in flight.
    pub(crate) in_system: f64,
    /// The time that an item is ready, in seconds.
    pub(crate) waiting_time: f64,
    /// The time from put to done, in seconds.
    pub(crate) sojourn_time: f64,
    /// The busy fraction of each consumer.
    pub(crate) utilization: f64,
    /// The probability that an item is not delivered at once.
    pub(crate) wait_probability: f64,
    /// The fraction of its time that a producer waits for room.
    pub(crate) blocked_share: f64,
}

impl Averages {
    /// Of sums over all workers, the averages of a worker.
    pub(super) fn per_worker(self, workers: [u32; 2]) -> Self {
        let [producers, consumers] = workers.map(f64::from);
        Self {
            utilization: self.utilization / consumers,
            blocked_share: self.blocked_share / producers,
            ..self
        }
    }
}

/// What theory says of a run in its steady state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SteadyState {
    /// A value that theory does not give is NaN.
    pub(crate) averages: Averages,
    /// The depth, the number in the system, and the waiting and sojourn times are upper bounds. The other
    /// averages are exact.
    pub(crate) is_bound: bool,
    /// The formula takes the delays of a file as independent of each other. A run replays them in order.
    pub(crate) assumes_independence: bool,
}

impl ModelInput {
    /// The averages of the run in its steady state. `None` if it has none, or if theory has no formula.
    pub(crate) fn steady_state(&self) -> Option<SteadyState> {
        let model = self.model()?;
        Some(SteadyState {
            averages: model.steady_state?,
            is_bound: model.is_bound,
            assumes_independence: model.assumes_independence,
        })
    }

    /// The model of the run. `None` if theory has neither a formula nor a bound.
    pub(super) fn model(&self) -> Option<QueueingModel> {
        let delays = self.delays.each_ref().map(simplify);
        let [put_delay, service] = &delays;
        let [producers, consumers] = self.workers;
        if put_delay.mean() <= 0.0 {
            return None;
        }
        let rate = f64::from(producers) / put_delay.mean();
        let rho = rate * service.mean() / f64::from(consumers);
        let symbols = delays.each_ref().map(kendall_symbol);
        let mut model = QueueingModel {
            name: ModelName {
                kendall: format!("{}/{}/{consumers}", symbols[0], symbols[1]),
                capacity: None,
            },
            rho,
            steady_state: None,
            is_bound: false,
            assumes_independence: service.recorded().is_some(),
        };
        if self.capacity > 0 && !is_deterministic(&delays, self.workers) {
            // Room goes to the first of the blocked producers, and each puts a fixed share of the items: the last
            // producers need much longer, and a long part of the run lacks the others.
            if producers > 1 {
                return None;
            }
            model.name.capacity = Some(self.capacity);
            model.steady_state = Some(self.solve_bounded(&delays)?);
            return Some(model);
        }
        let formula = self.formula(&delays, rate, rho)?;
        let is_stable = rho < 1.0 || rho <= 1.0 && is_deterministic(&delays, self.workers);
        if self.capacity > 0 && !is_stable {
            return None;
        }
        model.is_bound = formula.is_bound;
        model.steady_state = is_stable.then(|| {
            let Formula { wait, waits, .. } = formula;
            apply_littles_law(rate, wait, waits, service.mean(), consumers)
        });
        Some(model)
    }

    /// The bounded queue has a formula if all delays are exponential.
    fn solve_bounded(&self, delays: &[Delay; 2]) -> Option<Averages> {
        match delays {
            [Delay::Exponential { .. }, Delay::Exponential { .. }] => {
                let [birth, death] = delays.each_ref().map(|delay| 1.0 / delay.mean());
                self.solve_birth_death(birth, death)
            }
            _ => None,
        }
    }

    /// The formula of the unbounded queue for the arrivals per second and the load of each consumer. At a
    /// load of 1 or more its values mean nothing, except if all delays are constant.
    fn formula(&self, delays: &[Delay; 2], rate: f64, rho: f64) -> Option<Formula> {
        let [put_delay, service] = delays;
        let [_, consumers] = self.workers;
        let mean = service.mean();
        let exact = |wait, waits| Some(Formula { wait, waits, is_bound: false });
        match (put_delay, service) {
            _ if is_deterministic(delays, self.workers) => exact(0.0, 0.0),
            (Delay::Exponential { .. }, Delay::Exponential { .. }) => {
                let waits = erlang_c(consumers, rate * mean);
                exact(waits * mean / (f64::from(consumers) * (1.0 - rho)), waits)
            }
            (Delay::Exponential { .. }, _) if consumers == 1 => {
                exact(rate * service.mean_square() / (2.0 * (1.0 - rho)), rho)
            }
            // The puts of several producers with other delays are no renewal process, nor are those of a
            // file, whose delays depend on each other.
            _ if self.workers != [1, 1] || put_delay.recorded().is_some() => None,
            (_, Delay::Exponential { .. }) if has_laplace_transform(put_delay) => {
                let waits = gi_m_1_root(put_delay, mean);
                exact(waits * mean / (1.0 - waits), waits)
            }
            (_, Delay::Recorded(_)) => None,
            _ => {
                let variances = put_delay.variance() + service.variance();
                let wait = rate * variances / (2.0 * (1.0 - rho));
                Some(Formula { wait, waits: f64::NAN, is_bound: true })
            }
        }
    }
}

/// What a formula says of the items of an unbounded queue.
struct Formula {
    /// The mean waiting time in seconds.
    wait: f64,
    /// The probability that an item waits.
    waits: f64,
    /// The waiting time is an upper bound.
    is_bound: bool,
}

/// Whether one producer and one consumer have constant delays.
fn is_deterministic(delays: &[Delay; 2], workers: [u32; 2]) -> bool {
    workers == [1, 1] && matches!(delays, [Delay::Constant(_), Delay::Constant(_)])
}

/// All averages by Little's law, from the arrival rate, the mean waiting time, the probability of a wait, and
/// the mean service time.
fn apply_littles_law(rate: f64, wait: f64, waits: f64, service: f64, consumers: u32) -> Averages {
    Averages {
        throughput: rate,
        depth: rate * wait,
        in_system: rate * (wait + service),
        waiting_time: wait,
        sojourn_time: wait + service,
        utilization: rate * service / f64::from(consumers),
        wait_probability: waits,
        blocked_share: 0.0,
    }
}

/// Erlang's C: the probability that all `servers` are busy. The offered `load`, in erlangs, is less than
/// `servers`. The computation goes by Erlang's B, whose recursion does not overflow.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let b = (1..=servers).fold(1.0, |b, k| load * b / (f64::from(k) + load * b));
    b / (1.0 - load / f64::from(servers) * (1.0 - b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RecordedDelays;
    use Delay::{Constant, Erlang, Exponential, Hyperexponential, LogNormal, Normal, Uniform};

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;

    fn input(delays: [Delay; 2], workers: [u32; 2], capacity: u64) -> ModelInput {
        ModelInput { items: 1000, workers, delays, capacity, seed: None }
    }

    fn exp(ms: u64) -> Delay {
        Exponential { mean: ms * MS }
    }

    #[track_caller]
    fn model(delays: [Delay; 2], workers: [u32; 2], capacity: u64, name: &str) -> Averages {
        let model = input(delays, workers, capacity).model().unwrap();
        assert_eq!(model.name.text(Lang::En), name);
        model.steady_state.unwrap()
    }

    #[track_caller]
    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-4 * b.abs().max(1e-9), "{a} is not {b}");
    }

    #[test]
    fn one_server_with_exponential_times() {
        let s = model([exp(1000), exp(800)], [1, 1], 0, "M/M/1");
        close(s.waiting_time, 3.2);
        close(s.sojourn_time, 4.0);
        close(s.in_system, 4.0);
        close(s.depth, 3.2);
        close(s.wait_probability, 0.8);
        close(s.utilization, 0.8);
        let run = input([exp(1000), exp(800)], [1, 1], 0);
        assert_eq!(
            run.steady_state(),
            Some(SteadyState { averages: s, is_bound: false, assumes_independence: false })
        );
    }

    #[test]
    fn several_servers_follow_erlangs_c() {
        // The tables give this value for 5 servers and 4 erlangs.
        let s = model([exp(250), exp(1000)], [1, 5], 0, "M/M/5");
        close(s.wait_probability, 0.55411);
        close(s.waiting_time, 0.55411);
        // Two servers: C = 2ρ²/(1 + ρ).
        let s = model([exp(1000), exp(1600)], [1, 2], 0, "M/M/2");
        close(s.wait_probability, 1.28 / 1.8);
        // Poisson streams add up.
        assert_eq!(model([exp(2000), exp(1600)], [2, 2], 0, "M/M/2"), s);
    }

    #[test]
    fn one_server_with_any_service_follows_pollaczek_and_khinchine() {
        let s = model([exp(1000), Constant(800 * MS)], [1, 1], 0, "M/D/1");
        close(s.waiting_time, 1.6);
        let service = Uniform { low: 0, high: SECOND };
        let s = model([exp(1000), service], [1, 1], 0, "M/G/1");
        close(s.waiting_time, (1.0 / 3.0) / (2.0 * 0.5));
    }

    #[test]
    fn constant_times_cause_no_wait_up_to_full_load() {
        for service in [500, 1000] {
            let delays = [Constant(SECOND), Constant(service * MS)];
            let s = model(delays, [1, 1], 0, "D/D/1");
            assert_eq!((s.waiting_time, s.depth, s.wait_probability), (0.0, 0.0, 0.0));
            close(s.sojourn_time, service as f64 / 1e3);
        }
        let full = input([Constant(SECOND), Constant(2 * SECOND)], [1, 1], 0).model().unwrap();
        assert_eq!((full.rho, full.steady_state), (2.0, None));
    }

    #[test]
    fn a_bounded_queue_has_capacity_plus_two_states_above_empty() {
        let name = "M/M/1, capacity 1, producers block";
        // All four states have the same probability at ρ = 1.
        let s = model([exp(1000), exp(1000)], [1, 1], 1, name);
        close(s.throughput, 0.75);
        close(s.utilization, 0.75);
        close(s.blocked_share, 0.25);
        close(s.depth, 0.5);
        close(s.in_system, 1.25);
        close(s.waiting_time, 0.5 / 0.75);
        // One in three arrivals finds an empty system.
        close(s.wait_probability, 1.0 - 0.25 / 0.75);
        // The weights are 1, 2, 4, 8 at ρ = 2.
        let s = model([exp(500), exp(1000)], [1, 1], 1, name);
        close(s.throughput, 14.0 / 15.0);
        close(s.blocked_share, 8.0 / 15.0);
    }

    #[test]
    fn large_capacities_and_loads_approach_their_limits() {
        let bounded =
            input([exp(1000), exp(800)], [1, 1], 500).model().unwrap().steady_state.unwrap();
        let unbounded = model([exp(1000), exp(800)], [1, 1], 0, "M/M/1");
        close(bounded.waiting_time, unbounded.waiting_time);
        close(bounded.wait_probability, unbounded.wait_probability);
        let full =
            input([exp(1), exp(1000)], [1, 2], 10_000).model().unwrap().steady_state.unwrap();
        close(full.utilization, 1.0);
        close(full.throughput, 2.0);
        close(full.depth, 10_000.0);
    }

    #[test]
    fn overload_is_unstable_and_other_delays_have_no_model() {
        for load in [[exp(1000), exp(1000)], [exp(1000), Constant(SECOND)]] {
            let model = input(load, [1, 1], 0).model().unwrap();
            assert_eq!(model.steady_state, None);
        }
        for (delays, workers, capacity) in [
            ([Constant(SECOND), exp(800)], [2, 1], 0),
            ([Constant(SECOND), exp(800)], [1, 2], 0),
            ([Constant(SECOND), exp(800)], [1, 1], 4),
            ([exp(1000), exp(800)], [2, 1], 4),
            ([exp(1000), Constant(800 * MS)], [1, 2], 0),
            ([exp(1000), Constant(800 * MS)], [1, 1], 4),
            ([Constant(SECOND), Constant(SECOND)], [2, 1], 0),
            ([Constant(0), exp(1000)], [1, 1], 0),
            // Neither a formula nor a bound holds for delays in the order of a file.
            ([recorded(&[500, 1500]), exp(800)], [1, 1], 0),
            ([Uniform { low: 0, high: 2 * SECOND }, recorded(&[400, 1200])], [1, 1], 0),
        ] {
            assert_eq!(input(delays, workers, capacity).model(), None);
        }
    }

    fn recorded(delays: &[u64]) -> Delay {
        let delays = delays.iter().map(|ms| ms * MS).collect();
        Delay::Recorded(RecordedDelays::new("delays.txt".into(), delays).unwrap().into())
    }

    #[test]
    fn other_delays_have_kingmans_upper_bound() {
        let normal = Normal { mean: SECOND, deviation: 200 * MS };
        let uniform = Uniform { low: 400 * MS, high: 1200 * MS };
        let run = input([normal, uniform], [1, 1], 0);
        assert_eq!(run.model().unwrap().name.text(Lang::En), "G/G/1");
        let SteadyState { averages, is_bound, assumes_independence } = run.steady_state().unwrap();
        assert!(is_bound && !assumes_independence);
        // The cut at 0 is five deviations away.
        close(averages.waiting_time, (0.04 + 0.64 / 12.0) / (2.0 * 0.2));
        close(averages.throughput, 1.0);
        assert!(averages.wait_probability.is_nan());
        // The bound is above the exact value where both are known.
        let uniform = Uniform { low: 0, high: 2 * SECOND };
        let exact = model([uniform.clone(), exp(800)], [1, 1], 0, "G/M/1");
        let bound = (uniform.variance() + 0.64) / (2.0 * 0.2);
        assert!(exact.waiting_time < bound, "{exact:?} {bound}");
        // There is no bound at a load of 1 or more.
        let full = input([exp(1000), recorded(&[1000, 1001])], [1, 1], 0).model().unwrap();
        assert_eq!(full.steady_state, None);
    }

    #[test]
    fn a_distribution_that_is_a_simpler_one_has_its_formula() {
        let expected = model([exp(1000), exp(800)], [1, 1], 0, "M/M/1");
        let mean = 800 * MS;
        for service in [
            Erlang { phases: 1, mean },
            Hyperexponential { probability: 0.3, means: [mean, mean] },
            Hyperexponential { probability: 1.0, means: [mean, 1] },
            Hyperexponential { probability: 0.0, means: [1, mean] },
        ] {
            assert_eq!(model([exp(1000), service], [1, 1], 0, "M/M/1"), expected);
        }
        let expected = model([exp(1000), Constant(mean)], [1, 1], 0, "M/D/1");
        for service in [
            Uniform { low: mean, high: mean },
            Normal { mean, deviation: 0 },
            LogNormal { mean, deviation: 0 },
            recorded(&[800, 800]),
        ] {
            assert_eq!(model([exp(1000), service], [1, 1], 0, "M/D/1"), expected);
        }
    }

    #[test]
    fn a_file_as_service_has_the_formula_for_independent_delays() {
        let run = input([exp(1000), recorded(&[200, 1000])], [1, 1], 0);
        let steady = run.steady_state().unwrap();
        assert!(steady.assumes_independence && !steady.is_bound);
        close(steady.averages.waiting_time, 0.52 / (2.0 * 0.4));
    }
}
