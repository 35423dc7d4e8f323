//! The commands, and the way from the arguments of this program to the command that they name.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, Args, Command, CommandFactory, Error, FromArgMatches, Parser, Subcommand};

use super::args::QueueArg;
use super::color::color_arg;
use super::completion::CompletionsArgs;
use super::lang::lang_arg;
use super::version::{VERSION, long_version};
use super::{
    admin, bench, consumer, get, help, learn, manual, producer, put, rm, run, status, sweep,
    timeline,
};

#[derive(Debug, Parser)]
#[command(name = "qdemo", bin_name = "qdemo", version = VERSION, long_version = long_version(), arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
#[command(mut_subcommands(complete))]
#[command(after_help = "\
qdemo run
qdemo consumer -q jobs & qdemo producer -q jobs first second
qdemo producer -q logs *.log & qdemo consumer -q logs --jobs 4 -- gzip {}")]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    Run(run::Args),
    Timeline(timeline::Args),
    Sweep(sweep::Args),
    Bench(bench::Args),
    Learn(learn::Args),
    Producer(producer::Args),
    Consumer(consumer::Args),
    Put(put::Args),
    Get(get::Args),
    Peek(admin::PeekArgs),
    Join(admin::JoinArgs),
    Close(admin::CloseArgs),
    Status(status::Args),
    Failed(admin::FailedArgs),
    Rm(rm::Args),
    Help(help::HelpArgs),
    Completions(CompletionsArgs),
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
    Keeper(KeeperArgs),
}

#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct KeeperArgs {
    #[command(flatten)]
    pub(super) queue: QueueArg,
}

/// Parses the arguments of this program.
///
/// The description of all commands takes more time than most commands need. So the first try knows only the
/// command that the first argument names. If that try fails, the second one knows all commands, and its error
/// is the one that the user sees.
pub(super) fn parse(args: &[OsString]) -> Result<CliCommand, Error> {
    if let Some(only) = args.get(1).and_then(|first| only_command(first.to_str()?)) {
        match only.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => return Ok(cli.command),
            Err(error) if error.kind() == ErrorKind::DisplayVersion => return Err(error),
            Err(_) => {}
        }
    }
    let matches = help::localize(all_commands(), None).try_get_matches_from(args)?;
    Ok(Cli::from_arg_matches(&matches)?.command)
}

/// All commands with their arguments and their help.
pub(super) fn all_commands() -> Command {
    Cli::command()
}

/// The command that `first_arg` names, without the other commands; or the option for the version, without any
/// command.
fn only_command(first_arg: &str) -> Option<Command> {
    let cli = Command::new("qdemo");
    if matches!(first_arg, "-V" | "--version") {
        return Some(cli.version(VERSION).long_version(long_version()));
    }
    let (name, add_args) = COMMON_COMMANDS.into_iter().find(|(name, _)| *name == first_arg)?;
    Some(cli.subcommand(complete(add_args(Command::new(name)))))
}

type AddArgs = fn(Command) -> Command;

/// The commands whose start should take little time: those that scripts run, and the keeper.
const COMMON_COMMANDS: [(&str, AddArgs); 15] = [
    ("run", run::Args::augment_args),
    ("timeline", timeline::Args::augment_args),
    ("sweep", sweep::Args::augment_args),
    ("bench", bench::Args::augment_args),
    ("producer", producer::Args::augment_args),
    ("consumer", consumer::Args::augment_args),
    ("put", put::Args::augment_args),
    ("get", get::Args::augment_args),
    ("peek", admin::PeekArgs::augment_args),
    ("join", admin::JoinArgs::augment_args),
    ("close", admin::CloseArgs::augment_args),
    ("status", status::Args::augment_args),
    ("failed", admin::FailedArgs::augment_args),
    ("rm", rm::Args::augment_args),
    ("keeper", KeeperArgs::augment_args),
];

/// Adds what all commands have in common.
fn complete(command: Command) -> Command {
    command.arg(lang_arg()).arg(color_arg()).mut_args(allow_hyphen)
}

/// Lets the value of an option begin with `-`: the error of the option's own parser then names the remedy. A
/// file name or a choice that begins with `-` is rather the next option after a forgotten value, as is a value that
/// may be left out. Only this program writes hidden options.
fn allow_hyphen(arg: Arg) -> Arg {
    let is_option = !arg.is_positional() && !arg.is_hide_set() && arg.get_action().takes_values();
    let is_file = arg.get_value_names().is_some_and(|names| names == ["FILE"]);
    let is_needed = arg.get_num_args().is_none_or(|count| count.min_values() > 0);
    let is_free = is_option && is_needed && !is_file && arg.get_possible_values().is_empty();
    if is_free { arg.allow_hyphen_values(true) } else { arg }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_same_alone_and_among_all_commands() {
        let all = all_commands();
        // The place in the list of commands differs.
        let describe = |cli: &Command, name| {
            let command = cli.find_subcommand(name).unwrap().clone();
            format!("{:#?}", command.display_order(0))
        };
        for (name, _) in COMMON_COMMANDS {
            let only = only_command(name).unwrap();
            assert_eq!(only.get_subcommands().count(), 1);
            assert_eq!(describe(&only, name), describe(&all, name));
        }
    }
}
