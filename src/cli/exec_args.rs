//! `qdemo consumer -- COMMAND`: a command for each item.

use std::ffi::OsString;
use std::io::{Read, Seek};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::value::RawValue;

use super::client_args::Prepared;
use super::one_shot::{come, tell_of_the_end};
use super::{Stop, values};
use crate::client::{Client, Error, Patience};
use crate::clock::{Clock, Pauses};
use crate::exec::{Ended, Exec, Plan, Stopped, Tally, Template, Terminal, Unusable, Watch};
use crate::exit::ExitCode;
use crate::exit::Usage;
use crate::item::value;
use crate::os::signals;
use crate::os::{Waker, raise_open_files};
use crate::queue::Census;
use crate::report::StdoutFailed;
use crate::report::{Kind, Reporter, Style, seconds};
use crate::role::Role;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With a COMMAND")]
pub(super) struct EachArgs {
    /// Run so many commands at a time
    #[arg(short, long, value_name = "N", default_value = "1", requires = "command")]
    #[arg(value_parser = values::workers, allow_hyphen_values = true)]
    jobs: u32,

    /// Try a command that fails so many times more
    #[arg(long, value_name = "N", default_value = "0", requires = "command")]
    #[arg(value_parser = values::times, allow_hyphen_values = true)]
    retries: u32,

    /// Pause before the second try; it doubles with each further one
    #[arg(long, value_name = "TIME", default_value = "100ms", requires = "command")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    backoff: Duration,

    /// End a command that takes longer: SIGTERM, and SIGKILL 5 s later; it has failed
    #[arg(long, value_name = "TIME", requires = "command")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    timeout_each: Option<Duration>,

    /// Stop at the first item that fails; what others are at goes back in line
    #[arg(long, requires = "command")]
    halt: bool,

    /// Give each command the terminal: it can ask for a password, or be an editor
    #[arg(long, requires = "command")]
    pub(super) tty: bool,

    /// What to run for each item, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What of the consumer's own options is for commands too.
pub(super) struct Pace {
    pub(super) pauses: Pauses,
    pub(super) max: u64,
    pub(super) patience: Patience,
    /// Say so when the queue has ended and this waits for what comes next.
    pub(super) tells: bool,
}

impl EachArgs {
    /// The command, if there is one. It is looked for before any item is taken.
    pub(super) fn template(&self) -> anyhow::Result<Option<Template>> {
        if self.command.is_empty() {
            // An empty variable in a script must not do all the items with nothing.
            if std::env::args_os().next_back().is_some_and(|last| last == "--") {
                let text = "there is no command behind --: give one, or leave -- out";
                return Err(Usage(text.to_owned()).into());
            }
            return Ok(None);
        }
        match Template::find(self.command.clone()) {
            Ok(template) => Ok(Some(template)),
            Err(unusable) => Err(stop(&unusable).into()),
        }
    }

    /// Runs it for each item.
    pub(super) fn run(
        &self,
        template: &Template,
        prepared: Prepared,
        pace: Pace,
    ) -> anyhow::Result<ExitCode> {
        let terminal = self.terminal()?;
        // Each command has two pipes.
        raise_open_files();
        let clock = Clock::start();
        let deaths = Waker::new()?;
        signals::catch_deaths(&deaths)?;
        let plan = Plan {
            jobs: self.jobs as usize,
            queue: prepared.queue.to_string(),
            retries: self.retries,
            backoff: self.backoff,
            timeout_each: self.timeout_each,
            pauses: pace.pauses,
            halt: self.halt,
            max: pace.max,
            patience: pace.patience,
        };
        let mut client = come(prepared.options, &prepared.queue)?;
        let mut show = Show { reporter: prepared.reporter };
        if pace.tells {
            tell_of_the_end(&client, &prepared.queue);
        }
        let exec = Exec::new(&mut client, template, plan, &mut show, clock, deaths, terminal)
            .context("cannot start the guard of the commands")?;
        let ran = exec.run();
        show.reporter.progress().clear();
        match ran {
            Ok(tally) => {
                // What is out, with --halt, goes back.
                client.leave()?;
                match tally.failed {
                    0 => Ok(ExitCode::Done),
                    failed => Err(some_failed(failed, &prepared.queue.quoted()).into()),
                }
            }
            Err(stopped) => {
                client.leave_at_once();
                match stopped {
                    Stopped::Interrupted(signal) => Ok(ExitCode::Signal(signal)),
                    stopped => Err(why(stopped)),
                }
            }
        }
    }

