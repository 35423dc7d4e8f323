//! Completing in a shell: `qdemo completions` prints a script, which calls this program with the words of the line.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{EnvCompleter, Shells};

use super::help::localize;
use super::queue_names::all_queues;
use super::streams::print_stdout;
use super::version::VERSION;
use crate::exit::ExitCode;
use crate::os::Waker;
use crate::queue_name::QueueName;
use crate::server::{GivenServer, ServerSettings};

/// Names the shell that asks. The script of a shell sets it.
const VARIABLE: &str = "QDEMO_COMPLETE";
/// A person waits for the shell: names that take longer are left out.
const PATIENCE: Duration = Duration::from_millis(300);

const BASH_SCRIPT: &str = include_str!("shells/qdemo.bash");
/// A function that zsh loads at the first completion is to complete at once, too.
const ZSH_FIRST_COMPLETION: &str =
    "\n[[ $funcstack[1] == _qdemo ]] && _clap_dynamic_completer_qdemo \"$@\"\n";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
source <(qdemo completions bash)
qdemo completions zsh > ~/.zfunc/_qdemo
qdemo completions fish > ~/.config/fish/completions/qdemo.fish")]
pub(super) struct CompletionsArgs {
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        if self.shell == Shell::Bash {
            script.extend_from_slice(BASH_SCRIPT.as_bytes());
        } else if let Some(completer) = Shells::builtins().completer(&self.shell.to_string()) {
            completer.write_registration(VARIABLE, "qdemo", "qdemo", "qdemo", &mut script)?;
        }
        if self.shell == Shell::Zsh {
            script.extend_from_slice(ZSH_FIRST_COMPLETION.as_bytes());
        }
        print_stdout(&script)?;
        Ok(ExitCode::Done)
    }
}

/// Answers a shell: `qdemo -- qdemo get -q jo`. None if no shell asks.
pub(super) fn answer(args: &[OsString], cli: impl FnOnce() -> Command) -> Option<ExitCode> {
    let variable = std::env::var(VARIABLE).ok()?;
    let shells = Shells::builtins();
    let shell = shells.completer(&variable)?;
    let start = args.iter().position(|arg| arg == "--")? + 1;
    let words = args[start..].to_vec();
    if words.is_empty() {
        return Some(ExitCode::Usage);
    }
    Some(match print_candidates(shell, words, cli()) {
        Ok(()) => ExitCode::Done,
        // The shell shows a person the candidates, and no error.
        Err(_) => ExitCode::Failed,
    })
}

fn print_candidates(
    shell: &dyn EnvCompleter,
    words: Vec<OsString>,
    cli: Command,
) -> anyhow::Result<()> {
    // The URL on the line may be half a URL.
    let has_server = words.iter().any(|word| word.to_string_lossy().starts_with("--server"));
    let names = QueueNames { are_known: !has_server, are_quoted: shell.name() == "bash" };
    let mut cli = completable(cli, names);
    let current_dir = std::env::current_dir().ok();
    let mut candidates = Vec::new();
    shell.write_complete(&mut cli, words, current_dir.as_deref(), &mut candidates)?;
    print_stdout(&candidates)
}

/// The visible commands, and what their values can be.
fn completable(cli: Command, queues: QueueNames) -> Command {
    let cli = localize(cli, Some(usize::MAX));
    let visible: Vec<_> =
        cli.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let commands = visible.iter().cloned();
    let commands =
        commands.map(|command| command.mut_args(|arg| add_values(arg, &queues, &visible)));
    Command::new("qdemo")
        .version(VERSION)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(cli.get_arguments().cloned())
        .subcommands(commands)
}

fn candidate(command: &Command) -> CompletionCandidate {
    CompletionCandidate::new(command.get_name()).help(command.get_about().cloned())
}

fn add_values(arg: Arg, queues: &QueueNames, commands: &[Command]) -> Arg {
    let is_file = arg.get_value_names().is_some_and(|names| names == ["FILE"]);
    match arg.get_id().as_str() {
        "queue" => arg.add(ArgValueCompleter::new(queues.clone())),
        "lang" => arg.add(ArgValueCandidates::new(|| {
            vec![CompletionCandidate::new("ja"), CompletionCandidate::new("en")]
        })),
        "command" if arg.is_last_set() => arg.add(ArgValueCompleter::new(PathCompleter::any())),
        "command" => {
            let commands = commands.to_vec();
            arg.add(ArgValueCandidates::new(move || commands.iter().map(candidate).collect()))
        }
        _ if is_file => arg.value_hint(ValueHint::FilePath),
        _ => arg,
    }
}

/// Completes the name of a queue. Makes no queue and starts no keeper.
#[derive(Clone, Debug)]
struct QueueNames {
    /// The queues are on the server in the environment, or else on this machine.
    are_known: bool,
    /// The shell inserts a candidate as it is.
    are_quoted: bool,
}

impl ValueCompleter for QueueNames {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str() else { return Vec::new() };
        let start = current.trim_start_matches(['\'', '"']);
        let is_quoted = self.are_quoted && start == current;
        let names = if self.are_known { queue_names_at_once() } else { Vec::new() };
        let names = names.into_iter().filter(|name| name.as_str().starts_with(start));
        let text = |name: QueueName| {
            if is_quoted { name.shell_quoted() } else { name.to_string() }
        };
        names.map(|name| CompletionCandidate::new(text(name))).collect()
    }
}

/// The names of all queues; none if they are not known at once. The look-up of a server's address, a password file or a
/// file system may hang, so a thread asks, and nobody waits for its end.
fn queue_names_at_once() -> Vec<QueueName> {
    let (sender, receiver) = mpsc::channel();
    // If the system refuses a thread, `receiver` fails at once.
    let _ = thread::Builder::new().spawn(move || sender.send(queue_names().unwrap_or_default()));
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

/// The names of all queues on the server in the environment, or else on this machine.
fn queue_names() -> anyhow::Result<Vec<QueueName>> {
    let server = ServerSettings::resolve(&GivenServer::default())?;
    Ok(all_queues(server.as_ref(), &Arc::new(Waker::new()?))?.1)
}
