//! A queue on a server (Redis or Valkey). To a client, the server with its script is another keeper: it takes the
//! requests of the protocol and gives the same replies. `docs/SERVER.md` describes what differs.
//!
//! ```text
//!  client's thread ── pipe: requests ──► bridge ── EVALSHA ──► script
//!                  ◄── pipe: mailbox ── (thread) ◄── push message on the client's own channel
//! ```

mod bridge;
mod connection;
mod durability;
mod error;
mod hello;
mod link;
mod request_stream;
mod script;
mod settings;
mod talk;

pub(crate) use error::ServerError;
pub(crate) use hello::{HelloExtras, hello_line};
pub(crate) use link::{Conversation, Problem, ServerLink};
pub(crate) use settings::{ServerSettings, ServerUrl};
