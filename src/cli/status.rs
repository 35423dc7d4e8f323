//! `qdemo status`: how queues are, and who uses them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use console::Term;
use serde::Serialize;

use super::one_shot::{Visit, no_such_queue};
use super::progress::ProgressArg;
use super::{QueueArg, need_output, values};
use crate::client::{Error, Patience, default_dir, status_at_rest};
use crate::clock::nanos;
use crate::exit::ExitCode;
use crate::os::signals;
use crate::os::{Ready, Waker, wait};
use crate::pipe::QueueDir;
use crate::queue::WaitsFor;
use crate::queue_name::QueueName;
use crate::report::StdoutFailed;
use crate::report::say;
use crate::report::{Block, Depth, Lang, Size, Style, fit, is_in_background};
use crate::wire::{ClientStatus, Status};

/// So many queues are asked at the same time.
const AT_ONCE: usize = 16;

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
    #[arg(value_parser = values::period, allow_hyphen_values = true)]
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
struct Named {
    queue: String,
    #[serde(flatten)]
    status: Status,
}

/// A queue whose keeper does not answer.
#[derive(Serialize)]
struct Silent {
    queue: String,
    /// Always false: the status of a queue whose keeper answers does not have it.
    answers: bool,
    /// The keeper's process, where that is known.
    keeper: Option<u32>,
}

/// A queue that is not used as it is: it is damaged, or not safe.
struct Refused {
    queue: String,
    why: String,
}

enum Seen {
    Known(Named),
    Silent(Silent),
    Refused(Refused),
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let named = self.queue.given()?;
        need_output()?;
        let visit = self.queue.visit()?;
        let mut reporter = visit.reporter(match self.format {
            Format::Text => Style::Log,
            Format::Json => Style::Json,
        });
        let screen = Term::stdout();
        let live = self.watch && self.progress.is_wanted(screen.is_term());
        let (mut block, mut first) = (Block::among_others(), true);
        let resized = Waker::new().map_err(Error::Pipe)?;
        if live {
            signals::catch_resizes(&resized)?;
        }
        let (mut deepest, mut told) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let all = match &named {
                Some(queue) => vec![self.look_at_one(&visit, queue)?],
                None => look_at_all(&visit)?,
            };
            let size = Size::of(&screen);
            let (mut lines, mut code) = (Vec::new(), ExitCode::Done);
            for one in &all {
                match one {
                    Seen::Known(one) => {
                        let most = deepest.entry(one.queue.clone()).or_insert(0);
                        *most = one.status.in_line.max(*most);
                        lines.extend(text(one, live.then_some((size.room().columns, *most))));
                    }
                    Seen::Silent(silent) => lines.push(silent.text()),
                    Seen::Refused(Refused { queue, why }) => {
                        code = ExitCode::Failed;
                        if live {
                            lines.push(format!("{queue}: {why}"));
                        } else if told.insert(queue.clone(), why.clone()).as_ref() != Some(why) {
                            say(&format!("{queue}: {why}"));
                        }
                    }
                }
            }
            match self.format {
                Format::Json => all.iter().for_each(|one| match one {
                    Seen::Known(known) => reporter.json(known),
                    Seen::Silent(silent) => reporter.json(silent),
                    Seen::Refused(_) => {}
                }),
                Format::Text if live && is_in_background(io::stdout()) => {}
                Format::Text if live => {
                    reporter.redraw(&mut block, rows(&lines, size.room()), size);
                }
                Format::Text => {
                    if !first {
                        reporter.say("");
                    }
                    lines.iter().for_each(|line| reporter.say(line));
                }
            }
            first = false;
            reporter.flush().map_err(StdoutFailed)?;
            if !self.watch {
                return Ok(code);
            }
            let wakers = [(visit.waker().as_fd(), Ready::Read), (resized.as_fd(), Ready::Read)];
            let woken = wait(&wakers, Some(nanos(self.every)))?;
            resized.clear();
            if woken[0].ready {
                return Err(Error::Interrupted.into());
            }
        }
    }
}

impl Args {
    /// How this queue is. That its keeper does not answer is an error, unless it is watched.
    fn look_at_one(&self, visit: &Visit, queue: &QueueName) -> anyhow::Result<Seen> {
        let seen = match look_at(visit, queue) {
            Err(error) if self.watch => silent(error),
            other => other,
        };
        Ok(seen?.ok_or_else(|| no_such_queue(queue))?)
    }
}

