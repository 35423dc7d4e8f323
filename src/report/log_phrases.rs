//! The log line of an event: the text before the item and the text after it.

use super::worker_names::WorkerNames;
use crate::catalogue::message;
use crate::event::{Event, EventKind};
use crate::os::ExitCause;
use crate::role::Role;

/// Stands for the item while the text of a log line is made. No text contains it.
const ITEM_MARK: &str = "\u{1}";

/// A log line without its item, and without the end of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogPhrase {
    pub(super) before: String,
    pub(super) after: String,
}

/// The phrases of the most frequent events, which have an item a line: each phrase is made once.
#[derive(Debug, Default)]
pub(super) struct LogPhrases {
    frequent: Vec<(FrequentEvent, LogPhrase)>,
}

/// A put or a first delivery: whether it is a put, and the worker.
type FrequentEvent = (bool, Option<Role>, Option<u32>);

impl LogPhrases {
    /// The phrase of an event. None for an event that the log leaves out.
    pub(super) fn of_event(&mut self, names: WorkerNames, event: &Event<'_>) -> Option<LogPhrase> {
        let is_put = match event.kind {
            EventKind::Put(_) => true,
            EventKind::Delivered(batch) if batch.attempt == 1 => false,
            _ => return make_phrase(names, event),
        };
        let key = (is_put, event.role(), event.worker.map(|worker| worker.index));
        if let Some((_, phrase)) = self.frequent.iter().find(|(other, _)| *other == key) {
            return Some(phrase.clone());
        }
        let phrase = make_phrase(names, event)?;
        self.frequent.push((key, phrase.clone()));
        Some(phrase)
    }
}

fn make_phrase(names: WorkerNames, event: &Event<'_>) -> Option<LogPhrase> {
    let lang = names.lang;
    // An event of the whole run has no worker.
    let index = event.worker.map(|worker| worker.index);
    let worker = event.role().map_or(String::new(), |role| names.colored_name(role, index));
    let text = match event.kind {
        EventKind::Put(_) => message!(lang, "log-put", worker = worker, item = ITEM_MARK),
        EventKind::Delivered(batch) if batch.attempt == 1 => {
            message!(lang, "log-delivered", worker = worker, item = ITEM_MARK)
        }
        // An earlier consumer had the item, and has died or given the item back.
        EventKind::Delivered(batch) => message!(
            lang,
            "log-delivered-again",
            worker = worker,
            item = ITEM_MARK,
            attempt = batch.attempt
        ),
        EventKind::Requeued(batch) => {
            let attempt = batch.attempt;
            message!(lang, "log-requeued", worker = worker, item = ITEM_MARK, attempt = attempt)
        }
        EventKind::Died(Some(ExitCause::Signal(signal))) => {
            message!(lang, "log-killed", worker = worker, signal = signal)
        }
        EventKind::Died(Some(ExitCause::Exit(code))) => {
            message!(lang, "log-failed", worker = worker, code = code)
        }
        EventKind::Died(None) => message!(lang, "log-died", worker = worker),
        EventKind::Restarted => message!(lang, "log-restarted", worker = worker),
        EventKind::Finished => message!(lang, "log-finished"),
        EventKind::Done(_)
        | EventKind::Waiting(_)
        | EventKind::SentinelPut
        | EventKind::Left
        | EventKind::Cleared => return None,
    };
    let (before, after) = text.split_once(ITEM_MARK).unwrap_or((&text, ""));
    Some(LogPhrase { before: before.to_owned(), after: after.to_owned() })
}
