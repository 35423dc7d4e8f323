//! `multiprocessing.Queue` for the command line, and a queue for Rust programs: any number of
//! processes share a queue by name, through named pipes.
//!
//! ```no_run
//! use qdemo::{Options, Role};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut producer = Options::new("jobs".parse()?, Role::Producer).connect()?;
//! producer.put(br#"{"page": 1}"#)?;
//! producer.leave()?;
//!
//! let mut consumer = Options::new("jobs".parse()?, Role::Consumer).connect()?;
//! while let Some(batch) = consumer.get(1)? {
//!     for (id, item) in batch.items() {
//!         println!("{id}: {}", String::from_utf8_lossy(item));
//!     }
//!     consumer.done(batch.first_id(), batch.count())?;
//! }
//! # Ok(())
//! # }
//! ```

#[doc(hidden)]
pub mod cli;
mod client;
mod clock;
mod crew;
mod exit;
mod keeper;
mod name;
mod pipe;
mod queue;
mod report;
mod wire;

pub use client::{Batch, Client, Error, Left, Options};
pub use exit::ExitCode;
pub use name::{BadName, QueueName};
pub use queue::Role;
