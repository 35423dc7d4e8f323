//! The command line: parses arguments into plain configuration, and reports errors as one line and an exit code.

mod admin;
mod args;
mod bench;
mod client_args;
mod color;
mod command_output;
mod completion;
mod consumer;
mod delay;
mod dry_run;
mod error;
mod exec_args;
mod exec_values;
mod failed;
mod get;
mod get_loop;
mod help;
#[cfg(target_os = "linux")]
mod init;
mod input;
mod lang;
mod learn;
mod manual;
mod one_shot;
mod producer;
mod put;
mod put_stream;
mod queue_names;
mod queues;
mod reader_pace;
#[cfg(test)]
mod reference;
mod rm;
mod run;
mod server_args;
mod status;
mod streams;
mod sweep;
mod sweep_values;
mod syntax;
mod timeline;
mod unanswered;
mod usage_error;
mod values;
mod version;
mod wait_notice;

use std::ffi::OsString;

use crate::bench::TrialTask;
use crate::catalogue::message;
use crate::client::{enable_self_hosting, run_keeper_process};
use crate::exec;
use crate::exit::ExitCode;
use crate::os;
use crate::report::eprint_error;
pub use streams::record_standard_streams;
use syntax::CliCommand;

/// Runs the command in `args` and reports its error. Process 1 runs the command in a child if possible.
pub fn main(args: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        eprint_error(&message!("command-panic", panic = panic));
    }));
    let args: Vec<_> = args.into_iter().collect();
    let chosen = lang::choose(&args);
    color::choose(&args);
    if let Some(code) = completion::answer(&args, syntax::all_commands) {
        return code.into_process_exit();
    }
    enable_self_hosting();
    if let Err(error) = os::set_up_signals() {
        eprint_error(&message!("command-no-signals", cause = os::os_text(&error)));
        return ExitCode::Failed.into_process_exit();
    }
    #[cfg(target_os = "linux")]
    if let Some(code) = init::run_as_init(&args) {
        return code.into();
    }
    let has_open_end = args.last().is_some_and(|last| last == "--");
    let code = match syntax::parse(&args) {
        Err(error) => manual::report_clap_error(&error, &args, syntax::all_commands),
        Ok(command) => {
            let ended = match chosen {
                Err(error) if !command.is_internal() => Err(error.into()),
                _ => command.run(has_open_end),
            };
            ended.unwrap_or_else(|error| error::report_error(&error))
        }
    };
    code.into_process_exit()
}

impl CliCommand {
    /// Whether only this program starts the command.
    fn is_internal(&self) -> bool {
        matches!(self, Self::BenchTask { .. } | Self::Guard { .. } | Self::Keeper(_))
    }

    /// `has_open_end`: `--` is the last argument.
    fn run(self, has_open_end: bool) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(),
            Self::Timeline(args) => args.run(),
            Self::Sweep(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Learn(args) => args.run(),
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
            Self::Completions(args) => args.run(),
            Self::Help(args) => args.run(syntax::all_commands()),
            Self::Man(args) => args.run(syntax::all_commands()),
            Self::BenchTask { task } => {
                serde_json::from_str::<TrialTask>(&task)?.run()?;
                Ok(ExitCode::Done)
            }
            Self::Guard { mark } => {
                exec::run_guard(&mark)?;
                Ok(ExitCode::Done)
            }
            Self::Keeper(args) => {
                run_keeper_process(args.queue.name())?;
                Ok(ExitCode::Done)
            }
        }
    }
}
