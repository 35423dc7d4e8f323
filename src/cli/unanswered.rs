//! What a command that puts says of its items when the keeper or the server has not answered, or the queue is gone.

use crate::catalogue::message;
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
        let (code, removed) = match error.downcast_ref() {
            Some(Error::NoAnswer { .. }) => (ExitCode::WouldBlock, "no"),
            Some(Error::Server(_) | Error::ItemsLost(_)) => (ExitCode::Failed, "no"),
            Some(error) if error.is_refusal(ErrorCode::Removed) => (ExitCode::Failed, "yes"),
            _ => return error,
        };
        let mut text = error.to_string();
        if !self.uncertain.is_empty() {
            let items = list_items(&self.uncertain, false);
            text = message!("input-uncertain", cause = text, removed = removed, items = items);
        } else if self.uncertain_count > 0 {
            let items = self.uncertain_count;
            text =
                message!("input-uncertain-count", cause = text, removed = removed, items = items);
        }
        if !self.not_put.is_empty() || self.has_unread_input {
            let items = list_items(&self.not_put, self.has_unread_input);
            text = message!("input-left", cause = text, items = items);
        }
        ExitError::new(code, text).into()
    }
}

/// Names the first items and counts the others. `has_unread_input`: more items follow on standard input.
pub(super) fn list_items(items: &[String], has_unread_input: bool) -> String {
    let shown: Vec<_> =
        items.iter().take(MAX_LISTED_ITEMS).map(|item| escape_for_terminal(item)).collect();
    let mut text = shown.join(", ");
    let more = items.len() - shown.len();
    if more > 0 {
        text = message!("input-more", items = text, more = more);
    }
    match (has_unread_input, items.is_empty()) {
        (false, _) => text,
        (true, false) => message!("input-and-rest", items = text),
        (true, true) => message!("input-rest"),
    }
}
