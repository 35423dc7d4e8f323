//! The names of all queues on this machine or on a server, and the error about a name that is none of them.

use std::sync::Arc;

use anyhow::anyhow;

use crate::catalogue::message;
use crate::client::{Error, default_base_dir};
use crate::os::Waker;
use crate::pipe::QueueDir;
use crate::queue_name::QueueName;
use crate::server::{Inspection, ServerFacts, ServerInspector, ServerSettings};

/// The error about a queue that does not exist names at most this many others.
const MAX_LISTED_NAMES: usize = 5;

/// The names of the queues on this machine, in alphabetical order.
pub(super) fn local_queue_names() -> anyhow::Result<Vec<QueueName>> {
    let names = QueueDir::queue_names(&default_base_dir()?).map_err(Error::from)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The names of all queues on the server, and what the server says of itself; or the names of the queues on this
/// machine. `interrupt` ends the wait for the server.
pub(super) fn all_queues(
    server: Option<&ServerSettings>,
    interrupt: &Arc<Waker>,
) -> anyhow::Result<(Option<ServerFacts>, Vec<QueueName>)> {
    let Some(settings) = server else { return Ok((None, local_queue_names()?)) };
    let inspector = ServerInspector::new(settings, Arc::clone(interrupt))?;
    let inspected = inspector.inspect(true, &mut |_| {})?;
    let Inspection { facts, queues } = inspected.ok_or(Error::Interrupted)?;
    Ok((Some(facts), queues))
}

/// The error about a queue that does not exist names the queues that do.
pub(super) fn no_such_queue_error(
    queue: &QueueName,
    server: Option<&ServerSettings>,
    interrupt: &Arc<Waker>,
) -> anyhow::Error {
    match all_queues(server, interrupt) {
        Ok((_, names)) => anyhow!(no_such_queue_text(queue.as_str(), &names)),
        // The user may not list queues, or the server has just gone.
        Err(_) => anyhow!(message!("command-unknown-queue", queue = queue)),
    }
}

fn no_such_queue_text(queue: &str, names: &[QueueName]) -> String {
    if names.is_empty() {
        return message!("command-no-queue", queue = queue);
    }
    if let Some(known) = similar_name(queue, names) {
        return message!("command-similar-queue", queue = queue, known = known);
    }
    let shown =
        names.iter().take(MAX_LISTED_NAMES).map(|name| message!("command-name", name = name));
    let and = |first, second| message!("command-and", first = first, second = second);
    let mut text = shown.reduce(and).unwrap_or_default();
    if let more @ 1.. = names.len().saturating_sub(MAX_LISTED_NAMES) {
        text = message!("command-more-names", names = text, more = more);
    }
    message!("command-other-queues", queue = queue, count = names.len(), names = text)
}

/// The nearest name, if few letters differ.
fn similar_name<'a>(queue: &str, names: &'a [QueueName]) -> Option<&'a str> {
    let most = (queue.chars().count() / 3).max(1);
    let distances = names.iter().map(|name| {
        let name = name.as_str();
        (strsim::damerau_levenshtein(&queue.to_lowercase(), &name.to_lowercase()), name)
    });
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(queue: &str, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        no_such_queue_text(queue, &names)
    }

    #[test]
    fn a_missing_queue_is_told_with_a_near_name_or_some_names() {
        let near = "there is no queue `jbos`: did you mean `jobs`?";
        assert_eq!(text("jbos", &["images", "jobs"]), near);
        assert!(text("job", &["images", "jobs"]).ends_with("did you mean `jobs`?"));
        assert!(text("JOBS", &["images", "jobs"]).ends_with("did you mean `jobs`?"));
        assert!(text("ab", &["xy"]).ends_with(": the only queue is `xy`"));
        let all = ["a1", "b2", "c3", "d4", "e5", "f6", "g7"];
        let few = ": the queues are `a1`, `b2`, `c3`";
        assert!(text("default", &all[..3]).ends_with(few));
        let many = "`e5` and 2 more (`qdemo status` lists them)";
        assert!(text("default", &all).ends_with(many));
        assert!(text("jobs", &[]).contains("there are no queues"));
    }
}
