//! The closed forms of queueing theory for a run, as far as there are any.
//!
//! Sources: Gross, Shortle, Thompson and Harris, *Fundamentals of Queueing Theory*, chapters 2 (birth and
//! death, M/M/c, Erlang's C) and 5 (M/G/1, Pollaczek and Khinchine).

use serde::{Serialize, Serializer};

use crate::catalogue::{Lang, message};
use crate::clock::Delay;

/// A longer chain has no steady state here: the sum would take too long.
const MAX_STATES: u64 = 10_000_000;

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
    /// `None` if the model is unstable: the queue grows without limit.
    pub(super) steady_state: Option<Averages>,
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
}

/// Kendall's letter for a delay.
fn kendall_symbol(delay: &Delay) -> char {
    match delay {
        Delay::Constant(_) => 'D',
        Delay::Exponential { .. } => 'M',
        Delay::Uniform { .. } => 'G',
    }
}

impl ModelInput {
    /// The averages of the run in its steady state. `None` if it has none, or if theory has no formula.
    pub(crate) fn steady_state(&self) -> Option<SteadyState> {
        let averages = self.model()?.steady_state?;
        Some(SteadyState { averages, is_bound: false })
    }

    /// The model of the run. `None` if it has no closed form.
    pub(super) fn model(&self) -> Option<QueueingModel> {
        let [put_delay, service] = &self.delays;
        let [producers, consumers] = self.workers;
        let between = put_delay.mean();
        let (mean, square) = (service.mean(), service.mean_square());
        if between <= 0.0 {
            return None;
        }
        let rate = f64::from(producers) / between;
        let rho = rate * mean / f64::from(consumers);
        let symbols = [put_delay, service].map(kendall_symbol);
        let kendall = format!("{}/{}/{consumers}", symbols[0], symbols[1]);
        let steady = match (put_delay, service) {
            (Delay::Exponential { .. }, Delay::Exponential { .. }) if self.capacity > 0 => {
                let steady = self.solve_birth_death(1.0 / between, 1.0 / mean)?;
                let name = ModelName { kendall, capacity: Some(self.capacity) };
                return Some(QueueingModel { name, rho, steady_state: Some(steady) });
            }
            (Delay::Constant(_), Delay::Constant(_)) if self.workers == [1, 1] => {
                if self.capacity > 0 && rho > 1.0 {
                    return None;
                }
                (rho <= 1.0).then(|| apply_littles_law(rate, 0.0, 0.0, mean, 1))
            }
            _ if self.capacity > 0 => return None,
            (Delay::Exponential { .. }, Delay::Exponential { .. }) => (rho < 1.0).then(|| {
                let waits = erlang_c(consumers, rate * mean);
                let wait = waits * mean / (f64::from(consumers) * (1.0 - rho));
                apply_littles_law(rate, wait, waits, mean, consumers)
            }),
            (Delay::Exponential { .. }, _) if consumers == 1 => (rho < 1.0).then(|| {
                let wait = rate * square / (2.0 * (1.0 - rho));
                apply_littles_law(rate, wait, rho, mean, 1)
            }),
            _ => return None,
        };
        Some(QueueingModel {
            name: ModelName { kendall, capacity: None },
            rho,
            steady_state: steady,
        })
    }

    /// Solves the chain of births and deaths of a bounded queue. Producers with exponential delays wait for
    /// room, and consumers have exponential delays. A state counts the ready items, the items in flight and
    /// the blocked producers. With one producer and one consumer there are capacity + 2 states above the
    /// empty one, because a delivery frees a slot (so the loss formula M/M/1/K does not apply).
    fn solve_birth_death(&self, birth: f64, death: f64) -> Option<Averages> {
        let [producers, consumers] = self.workers.map(u64::from);
        // A producer with one more item than this waits.
        let room = self.capacity.checked_add(consumers)?;
        let states = room.checked_add(producers).filter(|states| *states <= MAX_STATES)?;
        let mut weight = 1.0;
        // The sum of the weights, and the sum of each value with the weight of its state.
        let mut sums = [0.0; 6];
        for state in 0..=states {
            let waiting = state.saturating_sub(room);
            let births = birth * (producers - waiting) as f64;
            let out = state.min(consumers);
            let ready = state.min(room) - out;
            let undelayed_births = if state < consumers { births } else { 0.0 };
            let values = [1.0, ready as f64, out as f64, waiting as f64, births, undelayed_births];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            weight *= births / (death * (state + 1).min(consumers) as f64);
            if weight > 1e200 {
                weight *= 1e-200;
                sums.iter_mut().for_each(|sum| *sum *= 1e-200);
            }
        }
        let [total, depth, out, blocked_producers, births, undelayed_births] = sums;
        let (throughput, depth, out) = (births / total, depth / total, out / total);
        Some(Averages {
            throughput,
            depth,
            in_system: depth + out,
            waiting_time: depth / throughput,
            sojourn_time: (depth + out) / throughput,
            utilization: out / consumers as f64,
            wait_probability: 1.0 - undelayed_births / births,
            blocked_share: blocked_producers / total / producers as f64,
        })
    }
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
    use Delay::{Constant, Exponential, Uniform};

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
        assert_eq!(run.steady_state(), Some(SteadyState { averages: s, is_bound: false }));
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
            input([exp(1), exp(1000)], [3, 2], 10_000).model().unwrap().steady_state.unwrap();
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
            ([Constant(SECOND), exp(800)], [1, 1], 0),
            ([exp(1000), Constant(800 * MS)], [1, 2], 0),
            ([exp(1000), Constant(800 * MS)], [1, 1], 4),
            ([Constant(SECOND), Constant(SECOND)], [2, 1], 0),
            ([Constant(0), exp(1000)], [1, 1], 0),
        ] {
            assert_eq!(input(delays, workers, capacity).model(), None);
        }
    }
}
