//! `qdemo status`: shows the state and the clients of queues. It starts no keeper.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use std::{io, iter};

use console::Term;

use super::args::{ProgressArg, QueueArg};
use super::one_shot::OneShot;
use super::queue_names::local_queue_names;
use super::queues::{Place, QueryOutcome, unresponsive_or_error};
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use crate::catalogue::{lang, message};
use crate::client::Error;
use crate::clock::{Clock, nanos};
use crate::exit::ExitCode;
use crate::os::{Interest, Waker, chain_text, signals, wait_ready};
use crate::queue::{Counts, WaitReason};
use crate::queue_name::QueueName;
use crate::report::{
    NamedLine, OutputFormat, QueueDepth, RedrawArea, Reporter, StdoutError, TerminalSize,
    eprint_line, is_in_background, truncate_to_width,
};
use crate::role::Role;
use crate::server::{Inspection, ServerFacts, ServerInspector};
use crate::wire::{ClientStatus, Status};

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
            is_list: named.is_none(),
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
        (None, None) => (None, local_queue_names()?),
    };
    let place = Place { one_shot, facts, clock, is_watch: printer.is_watch };
    let outcomes = match named {
        Some(queue) => {
            let outcome = match place.query_queue(queue) {
                Err(error) if printer.is_watch => unresponsive_or_error(error),
                other => other,
            };
            let outcome = outcome
                .and_then(|outcome| outcome.ok_or_else(|| one_shot.missing_queue_error(queue)));
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
    /// The output is a list of all queues.
    is_list: bool,
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
        if self.is_list && outcomes.is_empty() {
            let text = message!("status-no-queues");
            if self.is_live && self.reporter.format != OutputFormat::Json {
                lines.push(text.into());
            } else if self.is_first && io::stderr().is_terminal() {
                // A script learns it from the empty output.
                eprint_line(&text);
            }
        }
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
        let line = message!("status-trying-again", problem = error);
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
            eprint_line(&message!("status-server-is-back"));
        }
    }

    /// The lines for people. In a list, the queues that have ended come last.
    fn lines(&mut self, outcomes: &[QueryOutcome], size: TerminalSize) -> Vec<NamedLine> {
        let is_apart = |outcome: &&QueryOutcome| self.is_list && outcome.has_ended();
        let (ended, live): (Vec<_>, Vec<_>) = outcomes.iter().partition(is_apart);
        let mut lines: Vec<_> =
            live.into_iter().flat_map(|outcome| self.outcome_lines(outcome, size)).collect();
        if !ended.is_empty() {
            lines.push(message!("status-ended-queues").into());
        }
        for outcome in ended {
            let of_queue = self.outcome_lines(outcome, size);
            lines.extend(of_queue.into_iter().map(NamedLine::indented));
        }
        lines
    }

    /// The lines of a queue. The error of an unusable queue goes to standard error, or, in a live view, into a line.
    fn outcome_lines(&mut self, outcome: &QueryOutcome, size: TerminalSize) -> Vec<NamedLine> {
        match outcome {
            QueryOutcome::Available { queue, status, .. } => {
                let peak = self.peaks.entry(queue.clone()).or_insert(0);
                *peak = status.counts.ready.max(*peak);
                let has_bar = self.is_live && !(self.is_list && outcome.has_ended());
                let bar = has_bar.then_some((size.drawable_area().columns, *peak));
                let state = if self.is_list && outcome.has_ended() {
                    String::new()
                } else {
                    state_text(&status.state)
                };
                status_lines(queue, &state, status, bar)
            }
            QueryOutcome::Unresponsive { queue, keeper: None, .. } => {
                vec![message!("status-silent-keeper", queue = queue).into()]
            }
            &QueryOutcome::Unresponsive { ref queue, keeper: Some(pid), .. } => {
                vec![message!("status-silent-process", queue = queue, pid = &pid).into()]
            }
            QueryOutcome::Unusable { queue, error } => {
                let line = format!("{queue}: {}", chain_text(error.as_ref()));
                if self.is_live {
                    return vec![line.into()];
                }
                if self.printed_errors.get(queue) != Some(&line) {
                    eprint_line(&line);
                    self.printed_errors.insert(queue.clone(), line);
                }
                Vec::new()
            }
        }
    }
}

