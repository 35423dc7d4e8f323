//! Delays that a file has recorded.

use std::path::{Path, PathBuf};

use crate::clock::nanos::{Nanos, to_seconds};

/// The delays of a file, at least one. They come in their order, and again from the beginning after the last
/// one.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedDelays {
    path: PathBuf,
    /// In nanoseconds.
    delays: Box<[Nanos]>,
    /// In nanoseconds.
    sum: u128,
    /// In seconds squared.
    mean_square: f64,
}

impl RecordedDelays {
    /// The delays of the file at `path`. `None` if there is no delay.
    pub(crate) fn new(path: PathBuf, delays: Vec<Nanos>) -> Option<Self> {
        if delays.is_empty() {
            return None;
        }
        let sum = delays.iter().copied().map(u128::from).sum();
        let squares: f64 = delays.iter().map(|&delay| to_seconds(delay).powi(2)).sum();
        let mean_square = squares / delays.len() as f64;
        Some(Self { path, delays: delays.into(), sum, mean_square })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All delays in nanoseconds.
    pub(crate) fn delays(&self) -> &[Nanos] {
        &self.delays
    }

    pub(super) fn sum(&self) -> u128 {
        self.sum
    }

    pub(super) fn mean(&self) -> f64 {
        to_seconds(self.sum) / self.delays.len() as f64
    }

    pub(super) fn mean_square(&self) -> f64 {
        self.mean_square
    }

    /// Other delays in the same order.
    pub(super) fn map(&self, change: impl Fn(Nanos) -> Nanos) -> Self {
        let delays: Vec<_> = self.delays.iter().map(|&delay| change(delay)).collect();
        Self::new(self.path.clone(), delays).unwrap_or_else(|| self.clone())
    }

    /// The place that is `count` delays behind a `place`.
    pub(super) fn advance(&self, place: usize, count: u64) -> usize {
        let length = self.delays.len() as u64;
        ((place as u64 + count % length) % length) as usize
    }

    /// The delay at a place, which moves on by one.
    pub(super) fn take(&self, place: &mut usize) -> Nanos {
        let delay = self.delays.get(*place).copied().unwrap_or_default();
        *place = if *place + 1 < self.delays.len() { *place + 1 } else { 0 };
        delay
    }
}
