//! The bounded queue with exponential delays: a chain of births and deaths (Gross, Shortle, Thompson and
//! Harris, *Fundamentals of Queueing Theory*, chapter 2).

use super::{Averages, ModelInput};

/// A longer chain has no steady state here: the sum would take too long.
const MAX_STATES: u64 = 10_000_000;

impl ModelInput {
    /// Solves the chain of births and deaths of a bounded queue. Producers with exponential delays wait for
    /// room, and consumers have exponential delays. A state counts the ready items, the items in flight and
    /// the blocked producers. With one producer and one consumer there are capacity + 2 states above the
    /// empty one, because a delivery frees a slot (so the loss formula M/M/1/K does not apply).
    pub(super) fn solve_birth_death(&self, birth: f64, death: f64) -> Option<Averages> {
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
