//! Names of queues.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// The name of a queue, which is that of its directory too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName(String);

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueNameError {
    /// It has no characters.
    #[error("a queue's name cannot be empty: give it one, such as `jobs`")]
    Empty,
    /// It is longer than 64 bytes.
    #[error("a queue's name has at most {LONGEST} bytes, and this one has {0}: shorten it")]
    TooLong(usize),
    /// It leads out of the folder, or hides.
    #[error("a queue's name has no `/` and no `..`, and starts with no `.`: leave them out")]
    InvalidPath,
    /// It would make a mess of a terminal.
    #[error("a queue's name has no control characters: leave them out")]
    ControlCharacter,
}

impl QueueName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a shell takes it.
    pub(crate) fn shell_quoted(&self) -> String {
        let plain = |c: char| c.is_alphanumeric() || "_-.,:@%+".contains(c);
        match self.0.chars().all(plain) {
            true => self.0.clone(),
            false => format!("'{}'", self.0.replace('\'', r"'\''")),
        }
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
        if name.len() > LONGEST {
            return Err(QueueNameError::TooLong(name.len()));
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_directory_can_be_called() {
        for good in ["default", "a", "キュー", "a.b", "-", &"x".repeat(64)] {
            assert_eq!(good.parse(), Ok(QueueName(good.to_owned())));
        }
        for (bad, why) in [
            ("", QueueNameError::Empty),
            ("a/b", QueueNameError::InvalidPath),
            ("..", QueueNameError::InvalidPath),
            ("a..b", QueueNameError::InvalidPath),
            (".hidden", QueueNameError::InvalidPath),
            ("a\nb", QueueNameError::ControlCharacter),
            (&"x".repeat(65), QueueNameError::TooLong(65)),
        ] {
            assert_eq!(bad.parse::<QueueName>(), Err(why), "{bad:?}");
        }
    }
}
