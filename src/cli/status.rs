//! `qdemo status`: shows the state and the clients of queues. It starts no keeper.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use console::Term;
use serde::Serialize;

use super::args::{ProgressArg, QueueArg};
use super::one_shot::{OneShot, no_such_queue_error};
use super::streams::require_stdout;
use super::values;
use crate::client::{Error, Timeout, default_base_dir, stored_status};
use crate::clock::nanos;
use crate::exit::ExitCode;
use crate::os::{Interest, Waker, signals, wait_ready};
use crate::pipe::QueueDir;
use crate::queue::{Counts, WaitReason};
use crate::queue_name::QueueName;
use crate::report::{
    Lang, OutputFormat, QueueDepth, RedrawArea, Reporter, StdoutError, TerminalSize, eprint_line,
    is_in_background, truncate_to_width,
};
use crate::wire::{ClientStatus, Status};

/// The number of queues that are queried at a time.
const MAX_CONCURRENT_QUERIES: usize = 16;

/// Show the items and clients of queues
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --queue and QDEMO_QUEUE, shows all queues.

Examples:
  qdemo status
  qdemo status -q jobs --format json | jq .in_line
  qdemo status --watch")]
pub(super) struct Args {
    /// Format of the output: lines, or a JSON object for each queue
    #[arg(long, default_value = "text", value_parser = values::output_format(&["text", "json"]))]
    format: OutputFormat,

    /// Refresh the output until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Time between two refreshes, with --watch
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch")]
    #[arg(value_parser = values::parse_nonzero_duration, allow_hyphen_values = true)]
    every: Duration,

    #[command(flatten)]
    progress: ProgressArg,

    #[command(flatten)]
    queue: QueueArg,
}

/// The JSON object of a queue.
#[derive(Serialize)]
struct QueueStatus {
    queue: String,
    #[serde(flatten)]
    status: Status,
}

/// The JSON object of a queue whose keeper does not answer.
#[derive(Serialize)]
struct UnresponsiveQueue {
    queue: String,
    /// Always false. The object of a queue whose keeper answers does not have this key.
    answers: bool,
    /// The keeper's process id, if known.
    keeper: Option<u32>,
}

/// A queue that is damaged or not safe to use.
struct UnusableQueue {
    queue: String,
    error: anyhow::Error,
}

enum QueryOutcome {
    Available(QueueStatus),
    Unresponsive(UnresponsiveQueue),
    Unusable(UnusableQueue),
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let named = self.queue.explicit_name()?;
        require_stdout()?;
        let one_shot = OneShot::new(&self.queue)?;
        let screen = Term::stdout();
        let is_live = self.watch && self.progress.is_enabled(screen.is_term());
        let resized = Waker::new().map_err(Error::Pipe)?;
        if is_live {
            signals::wake_on_resize(&resized)?;
        }
        let mut printer = StatusPrinter {
            reporter: one_shot.reporter(self.format),
            screen,
            is_live,
            area: RedrawArea::with_resume_detection(),
            peaks: BTreeMap::new(),
            printed_errors: BTreeMap::new(),
            is_first: true,
        };
        loop {
            let outcomes = match &named {
                Some(queue) => vec![self.query_one(&one_shot, queue)?],
                None => query_all(&one_shot)?,
            };
            let code = printer.print(&outcomes)?;
            if !self.watch {
                return Ok(code);
            }
            let wakers =
                [(one_shot.waker().as_fd(), Interest::Read), (resized.as_fd(), Interest::Read)];
            let woken = wait_ready(&wakers, Some(nanos(self.every)))?;
            resized.drain();
            if woken[0].is_ready {
                return Err(Error::Interrupted.into());
            }
        }
    }

    /// Queries one queue. A keeper that does not answer is an error, except with `--watch`.
    fn query_one(&self, one_shot: &OneShot, queue: &QueueName) -> anyhow::Result<QueryOutcome> {
        let outcome = match query_queue(one_shot, queue) {
            Err(error) if self.watch => unresponsive_or_error(error),
            other => other,
        };
        Ok(outcome?.ok_or_else(|| no_such_queue_error(queue))?)
    }
}

/// Prints the outcomes of one query after another.
struct StatusPrinter {
    reporter: Reporter,
    screen: Term,
    /// Each output replaces the one before on the terminal.
    is_live: bool,
    area: RedrawArea,
    /// The peak depth of each queue.
    peaks: BTreeMap<String, u64>,
    /// The last error of each unusable queue: the printer repeats no error.
    printed_errors: BTreeMap<String, String>,
    is_first: bool,
}

