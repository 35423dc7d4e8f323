//! The help of the commands, in the language of this process: the texts come from the catalogue, by the names of the
//! commands and options.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use console::{Term, measure_text_width};

use super::color::color_arg;
use super::lang::lang_arg;
use super::usage_error::no_such_command_error;
use crate::catalogue::{lookup, message};
use crate::exit::ExitError;
use crate::report::{truncate_to_width, wrap_text};

/// Help is never wider, in columns.
const MAX_WIDTH: usize = 100;
/// The columns around the name of an option: the margin, a short option, and the gap to the text.
const AROUND_NAME: usize = 8;
/// The text of an option has at least these columns.
const LEAST_TEXT_WIDTH: usize = 30;

/// The commands, grouped by purpose.
pub(super) const COMMAND_GROUPS: [(&str, &[&str]); 3] = [
    ("help-group-see", &["run", "timeline", "sweep", "bench", "learn"]),
    ("help-group-share", &["producer", "consumer", "put", "get", "peek", "join", "close"]),
    ("help-group-manage", &["status", "failed", "rm", "help", "completions", "man"]),
];

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo help
qdemo help consumer")]
pub(super) struct HelpArgs {
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl HelpArgs {
    /// The text of the help. `cli` is the localized description of all commands.
    pub(super) fn text(&self, mut cli: Command) -> Result<StyledStr, ExitError> {
        let Some(name) = &self.command else { return Ok(cli.render_long_help()) };
        cli.build();
        let missing = no_such_command_error("help", name, &cli);
        let command = cli.find_subcommand_mut(name).filter(|command| !command.is_hide_set());
        Ok(command.ok_or(missing)?.render_long_help())
    }
}

/// Adds the texts of all visible commands, with lines of at most `width` columns: by default those of the terminal.
pub(super) fn localize(cli: Command, width: Option<usize>) -> Command {
    let width = width.unwrap_or_else(help_width);
    let cli = cli.mut_subcommands(|command| {
        if command.is_hide_set() { command } else { localize_command(command, width) }
    });
    let groups = COMMAND_GROUPS.map(|(title, names)| {
        let line = |name: &&str| {
            let about = cli.find_subcommand(name).and_then(Command::get_about);
            format!("  {name:<12} {}", about.map(ToString::to_string).unwrap_or_default())
        };
        let lines: Vec<_> = names.iter().map(line).collect();
        format!("{}\n{}", heading(&cli, &text(title)), lines.join("\n"))
    });
    let commands = groups.join("\n");
    let usage = heading(&cli, &message!("help-usage"));
    let template =
        format!("{{about}}\n{{before-help}}{usage} qdemo <COMMAND>\n{commands}{{after-help}}\n");
    let detail = wrap_text(&message!("help-qdemo-detail"), width);
    let section = |title: &str, lines: &str| {
        format!("{}\n  {}", heading(&cli, title), lines.replace('\n', "\n  "))
    };
    let sections = [
        section(&message!("help-examples"), &examples_of(&cli)),
        section(&message!("help-environment"), &message!("help-qdemo-variables")),
        message!("help-qdemo-codes"),
    ];
    cli.about(message!("help-qdemo"))
        .help_template(template)
        .before_long_help(format!("\n{detail}"))
        .after_long_help(sections.join("\n\n"))
        .after_help("")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(lang_arg())
        .arg(color_arg())
        .arg(help_arg())
        .arg(Arg::new("version").short('V').long("version").action(ArgAction::Version))
        .mut_args(|arg| localize_arg("qdemo", arg, [width; 2]))
}

/// The examples of a command that is not localized, a command of a shell on each line.
pub(super) fn examples_of(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

fn help_arg() -> Arg {
    let arg = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    arg.help_heading("help-heading-options")
}

/// A heading, in the colour of headings.
fn heading(command: &Command, title: &str) -> String {
    let style = command.get_styles().get_header();
    format!("{style}{title}:{style:#}")
}

fn localize_command(command: Command, width: usize) -> Command {
    let name = command.get_name().to_owned();
    let examples = examples_of(&command).replace('\n', "\n  ");
    let command = command.disable_help_flag(true).arg(help_arg());
    let widest = |is_shown: fn(&&Arg) -> bool| {
        command.get_arguments().filter(is_shown).map(name_width).max().unwrap_or(0)
    };
    let beside = |widest: usize| width.saturating_sub(widest + AROUND_NAME).max(LEAST_TEXT_WIDTH);
    let widths = [beside(widest(|arg| !arg.is_hide_short_help_set())), beside(widest(|_| true))];
    let usage = heading(&command, &message!("help-usage"));
    let example_heading = heading(&command, &message!("help-examples"));
    let detail = match lookup(&format!("help-{name}-detail")) {
        Some(detail) => wrap_text(&detail, width) + "\n\n",
        None => String::new(),
    };
    let more = message!("help-more", command = &name);
    command
        .about(text(&format!("help-{name}")))
        .help_template(format!("{{about}}\n\n{usage} {{usage}}\n\n{{all-args}}{{after-help}}"))
        .after_help(wrap_text(&more, width))
        .after_long_help(format!("{detail}{example_heading}\n  {examples}"))
        .mut_args(|arg| localize_arg(&name, arg, widths))
}

/// The name of an argument in the names of its texts: that of its option, or else of its field.
pub(super) fn text_id(arg: &Arg) -> String {
    arg.get_long().unwrap_or(arg.get_id().as_str()).replace('_', "-")
}

/// The columns of an argument's name with its value, as far as help shows them: `--name <VALUE>`.
fn name_width(arg: &Arg) -> usize {
    let takes_values = arg.is_positional() || arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| takes_values);
    let value = value.map_or(0, |name| name.len() + 3);
    if arg.is_positional() {
        // Beside `[-- <VALUE>]...` there is no short option.
        return value + 3;
    }
    arg.get_long().map_or(0, |long| long.len() + 2) + value
}

/// `widths` are those of the texts in the short help and in the long one.
fn localize_arg(command: &str, arg: Arg, widths: [usize; 2]) -> Arg {
    let title = match arg.get_help_heading() {
        Some(title) => title.to_owned(),
        None if arg.is_positional() => "help-heading-arguments".to_owned(),
        None => "help-heading-options".to_owned(),
    };
    let id = text_id(&arg);
    let mut help =
        lookup(&format!("help-{command}-{id}")).unwrap_or_else(|| text(&format!("help-any-{id}")));
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        help.push_str(&format!(" {}", message!("help-default", value = &defaults.join(" "))));
    }
    let values: Vec<_> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if arg.get_action().takes_values() && !values.is_empty() && !arg.is_hide_possible_values_set() {
        help.push_str(&format!(" {}", message!("help-values", values = values.join(", "))));
    }
    let takes_values = arg.get_action().takes_values();
    let arg = arg.help(summary(&help, widths[0])).long_help(wrap_text(&help, widths[1]));
    let arg = arg.help_heading(text(&title));
    // The text has both.
    if takes_values { arg.hide_default_value(true).hide_possible_values(true) } else { arg }
}