    /// The terminal that commands are to have, if they are.
    fn terminal(&self) -> anyhow::Result<Option<Terminal>> {
        if !self.tty {
            return Ok(None);
        }
        if self.jobs > 1 {
            let text = "--tty is for one command at a time: leave --jobs out";
            return Err(Usage(text.to_owned()).into());
        }
        Terminal::open().map(Some).map_err(|none| Usage(none.to_string()).into())
    }
}

fn some_failed(failed: u64, queue: &str) -> Stop {
    let items = if failed == 1 { "1 item has".to_owned() } else { format!("{failed} items have") };
    let text =
        format!("{items} failed: `qdemo failed -q {queue}` lists them, and retries or drops them");
    Stop { code: ExitCode::Failed, text }
}

fn stop(unusable: &Unusable) -> Stop {
    let code = match unusable {
        Unusable::NotFound(_) => ExitCode::NotFound,
        Unusable::NotExecutable(_) => ExitCode::NotExecutable,
    };
    Stop { code, text: unusable.to_string() }
}

fn why(stopped: Stopped) -> anyhow::Error {
    match stopped {
        Stopped::Unusable(unusable) => stop(&unusable).into(),
        Stopped::Queue(error) => error.into(),
        Stopped::Watch(error) => error,
        Stopped::Io(_) | Stopped::Interrupted(_) => stopped.into(),
    }
}

/// Tells of items that were done too late.
pub(super) fn tell_late(client: &mut Client, reporter: &Reporter) {
    for late in client.take_late() {
        reporter.notice(&too_late(late.first, late.count));
    }
}

/// Of so many items from this number on.
fn too_late(first: u64, count: u64) -> String {
    let back = "their lease had run out, and they are back in line";
    match count {
        1 => format!("qdemo: {}", Error::Late(first)),
        count => format!("qdemo: {count} items from {first} on came too late: {back}"),
    }
}

/// Prints what the commands print, or records of them.
struct Show {
    reporter: Reporter,
}

/// A command that has ended.
#[derive(Serialize)]
struct Record<'a> {
    id: u64,
    item: Option<&'a RawValue>,
    attempt: u32,
    /// Seconds since the consumer started.
    start: f64,
    /// Seconds.
    duration: f64,
    /// The exit code; null for death by a signal.
    exit: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
    stdout: String,
    stderr: String,
}

impl Watch for Show {
    fn ended(&mut self, ended: &mut Ended) -> anyhow::Result<()> {
        ended.stdout.rewind()?;
        ended.stderr.rewind()?;
        match self.reporter.style() {
            Style::Json => self.record(ended),
            _ => self.pass_on(ended),
        }
    }

    fn tally(&mut self, tally: Tally) {
        self.reporter.progress().moved_to(tally.done + tally.failed, failures(tally));
    }

    fn wants_census(&self) -> bool {
        self.reporter.progress().is_shown()
    }

    fn census(&mut self, census: Census, tally: Tally) {
        let so_far = tally.done + tally.failed;
        let all = so_far + census.in_line + census.out;
        self.reporter.progress().stands_at(so_far, all, failures(tally));
    }

    fn late(&mut self, id: u64) {
        self.reporter.notice(&too_late(id, 1));
    }

    fn notice(&mut self, what: &str) {
        self.reporter.notice(&format!("qdemo: {what}"));
    }
}

fn failures(tally: Tally) -> String {
    match tally.failed {
        0 => String::new(),
        failed => format!("{failed} failed"),
    }
}

fn in_pieces(
    text: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), StdoutFailed>,
) -> anyhow::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match text.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read])?,
        }
    }
}

impl Show {
    fn pass_on(&mut self, ended: &mut Ended) -> anyhow::Result<()> {
        if self.reporter.style() == Style::Log {
            let run = &ended.task.run;
            self.reporter.items(ended.start, Kind::Get, Role::Consumer, None, run, None);
        }
        let output = self.reporter.output();
        output.flush().map_err(StdoutFailed)?;
        in_pieces(&mut ended.stdout, |piece| {
            output.raw(piece);
            output.flush().map_err(StdoutFailed)
        })?;
        in_pieces(&mut ended.stderr, |piece| output.pass_on_errors(piece).map_err(StdoutFailed))
    }

    fn record(&mut self, ended: &mut Ended) -> anyhow::Result<()> {
        use std::os::unix::process::ExitStatusExt;
        let text = |from: &mut tempfile::SpooledTempFile| {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(&mut ended.stdout)?, text(&mut ended.stderr)?);
        let item = ended.task.run.lines.iter().next().and_then(value);
        self.reporter.json(&Record {
            id: ended.task.id(),
            item: item.as_deref(),
            attempt: ended.task.attempt(),
            start: seconds(ended.start),
            duration: seconds(ended.end.saturating_sub(ended.start)),
            exit: ended.status.code(),
            signal: ended.status.signal(),
            timed_out: ended.timed_out,
            stdout,
            stderr,
        });
        Ok(self.reporter.flush().map_err(StdoutFailed)?)
    }
}
