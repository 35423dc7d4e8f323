//! The queues on this machine or on a server: their status. Starts no keeper.

use std::sync::{Mutex, OnceLock};
use std::thread;

use serde::Serialize;

use super::one_shot::OneShot;
use super::queue_names::all_queues;
use crate::client::{Error, Timeout, default_base_dir, stored_status};
use crate::clock::{Clock, Nanos};
use crate::os::lock;
use crate::queue_name::QueueName;
use crate::server::ServerFacts;
use crate::wire::Status;

/// A server that has just answered has at least this time for the query of a queue.
const LEAST_QUERY_PATIENCE: Nanos = 1_000_000_000;
/// With --watch, the query of a queue takes no longer: the next look asks the server again.
const WATCH_QUERY_PATIENCE: Nanos = 5_000_000_000;
/// The number of queues that are queried at a time.
const MAX_CONCURRENT_QUERIES: usize = 16;

/// The JSON object of a queue.
#[derive(Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "A queue of status"))]
pub(super) enum QueryOutcome {
    /// The queue has told its status.
    Available {
        /// The name of the queue.
        queue: String,
        #[serde(flatten)]
        status: Status,
        /// The server that has the queue.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<Box<ServerFacts>>,
    },
    /// The keeper does not answer.
    Unresponsive {
        /// The name of the queue.
        queue: String,
        /// Always false. The object of a queue whose keeper answers does not have this key.
        #[cfg_attr(test, schemars(extend("const" = false)))]
        answers: bool,
        /// The keeper's process id, if known.
        keeper: Option<u32>,
    },
    /// The queue is damaged or not safe to use. No JSON object describes the queue.
    #[serde(skip)]
    Unusable { queue: String, error: anyhow::Error },
}

impl QueryOutcome {
    /// Whether the queue has ended, and no new round has begun. A queue that was closed and has no items left has not
    /// ended: the next consumer learns of its end.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Available { status, .. } if status.state == "ended")
    }
}

/// Where the queues are.
pub(super) struct Place<'a> {
    pub(super) one_shot: &'a OneShot,
    /// The server that has the queues; none for queues on this machine.
    pub(super) facts: Option<ServerFacts>,
    /// Has run since the server was asked.
    pub(super) clock: Clock,
    pub(super) is_watch: bool,
}

impl<'a> Place<'a> {
    /// The place of all queues, and their names in alphabetical order.
    pub(super) fn open(one_shot: &'a OneShot) -> anyhow::Result<(Self, Vec<QueueName>)> {
        let clock = Clock::start_now();
        let (facts, names) = all_queues(one_shot.server.as_ref(), &one_shot.waker)?;
        Ok((Self { one_shot, facts, clock, is_watch: false }, names))
    }

    /// Queries several queues at a time, since the query of a keeper that does not answer waits. Queries fewer
    /// queues at a time if the system refuses threads.
    pub(super) fn query_all(&self, queues: &[QueueName]) -> anyhow::Result<Vec<QueryOutcome>> {
        let query = |queue: &QueueName| {
            let outcome = self.query_queue(queue).or_else(unresponsive_or_error);
            outcome.or_else(|error| match error.downcast_ref() {
                Some(Error::Interrupted) => Err(error),
                // One unusable queue must not hide the others.
                _ => Ok(Some(QueryOutcome::Unusable { queue: queue.to_string(), error })),
            })
        };
        let outcomes: Vec<_> = queues.iter().map(|_| OnceLock::new()).collect();
        let rest = Mutex::new(queues.iter().zip(&outcomes));
        let work = || {
            loop {
                let next = lock(&rest).next();
                let Some((queue, outcome)) = next else { return };
                outcome.get_or_init(|| query(queue));
            }
        };
        thread::scope(|scope| {
            for _ in 1..queues.len().min(MAX_CONCURRENT_QUERIES) {
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        // A queue that has been removed in the meantime has no outcome.
        let outcomes = outcomes.into_iter().filter_map(OnceLock::into_inner);
        outcomes.filter_map(Result::transpose).collect()
    }

    pub(super) fn query_queue(&self, queue: &QueueName) -> anyhow::Result<Option<QueryOutcome>> {
        let status = match &self.facts {
            Some(_) => self.query_server(queue)?,
            None => query_keeper(self.one_shot, queue)?,
        };
        let server = self.facts.clone().map(Box::new);
        Ok(status.map(|status| QueryOutcome::Available {
            queue: queue.to_string(),
            status,
            server,
        }))
    }

    /// Queries the server that has `queue`, within the time that is left of its limit.
    fn query_server(&self, queue: &QueueName) -> anyhow::Result<Option<Status>> {
        let mut options = self.one_shot.options.clone().queue(queue.clone());
        if let Some(mut settings) = self.one_shot.server.clone() {
            let left = settings.patience.map(|limit| limit.saturating_sub(self.clock.now()));
            let most = self.is_watch.then_some(WATCH_QUERY_PATIENCE);
            let patience = left.into_iter().chain(most).min();
            settings.patience = patience.map(|patience| patience.max(LEAST_QUERY_PATIENCE));
            options = options.with_server(settings);
        }
        let Some(mut client) = options.connect_if_exists()? else { return Ok(None) };
        let status = client.status()?;
        client.leave_at_once();
        Ok(Some(status))
    }
}

/// Turns the error of a keeper that does not answer into an outcome.
pub(super) fn unresponsive_or_error(error: anyhow::Error) -> anyhow::Result<Option<QueryOutcome>> {
    match error.downcast()? {
        Error::NoAnswer { queue, process, .. } => {
            Ok(Some(QueryOutcome::Unresponsive { queue, answers: false, keeper: process }))
        }
        error => Err(error.into()),
    }
}

/// Queries the keeper of `queue`. Without a keeper, reads the stored status and starts no keeper.
fn query_keeper(one_shot: &OneShot, queue: &QueueName) -> anyhow::Result<Option<Status>> {
    let options = one_shot.options.clone().queue(queue.clone()).with_timeout(Timeout::After(0));
    let answer = options.connect_if_running().and_then(|client| {
        let Some(mut client) = client else {
            return Ok(None);
        };
        let status = client.status()?;
        client.leave_at_once();
        Ok(Some(status))
    });
    match answer {
        // No keeper, or the keeper has just exited.
        Ok(None) | Err(Error::KeeperGone) => stored_status(&default_base_dir()?, queue),
        answer => Ok(answer?),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_status_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::QueryOutcome>("status");
    }
}
