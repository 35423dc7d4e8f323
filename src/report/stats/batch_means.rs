//! Confidence intervals of a simulation's averages, by the method of batch means (Law and Kelton,
//! *Simulation Modeling and Analysis*, section 9.5.3): values that follow each other depend on each
//! other, the averages of long enough stretches hardly do.

use crate::clock::Nanos;

/// How many stretches.
const BATCH_COUNT: u64 = 20;
/// Student's t for 95 %, both sides, and one degree of freedom less than batches.
const STUDENT_T_95: f64 = 2.093;
/// A shorter stretch tells nothing.
const MIN_BATCH_SIZE: u64 = 20;

/// What is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunningTotals {
    /// Nanoseconds.
    pub(super) elapsed: Nanos,
    /// Items that are done.
    pub(super) items_done: u64,
    /// Of these, those that were not handed out at once.
    pub(super) items_delayed: u64,
    /// In line, nanoseconds of those that are done.
    pub(super) total_waiting_time: u128,
    /// From put to done, nanoseconds of those that are done.
    pub(super) total_sojourn_time: u128,
    /// Items in line, times nanoseconds.
    pub(super) depth_integral: u128,
    /// Items in line or out, times nanoseconds.
    pub(super) in_system_integral: u128,
    /// Nanoseconds in which consumers held something.
    pub(super) busy_time: u128,
    /// Nanoseconds in which producers waited for room.
    pub(super) blocked_time: u128,
}

/// An average, as the sums give it.
pub(super) type Estimator = fn(&RunningTotals) -> f64;

impl RunningTotals {
    fn delta_from(&self, before: &Self) -> Self {
        Self {
            elapsed: self.elapsed - before.elapsed,
            items_done: self.items_done - before.items_done,
            items_delayed: self.items_delayed - before.items_delayed,
            total_waiting_time: self.total_waiting_time - before.total_waiting_time,
            total_sojourn_time: self.total_sojourn_time - before.total_sojourn_time,
            depth_integral: self.depth_integral - before.depth_integral,
            in_system_integral: self.in_system_integral - before.in_system_integral,
            busy_time: self.busy_time - before.busy_time,
            blocked_time: self.blocked_time - before.blocked_time,
        }
    }
}

/// The sums at the end of each batch.
#[derive(Debug)]
pub(super) struct BatchMeans {
    /// Items.
    batch_size: u64,
    totals_at_ends: Vec<RunningTotals>,
}

impl BatchMeans {
    /// Of so many items.
    pub(super) fn new(items: u64) -> Self {
        Self { batch_size: items / BATCH_COUNT, totals_at_ends: Vec::new() }
    }

    /// One more item is done.
    pub(super) fn record_done(&mut self, sums: &RunningTotals) {
        if self.batch_size >= MIN_BATCH_SIZE
            && sums.items_done.is_multiple_of(self.batch_size)
            && (self.totals_at_ends.len() as u64) < BATCH_COUNT
        {
            self.totals_at_ends.push(*sums);
        }
    }

    /// Half the width of the interval that has the true average in it in 95 of 100 runs. None of a run
    /// that is too short.
    pub(super) fn half_width(&self, average: Estimator) -> Option<f64> {
        if (self.totals_at_ends.len() as u64) < BATCH_COUNT {
            return None;
        }
        let starts =
            std::iter::once(RunningTotals::default()).chain(self.totals_at_ends.iter().copied());
        let values =
            starts.zip(&self.totals_at_ends).map(|(start, end)| average(&end.delta_from(&start)));
        let values: Vec<f64> = values.collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Some(STUDENT_T_95 * (squares / (count - 1.0) / count).sqrt())
            .filter(|width| width.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_batches_averages() {
        let mut batches = BatchMeans::new(400);
        let mut sums = RunningTotals::default();
        for item in 0..400u64 {
            // Averages of 0 and 2 in turn: their mean is 1, their variance 20/19.
            sums.items_done += 1;
            sums.total_waiting_time += u128::from(item / 20 % 2 * 2);
            batches.record_done(&sums);
        }
        let width =
            batches.half_width(|s| s.total_waiting_time as f64 / s.items_done as f64).unwrap();
        assert!((width - 2.093 * (1.0f64 / 19.0).sqrt()).abs() < 1e-9, "{width}");
    }

    #[test]
    fn a_run_that_is_too_short_or_ended_early_has_none() {
        for (items, done) in [(399, 399), (400, 399)] {
            let mut batches = BatchMeans::new(items);
            let mut sums = RunningTotals::default();
            for _ in 0..done {
                sums.items_done += 1;
                batches.record_done(&sums);
            }
            assert_eq!(batches.half_width(|_| 1.0), None, "{items}");
        }
    }
}
