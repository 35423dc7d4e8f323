//! Names of queues.

use std::fmt;
use std::str::FromStr;

use crate::catalogue::message;

/// The size of the longest name, in bytes.
const MAX_BYTES: usize = 64;

/// The name of a queue, which is the name of its directory too.
///
/// A name has 1 to 64 bytes. It has no `/`, no `..` and no control characters, and does not start with
/// `.`. Names are made with [`str::parse`]:
///
/// ```
/// use qdemo::{QueueName, QueueNameError};
///
/// let name: QueueName = "jobs".parse()?;
/// assert_eq!(name.as_str(), "jobs");
/// assert_eq!("../jobs".parse::<QueueName>(), Err(QueueNameError::InvalidPath));
/// # Ok::<(), QueueNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName(String);

/// Why a text is not a [`QueueName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueNameError {
    /// The text is empty.
    #[error("{}", message!("error-name-empty"))]
    Empty,
    /// The text has more than 64 bytes; it has this many.
    #[error("{}", message!("error-name-too-long", max = MAX_BYTES, bytes = *.0))]
    TooLong(usize),
    /// The text contains `/` or `..`, or starts with `.`: it would lead out of the directory of queues,
    /// or name a hidden file.
    #[error("{}", message!("error-name-path"))]
    InvalidPath,
    /// The text contains a control character, which could disturb a terminal.
    #[error("{}", message!("error-name-control"))]
    ControlCharacter,
}

impl QueueName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a word of a shell, quoted if necessary.
    pub(crate) fn shell_quoted(&self) -> String {
        shell_quoted(&self.0)
    }
}

/// A text as a word of a shell, quoted if necessary.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-.,:@%+/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(name: &str) -> Result<Self, QueueNameError> {
        if name.is_empty() {
            return Err(QueueNameError::Empty);
        }
        if name.contains('/') || name.contains("..") || name.starts_with('.') {
            return Err(QueueNameError::InvalidPath);
        }
        if name.chars().any(char::is_control) {
            return Err(QueueNameError::ControlCharacter);
        }
        if name.len() > MAX_BYTES {
            return Err(QueueNameError::TooLong(name.len()));
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_name_can_be_the_name_of_a_directory() {
        for good in ["default", "a", "キュー", "a.b", "-", &"x".repeat(64)] {
            assert_eq!(good.parse(), Ok(QueueName(good.to_owned())));
        }
        for (bad, error) in [
            ("", QueueNameError::Empty),
            ("a/b", QueueNameError::InvalidPath),
            ("..", QueueNameError::InvalidPath),
            ("a..b", QueueNameError::InvalidPath),
            (".hidden", QueueNameError::InvalidPath),
            ("a\nb", QueueNameError::ControlCharacter),
            (&"x".repeat(65), QueueNameError::TooLong(65)),
        ] {
            assert_eq!(bad.parse::<QueueName>(), Err(error), "{bad:?}");
        }
    }
}
