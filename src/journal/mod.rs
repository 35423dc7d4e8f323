//! The journal: a file of records that outlives the keeper, in the order of the events. [`record`] defines the
//! format, [`version`] its versions, [`file`] appends and recovers, [`store`] writes. The module `queue` gives the records
//! their meaning.

mod file;
mod record;
mod store;
mod version;

pub(crate) use file::Journal;
pub(crate) use record::Record;
#[cfg(any(test, fuzzing))]
pub(crate) use record::records;
#[cfg(test)]
pub(crate) use store::concat;
pub(crate) use store::{FileStore, Store, read_if_exists};
#[cfg(any(test, fuzzing))]
pub(crate) use version::Version;
