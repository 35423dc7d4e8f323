//! What outlives the process that keeps a queue: a file of facts, in the order in which they became
//! so. [`record`] is what they look like, [`file`] how they are kept, [`store`] where. What they mean is
//! for the rules.

mod file;
mod record;
mod store;

pub(crate) use file::Journal;
pub(crate) use record::Fact;
#[cfg(any(test, fuzzing))]
pub(crate) use record::{Found, find, sealed};
pub(crate) use store::{Files, Store};
