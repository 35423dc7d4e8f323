//! Random parts of delays between tries.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::sampler::unit_sample;

/// The stream of these numbers is not that of the delays of the same worker.
const STREAM: u64 = 0x6a69_7474_6572;

/// Draws the random parts of one worker.
#[derive(Clone, Debug)]
pub(crate) struct JitterSampler(Xoshiro256PlusPlus);

impl JitterSampler {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ STREAM))
    }

    /// A number that is more than 0 and at most 1; all are equally likely.
    pub(crate) fn sample(&mut self) -> f64 {
        unit_sample(&mut self.0)
    }
}
