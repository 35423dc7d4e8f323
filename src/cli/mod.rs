//! The command line: arguments to plain configuration, errors to one line and an exit code.

mod admin;
mod bench;
mod client_args;
mod consumer;
mod exec_args;
mod get;
mod input;
mod keeper;
mod manual;
mod one_shot;
mod picture_file;
mod producer;
mod progress;
mod put;
mod put_stream;
mod reader_pace;
mod run;
mod run_stats;
mod status;
mod streams;
mod timeline;
mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::client::{Error as ClientError, keep_by_itself};
use crate::exit::{ExitCode, Usage};
use crate::os;
#[cfg(target_os = "linux")]
use crate::os::own_program;
use crate::os::{Blocking, lack, signals};
use crate::queue_name::QueueName;
use crate::report::{Lang, StdoutFailed, say};
pub use streams::note_standard_streams;
use streams::{need_input, need_output};

/// multiprocessing.Queue for the command line: processes joined by named pipes
#[derive(Debug, Parser)]
#[command(name = "qdemo", bin_name = "qdemo", version, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
#[command(help_template = "{about}\n\n{usage-heading} {usage}{after-help}")]
#[command(after_help = manual::commands())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Timeline(timeline::Args),
    Bench(bench::Args),
    Producer(producer::Args),
    Consumer(consumer::Args),
    Put(put::Args),
    Get(get::Args),
    Peek(admin::PeekArgs),
    Join(admin::JoinArgs),
    Close(admin::CloseArgs),
    Status(status::Args),
    Failed(admin::FailedArgs),
    Rm(admin::RmArgs),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
    #[command(hide = true)]
    BenchTask(bench::TaskArgs),
    #[command(hide = true)]
    Guard(keeper::GuardArgs),
    #[command(hide = true)]
    Keeper(keeper::Args),
}

/// The language, as every command that prints takes it.
#[derive(Debug, clap::Args)]
struct LangArg {
    /// Language of the log lines: ja or en [default: QDEMO_LANG, or ja]
    #[arg(long, value_enum, hide_possible_values = true)]
    lang: Option<Lang>,
}

impl LangArg {
    fn lang(&self) -> anyhow::Result<Lang> {
        let parse = |text: &str| Lang::from_str(text, false).map_err(|_| "write ja or en");
        Ok(self
            .lang
            .map_or_else(|| from_env("QDEMO_LANG", parse), |lang| Ok(Some(lang)))?
            .unwrap_or_default())
    }
}

/// The queue, as every command on a shared one takes it.
#[derive(Debug, clap::Args)]
struct QueueArg {
    /// Name of the queue [default: QDEMO_QUEUE, or default]
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true)]
    queue: Option<QueueName>,
}

impl QueueArg {
    fn name(&self) -> anyhow::Result<QueueName> {
        self.given()?.map_or_else(|| Ok("default".parse()?), Ok)
    }

    /// The name that was given, if one was.
    fn given(&self) -> Result<Option<QueueName>, Usage> {
        match &self.queue {
            Some(name) => Ok(Some(name.clone())),
            None => from_env("QDEMO_QUEUE", QueueName::from_str),
        }
    }
}

/// What a variable of the environment says; one that is empty says nothing.
fn from_env<T, E: std::fmt::Display>(
    variable: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Usage> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let Some(value) = value.to_str() else {
        let value = value.to_string_lossy();
        return Err(Usage(format!("invalid value '{value}' of {variable}: it is not UTF-8")));
    };
    match parse(value) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(Usage(format!("invalid value '{value}' of {variable}: {error}"))),
    }
}

/// Something was not to be had, or done.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Stop {
    code: ExitCode,
    text: String,
}

/// Runs the command that these arguments ask for, and ends the process as it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        say(&format!("internal error, please report it: {panic}"));
    }));
    keep_by_itself();
    if let Err(error) = os::begin() {
        say(&format!("cannot set up signals: {error}"));
        return ExitCode::Failed.end();
    }
    let args: Vec<_> = args.into_iter().collect();
    match run_as_child_of_process_1(&args) {
        Some(code) => code.into(),
        None => obey(args).end(),
    }
}

