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
/// The error names at most this many near names.
const MAX_NEAR_NAMES: usize = 3;

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
    let name = |name: &QueueName| message!("command-name", name = name);
    let and = |first, second| message!("command-and", first = first, second = second);
    if let Some((last, others)) = near_names(queue, names).split_last() {
        let others = others.iter().map(|near| name(near)).reduce(and);
        let or = |others| message!("command-or", first = others, second = name(last));
        let known = others.map_or_else(|| name(last), or);
        return message!("command-similar-queue", queue = queue, known = known);
    }
    let listed = in_order_of_likelihood(queue, names).into_iter().take(MAX_LISTED_NAMES);
    let mut text = listed.map(name).reduce(and).unwrap_or_default();
    if let more @ 1.. = names.len().saturating_sub(MAX_LISTED_NAMES) {
        text = message!("command-more-names", names = text, more = more);
    }
    message!("command-other-queues", queue = queue, count = names.len(), names = text)
}

/// The names with few other letters, the nearest first.
fn near_names<'a>(queue: &str, names: &'a [QueueName]) -> Vec<&'a QueueName> {
    let most = (queue.chars().count() / 3).max(1);
    let queue = queue.to_lowercase();
    let distance =
        |name: &QueueName| strsim::damerau_levenshtein(&queue, &name.as_str().to_lowercase());
    let mut near: Vec<_> = names.iter().filter(|name| distance(name) <= most).collect();
    near.sort_by_key(|name| distance(name));
    near.truncate(MAX_NEAR_NAMES);
    near
}

/// First the names that continue `queue`, or that `queue` continues, `q2` before `q10`.
fn in_order_of_likelihood<'a>(queue: &str, names: &'a [QueueName]) -> Vec<&'a QueueName> {
    let queue = queue.to_lowercase();
    let mut ordered: Vec<_> = names.iter().collect();
    ordered.sort_by_key(|name| {
        let name = name.as_str().to_lowercase();
        let is_likely = name.starts_with(&queue) || queue.starts_with(&name);
        (!is_likely, if is_likely { name.len() } else { 0 })
    });
    ordered
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
        let all = ["images", "jobs", "jobz", "joba", "jobb"];
        assert!(text("joby", &all[..3]).ends_with("did you mean `jobs` or `jobz`?"));
        assert!(text("joby", &all).ends_with("did you mean `jobs`, `jobz` or `joba`?"));
        assert!(text("jobx1", &["jobx", "joby1", "jobx12"]).contains("`jobx`, `joby1` or"));
        assert!(text("ab", &["xy"]).ends_with(": the only queue is `xy`"));
        let all = ["a1", "b2", "c3", "d4", "e5", "f6", "g7"];
        let few = ": the queues are `a1`, `b2`, `c3`";
        assert!(text("default", &all[..3]).ends_with(few));
        let many = "`e5` and 2 more (`qdemo status` lists them)";
        assert!(text("default", &all).ends_with(many));
        let numbered: Vec<_> = (1..=12).map(|number| format!("queue{number}")).collect();
        let mut names: Vec<_> = numbered.iter().map(String::as_str).chain(["jobs"]).collect();
        names.sort_unstable();
        let likely = ": the queues are `queue1`, `queue2`, `queue3`, `queue4`, `queue5` and 8 more";
        assert!(text("queu", &names).contains(likely), "{}", text("queu", &names));
        assert!(text("jobs-of-mine", &names).contains(": the queues are `jobs`, `queue1`, "));
        assert!(text("jobs", &[]).contains("there are no queues"));
    }
}
