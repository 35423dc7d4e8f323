//! Texts about the commands: help, usage errors, shell completions, manual pages.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap_complete::Shell;

use super::error::report_error;
use super::streams::print_stdout;
use crate::exit::{ExitCode, ExitError};
use crate::os::Blocking;
use crate::report::eprint_line;

/// The commands, grouped by purpose.
const COMMAND_GROUPS: [(&str, &[&str]); 3] = [
    ("See how a queue behaves", &["run", "timeline", "bench"]),
    ("Share a queue by name", &["producer", "consumer", "put", "get", "peek", "join", "close"]),
    ("Manage queues and this program", &["status", "failed", "rm", "completions", "man"]),
];

/// The commands whose queue is always on this machine.
const LOCAL_COMMANDS: [&str; 4] = ["run", "timeline", "bench", "keeper"];

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(qdemo completions bash)
  qdemo completions zsh > ~/.zfunc/_qdemo
  qdemo completions fish > ~/.config/fish/completions/qdemo.fish")]
pub(super) struct CompletionsArgs {
    /// Print completions for this shell
    shell: Shell,
}

/// Print the manual page of qdemo or of a command
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo man | man -l -
  qdemo man put > /usr/local/share/man/man1/qdemo-put.1")]
pub(super) struct ManArgs {
    /// Print the page of this command [default: the page of qdemo itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl CompletionsArgs {
    pub(super) fn run(self, cli: &Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        // Hidden commands have no completion.
        let visible = cli.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
        let version = env!("CARGO_PKG_VERSION");
        let mut visible_cli = Command::new("qdemo").version(version).subcommands(visible);
        clap_complete::generate(self.shell, &mut visible_cli, "qdemo", &mut script);
        print_stdout(&script)?;
        Ok(ExitCode::Done)
    }
}

impl ManArgs {
    pub(super) fn run(self, mut cli: Command) -> anyhow::Result<ExitCode> {
        cli.build();
        let command = match &self.command {
            None => &cli,
            Some(name) => {
                let command = cli.find_subcommand(name).filter(|command| !command.is_hide_set());
                let text =
                    format!("there is no command `{name}`: `qdemo --help` lists all commands");
                command.ok_or_else(|| ExitError::usage(text))?
            }
        };
        print_stdout(&render_man_page(command)?)?;
        Ok(ExitCode::Done)
    }
}

/// The end of every manual page.
const COMMON_SECTIONS: &str = r".SH EXIT STATUS
0: done. 1: something failed. 2: the command is not valid, and nothing was started. 3: the command would wait
longer than its timeout (the queue is full or empty, or items are not done). 4: the queue is closed or has
ended. 126: the command for the items cannot be executed. 127: the command for the items does not exist. A
command that leaves because of a signal dies by that signal. Process 1 of a container exits with 128 + the signal number.
.SH SIGNALS
The first SIGINT, SIGTERM or SIGHUP asks a command to leave. The second one ends the command at once. SIGTSTP
stops a consumer together with its commands. A signal that is ignored when the command starts stays ignored,
except SIGINT if SIGQUIT is ignored too, as in a command that a script starts with &.
.SH ENVIRONMENT
.TP
\fBQDEMO_DIR\fR
The folder of the queues; by default ${XDG_STATE_HOME:-~/.local/state}/qdemo.
.TP
\fBQDEMO_QUEUE\fR
The queue of a command without \-\-queue; by default default.
.TP
\fBQDEMO_SERVER\fR
The URL of the Redis or Valkey server that has the queue of a command without \-\-server; by default the queue is on
this machine. run, timeline and bench ignore the variable. With \-\-server, other users of the machine can see the
URL in a list of processes: give a password in QDEMO_SERVER_PASSWORD or in a file.
.TP
\fBQDEMO_SERVER_PASSWORD_FILE\fR, \fBQDEMO_SERVER_PASSWORD\fR
The file with the password for the server, or the password. The file comes before the password, and both come before a
password in the URL.
.TP
\fBQDEMO_SERVER_SENTINEL_PASSWORD\fR
The password of the Sentinels of the server, if they have one.
.TP
\fBQDEMO_SERVER_CA\fR
The file with the certificate authorities of a command without \-\-server\-ca; by default those of the system.
.TP
\fBQDEMO_LANG\fR
The language of the log or the picture of a command without \-\-lang: ja or en; by default ja.
";

