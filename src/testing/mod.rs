//! Tools of tests and fuzz targets: a host in memory, the fuzz targets, the simulation, and the loop whose
//! instructions `make instructions` counts.

pub(crate) mod fake_host;
pub mod fuzzing;
#[cfg(test)]
mod keeper_loop;
#[cfg(test)]
pub(crate) mod recorded;
#[cfg(test)]
pub(crate) mod schemas;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod textbook;

pub(crate) use fake_host::FakeHost;
#[cfg(test)]
pub(crate) use fake_host::FakeObserver;
