//! A queue that processes share by name, in the shape of Python's `multiprocessing.Queue`: for Rust
//! programs, and through the `qdemo` command for every other.
//!
//! No server needs to be set up. The first process that uses a queue starts the queue's *keeper*, a
//! process in the background that holds the items and writes them to a journal. The keeper exits when
//! the last client has left. Processes talk to it through named pipes in a directory of the user.
//!
//! [`Queue`] is a queue of values:
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
//!     // This program keeps its queues itself, and needs no `qdemo` in the PATH.
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
//! # Where to start
//!
//! - [`Queue::open`] opens a queue with default settings; [`QueueBuilder`] has the settings, such as a
//!   capacity or a lease.
//! - [`Client`] is the layer below: JSON texts, many items at a time, and producers and consumers whose
//!   leaving ends the queue.
//! - [`keep_if_asked`] lets a program keep its queues itself. Without it, a queue needs the `qdemo`
//!   command in the `PATH`.
//!
//! # Delivery
//!
//! The queue delivers each item to one client, in the order of acceptance. The item is then *in flight*
//! until the client reports it done or failed, or gives it back. An item goes back to its place in the
//! queue when its client leaves or dies, and the next delivery is the next *attempt*. So every item is
//! delivered at least once, and exactly once if no client dies and no lease runs out.
//!
//! An accepted item survives the death of every process, the keeper included. With
//! [`QueueBuilder::sync`] it survives a crash of the machine too.

// docs/DESIGN.md lists the modules that each module may import. A test compares the list with the code.
mod bench;
mod catalogue;
#[doc(hidden)]
pub mod cli;
mod client;
mod clock;
mod event;
mod exec;
mod exit;
mod failure;
mod item;
mod journal;
mod keeper;
mod learn;
mod os;
mod pipe;
mod proc;
mod queue;
mod queue_name;
mod report;
mod role;
mod run;
mod server;
mod sweep;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod testing;
mod wire;

pub use client::{
    Client, Delivery, Error, GetError, Item, ItemRef, LeaveSummary, PutError, Queue, QueueBuilder,
    TryGetError, TryPutError, keep_if_asked,
};
pub use queue_name::{QueueName, QueueNameError};
pub use role::Role;