/// A text of the help. A test holds that each name has a text in both languages.
fn text(name: &str) -> String {
    lookup(name).unwrap_or_else(|| name.to_owned())
}

/// The columns of the terminal, as far as help uses them.
fn help_width() -> usize {
    let columns = Term::stdout().size_checked().map_or(MAX_WIDTH, |(_, columns)| columns.into());
    columns.min(MAX_WIDTH)
}

/// The first clauses of a text, and the texts in brackets behind it, as far as they fit in one line.
fn summary(text: &str, width: usize) -> String {
    let mut parts = text.split(" [");
    let sentence = parts.next().unwrap_or_default();
    let fits = |text: &&str| measure_text_width(text) <= width;
    let longest = |marks: &[&str]| {
        let ends = marks.iter().flat_map(|mark| sentence.match_indices(mark).map(|(at, _)| at));
        let clauses = ends.map(|end| &sentence[..end]).chain([sentence]);
        clauses.filter(fits).max_by_key(|clauses| clauses.len())
    };
    let clauses = longest(&["; ", ": ", " (", "。", "（"]).or_else(|| longest(&[", "]));
    let mut line = clauses.map_or_else(|| truncate_to_width(sentence, width), str::to_owned);
    for part in parts {
        let longer = format!("{line} [{part}");
        if fits(&longer.as_str()) {
            line = longer;
        }
    }
    line
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
            let examples = examples_of(command);
            assert!(examples.lines().count() >= 2, "{}", command.get_name());
            assert!(examples.lines().all(|line| !line.is_empty()), "{examples}");
        }
    }

    #[test]
    fn every_option_has_a_text_and_every_text_an_option() {
        let mut texts = crate::catalogue::names("help-");
        let mut take = |name: &str| texts.remove(name);
        for command in all_commands().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(take(&format!("help-{name}")), "{name}");
            take(&format!("help-{name}-detail"));
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let id = text_id(arg);
                let is_own = take(&format!("help-{name}-{id}"));
                assert!(is_own || lookup(&format!("help-any-{id}")).is_some(), "{name} {id}");
                assert!(arg.get_help().is_none(), "{name} {id} has a text in the code");
            }
        }
        texts.retain(|name| !name.starts_with("help-any-") && !name.starts_with("help-heading-"));
        texts.retain(|name| !name.starts_with("help-group-"));
        let general =
            ["default", "values", "usage", "examples", "more", "commands-more", "environment"];
        texts.retain(|name| name.split('-').nth(1) != Some("qdemo"));
        texts.retain(|name| !general.contains(&&name["help-".len()..]));
        assert!(texts.is_empty(), "no option has these texts: {texts:?}");
    }

    #[test]
    fn a_summary_has_whole_clauses_and_the_brackets_that_fit() {
        let text = "Wait for it, or not: as you like, or as I do [default: 5] [one of: 5, 6]";
        assert_eq!(summary(text, 72), text);
        assert_eq!(summary(text, 71), "Wait for it, or not: as you like, or as I do [default: 5]");
        assert_eq!(summary(text, 44), "Wait for it, or not: as you like, or as I do");
        assert_eq!(summary(text, 43), "Wait for it, or not [default: 5]");
        assert_eq!(summary(text, 20), "Wait for it, or not");
        assert_eq!(summary(text, 12), "Wait for it");
        assert_eq!(summary(text, 8), "Wait fo…");
    }
}
