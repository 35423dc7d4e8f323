//! `qdemo status`: shows the state and the clients of queues. It starts no keeper.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;
use std::{io, iter};

use console::Term;
use serde::Serialize;

use super::args::{ProgressArg, QueueArg};
use super::one_shot::{OneShot, no_such_queue_error};
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use crate::catalogue::lang;
use crate::client::{Error, Timeout, default_base_dir, stored_status};
use crate::clock::{Clock, Nanos, nanos};
use crate::exit::ExitCode;
use crate::os::{Interest, Waker, lock, signals, wait_ready};
use crate::pipe::QueueDir;
use crate::queue::{Counts, WaitReason};
use crate::queue_name::QueueName;
use crate::report::{
    NamedLine, OutputFormat, QueueDepth, RedrawArea, Reporter, StdoutError, TerminalSize,
    english_item_count, eprint_line, is_in_background, truncate_to_width,
};
use crate::role::Role;
use crate::server::{Inspection, ServerFacts, ServerInspector};
use crate::wire::{ClientStatus, Status};

/// A server that has just answered has at least this time for the query of a queue.
const LEAST_QUERY_PATIENCE: Nanos = 1_000_000_000;
/// With --watch, the query of a queue takes no longer: the next look asks the server again.
const WATCH_QUERY_PATIENCE: Nanos = 5_000_000_000;
/// The number of queues that are queried at a time.
const MAX_CONCURRENT_QUERIES: usize = 16;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo status
qdemo status -q jobs --format json | jq .ready
qdemo status --watch")]
pub(super) struct Args {
    #[arg(long, default_value = "text", value_parser = values::output_format(&["text", "json"]))]
    format: OutputFormat,

    #[arg(long)]
    watch: bool,

    #[arg(long, value_name = "TIME", default_value = "1s", requires = "watch")]
    #[arg(value_parser = values::parse_nonzero_duration)]
    every: Duration,

    #[command(flatten)]
    progress: ProgressArg,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

/// The JSON object of a queue.
#[derive(Serialize)]
#[serde(untagged)]
enum QueryOutcome {
    Available {
        queue: String,
        #[serde(flatten)]
        status: Status,
        /// The server that has the queue.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<Box<ServerFacts>>,
    },
    /// The keeper does not answer.
    Unresponsive {
        queue: String,
        /// Always false. The object of a queue whose keeper answers does not have this key.
        answers: bool,
        /// The keeper's process id, if known.
        keeper: Option<u32>,
    },
    /// The queue is damaged or not safe to use. No JSON object describes the queue.
    #[serde(skip)]
    Unusable { queue: String, error: anyhow::Error },
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let named = self.queue.explicit_name()?;
        require_stdout()?;
        let server =
            if self.watch { self.server.staying_settings() } else { self.server.settings() };
        let one_shot = OneShot::on(&self.queue, server?)?;
        let screen = Term::stdout();
        let is_live = self.watch && self.progress.is_enabled(screen.is_term());
        let resized = Waker::new().map_err(Error::Pipe)?;
        if is_live {
            signals::wake_on_resize(&resized)?;
        }
        let mut printer = StatusPrinter {
            reporter: one_shot.reporter(self.format),
            screen,
            is_watch: self.watch,
            is_live,
            area: RedrawArea::with_resume_detection(),
            peaks: BTreeMap::new(),
            printed_errors: BTreeMap::new(),
            is_first: true,
            has_told_silence: false,
        };
        let inspector = one_shot
            .server
            .as_ref()
            .map(|settings| ServerInspector::new(settings, Arc::clone(&one_shot.waker)))
            .transpose()?;
        loop {
            let code = look(&one_shot, inspector.as_ref(), named.as_ref(), &mut printer)?;
            if !self.watch {
                return Ok(code);
            }
            let wakers =
                [(one_shot.waker.as_fd(), Interest::Read), (resized.as_fd(), Interest::Read)];
            let woken = wait_ready(&wakers, Some(nanos(self.every)))?;
            resized.drain();
            if woken[0].is_ready {
                return Err(Error::Interrupted.into());
            }
        }
    }
}

