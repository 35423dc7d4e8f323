//! A queue on a server: Redis or Valkey.

mod facts;
mod inspect;
mod password;
mod settings;
mod url;

pub(crate) use facts::ServerFacts;
pub(crate) use inspect::ServerInspector;
pub(crate) use settings::{GivenServer, ServerSettings, SettingsError, UrlText};
