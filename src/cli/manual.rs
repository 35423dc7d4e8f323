//! What can be asked about the commands themselves: the overview, shell completions, manual pages.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, CliCommand, print_stdout};
use crate::exit::ExitCode;
use crate::exit::UsageError;

/// The commands, by what a person wants to do.
const COMMAND_GROUPS: [(&str, &[&str]); 3] = [
    ("See how a queue behaves", &["run", "timeline", "bench"]),
    ("Share a queue by name", &["producer", "consumer", "put", "get", "peek", "join", "close"]),
    ("Look after queues, and this program", &["status", "failed", "rm", "completions", "man"]),
];

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(qdemo completions bash)
  qdemo completions zsh > ~/.zfunc/_qdemo
  qdemo completions fish > ~/.config/fish/completions/qdemo.fish")]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Print the manual page of qdemo, or of one of its commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo man | man -l -
  qdemo man put > /usr/local/share/man/man1/qdemo-put.1")]
pub(super) struct ManArgs {
    /// Which command
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl CompletionsArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        // What is not for people is not completed either.
        let cli = Cli::command();
        let visible = cli.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
        let mut shown =
            clap::Command::new("qdemo").version(env!("CARGO_PKG_VERSION")).subcommands(visible);
        clap_complete::generate(self.shell, &mut shown, "qdemo", &mut script);
        print_stdout(&script)?;
        Ok(ExitCode::Done)
    }
}

impl ManArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut cli = Cli::command();
        cli.build();
        let command = match &self.command {
            None => &cli,
            Some(name) => {
                cli.find_subcommand(name).filter(|c| !c.is_hide_set()).ok_or_else(|| {
                    UsageError(format!(
                        "there is no command `{name}`: `qdemo --help` tells what there is"
                    ))
                })?
            }
        };
        print_stdout(&render_man_page(command)?)?;
        Ok(ExitCode::Done)
    }
}

/// What every page ends with.
const EXIT_STATUS: &str = r".SH EXIT STATUS
0 done; 1 failed; 2 not understood, and nothing was started; 3 would have to wait (full, empty, not
done in time); 4 closed, or ended; 126 the command for the items cannot be run; 127 there is no such
command. Death by a signal is death by that signal; process 1 of a container exits with 128 + its number.
.SH SIGNALS
SIGINT, SIGTERM and SIGHUP ask to leave, the second one ends the command at once. SIGTSTP stops a consumer
together with its commands. A signal that is ignored when the command is started stays ignored, but for
SIGINT where SIGQUIT is ignored too, as behind the & of a script.
.SH ENVIRONMENT
.TP
\fBQDEMO_DIR\fR
Where queues lie; by default ${XDG_STATE_HOME:-~/.local/state}/qdemo.
.TP
\fBQDEMO_QUEUE\fR
The queue, if \-\-queue doesn't say.
.TP
\fBQDEMO_LANG\fR
Language of the log lines, ja or en.
";

/// The manual page; its examples stay as they are.
fn render_man_page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (words, examples) = after.rsplit_once("Examples:\n").unwrap_or_default();
    let source = concat!("qdemo ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).source(source).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if !words.trim().is_empty() {
        write!(page, ".PP\n{}\n", escape_roff(words.trim()))?;
    }
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if !examples.is_empty() {
        write!(page, ".SH EXAMPLES\n.nf\n{}\n.fi\n", escape_roff(examples.trim_end()))?;
    }
    page.extend_from_slice(EXIT_STATUS.as_bytes());
    Ok(page)
}

/// Text that means nothing to a formatter.
fn escape_roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    escaped.lines().map(|line| format!("\\&{line}")).collect::<Vec<_>>().join("\n")
}

/// All commands with what they do, in groups.
pub(super) fn commands_help() -> String {
    use clap::Subcommand;
    let all = CliCommand::augment_subcommands(clap::Command::new("qdemo"));
    let line = |name: &&str| {
        let about = all.find_subcommand(name).and_then(clap::Command::get_about);
        format!("  {name:<12} {}", about.map(ToString::to_string).unwrap_or_default())
    };
    let group = |(what, names): &(&str, &[&str])| {
        format!("{what}:\n{}", names.iter().map(line).collect::<Vec<_>>().join("\n"))
    };
    let groups = COMMAND_GROUPS.iter().map(group).collect::<Vec<_>>().join("\n");
    format!("{groups}\n`qdemo COMMAND --help` tells more, `qdemo man` of exit codes and variables.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let cli = Cli::command();
        let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
        let mut names: Vec<_> = shown.map(clap::Command::get_name).collect();
        for name in COMMAND_GROUPS.iter().flat_map(|group| group.1) {
            let at = names.iter().position(|other| other == name);
            names.remove(at.unwrap_or_else(|| panic!("{name} is no command, or stands twice")));
        }
        assert!(names.is_empty(), "in no group: {names:?}");
    }

    #[test]
    fn every_command_ends_its_help_with_examples() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) = after.rsplit_once("Examples:\n").unwrap_or_default();
            assert!(examples.lines().count() >= 2, "{}", command.get_name());
        }
    }
}
