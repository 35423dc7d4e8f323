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

use crate::client::{Error as ClientError, enable_self_hosting};
use crate::exit::{ExitCode, UsageError};
use crate::os;
#[cfg(target_os = "linux")]
use crate::os::self_executable;
use crate::os::{Blocking, resource_remedy, signals};
use crate::queue_name::QueueName;
use crate::report::{Lang, StdoutError, eprint_line};
pub use streams::record_standard_streams;
use streams::{require_stdin, require_stdout};

/// multiprocessing.Queue for the command line: processes joined by named pipes
#[derive(Debug, Parser)]
#[command(name = "qdemo", bin_name = "qdemo", version, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
#[command(help_template = "{about}\n\n{usage-heading} {usage}{after-help}")]
#[command(after_help = manual::commands_help())]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
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
            .map_or_else(|| parse_env("QDEMO_LANG", parse), |lang| Ok(Some(lang)))?
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
        self.explicit_name()?.map_or_else(|| Ok("default".parse()?), Ok)
    }

    /// The name that was given, if one was.
    fn explicit_name(&self) -> Result<Option<QueueName>, UsageError> {
        match &self.queue {
            Some(name) => Ok(Some(name.clone())),
            None => parse_env("QDEMO_QUEUE", QueueName::from_str),
        }
    }
}

/// What a variable of the environment says; one that is empty says nothing.
fn parse_env<T, E: std::fmt::Display>(
    variable: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, UsageError> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let Some(value) = value.to_str() else {
        let value = value.to_string_lossy();
        return Err(UsageError(format!("invalid value '{value}' of {variable}: it is not UTF-8")));
    };
    match parse(value) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(UsageError(format!("invalid value '{value}' of {variable}: {error}"))),
    }
}

/// Something was not to be had, or done.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct ExitError {
    code: ExitCode,
    message: String,
}

/// Runs the command that these arguments ask for, and ends the process as it ended.
pub fn main(args: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        eprint_line(&format!("internal error, please report it: {panic}"));
    }));
    enable_self_hosting();
    if let Err(error) = os::set_up_signals() {
        eprint_line(&format!("cannot set up signals: {error}"));
        return ExitCode::Failed.into_process_exit();
    }
    let args: Vec<_> = args.into_iter().collect();
    match run_as_init(&args) {
        Some(code) => code.into(),
        None => execute(args).into_process_exit(),
    }
}

/// If this is process 1, runs the command in a child, and returns its exit code. Where no child can be
/// started, process 1 has to do it all.
#[cfg(target_os = "linux")]
fn run_as_init(args: &[OsString]) -> Option<u8> {
    use std::os::unix::process::CommandExt;
    if std::process::id() != 1 {
        return None;
    }
    let (name, args) = args.split_first()?;
    // Without /proc the system does not say which program this is.
    let program = self_executable().unwrap_or_else(|_| name.into());
    os::run_as_init(std::process::Command::new(program).arg0(name).args(args)).ok()
}

#[cfg(not(target_os = "linux"))]
fn run_as_init(_: &[OsString]) -> Option<u8> {
    None
}

/// Runs the command, and tells how it ended.
pub(crate) fn execute(args: Vec<OsString>) -> ExitCode {
    match Cli::try_parse_from(&args) {
        Err(error) => report_clap_error(&error, args.get(1)),
        Ok(cli) => cli.command.run().unwrap_or_else(|error| report_error(&error)),
    }
}

impl CliCommand {
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
fn report_error(error: &anyhow::Error) -> ExitCode {
    let stdout = error.downcast_ref().map(|failed: &StdoutError| failed.0.kind());
    let unread = matches!(error.downcast_ref(), Some(ClientError::StdoutClosed));
    if unread || stdout == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::Signal(signal_hook::consts::SIGPIPE);
    }
    let interrupted = stdout == Some(io::ErrorKind::Interrupted)
        || matches!(error.downcast_ref(), Some(ClientError::Interrupted));
    if let Some(signal) = signals::exit_signal().filter(|_| interrupted) {
        return ExitCode::Signal(signal);
    }
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let remedy = causes.filter_map(resource_remedy).map(|remedy| format!(": {remedy}"));
    eprint_line(&format!("{error:#}{}", remedy.last().unwrap_or_default()));
    if let Some(stop) = error.downcast_ref::<ExitError>() {
        return stop.code;
    }
    match error.downcast_ref() {
        _ if error.is::<UsageError>() => ExitCode::Usage,
        Some(ClientError::Unsafe(_) | ClientError::NoHome) => ExitCode::Usage,
        Some(ClientError::Closed) => ExitCode::Closed,
        Some(ClientError::NoAnswer { .. }) => ExitCode::WouldBlock,
        _ => ExitCode::Failed,
    }
}

/// Prints this on standard output.
fn print_stdout(text: &[u8]) -> anyhow::Result<()> {
    require_stdout()?;
    let mut stdout = Blocking(io::stdout());
    Ok(stdout.write_all(text).and_then(|()| stdout.flush()).map_err(StdoutError)?)
}

/// What clap has to say: help as it is, an error in one line. `first` is the first argument.
fn report_clap_error(error: &clap::Error, first: Option<&OsString>) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = match console::colors_enabled() {
                true => text.ansi().to_string(),
                false => text.to_string(),
            };
            return match print_stdout(text.as_bytes()) {
                Err(error) => report_error(&error),
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
    eprint_line(line.strip_prefix("error: ").unwrap_or(&line));
    ExitCode::Usage
}
