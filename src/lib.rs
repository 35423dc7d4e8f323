//! `multiprocessing.Queue` for the command line, and a queue for Rust programs: any number of
//! processes share a queue by name, through named pipes.
//!
//! [`Queue`] is a queue of values, in the shape of Python's:
//!
//! ```standalone_crate
//! # use serde::{Deserialize, Serialize};
//! use qdemo::{GetError, Queue};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Page {
//!     url: String,
//!     depth: u32,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // The program keeps its queues itself, and needs no `qdemo` in the PATH.
//!     qdemo::keep_if_asked();
//! #   let dir = tempfile::tempdir()?;
//! #   unsafe { std::env::set_var("QDEMO_DIR", dir.path()) };
//!
//!     let pages: Queue<Page> = Queue::open("pages")?;
//!     pages.put(Page { url: "/".to_owned(), depth: 0 })?;
//!     pages.close()?;
//!
//!     loop {
//!         match pages.get() {
//!             Ok(page) => {
//!                 println!("{} at depth {}", page.url, page.depth);
//!                 page.done()?;
//!             }
//!             Err(GetError::Closed) => return Ok(()),
//!             Err(error) => return Err(error.into()),
//!         }
//!     }
//! }
//! ```
//!
//! [`Options`] and [`Client`] are what it is made of: JSON text in and out, many items at a time, and
//! producers and consumers whose coming and going begins and ends the queue.

mod bench;
#[doc(hidden)]
pub mod cli;
mod client;
mod clock;
mod event;
mod exec;
mod exit;
mod item;
mod journal;
mod keeper;
mod os;
mod pipe;
mod proc;
mod queue;
mod queue_name;
mod report;
mod role;
mod run;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod testing;
mod wire;

pub use crate::queue_name::{QueueName, QueueNameError};
pub use crate::role::Role;
pub use client::{
    Client, Delivery, Error, GetError, Item, LeaveSummary, OpenError, Options, PutError, Queue,
    TryGetError, TryPutError, keep_if_asked,
};
pub use exit::ExitCode;
