//! Values over equal parts of time: what is kept of a run, however long it is.

use crate::clock::Nanos;

/// There are never more parts than this, and in the end more than half as many.
pub(super) const MAX_BINS: usize = 512;

/// What two neighbouring parts of time have in common.
pub(super) trait Merge: Clone + Default {
    /// Takes in the part behind this one.
    fn merge(&mut self, next: &Self);
}

/// A value for each part of time, from the beginning on.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins<T>(Vec<T>);

impl<T: Merge> Bins<T> {
    /// The parts are twice as long from now on.
    pub(super) fn merge_pairs(&mut self) {
        let pairs = self.0.chunks(2).map(|pair| {
            let mut merged = pair[0].clone();
            pair[1..].iter().for_each(|next| merged.merge(next));
            merged
        });
        self.0 = pairs.collect();
    }

    /// Tells each part that lies in `from..to`, and for how long; parts are `width` long.
    pub(super) fn for_each_bin(
        &mut self,
        width: Nanos,
        from: Nanos,
        to: Nanos,
        mut take: impl FnMut(&mut T, Nanos),
    ) {
        let mut from = from;
        while from < to {
            let end = to.min((from / width + 1).saturating_mul(width));
            take(self.bin_mut(width, from), end - from);
            from = end;
        }
    }

    /// The part that this moment lies in.
    pub(super) fn bin_mut(&mut self, width: Nanos, at: Nanos) -> &mut T {
        // Whoever gives the width sees to it that it fits.
        let index = usize::try_from(at / width).unwrap_or(usize::MAX).min(MAX_BINS - 1);
        if self.0.len() <= index {
            self.0.resize(index + 1, T::default());
        }
        &mut self.0[index]
    }

    /// All parts.
    pub(super) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

/// All of them as one.
pub(super) fn merge_all<T: Merge>(parts: &[T]) -> T {
    let mut sum = T::default();
    parts.iter().for_each(|part| sum.merge(part));
    sum
}

/// What a worker was about in a part of the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StateTimes {
    /// For how long it was about each of the things that it can be about, in the order of
    /// [`super::lane::Doing::ALL`].
    pub(super) times: [Nanos; 4],
    /// How many items it put, or got.
    pub(super) items: u64,
}

impl Merge for StateTimes {
    fn merge(&mut self, next: &Self) {
        self.times.iter_mut().zip(next.times).for_each(|(here, more)| *here += more);
        self.items += next.items;
    }
}

/// How deep the queue was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DepthBin {
    /// The least and the most; none before anything was.
    pub(super) range: Option<(u64, u64)>,
    /// Items × nanoseconds.
    pub(super) depth_integral: u128,
    /// Nanoseconds.
    pub(super) duration: Nanos,
}

impl DepthBin {
    /// So deep it was, for so long.
    pub(super) fn add(&mut self, depth: u64, time: Nanos) {
        let sum = u128::from(depth) * u128::from(time);
        self.merge(&Self { range: Some((depth, depth)), depth_integral: sum, duration: time });
    }

    /// On average over the time.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.duration > 0).then(|| self.depth_integral as f64 / self.duration as f64)
    }
}

impl Merge for DepthBin {
    fn merge(&mut self, next: &Self) {
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
    fn a_time_is_shared_out_over_the_parts_that_it_lies_in() {
        let mut bins = Bins::<StateTimes>::default();
        bins.for_each_bin(10, 5, 32, |shares, time| shares.times[1] += time);
        bins.for_each_bin(10, 32, 32, |_, _| panic!("nothing is no part"));
        let times: Vec<_> = bins.as_slice().iter().map(|shares| shares.times[1]).collect();
        assert_eq!(times, [5, 10, 10, 2]);
        bins.merge_pairs();
        let times: Vec<_> = bins.as_slice().iter().map(|shares| shares.times[1]).collect();
        assert_eq!(times, [15, 12]);
    }

    #[test]
    fn a_depth_is_known_by_its_least_its_most_and_its_mean() {
        let mut bins = Bins::<DepthBin>::default();
        for (from, to, depth) in [(0, 10, 1), (10, 14, 5), (14, 20, 0)] {
            bins.for_each_bin(10, from, to, |level, time| level.add(depth, time));
        }
        // A moment counts for the range, and has no weight.
        bins.bin_mut(10, 3).add(9, 0);
        let ranges: Vec<_> = bins.as_slice().iter().map(|level| level.range.unwrap()).collect();
        assert_eq!(ranges, [(1, 9), (0, 5)]);
        let means: Vec<_> = bins.as_slice().iter().map(|level| level.mean().unwrap()).collect();
        assert_eq!(means, [1.0, 2.0]);
        bins.merge_pairs();
        assert_eq!(
            bins.as_slice()[0],
            DepthBin { range: Some((0, 9)), depth_integral: 30, duration: 20 }
        );
        assert_eq!(DepthBin::default().mean(), None);
    }
}
