//! `qdemo status`: how queues are, and who uses them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use console::Term;
use serde::Serialize;

use super::one_shot::{OneShot, no_such_queue_error};
use super::progress::ProgressArg;
use super::{QueueArg, require_stdout, values};
use crate::client::{Error, Timeout, default_base_dir, stored_status};
use crate::clock::nanos;
use crate::exit::ExitCode;
use crate::os::signals;
use crate::os::{Interest, Waker, wait_ready};
use crate::pipe::QueueDir;
use crate::queue::WaitReason;
use crate::queue_name::QueueName;
use crate::report::StdoutError;
use crate::report::eprint_line;
use crate::report::{
    Lang, OutputFormat, QueueDepth, RedrawArea, TerminalSize, is_in_background, truncate_to_width,
};
use crate::wire::{ClientStatus, Status};

/// So many queues are asked at the same time.
const MAX_CONCURRENT_QUERIES: usize = 16;

/// Show what is in queues, and who uses them
#[derive(Debug, clap::Args)]
#[command(after_help = "All queues are shown when none is named.

Examples:
  qdemo status
  qdemo status -q jobs --format json | jq .in_line
  qdemo status --watch")]
pub(super) struct Args {
    /// What it looks like: lines for people, or an object for each queue
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Keep it live until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// How often, with --watch
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch")]
    #[arg(value_parser = values::parse_nonzero_duration, allow_hyphen_values = true)]
    every: Duration,

    #[command(flatten)]
    progress: ProgressArg,