/// Queries the queue `named`, or else all queues, and prints the outcomes.
fn look(
    one_shot: &OneShot,
    inspector: Option<&ServerInspector>,
    named: Option<&QueueName>,
    printer: &mut StatusPrinter,
) -> anyhow::Result<ExitCode> {
    let clock = Clock::start_now();
    let (facts, queues) = match (inspector, named) {
        (Some(inspector), _) => {
            let lists_queues = named.is_none();
            let inspected =
                inspector.inspect(lists_queues, &mut |error| printer.print_silence(error))?;
            let Inspection { facts, queues } = inspected.ok_or(Error::Interrupted)?;
            printer.print_answer();
            (Some(facts), queues)
        }
        (None, Some(_)) => (None, Vec::new()),
        (None, None) => {
            let names = QueueDir::queue_names(&default_base_dir()?).map_err(Error::from)?;
            (None, names.iter().filter_map(|name| name.parse().ok()).collect())
        }
    };
    let place = Place { one_shot, facts, clock, is_watch: printer.is_watch };
    let outcomes = match named {
        Some(queue) => {
            let outcome = match place.query_queue(queue) {
                Err(error) if printer.is_watch => unresponsive_or_error(error),
                other => other,
            };
            let outcome =
                outcome.and_then(|outcome| outcome.ok_or_else(|| no_such_queue_error(queue)));
            outcome.map(|outcome| vec![outcome])
        }
        None => place.query_all(&queues),
    };
    match outcomes {
        // The server has gone after it had answered: the next look says more.
        Err(error) if is_of_server(&error) && printer.is_watch && !printer.is_first => {
            printer.print_silence(&error);
            Ok(ExitCode::Failed)
        }
        outcomes => printer.print(&outcomes?, place.facts.as_ref()),
    }
}

fn is_of_server(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Server(_)))
}

/// Prints the outcomes of one query after another.
struct StatusPrinter {
    reporter: Reporter,
    screen: Term,
    is_watch: bool,
    /// Each output replaces the one before on the terminal.
    is_live: bool,
    area: RedrawArea,
    /// The peak depth of each queue.
    peaks: BTreeMap<String, u64>,
    /// The last error of each unusable queue: the printer repeats no error.
    printed_errors: BTreeMap<String, String>,
    is_first: bool,
    /// A person knows that the server does not answer.
    has_told_silence: bool,
}

impl StatusPrinter {
    fn print(
        &mut self,
        outcomes: &[QueryOutcome],
        server: Option<&ServerFacts>,
    ) -> anyhow::Result<ExitCode> {
        let size = TerminalSize::current(&self.screen);
        let mut lines: Vec<NamedLine> =
            server.iter().map(|facts| facts.to_string().into()).collect();
        lines.extend(self.lines(outcomes, size));
        let is_usable = |outcome: &&_| !matches!(outcome, QueryOutcome::Unusable { .. });
        if self.reporter.format == OutputFormat::Json {
            outcomes.iter().filter(is_usable).for_each(|outcome| self.reporter.print_json(outcome));
        } else {
            self.print_lines(&lines, size);
        }
        self.is_first = false;
        self.reporter.flush().map_err(StdoutError)?;
        let are_usable = outcomes.iter().all(|outcome| is_usable(&outcome));
        Ok(if are_usable { ExitCode::Done } else { ExitCode::Failed })
    }

    /// Replaces the lines before on the terminal, or prints the lines below them.
    fn print_lines(&mut self, lines: &[NamedLine], size: TerminalSize) {
        if !self.is_live {
            if !self.is_first {
                self.reporter.print_line("");
            }
            lines.iter().for_each(|line| self.reporter.print_named_line(line));
        } else if !is_in_background(io::stdout()) {
            self.reporter.redraw(&mut self.area, fit_rows(lines, size.drawable_area()), size);
        }
    }

    /// Says that the server does not answer: in text that is refreshed, in the place of the server's line, and
    /// otherwise on standard error.
    fn print_silence(&mut self, error: &dyn Display) {
        let was_told = std::mem::replace(&mut self.has_told_silence, true);
        let line = format!("{error}; trying again");
        if self.is_watch && self.reporter.format != OutputFormat::Json {
            self.print_lines(&[line.into()], TerminalSize::current(&self.screen));
            self.is_first = false;
            // The next output learns of an error.
            let _ = self.reporter.flush();
        } else if !was_told {
            eprint_line(&line);
        }
    }

    /// The server answers. In text that is refreshed, the server's line comes back.
    fn print_answer(&mut self) {
        let was_told = std::mem::take(&mut self.has_told_silence);
        if was_told && (!self.is_watch || self.reporter.format == OutputFormat::Json) {
            eprint_line("the server answers again");
        }
    }

