//! What tests and fuzz targets need: a simulation of everything, and the targets.

pub mod fuzzing;
#[cfg(test)]
pub(crate) mod recorded;
#[cfg(test)]
mod simulation;