/// If this is process 1, runs the command in a child, and returns its exit code. Where no child can be
/// started, process 1 has to do it all.
#[cfg(target_os = "linux")]
fn run_as_child_of_process_1(args: &[OsString]) -> Option<u8> {
    use std::os::unix::process::CommandExt;
    if std::process::id() != 1 {
        return None;
    }
    let (name, args) = args.split_first()?;
    // Without /proc the system does not say which program this is.
    let program = own_program().unwrap_or_else(|_| name.into());
    os::init(std::process::Command::new(program).arg0(name).args(args)).ok()
}

#[cfg(not(target_os = "linux"))]
fn run_as_child_of_process_1(_: &[OsString]) -> Option<u8> {
    None
}

/// Runs the command, and tells how it ended.
pub(crate) fn obey(args: Vec<OsString>) -> ExitCode {
    match Cli::try_parse_from(&args) {
        Err(error) => reject(&error, args.get(1)),
        Ok(cli) => cli.command.run().unwrap_or_else(|error| report(&error)),
    }
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(),
            Self::Timeline(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::BenchTask(args) => args.run(),
            Self::Producer(args) => args.run(),
            Self::Consumer(args) => args.run(),
            Self::Put(args) => args.run(),
            Self::Get(args) => args.run(),
            Self::Peek(args) => args.run(),
            Self::Join(args) => args.run(),
            Self::Close(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Failed(args) => args.run(),
            Self::Rm(args) => args.run(),
            Self::Completions(args) => args.run(),
            Self::Man(args) => args.run(),
            Self::Guard(args) => args.run(),
            Self::Keeper(args) => args.run(),
        }
    }
}

/// Says in one line what went wrong.
fn report(error: &anyhow::Error) -> ExitCode {
    let stdout = error.downcast_ref().map(|failed: &StdoutFailed| failed.0.kind());
    let unread = matches!(error.downcast_ref(), Some(ClientError::Unread));
    if unread || stdout == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::Signal(signal_hook::consts::SIGPIPE);
    }
    let interrupted = stdout == Some(io::ErrorKind::Interrupted)
        || matches!(error.downcast_ref(), Some(ClientError::Interrupted));
    if let Some(signal) = signals::caught().filter(|_| interrupted) {
        return ExitCode::Signal(signal);
    }
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let remedy = causes.filter_map(lack).map(|remedy| format!(": {remedy}"));
    say(&format!("{error:#}{}", remedy.last().unwrap_or_default()));
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.code;
    }
    match error.downcast_ref() {
        _ if error.is::<Usage>() => ExitCode::Usage,
        Some(ClientError::Unsafe(_)) => ExitCode::Usage,
        Some(ClientError::Closed) => ExitCode::Closed,
        Some(ClientError::NoAnswer { .. }) => ExitCode::WouldBlock,
        _ => ExitCode::Failed,
    }
}

/// Prints this on standard output.
fn print(text: &[u8]) -> anyhow::Result<()> {
    need_output()?;
    let mut stdout = Blocking(io::stdout());
    Ok(stdout.write_all(text).and_then(|()| stdout.flush()).map_err(StdoutFailed)?)
}

/// What clap has to say: help as it is, an error in one line. `first` is the first argument.
fn reject(error: &clap::Error, first: Option<&OsString>) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = match console::colors_enabled() {
                true => text.ansi().to_string(),
                false => text.to_string(),
            };
            return match print(text.as_bytes()) {
                Err(error) => report(&error),
                Ok(()) => ExitCode::Done,
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // There is nobody to tell that nobody listens.
            let _ = write!(Blocking(io::stderr()), "{}", Cli::command().render_help());
            return ExitCode::Usage;
        }
        _ => {}
    }
    let text = error.to_string();
    let parts = text.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more")
    });
    let mut line = parts.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    // What our own values say has the remedy in it.
    if error.kind() != ErrorKind::ValueValidation {
        let cli = Cli::command();
        let command = first.and_then(|name| cli.find_subcommand(name));
        let name = command.map_or(String::new(), |command| format!(" {}", command.get_name()));
        line.push_str(&format!(": `qdemo{name} --help` tells what there is"));
    }
    say(line.strip_prefix("error: ").unwrap_or(&line));
    ExitCode::Usage
}
