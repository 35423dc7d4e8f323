//! Values in time bins of equal width. The number of bins is bounded, however long a run is.

use std::ops::AddAssign;

use crate::clock::Nanos;

/// The largest number of bins. A long run ends with more than half as many.
pub(super) const MAX_BINS: usize = 512;

/// The bins from the start of a run on.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins<T>(Vec<T>);

impl<T: Copy + Default + AddAssign> Bins<T> {
    /// Merges each two bins into one: the bins are twice as wide from now on.
    pub(super) fn merge_pairs(&mut self) {
        self.0 = self.0.chunks(2).map(merge_all).collect();
    }

    /// Calls `take` for each bin of the interval `from..to`, with the bin's share of the interval. Bins are
    /// `width` wide.
    pub(super) fn for_each_bin(
        &mut self,
        width: Nanos,
        mut from: Nanos,
        to: Nanos,
        mut take: impl FnMut(&mut T, Nanos),
    ) {
        while from < to {
            let end = to.min((from / width + 1).saturating_mul(width));
            take(self.bin_mut(width, from), end - from);
            from = end;
        }
    }

    /// The bin of this time.
    pub(super) fn bin_mut(&mut self, width: Nanos, at: Nanos) -> &mut T {
        // The caller chooses a width that fits; the bound is for safety.
        let index = usize::try_from(at / width).unwrap_or(usize::MAX).min(MAX_BINS - 1);
        if self.0.len() <= index {
            self.0.resize(index + 1, T::default());
        }
        &mut self.0[index]
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

pub(super) fn merge_all<T: Copy + Default + AddAssign>(bins: &[T]) -> T {
    let mut sum = T::default();
    bins.iter().for_each(|&bin| sum += bin);
    sum
}

/// The states of a worker in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateTimes {
    /// The time in each state, in the order of [`super::lane::LaneState::ALL`].
    pub(super) times: [Nanos; 4],
    /// Items that the worker put or got.
    pub(super) items: u64,
}

impl AddAssign for StateTimes {
    fn add_assign(&mut self, next: Self) {
        self.times.iter_mut().zip(next.times).for_each(|(here, more)| *here += more);
        self.items += next.items;
    }
}

/// The depth of the queue in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DepthBin {
    /// The smallest and the largest depth; `None` in an unused bin.
    pub(super) range: Option<(u64, u64)>,
    /// Items × nanoseconds.
    pub(super) depth_integral: u128,
    /// Nanoseconds.
    pub(super) duration: Nanos,
}

impl DepthBin {
    /// Adds a depth that lasted for this time.
    pub(super) fn add(&mut self, depth: u64, time: Nanos) {
        let sum = u128::from(depth) * u128::from(time);
        *self += Self { range: Some((depth, depth)), depth_integral: sum, duration: time };
    }

    /// The average over the bin's time.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.duration > 0).then(|| self.depth_integral as f64 / self.duration as f64)
    }
}

impl AddAssign for DepthBin {
    fn add_assign(&mut self, next: Self) {
        let ranges = [self.range, next.range].into_iter().flatten();
        self.range = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        self.depth_integral += next.depth_integral;
        self.duration += next.duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_divided_among_its_bins() {
        let mut bins = Bins::<StateTimes>::default();
        bins.for_each_bin(10, 5, 32, |bin, time| bin.times[1] += time);
        bins.for_each_bin(10, 32, 32, |_, _| panic!("an empty interval has no bin"));
        let times: Vec<_> = bins.as_slice().iter().map(|bin| bin.times[1]).collect();
        assert_eq!(times, [5, 10, 10, 2]);
        bins.merge_pairs();
        let times: Vec<_> = bins.as_slice().iter().map(|bin| bin.times[1]).collect();
        assert_eq!(times, [15, 12]);
    }

    #[test]
    fn a_bin_has_the_range_and_the_mean_of_the_depth() {
        let mut bins = Bins::<DepthBin>::default();
        for (from, to, depth) in [(0, 10, 1), (10, 14, 5), (14, 20, 0)] {
            bins.for_each_bin(10, from, to, |bin, time| bin.add(depth, time));
        }
        // A depth of no duration widens the range and does not change the mean.
        bins.bin_mut(10, 3).add(9, 0);
        let ranges: Vec<_> = bins.as_slice().iter().map(|bin| bin.range.unwrap()).collect();
        assert_eq!(ranges, [(1, 9), (0, 5)]);
        let means: Vec<_> = bins.as_slice().iter().map(|bin| bin.mean().unwrap()).collect();
        assert_eq!(means, [1.0, 2.0]);
        bins.merge_pairs();
        assert_eq!(
            bins.as_slice()[0],
            DepthBin { range: Some((0, 9)), depth_integral: 30, duration: 20 }
        );
        assert_eq!(DepthBin::default().mean(), None);
    }
}
