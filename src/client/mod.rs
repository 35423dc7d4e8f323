//! A client's handle of a queue: connect, put, get, done, leave. This file only names what the
//! others define.

mod builder;
mod connect;
mod delivery;
mod error;
mod get;
mod handle;
mod held_items;
mod keeper_process;
mod long_wait;
mod outstanding;
mod pipes;
mod process;
mod put;
mod query;
mod server_pipes;
pub(crate) mod session;
mod start_keeper;
#[cfg(test)]
mod tests;
mod timeout;
mod transport;
mod typed;
mod wait_notice;

pub use builder::QueueBuilder;
pub(crate) use builder::default_base_dir;
pub(crate) use connect::stored_status;
pub(crate) use delivery::{Accepted, Notification};
pub use delivery::{Delivery, ItemRef, LeaveSummary};
pub use error::Error;
pub use handle::Client;
pub use keeper_process::keep_if_asked;
pub(crate) use keeper_process::{enable_self_hosting, run_keeper_process};
pub(crate) use timeout::Timeout;
pub use typed::{GetError, Item, PutError, Queue, TryGetError, TryPutError};
pub(crate) use wait_notice::WaitText;