    /// The lines for people. The error of an unusable queue goes to standard error, or, in a live view, into a
    /// line.
    fn lines(&mut self, outcomes: &[QueryOutcome], size: TerminalSize) -> Vec<NamedLine> {
        let mut lines: Vec<NamedLine> = Vec::new();
        for outcome in outcomes {
            match outcome {
                QueryOutcome::Available { queue, status, .. } => {
                    let peak = self.peaks.entry(queue.clone()).or_insert(0);
                    *peak = status.counts.ready.max(*peak);
                    let bar = self.is_live.then_some((size.drawable_area().columns, *peak));
                    lines.extend(status_lines(queue, status, bar));
                }
                QueryOutcome::Unresponsive { queue, keeper: None, .. } => lines.push(
                    format!("{queue}: its keeper does not answer: continue or end the keeper")
                        .into(),
                ),
                QueryOutcome::Unresponsive { queue, keeper: Some(pid), .. } => lines.push(
                    format!(
                        "{queue}: its keeper (process {pid}) does not answer: continue it with \
                     `kill -CONT {pid}`, or end it with `kill -9 {pid}`"
                    )
                    .into(),
                ),
                QueryOutcome::Unusable { queue, error } => {
                    let line = format!("{queue}: {error:#}");
                    if self.is_live {
                        lines.push(line.into());
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

/// Where the queues are.
struct Place<'a> {
    one_shot: &'a OneShot,
    /// The server that has the queues; none for queues on this machine.
    facts: Option<ServerFacts>,
    /// Has run since the server was asked.
    clock: Clock,
    is_watch: bool,
}

impl Place<'_> {
    /// Queries several queues at a time, since the query of a keeper that does not answer waits. Queries fewer
    /// queues at a time if the system refuses threads.
    fn query_all(&self, queues: &[QueueName]) -> anyhow::Result<Vec<QueryOutcome>> {
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

    fn query_queue(&self, queue: &QueueName) -> anyhow::Result<Option<QueryOutcome>> {
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
fn unresponsive_or_error(error: anyhow::Error) -> anyhow::Result<Option<QueryOutcome>> {
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

/// The lines of a queue for people. `bar` has the columns for a bar of the depth, and the peak depth, which is
/// the scale of the bar for a queue without a capacity.
fn status_lines(queue: &str, status: &Status, bar: Option<(usize, u64)>) -> Vec<NamedLine> {
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
    let clients = |role, name, verb, clients: &[ClientStatus]| {
        let line = |client: &ClientStatus| {
            let ClientStatus { pid, items, .. } = client;
            let line = format!("  {name} {pid}: {items} {verb}, {}", client_activity(client));
            NamedLine::of_client(line, role)
        };
        clients.iter().map(line).collect::<Vec<_>>()
    };
    let bar = bar.map(|(columns, peak)| {
        let depth = QueueDepth { ready, capacity: status.capacity, peak };
        NamedLine::from(format!("  {}", depth.bar(lang(), columns)))
    });
    iter::once(NamedLine::of_queue(head, queue))
        .chain(bar)
        .chain(clients(Role::Producer, "producer", "put", &status.producers))
        .chain(clients(Role::Consumer, "consumer", "done", &status.consumers))
        .collect()
}

fn client_activity(client: &ClientStatus) -> String {
    let held = client.held_s.map_or(String::new(), |held| format!(" for {}", format_seconds(held)));
    let holds = match client.in_flight {
        0 => None,
        items => Some(format!("has {}{held}", english_item_count(items))),
    };
    let waits = client.wait_reason.map(|reason| match reason {
        WaitReason::Room => "waits for room".to_owned(),
        WaitReason::Item => "waits for an item".to_owned(),
        WaitReason::Done => "waits until all is done".to_owned(),
    });
    let activities: Vec<_> = holds.into_iter().chain(waits).collect();
    if activities.is_empty() { "at work".to_owned() } else { activities.join(", ") }
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
fn fit_rows(lines: &[NamedLine], area: TerminalSize) -> Vec<String> {
    let truncate = |line: &NamedLine| truncate_to_width(&line.for_terminal(), area.columns);
    if lines.len() <= area.rows {
        return lines.iter().map(truncate).collect();
    }
    let shown = area.rows - 1;
    let more = format!("… and {} lines more", lines.len() - shown).into();
    lines[..shown].iter().chain([&more]).map(truncate).collect()
}