/// How all queues are, in alphabetical order.
fn look_at_all(visit: &Visit) -> anyhow::Result<Vec<Seen>> {
    let names = QueueDir::names(&default_dir()?).map_err(Error::from)?;
    let queues: Vec<QueueName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    // One that is removed at this moment is not there.
    let seen = at_once(&queues, |queue| {
        look_at(visit, queue).or_else(silent).or_else(|error| refused(queue, error))
    });
    Ok(seen.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Looks at each of the queues, at several at a time, as a keeper that does not answer is waited for. If the
/// system refuses threads, it is at fewer of them.
fn at_once<T: Send>(queues: &[QueueName], look: impl Fn(&QueueName) -> T + Sync) -> Vec<T> {
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
        for _ in 1..queues.len().min(AT_ONCE) {
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
fn silent(error: anyhow::Error) -> anyhow::Result<Option<Seen>> {
    match error.downcast()? {
        Error::NoAnswer { queue, process, .. } => {
            Ok(Some(Seen::Silent(Silent { queue, answers: false, keeper: process })))
        }
        error => Err(error.into()),
    }
}

/// One queue that is not used must not hide the others.
fn refused(queue: &QueueName, error: anyhow::Error) -> anyhow::Result<Option<Seen>> {
    if matches!(error.downcast_ref(), Some(Error::Interrupted)) {
        return Err(error);
    }
    let why = format!("{error:#}");
    Ok(Some(Seen::Refused(Refused { queue: queue.to_string(), why })))
}

impl Silent {
    fn text(&self) -> String {
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
fn look_at(visit: &Visit, queue: &QueueName) -> anyhow::Result<Option<Seen>> {
    let options = visit.options.clone().queue(queue.clone()).patience(Patience::For(0));
    let status = options.connect_if_kept().and_then(|client| match client {
        None => Ok(None),
        Some(mut client) => client.status().map(|status| Some((client, status))),
    });
    let status = match status {
        Ok(Some((client, status))) => {
            client.leave_at_once();
            Some(status)
        }
        // It has just gone.
        Ok(None) | Err(Error::Gone) => status_at_rest(&default_dir()?, queue)?,
        Err(error) => return Err(error.into()),
    };
    Ok(status.map(|status| Seen::Known(Named { queue: queue.to_string(), status })))
}

/// Lines for people. With a bar of the depth if there are so many columns for it; where there is no
/// capacity, it is against the most that has been seen.
fn text(named: &Named, bar: Option<(usize, u64)>) -> Vec<String> {
    let Named { queue, status } = named;
    let Status { in_line, out, done, failed, .. } = status;
    let capacity = status.capacity.map_or(String::new(), |most| format!(" of {most}"));
    let oldest = status.oldest_s.map_or(String::new(), |age| format!(", the oldest {}", time(age)));
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
            format!("  {role} {pid}: {items} {did}, {}", doing(client))
        };
        clients.iter().map(line).collect::<Vec<_>>()
    };
    let bar = bar.map(|(columns, most)| {
        let depth = Depth { in_line: *in_line, capacity: status.capacity, most };
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

fn doing(client: &ClientStatus) -> String {
    let held = client.held_s.map_or(String::new(), |held| format!(" for {}", time(held)));
    let holds = match client.holds {
        0 => None,
        1 => Some(format!("has 1 item{held}")),
        n => Some(format!("has {n} items{held}")),
    };
    let waits = client.waits_for.map(|what| match what {
        WaitsFor::Room => "waits for room".to_owned(),
        WaitsFor::Item => "waits for an item".to_owned(),
        WaitsFor::Done => "waits until all is done".to_owned(),
    });
    match (holds, waits) {
        (None, None) => "at work".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(holds), Some(waits)) => format!("{holds}, {waits}"),
    }
}

/// Seconds, as people say them.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s if s < 86_400.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// What there is room for, a row each.
fn rows(lines: &[String], room: Size) -> Vec<String> {
    let fits = |line: &String| fit(line, room.columns);
    if lines.len() <= room.rows {
        return lines.iter().map(fits).collect();
    }
    let shown = room.rows - 1;
    let more = format!("… and {} lines more", lines.len() - shown);
    lines[..shown].iter().chain([&more]).map(fits).collect()
}
