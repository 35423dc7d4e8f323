//! What outlives the process that keeps a queue: a file of facts, in the order in which they became
//! so. [`record`] is what they look like, [`file`] how they are kept, [`store`] where. What they mean is
//! for the rules.

mod file;
mod record;
mod store;

pub(crate) use file::Journal;
pub(crate) use record::Record;
#[cfg(any(test, fuzzing))]
pub(crate) use record::{ReadOutcome, read_first, with_checksums};
pub(crate) use store::{FileStore, Store};
