//! A password, which no text for people shows.

use std::fmt;

/// The password of a user of the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

impl Password {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `text` with `…` in place of the password. A server repeats the arguments of a command that it does not
    /// know.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "…") }
    }
}

impl AsRef<str> for Password {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
