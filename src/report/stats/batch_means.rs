//! Confidence intervals of a simulation's averages, by the method of batch means (Law and Kelton,
//! *Simulation Modeling and Analysis*, section 9.5.3): values that follow each other depend on each
//! other, the averages of long enough stretches hardly do.

use crate::clock::Nanos;

/// How many stretches.
const BATCHES: u64 = 20;
/// Student's t for 95 %, both sides, and one degree of freedom less than batches.
const T: f64 = 2.093;
/// A shorter stretch tells nothing.
const LEAST: u64 = 20;

/// What is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Nanoseconds.
    pub(super) time: Nanos,
    /// Items that are done.
    pub(super) items: u64,
    /// Of these, those that were not handed out at once.
    pub(super) waited: u64,
    /// In line, nanoseconds of those that are done.
    pub(super) wait: u128,
    /// From put to done, nanoseconds of those that are done.
    pub(super) sojourn: u128,
    /// Items in line, times nanoseconds.
    pub(super) depth: u128,
    /// Items in line or out, times nanoseconds.
    pub(super) in_system: u128,
    /// Nanoseconds in which consumers held something.
    pub(super) busy: u128,
    /// Nanoseconds in which producers waited for room.
    pub(super) blocked: u128,
}

/// An average, as the sums give it.
pub(super) type Average = fn(&Sums) -> f64;

impl Sums {
    fn since(&self, before: &Self) -> Self {
        Self {
            time: self.time - before.time,
            items: self.items - before.items,
            waited: self.waited - before.waited,
            wait: self.wait - before.wait,
            sojourn: self.sojourn - before.sojourn,
            depth: self.depth - before.depth,
            in_system: self.in_system - before.in_system,
            busy: self.busy - before.busy,
            blocked: self.blocked - before.blocked,
        }
    }
}

/// The sums at the end of each batch.
#[derive(Debug)]
pub(super) struct Batches {
    /// Items.
    size: u64,
    ends: Vec<Sums>,
}

impl Batches {
    /// Of so many items.
    pub(super) fn of(items: u64) -> Self {
        Self { size: items / BATCHES, ends: Vec::new() }
    }

    /// One more item is done.
    pub(super) fn count(&mut self, sums: &Sums) {
        if self.size >= LEAST
            && sums.items.is_multiple_of(self.size)
            && (self.ends.len() as u64) < BATCHES
        {
            self.ends.push(*sums);
        }
    }

    /// Half the width of the interval that has the true average in it in 95 of 100 runs. None of a run
    /// that is too short.
    pub(super) fn half_width(&self, average: Average) -> Option<f64> {
        if (self.ends.len() as u64) < BATCHES {
            return None;
        }
        let starts = std::iter::once(Sums::default()).chain(self.ends.iter().copied());
        let values = starts.zip(&self.ends).map(|(start, end)| average(&end.since(&start)));
        let values: Vec<f64> = values.collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Some(T * (squares / (count - 1.0) / count).sqrt()).filter(|width| width.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_batches_averages() {
        let mut batches = Batches::of(400);
        let mut sums = Sums::default();
        for item in 0..400u64 {
            // Averages of 0 and 2 in turn: their mean is 1, their variance 20/19.
            sums.items += 1;
            sums.wait += u128::from(item / 20 % 2 * 2);
            batches.count(&sums);
        }
        let width = batches.half_width(|s| s.wait as f64 / s.items as f64).unwrap();
        assert!((width - 2.093 * (1.0f64 / 19.0).sqrt()).abs() < 1e-9, "{width}");
    }

    #[test]
    fn a_run_that_is_too_short_or_ended_early_has_none() {
        for (items, done) in [(399, 399), (400, 399)] {
            let mut batches = Batches::of(items);
            let mut sums = Sums::default();
            for _ in 0..done {
                sums.items += 1;
                batches.count(&sums);
            }
            assert_eq!(batches.half_width(|_| 1.0), None, "{items}");
        }
    }
}
