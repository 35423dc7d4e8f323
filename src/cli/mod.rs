//! The command line: parses arguments into plain configuration, and reports errors as one line and an exit code.

mod admin;
mod args;
mod bench;
mod client_args;
mod consumer;
mod error;
mod exec_args;
mod get;
mod get_loop;
#[cfg(target_os = "linux")]
mod init;
mod input;
mod manual;
mod one_shot;
mod producer;
mod put;
mod put_stream;
mod reader_pace;
mod run;
mod status;
mod streams;
mod timeline;
mod values;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use args::QueueArg;

use crate::bench::TrialTask;
use crate::client::{enable_self_hosting, run_keeper_process};
use crate::exec;
use crate::exit::ExitCode;
use crate::os;
use crate::report::eprint_line;
pub use streams::record_standard_streams;

/// multiprocessing.Queue for the command line, through named pipes
#[derive(Debug, Parser)]
#[command(name = "qdemo", bin_name = "qdemo", version, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
#[command(
    help_template = "{about}\n\n{usage-heading} {usage} (-h, --help: its options; -V, --version: the version){after-help}"
)]
#[command(after_help = manual::commands_help(&CliCommand::augment_subcommands(clap::Command::new("qdemo"))))]
#[command(mut_subcommands(|command| command.mut_args(allow_hyphen)))]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

/// Lets the value of an option begin with `-`: the error of the option's own parser then names the remedy. A
/// file name or a choice that begins with `-` is rather the next option after a forgotten value. Only this
/// program writes hidden options.
fn allow_hyphen(arg: clap::Arg) -> clap::Arg {
    let is_option = !arg.is_positional() && !arg.is_hide_set() && arg.get_action().takes_values();
    let is_file = arg.get_value_names().is_some_and(|names| names == ["FILE"]);
    let is_free = is_option && !is_file && arg.get_possible_values().is_empty();
    if is_free { arg.allow_hyphen_values(true) } else { arg }
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
    /// Run a process of a trial (the bench starts it)
    #[command(hide = true)]
    BenchTask {
        /// The task as JSON
        task: String,
    },
    /// End the commands of a dead consumer (the consumer starts the guard)
    #[command(hide = true)]
    Guard {
        /// The mark in the environment of the commands
        mark: String,
    },
    /// Hold a queue while it has clients (other commands start the keeper)
    #[command(hide = true)]
    Keeper {
        #[command(flatten)]
        queue: QueueArg,
    },
}

/// Runs the command in `args` and reports its error. Process 1 runs the command in a child if possible.
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
    #[cfg(target_os = "linux")]
    if let Some(code) = init::run_as_init(&args) {
        return code.into();
    }
    let has_open_end = args.last().is_some_and(|last| last == "--");
    let code = match Cli::try_parse_from(&args) {
        Err(error) => manual::report_clap_error(&error, args.get(1), Cli::command()),
        Ok(cli) => {
            let ended = cli.command.run(has_open_end);
            ended.unwrap_or_else(|error| error::report_error(&error))
        }
    };
    code.into_process_exit()
}

impl CliCommand {
    /// `has_open_end`: `--` is the last argument.
    fn run(self, has_open_end: bool) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(),
            Self::Timeline(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Producer(args) => args.run(),
            Self::Consumer(args) => args.run(has_open_end),
            Self::Put(args) => args.run(),
            Self::Get(args) => args.run(),
            Self::Peek(args) => args.run(),
            Self::Join(args) => args.run(),
            Self::Close(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Failed(args) => args.run(),
            Self::Rm(args) => args.run(),
            Self::Completions(args) => args.run(&Cli::command()),
            Self::Man(args) => args.run(Cli::command()),
            Self::BenchTask { task } => {
                serde_json::from_str::<TrialTask>(&task)?.run()?;
                Ok(ExitCode::Done)
            }
            Self::Guard { mark } => {
                exec::run_guard(&mark)?;
                Ok(ExitCode::Done)
            }
            Self::Keeper { queue } => {
                run_keeper_process(queue.name())?;
                Ok(ExitCode::Done)
            }
        }
    }
}