/// Renders a manual page. The examples keep their line breaks.
fn render_man_page(command: &Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = after.rsplit_once("Examples:\n").unwrap_or_default();
    let source = concat!("qdemo ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).source(source).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if !notes.trim().is_empty() {
        write!(page, ".PP\n{}\n", escape_roff(notes.trim()))?;
    }
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if !examples.is_empty() {
        write!(page, ".SH EXAMPLES\n.nf\n{}\n.fi\n", escape_roff(examples.trim_end()))?;
    }
    page.extend_from_slice(COMMON_SECTIONS.as_bytes());
    Ok(page)
}

/// Escapes text so that roff prints it unchanged.
fn escape_roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    escaped.lines().map(|line| format!("\\&{line}")).collect::<Vec<_>>().join("\n")
}

/// Lists the subcommands of `cli` in groups.
pub(super) fn commands_help(cli: &Command) -> String {
    let line = |name: &&str| {
        let about = cli.find_subcommand(name).and_then(Command::get_about);
        format!("  {name:<12} {}", about.map(ToString::to_string).unwrap_or_default())
    };
    let group = |(title, names): &(&str, &[&str])| {
        format!("{title}:\n{}", names.iter().map(line).collect::<Vec<_>>().join("\n"))
    };
    let groups = COMMAND_GROUPS.iter().map(group).collect::<Vec<_>>().join("\n");
    format!("{groups}\n`qdemo man` lists exit codes and variables.")
}

/// Prints help as clap renders it, and a usage error in one line. `first_arg` may name the command of the
/// error, which is one of `all_commands`.
pub(super) fn report_clap_error(
    error: &clap::Error,
    first_arg: Option<&OsString>,
    all_commands: impl FnOnce() -> Command,
) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text =
                if console::colors_enabled() { text.ansi().to_string() } else { text.to_string() };
            return match print_stdout(text.as_bytes()) {
                Err(error) => report_error(&error),
                Ok(()) => ExitCode::Done,
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A failed write to standard error has no place for a report.
            let _ = write!(Blocking(io::stderr()), "{}", all_commands().render_help());
            return ExitCode::Usage;
        }
        _ => {}
    }
    if let Some(line) = local_command_error(error, first_arg) {
        eprint_line(&line);
        return ExitCode::Usage;
    }
    let text = error.to_string();
    let parts = text.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more")
    });
    let mut line = parts.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    // The error texts of the value parsers contain their remedy.
    if error.kind() != ErrorKind::ValueValidation {
        let cli = all_commands();
        let command = first_arg.and_then(|name| cli.find_subcommand(name));
        let name = command.map_or(String::new(), |command| format!(" {}", command.get_name()));
        line.push_str(&format!(": `qdemo{name} --help` shows what is valid"));
    }
    eprint_line(line.strip_prefix("error: ").unwrap_or(&line));
    ExitCode::Usage
}

/// The error for `--server` with a command whose queue is always on this machine.
fn local_command_error(error: &clap::Error, first_arg: Option<&OsString>) -> Option<String> {
    let is_server = error.kind() == ErrorKind::UnknownArgument
        && matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg)) if arg == "--server");
    let name = first_arg?.to_str().filter(|name| is_server && LOCAL_COMMANDS.contains(name))?;
    Some(format!(
        "`qdemo {name}` has its queue on this machine, never on a server: leave --server out"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::syntax::all_commands;
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let cli = all_commands();
        let visible = cli.get_subcommands().filter(|command| !command.is_hide_set());
        let mut names: Vec<_> = visible.map(Command::get_name).collect();
        for name in COMMAND_GROUPS.iter().flat_map(|group| group.1) {
            let at = names.iter().position(|other| other == name);
            names.remove(
                at.unwrap_or_else(|| panic!("{name} is not a command, or is in two groups")),
            );
        }
        assert!(names.is_empty(), "in no group: {names:?}");
    }

    #[test]
    fn every_command_ends_its_help_with_examples() {
        for command in all_commands().get_subcommands().filter(|command| !command.is_hide_set()) {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) = after.rsplit_once("Examples:\n").unwrap_or_default();
            assert!(examples.lines().count() >= 2, "{}", command.get_name());
        }
    }
}