impl StatusPrinter {
    fn print(&mut self, outcomes: &[QueryOutcome]) -> anyhow::Result<ExitCode> {
        let size = TerminalSize::current(&self.screen);
        let lines = self.lines(outcomes, size);
        if self.reporter.format() == OutputFormat::Json {
            outcomes.iter().for_each(|outcome| match outcome {
                QueryOutcome::Available(status) => self.reporter.print_json(status),
                QueryOutcome::Unresponsive(queue) => self.reporter.print_json(queue),
                QueryOutcome::Unusable(_) => {}
            });
        } else if !self.is_live {
            if !self.is_first {
                self.reporter.print_line("");
            }
            lines.iter().for_each(|line| self.reporter.print_line(line));
        } else if !is_in_background(io::stdout()) {
            self.reporter.redraw(&mut self.area, fit_rows(&lines, size.drawable_area()), size);
        }
        self.is_first = false;
        self.reporter.flush().map_err(StdoutError)?;
        let has_unusable = outcomes.iter().any(|one| matches!(one, QueryOutcome::Unusable(_)));
        Ok(if has_unusable { ExitCode::Failed } else { ExitCode::Done })
    }

    /// The lines for people. The error of an unusable queue goes to standard error, or, in a live view, into a
    /// line.
    fn lines(&mut self, outcomes: &[QueryOutcome], size: TerminalSize) -> Vec<String> {
        let mut lines = Vec::new();
        for outcome in outcomes {
            match outcome {
                QueryOutcome::Available(status) => {
                    let peak = self.peaks.entry(status.queue.clone()).or_insert(0);
                    *peak = status.status.counts.ready.max(*peak);
                    let bar = self.is_live.then_some((size.drawable_area().columns, *peak));
                    lines.extend(status_lines(status, bar));
                }
                QueryOutcome::Unresponsive(queue) => lines.push(queue.message()),
                QueryOutcome::Unusable(UnusableQueue { queue, error }) => {
                    let line = format!("{queue}: {error:#}");
                    if self.is_live {
                        lines.push(line);
                    } else if self.printed_errors.get(queue) != Some(&line) {
                        eprint_line(&line);
                        self.printed_errors.insert(queue.clone(), line);
                    }
                }
            }
        }
        lines
    }
}

