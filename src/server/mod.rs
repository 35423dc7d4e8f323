//! A queue on a server: Redis or Valkey.

mod inspect;
mod password;
mod settings;
mod url;

pub(crate) use inspect::{EvictionError, InspectError, ServerFacts, ServerInspector};
pub(crate) use settings::{GivenServer, ServerSettings, SettingsError, UrlText};
