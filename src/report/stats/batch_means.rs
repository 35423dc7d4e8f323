//! Confidence intervals of a simulation's averages, by the method of batch means (Law and Kelton,
//! *Simulation Modeling and Analysis*, section 9.5.3): successive values depend on each other, the means
//! of long enough batches hardly do. A batch here is a number of successive items that are done.

use super::theory::Averages;
use crate::clock::Nanos;
use crate::clock::to_seconds;

/// The number of batches of a run.
pub(super) const BATCH_COUNT: usize = 20;
/// The two-sided 95 % quantile of Student's t for `BATCH_COUNT - 1` degrees of freedom.
const STUDENT_T_95: f64 = 2.093;
/// The one-sided 95 % quantile of the standard normal distribution.
const NORMAL_95: f64 = 1.645;
/// The means of smaller batches depend on each other.
const MIN_BATCH_SIZE: u64 = 20;

/// Sums over the run so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunningTotals {
    /// Nanoseconds.
    pub(super) elapsed: Nanos,
    /// Items that are done.
    pub(super) items_done: u64,
    /// Items that are done and were not delivered at once.
    pub(super) items_delayed: u64,
    /// The times in which the items that are done were ready, in nanoseconds.
    pub(super) total_waiting_time: u128,
    /// The times from put to done of the items that are done, in nanoseconds.
    pub(super) total_sojourn_time: u128,
    /// Ready items × nanoseconds.
    pub(super) depth_integral: u128,
    /// Items ready or in flight × nanoseconds.
    pub(super) in_system_integral: u128,
    /// The times in which consumers had items in flight, in nanoseconds.
    pub(super) busy_time: u128,
    /// The times in which producers waited for room, in nanoseconds.
    pub(super) blocked_time: u128,
}

impl RunningTotals {
    /// The averages over this time. The utilization and the blocked share are sums over all workers.
    pub(super) fn averages(&self) -> Averages {
        let (elapsed, items) = (to_seconds(self.elapsed), self.items_done as f64);
        Averages {
            throughput: items / elapsed,
            depth: to_seconds(self.depth_integral) / elapsed,
            in_system: to_seconds(self.in_system_integral) / elapsed,
            waiting_time: to_seconds(self.total_waiting_time) / items,
            sojourn_time: to_seconds(self.total_sojourn_time) / items,
            utilization: to_seconds(self.busy_time) / elapsed,
            wait_probability: self.items_delayed as f64 / items,
            blocked_share: to_seconds(self.blocked_time) / elapsed,
        }
    }

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

#[derive(Debug)]
pub(super) struct BatchMeans {
    /// Items in a batch.
    batch_size: u64,
    /// The sums at the end of the last batch.
    last_end: RunningTotals,
    /// The averages of each batch.
    averages: Vec<Averages>,
}

impl BatchMeans {
    /// Batches for a run of this many items.
    pub(super) fn new(items: u64) -> Self {
        let batch_size = items / BATCH_COUNT as u64;
        Self { batch_size, last_end: RunningTotals::default(), averages: Vec::new() }
    }

    /// One more item is done, and these are the sums with the item.
    pub(super) fn record_done(&mut self, sums: &RunningTotals) {
        if self.batch_size >= MIN_BATCH_SIZE
            && sums.items_done.is_multiple_of(self.batch_size)
            && self.averages.len() < BATCH_COUNT
        {
            self.averages.push(sums.delta_from(&self.last_end).averages());
            self.last_end = *sums;
        }
    }

    /// Whether the run was long enough for all batches.
    pub(super) fn is_complete(&self) -> bool {
        self.averages.len() == BATCH_COUNT
    }

    /// The means of all batches. `None` if the run is too short.
    fn means(&self, average: fn(&Averages) -> f64) -> Option<Vec<f64>> {
        self.is_complete().then(|| self.averages.iter().map(average).collect())
    }

