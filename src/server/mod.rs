//! A queue on a Redis or Valkey server. The server takes the place of the keeper: a script that runs there applies the rules, and
//! the clients speak the same protocol. `docs/SERVER.md` describes what differs.
//!
//! ```text
//!  client's thread ── pipe: requests ──► bridge ── EVALSHA ──► script
//!                  ◄── pipe: mailbox ── (thread) ◄── push message on the client's own channel
//! ```

mod backoff;
mod bridge;
mod connection;
mod conversation;
mod durability;
mod error;
mod facts;
mod hello;
mod host;
mod inspect;
mod link;
mod login;
mod notifier;
mod password;
mod questions;
mod request_stream;
mod script;
mod sentinel;
mod settings;
mod side_beats;
mod stream;
mod talk;
mod url;

pub(crate) use conversation::{Conversation, Needs};
pub(crate) use durability::DurabilityReport;
pub(crate) use error::ServerError;
pub(crate) use facts::ServerFacts;
pub(crate) use hello::{HelloExtras, hello_line};
pub(crate) use inspect::{Inspection, ServerInspector};
pub(crate) use link::ServerLink;
pub(crate) use notifier::Notifier;
pub(crate) use settings::{GivenServer, ServerSettings, SettingsError, UrlText};