    #[command(flatten)]
    queue: QueueArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A queue and how it is, as `--format json` prints it.
#[derive(Serialize)]
struct QueueStatus {
    queue: String,
    #[serde(flatten)]
    status: Status,
}

/// A queue whose keeper does not answer.
#[derive(Serialize)]
struct UnresponsiveQueue {
    queue: String,
    /// Always false: the status of a queue whose keeper answers does not have it.
    answers: bool,
    /// The keeper's process, where that is known.
    keeper: Option<u32>,
}

/// A queue that is not used as it is: it is damaged, or not safe.
struct UnusableQueue {
    queue: String,
    reason: String,
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
        let one_shot = self.queue.one_shot()?;
        let mut reporter = one_shot.reporter(match self.format {
            Format::Text => OutputFormat::Log,
            Format::Json => OutputFormat::Json,
        });
        let screen = Term::stdout();
        let live = self.watch && self.progress.is_enabled(screen.is_term());
        let (mut block, mut first) = (RedrawArea::with_resume_detection(), true);
        let resized = Waker::new().map_err(Error::Pipe)?;
        if live {
            signals::wake_on_resize(&resized)?;
        }
        let (mut deepest, mut told) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let all = match &named {
                Some(queue) => vec![self.query_one(&one_shot, queue)?],
                None => query_all(&one_shot)?,
            };
            let size = TerminalSize::current(&screen);
            let (mut lines, mut code) = (Vec::new(), ExitCode::Done);
            for one in &all {
                match one {
                    QueryOutcome::Available(one) => {
                        let most = deepest.entry(one.queue.clone()).or_insert(0);
                        *most = one.status.ready.max(*most);
                        lines.extend(status_lines(
                            one,
                            live.then_some((size.drawable_area().columns, *most)),
                        ));
                    }
                    QueryOutcome::Unresponsive(silent) => lines.push(silent.message()),
                    QueryOutcome::Unusable(UnusableQueue { queue, reason }) => {
                        code = ExitCode::Failed;
                        if live {
                            lines.push(format!("{queue}: {reason}"));
                        } else if told.insert(queue.clone(), reason.clone()).as_ref()
                            != Some(reason)
                        {
                            eprint_line(&format!("{queue}: {reason}"));
                        }
                    }
                }
            }
            match self.format {
                Format::Json => all.iter().for_each(|one| match one {
                    QueryOutcome::Available(known) => reporter.print_json(known),
                    QueryOutcome::Unresponsive(silent) => reporter.print_json(silent),
                    QueryOutcome::Unusable(_) => {}
                }),
                Format::Text if live && is_in_background(io::stdout()) => {}
                Format::Text if live => {
                    reporter.redraw(&mut block, fit_rows(&lines, size.drawable_area()), size);
                }
                Format::Text => {
                    if !first {
                        reporter.print_line("");
                    }
                    lines.iter().for_each(|line| reporter.print_line(line));
                }
            }
            first = false;
            reporter.flush().map_err(StdoutError)?;
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
}

impl Args {
    /// How this queue is. That its keeper does not answer is an error, unless it is watched.
    fn query_one(&self, one_shot: &OneShot, queue: &QueueName) -> anyhow::Result<QueryOutcome> {
        let seen = match query_queue(one_shot, queue) {
            Err(error) if self.watch => unresponsive_or_error(error),
            other => other,
        };
        Ok(seen?.ok_or_else(|| no_such_queue_error(queue))?)
    }
}

/// How all queues are, in alphabetical order.
fn query_all(one_shot: &OneShot) -> anyhow::Result<Vec<QueryOutcome>> {
    let names = QueueDir::queue_names(&default_base_dir()?).map_err(Error::from)?;
    let queues: Vec<QueueName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    // One that is removed at this moment is not there.
    let seen = query_concurrently(&queues, |queue| {
        query_queue(one_shot, queue)
            .or_else(unresponsive_or_error)
            .or_else(|error| unusable_or_interrupted(queue, error))
    });
    Ok(seen.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Looks at each of the queues, at several at a time, as a keeper that does not answer is waited for. If the
/// system refuses threads, it is at fewer of them.
fn query_concurrently<T: Send>(
    queues: &[QueueName],
    look: impl Fn(&QueueName) -> T + Sync,
) -> Vec<T> {
    let rest = Mutex::new(queues.iter().enumerate());
    let seen = Mutex::new(Vec::with_capacity(queues.len()));
    let work = || {
        loop {
            let next = rest.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, queue)) = next else { return };
            let one = look(queue);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((number, one));
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
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.sort_unstable_by_key(|&(number, _)| number);
    seen.into_iter().map(|(_, one)| one).collect()
}

/// What can be told of a queue whose keeper does not answer.
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

/// One queue that is not used must not hide the others.
fn unusable_or_interrupted(
    queue: &QueueName,
    error: anyhow::Error,
) -> anyhow::Result<Option<QueryOutcome>> {
    if matches!(error.downcast_ref(), Some(Error::Interrupted)) {
        return Err(error);
    }
    let reason = format!("{error:#}");
    Ok(Some(QueryOutcome::Unusable(UnusableQueue { queue: queue.to_string(), reason })))
}

impl UnresponsiveQueue {
    fn message(&self) -> String {
        let queue = &self.queue;
        match self.keeper {
            None => format!("{queue}: its keeper does not answer: continue it, or end it"),
            Some(pid) => format!(
                "{queue}: its keeper (process {pid}) does not answer: continue it with \
                 `kill -CONT {pid}`, or end it with `kill -9 {pid}`"
            ),
        }
    }
}

/// A queue that nobody keeps is not woken for this.
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
        // It has just gone.
        Ok(None) | Err(Error::KeeperGone) => stored_status(&default_base_dir()?, queue)?,
        Err(error) => return Err(error.into()),
    };
    Ok(status
        .map(|status| QueryOutcome::Available(QueueStatus { queue: queue.to_string(), status })))
}

/// Lines for people. With a bar of the depth if there are so many columns for it; where there is no
/// capacity, it is against the most that has been seen.
fn status_lines(named: &QueueStatus, bar: Option<(usize, u64)>) -> Vec<String> {
    let QueueStatus { queue, status } = named;
    let Status { ready: in_line, in_flight: out, done, failed, .. } = status;
    let capacity = status.capacity.map_or(String::new(), |most| format!(" of {most}"));
    let oldest = status
        .oldest_age_s
        .map_or(String::new(), |age| format!(", the oldest {}", format_seconds(age)));
    let state = match status.state.as_str() {
        "open" => String::new(),
        state => format!(" ({state})"),
    };
    let head = format!(
        "{queue}{state}: {in_line}{capacity} in line, {out} out, {done} done, {failed} failed{oldest}"
    );
    let clients = |role, did, clients: &[ClientStatus]| {
        let line = |client: &ClientStatus| {
            let ClientStatus { pid, items, .. } = client;
            format!("  {role} {pid}: {items} {did}, {}", client_activity(client))
        };
        clients.iter().map(line).collect::<Vec<_>>()
    };
    let bar = bar.map(|(columns, most)| {
        let depth = QueueDepth { ready: *in_line, capacity: status.capacity, peak: most };
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
    let waits = client.wait_reason.map(|what| match what {
        WaitReason::Room => "waits for room".to_owned(),
        WaitReason::Item => "waits for an item".to_owned(),
        WaitReason::Done => "waits until all is done".to_owned(),
    });
    match (holds, waits) {
        (None, None) => "at work".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(holds), Some(waits)) => format!("{holds}, {waits}"),
    }
}

/// Seconds, as people say them.
fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// What there is room for, a row each.
fn fit_rows(lines: &[String], room: TerminalSize) -> Vec<String> {
    let fits = |line: &String| truncate_to_width(line, room.columns);
    if lines.len() <= room.rows {
        return lines.iter().map(fits).collect();
    }
    let shown = room.rows - 1;
    let more = format!("… and {} lines more", lines.len() - shown);
    lines[..shown].iter().chain([&more]).map(fits).collect()
}