    /// The correlation of the means of successive batches, from -1 to 1: 1 minus half of von Neumann's ratio,
    /// which is close to the autocorrelation at lag 1. `None` if the run is too short, or if the means are
    /// equal.
    pub(super) fn correlation(&self, average: fn(&Averages) -> f64) -> Option<f64> {
        let values = self.means(average)?;
        let squares = sum_of_squares(&values);
        let steps = values.iter().zip(values.iter().skip(1));
        let successive: f64 = steps.map(|(before, after)| (after - before).powi(2)).sum();
        // Equal means may differ by the rounding of their divisions.
        let is_constant = squares <= 1e-20 * values.iter().map(|value| value * value).sum::<f64>();
        (!is_constant).then(|| 1.0 - successive / (2.0 * squares)).filter(|value| value.is_finite())
    }

    /// A larger correlation is significant at 5 %. The variance of the correlation of independent values is
    /// (n - 2) / (n² - 1) (Fishman, "Grouping Observations in Digital Simulation", Management Science 24,
    /// 1978).
    pub(super) fn correlation_limit() -> f64 {
        let count = BATCH_COUNT as f64;
        NORMAL_95 * ((count - 2.0) / (count * count - 1.0)).sqrt()
    }

    /// [`Self::half_width`] of each average.
    pub(super) fn half_widths(&self) -> Option<Averages> {
        Some(Averages {
            throughput: self.half_width(|a| a.throughput)?,
            depth: self.half_width(|a| a.depth)?,
            in_system: self.half_width(|a| a.in_system)?,
            waiting_time: self.half_width(|a| a.waiting_time)?,
            sojourn_time: self.half_width(|a| a.sojourn_time)?,
            utilization: self.half_width(|a| a.utilization)?,
            wait_probability: self.half_width(|a| a.wait_probability)?,
            blocked_share: self.half_width(|a| a.blocked_share)?,
        })
    }

    /// Half the width of the interval that contains the true average in 95 of 100 runs. `None` if the run
    /// is too short.
    pub(super) fn half_width(&self, average: fn(&Averages) -> f64) -> Option<f64> {
        let values = self.means(average)?;
        let count = values.len() as f64;
        let squares = sum_of_squares(&values);
        Some(STUDENT_T_95 * (squares / (count - 1.0) / count).sqrt())
            .filter(|width| width.is_finite())
    }
}

/// The sum of the squares of the differences from the mean.
fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches whose mean waiting times are these, in nanoseconds.
    fn batches(means: impl Fn(u64) -> u64) -> BatchMeans {
        let mut batches = BatchMeans::new(400);
        let mut sums = RunningTotals::default();
        for item in 0..400u64 {
            sums.items_done += 1;
            sums.total_waiting_time += u128::from(means(item / 20));
            batches.record_done(&sums);
        }
        batches
    }

    #[test]
    fn a_trend_over_the_batches_is_a_correlation_and_alternation_is_a_negative_one() {
        let correlation = |batches: BatchMeans| batches.correlation(|a| a.waiting_time).unwrap();
        // Means from 0 to 19: Σ(steps²) = 19, Σ(differences²) = 20 × 399 / 12 = 665.
        let trend = correlation(batches(|batch| batch));
        assert!((trend - (1.0 - 19.0 / 1330.0)).abs() < 1e-9, "{trend}");
        // Means of 0 and 2 in turn: Σ(steps²) = 76, Σ(differences²) = 20.
        let alternation = correlation(batches(|batch| batch % 2 * 2));
        assert!((alternation + 0.9).abs() < 1e-9, "{alternation}");
        let limit = BatchMeans::correlation_limit();
        assert!((limit - 1.645 * (18f64 / 399.0).sqrt()).abs() < 1e-12 && trend > limit, "{limit}");
        assert_eq!(batches(|_| 7).correlation(|a| a.waiting_time), None, "there is no variance");
        assert_eq!(BatchMeans::new(400).correlation(|a| a.waiting_time), None, "no batch is done");
    }

    #[test]
    fn the_interval_follows_from_the_means_of_the_batches() {
        // The batch means are 0 and 2 in turn: their mean is 1, their variance is 20/19.
        let batches = batches(|batch| batch % 2 * 2);
        let width = 1e9 * batches.half_width(|averages| averages.waiting_time).unwrap();
        assert!((width - 2.093 * (1.0f64 / 19.0).sqrt()).abs() < 1e-9, "{width}");
    }

    #[test]
    fn a_short_or_interrupted_run_has_no_interval() {
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
