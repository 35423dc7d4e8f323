//! What a command that puts says of its items when the keeper or the server has not answered, or the queue is gone.

use crate::client::Error;
use crate::exit::{ExitCode, ExitError};
use crate::item::escape_for_terminal;
use crate::wire::ErrorCode;

/// At most this many items are named.
const MAX_LISTED_ITEMS: usize = 10;

/// The items of a command that the queue has not accepted, as far as the command knows. All others are in the queue.
#[derive(Debug, Default)]
pub(super) struct UnansweredItems {
    /// The queue may have these, or not.
    pub(super) uncertain: Vec<String>,
    /// How many items of `uncertain` there are, if the command does not know their texts.
    pub(super) uncertain_count: u64,
    /// The queue does not have these.
    pub(super) not_put: Vec<String>,
    /// More items follow on standard input, which the queue does not have.
    pub(super) has_unread_input: bool,
}

impl UnansweredItems {
    /// If the keeper or the server did not answer, or the queue is gone, adds to the error which items may be in the queue,
    /// and which are not.
    pub(super) fn add_to(&self, error: anyhow::Error) -> anyhow::Error {
        let (code, may_be) = match error.downcast_ref() {
            Some(Error::NoAnswer { .. }) => (ExitCode::WouldBlock, "may or may not be"),
            Some(Error::Server(_) | Error::ItemsLost(_)) => (ExitCode::Failed, "may or may not be"),
            Some(error) if error.is_refusal(ErrorCode::Removed) => {
                (ExitCode::Failed, "may or may not have been")
            }
            _ => return error,
        };
        let mut text = error.to_string();
        if !self.uncertain.is_empty() {
            let names = list_items(&self.uncertain, false);
            text.push_str(&format!("; these items {may_be} in the queue: {names}"));
        } else if self.uncertain_count > 0 {
            let items = match self.uncertain_count {
                1 => "1 item".to_owned(),
                n => format!("{n} items"),
            };
            text.push_str(&format!("; the last {items} sent {may_be} in the queue"));
        }
        if !self.not_put.is_empty() || self.has_unread_input {
            let names = list_items(&self.not_put, self.has_unread_input);
            text.push_str(&format!("; not put: {names}"));
        }
        ExitError::new(code, text).into()
    }
}

/// Names the first items and counts the others. `has_unread_input`: more items follow on standard input.
pub(super) fn list_items(items: &[String], has_unread_input: bool) -> String {
    let shown: Vec<_> =
        items.iter().take(MAX_LISTED_ITEMS).map(|item| escape_for_terminal(item)).collect();
    let more = match items.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let input = match (has_unread_input, items.is_empty()) {
        (false, _) => "",
        (true, false) => ", and the rest of standard input",
        (true, true) => "the rest of standard input",
    };
    format!("{}{more}{input}", shown.join(", "))
}