/// The state behind the name of a queue; none for an open queue.
fn state_text(state: &str) -> String {
    match state {
        "closed" => message!("status-closed"),
        "ending" => message!("status-ending"),
        "ended" => message!("status-ended"),
        _ => String::new(),
    }
}

/// The lines of a queue for people. `bar` has the columns for a bar of the depth, and the peak depth, which is
/// the scale of the bar for a queue without a capacity.
fn status_lines(
    queue: &str,
    state: &str,
    status: &Status,
    bar: Option<(usize, u64)>,
) -> Vec<NamedLine> {
    let Counts { ready, in_flight, done, failed } = status.counts;
    let capacity = status
        .capacity
        .map_or(String::new(), |capacity| message!("status-capacity", capacity = capacity));
    let counts = message!(
        "status-counts",
        queue = queue,
        state = state,
        ready = ready,
        capacity = capacity,
        in_flight = in_flight,
        done = done,
        failed = failed
    );
    let head = match status.oldest_age_s {
        Some(age) => message!("status-oldest", counts = counts, age = format_seconds(age)),
        None => counts,
    };
    let bar = bar.map(|(columns, peak)| {
        let depth = QueueDepth { ready, capacity: status.capacity, peak };
        NamedLine::from(format!("  {}", depth.bar(lang(), columns)))
    });
    let producer = |client: &ClientStatus| {
        let (pid, activity) = (&client.pid, client_activity(client, Role::Producer));
        let line =
            message!("status-producer", pid = pid, items = client.items, activity = activity);
        NamedLine::of_client(format!("  {line}"), Role::Producer)
    };
    let consumer = |client: &ClientStatus| {
        let (pid, activity) = (&client.pid, client_activity(client, Role::Consumer));
        let line =
            message!("status-consumer", pid = pid, items = client.items, activity = activity);
        NamedLine::of_client(format!("  {line}"), Role::Consumer)
    };
    let clients = status.producers.iter().map(producer);
    let clients = clients.chain(status.consumers.iter().map(consumer));
    iter::once(NamedLine::of_queue(head, queue)).chain(bar).chain(clients).collect()
}

fn client_activity(client: &ClientStatus, role: Role) -> String {
    let holds = match (client.in_flight, client.held_s) {
        (0, _) => None,
        (items, None) => Some(message!("status-holds", items = items)),
        (items, Some(held)) => {
            Some(message!("status-holds-for", items = items, time = format_seconds(held)))
        }
    };
    let waits = client.wait_reason.map(|reason| match reason {
        WaitReason::Room => message!("status-waits-for-room"),
        WaitReason::Item => message!("status-waits-for-item"),
        WaitReason::Done => message!("status-waits-until-done"),
    });
    let and = |first, second| message!("status-and", first = first, second = second);
    let activities = holds.into_iter().chain(waits);
    activities.reduce(and).unwrap_or_else(|| match role {
        Role::Producer => message!("status-producing"),
        Role::Consumer | Role::Visitor => message!("status-processing"),
    })
}

/// `90.0` as `2 min`.
fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => message!("status-seconds", time = format!("{s:.1}")),
        s if s < 3600.0 => message!("status-minutes", time = format!("{:.0}", s / 60.0)),
        s if s < 86_400.0 => message!("status-hours", time = format!("{:.1}", s / 3600.0)),
        s => message!("status-days", time = format!("{:.1}", s / 86_400.0)),
    }
}

/// The lines that fit on the terminal, one row each.
fn fit_rows(lines: &[NamedLine], area: TerminalSize) -> Vec<String> {
    let truncate = |line: &NamedLine| truncate_to_width(&line.for_terminal(), area.columns);
    if lines.len() <= area.rows {
        return lines.iter().map(truncate).collect();
    }
    let shown = area.rows - 1;
    let more = message!("status-more-lines", lines = lines.len() - shown).into();
    lines[..shown].iter().chain([&more]).map(truncate).collect()
}