/// Queries all queues in alphabetical order.
fn query_all(one_shot: &OneShot) -> anyhow::Result<Vec<QueryOutcome>> {
    let names = QueueDir::queue_names(&default_base_dir()?).map_err(Error::from)?;
    let queues: Vec<QueueName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let outcomes = query_concurrently(&queues, |queue| {
        query_queue(one_shot, queue)
            .or_else(unresponsive_or_error)
            .or_else(|error| unusable_or_interrupted(queue, error))
    });
    // A queue that has been removed in the meantime has no outcome.
    let outcomes = outcomes.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Calls `query` for several queues at a time, since the query of a keeper that does not answer waits. Fewer
/// queues at a time if the system refuses threads.
fn query_concurrently<T: Send>(
    queues: &[QueueName],
    query: impl Fn(&QueueName) -> T + Sync,
) -> Vec<T> {
    let rest = Mutex::new(queues.iter().enumerate());
    let outcomes = Mutex::new(Vec::with_capacity(queues.len()));
    let work = || {
        loop {
            let next = rest.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, queue)) = next else { return };
            let outcome = query(queue);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
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
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_unstable_by_key(|&(index, _)| index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Turns the error of a keeper that does not answer into an outcome.
fn unresponsive_or_error(error: anyhow::Error) -> anyhow::Result<Option<QueryOutcome>> {
    match error.downcast()? {
        Error::NoAnswer { queue, process, .. } => {
            Ok(Some(QueryOutcome::Unresponsive(UnresponsiveQueue {
                queue,
                answers: false,
                keeper: process,
            })))
        }
        error => Err(error.into()),
    }
}

/// Turns an error into an outcome: one unusable queue must not hide the others.
fn unusable_or_interrupted(
    queue: &QueueName,
    error: anyhow::Error,
) -> anyhow::Result<Option<QueryOutcome>> {
    if matches!(error.downcast_ref(), Some(Error::Interrupted)) {
        return Err(error);
    }
    Ok(Some(QueryOutcome::Unusable(UnusableQueue { queue: queue.to_string(), error })))
}

impl UnresponsiveQueue {
    fn message(&self) -> String {
        let queue = &self.queue;
        match self.keeper {
            None => format!("{queue}: its keeper does not answer: continue or end the keeper"),
            Some(pid) => format!(
                "{queue}: its keeper (process {pid}) does not answer: continue it with \
                 `kill -CONT {pid}`, or end it with `kill -9 {pid}`"
            ),
        }
    }
}

/// Queries the keeper of `queue`. Without a keeper, reads the stored status and starts no keeper.
fn query_queue(one_shot: &OneShot, queue: &QueueName) -> anyhow::Result<Option<QueryOutcome>> {
    let options = one_shot.options.clone().queue(queue.clone()).with_timeout(Timeout::After(0));
    let status = options.connect_if_running().and_then(|client| match client {
        None => Ok(None),
        Some(mut client) => client.status().map(|status| Some((client, status))),
    });
    let status = match status {
        Ok(Some((client, status))) => {
            client.leave_at_once();
            Some(status)
        }
        // No keeper, or the keeper has just exited.
        Ok(None) | Err(Error::KeeperGone) => stored_status(&default_base_dir()?, queue)?,
        Err(error) => return Err(error.into()),
    };
    Ok(status
        .map(|status| QueryOutcome::Available(QueueStatus { queue: queue.to_string(), status })))
}

/// The lines of a queue for people. `bar` has the columns for a bar of the depth, and the peak depth, which is
/// the scale of the bar for a queue without a capacity.
fn status_lines(queue_status: &QueueStatus, bar: Option<(usize, u64)>) -> Vec<String> {
    let QueueStatus { queue, status } = queue_status;
    let Counts { ready, in_flight, done, failed } = status.counts;
    let capacity = status.capacity.map_or(String::new(), |capacity| format!(" of {capacity}"));
    let oldest = status
        .oldest_age_s
        .map_or(String::new(), |age| format!(", the oldest {}", format_seconds(age)));
    let state = match status.state.as_str() {
        "open" => String::new(),
        state => format!(" ({state})"),
    };
    let head = format!(
        "{queue}{state}: {ready}{capacity} in line, {in_flight} out, {done} done, {failed} failed{oldest}"
    );
    let clients = |role, verb, clients: &[ClientStatus]| {
        let line = |client: &ClientStatus| {
            let ClientStatus { pid, items, .. } = client;
            format!("  {role} {pid}: {items} {verb}, {}", client_activity(client))
        };
        clients.iter().map(line).collect::<Vec<_>>()
    };
    let bar = bar.map(|(columns, peak)| {
        let depth = QueueDepth { ready, capacity: status.capacity, peak };
        format!("  {}", depth.bar(Lang::En, columns))
    });
    [
        vec![head],
        bar.into_iter().collect(),
        clients("producer", "put", &status.producers),
        clients("consumer", "done", &status.consumers),
    ]
    .concat()
}

fn client_activity(client: &ClientStatus) -> String {
    let held = client.held_s.map_or(String::new(), |held| format!(" for {}", format_seconds(held)));
    let holds = match client.in_flight {
        0 => None,
        1 => Some(format!("has 1 item{held}")),
        n => Some(format!("has {n} items{held}")),
    };
    let waits = client.wait_reason.map(|reason| match reason {
        WaitReason::Room => "waits for room".to_owned(),
        WaitReason::Item => "waits for an item".to_owned(),
        WaitReason::Done => "waits until all is done".to_owned(),
    });
    match (holds, waits) {
        (None, None) => "at work".to_owned(),
        (Some(activity), None) | (None, Some(activity)) => activity,
        (Some(holds), Some(waits)) => format!("{holds}, {waits}"),
    }
}

/// `90.0` as `2 min`.
fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// The lines that fit on the terminal, one row each.
fn fit_rows(lines: &[String], area: TerminalSize) -> Vec<String> {
    let truncate = |line: &String| truncate_to_width(line, area.columns);
    if lines.len() <= area.rows {
        return lines.iter().map(truncate).collect();
    }
    let shown = area.rows - 1;
    let more = format!("… and {} lines more", lines.len() - shown);
    lines[..shown].iter().chain([&more]).map(truncate).collect()
}
