//! Manual pages, and how help and usage errors are printed.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Command;
use clap::builder::StyledStr;
use clap::error::ErrorKind;

use super::error::report_error;
use super::help::{HelpArgs, examples_of, localize};
use super::streams::print_stdout;
use super::usage_error;
use super::version::VERSION;
use crate::catalogue::{Lang, lang, lookup, message};
use crate::exit::ExitCode;
use crate::os::Blocking;
use crate::report::eprint_error;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo man | man -l -
qdemo man put > /usr/local/share/man/man1/qdemo-put.1")]
pub(super) struct ManArgs {
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl HelpArgs {
    pub(super) fn run(&self, cli: Command) -> anyhow::Result<ExitCode> {
        let text = self.text(localize(cli, None))?;
        print_help(&text)?;
        Ok(ExitCode::Done)
    }
}

impl ManArgs {
    pub(super) fn run(self, plain: Command) -> anyhow::Result<ExitCode> {
        let mut cli = localize(plain.clone(), Some(usize::MAX));
        cli.build();
        let (command, examples) = match &self.command {
            None => (&cli, String::new()),
            Some(name) => {
                let command = cli.find_subcommand(name).filter(|command| !command.is_hide_set());
                let examples = plain.find_subcommand(name).map(examples_of).unwrap_or_default();
                let missing = || usage_error::no_such_command_error("man", name, &cli);
                (command.ok_or_else(missing)?, examples)
            }
        };
        print_stdout(&render_man_page(command, &examples)?)?;
        Ok(ExitCode::Done)
    }
}

/// Renders a manual page. `examples` keep their line breaks.
fn render_man_page(command: &Command, examples: &str) -> io::Result<Vec<u8>> {
    let source = format!("qdemo {VERSION}");
    let manual = message!("man-manual");
    let man = clap_mangen::Man::new(command.clone()).source(source).manual(manual);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    if lang() == Lang::Ja {
        // A line has few places for more space, and a name such as `multiprocessing.Queue` has no hyphen.
        page.extend_from_slice(b".ad l\n.nh\n");
    }
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if let Some(detail) = lookup(&format!("help-{}-detail", command.get_name())) {
        for paragraph in detail.split("\n\n") {
            write!(page, ".PP\n{}\n", escape_roff(paragraph))?;
        }
    }
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if !examples.is_empty() {
        write!(page, ".SH {}\n.nf\n{}\n.fi\n", message!("man-examples"), escape_roff(examples))?;
    }
    page.extend_from_slice(common_sections().as_bytes());
    Ok(translate_headings(&page))
}

/// Replaces the headings that `clap_mangen` writes.
fn translate_headings(page: &[u8]) -> Vec<u8> {
    let headings = [
        ("NAME", message!("man-name")),
        ("SYNOPSIS", message!("man-synopsis")),
        ("DESCRIPTION", message!("man-description")),
        ("SUBCOMMANDS", message!("man-subcommands")),
    ];
    let page = String::from_utf8_lossy(page);
    let lines = page.lines().map(|line| {
        let heading = line.strip_prefix(".SH ").map(|name| name.trim_matches('"'));
        let known = headings.iter().find(|(name, _)| heading == Some(*name));
        known.map_or_else(|| line.to_owned(), |(_, title)| format!(".SH {title}"))
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    text.push('\n');
    text.into_bytes()
}

/// The variables of the environment with their texts, as every manual page and the reference show them.
pub(super) fn variables() -> [(&'static [&'static str], String); 7] {
    [
        (&["QDEMO_DIR"], message!("man-variable-dir")),
        (&["QDEMO_QUEUE"], message!("man-variable-queue")),
        (&["QDEMO_SERVER"], message!("man-variable-server")),
        (
            &["QDEMO_SERVER_PASSWORD_FILE", "QDEMO_SERVER_PASSWORD"],
            message!("man-variable-password"),
        ),
        (&["QDEMO_SERVER_SENTINEL_PASSWORD"], message!("man-variable-sentinel-password")),
        (&["QDEMO_SERVER_CA"], message!("man-variable-ca")),
        (&["QDEMO_LANG"], message!("man-variable-lang")),
    ]
}

/// The exit codes with their texts.
pub(super) fn exit_codes() -> [(&'static str, String); 7] {
    [
        ("0", message!("man-exit-0")),
        ("1", message!("man-exit-1")),
        ("2", message!("man-exit-2")),
        ("3", message!("man-exit-3")),
        ("4", message!("man-exit-4")),
        ("126", message!("man-exit-126")),
        ("127", message!("man-exit-127")),
    ]
}

/// The end of every manual page.
fn common_sections() -> String {
    let entry = |names: &[&str], text: &str| {
        let names: Vec<_> = names.iter().map(|name| format!("\\fB{name}\\fR")).collect();
        format!(".TP\n{}\n{}\n", names.join(", "), escape_roff(text))
    };
    let mut sections = format!(".SH {}\n", message!("man-exit-status"));
    for (code, text) in exit_codes() {
        sections += &entry(&[code], &text);
    }
    sections += &format!(".PP\n{}\n", escape_roff(&message!("man-exit-note")));
    sections += &format!(
        ".SH {}\n{}\n",
        message!("man-signals"),
        escape_roff(&message!("man-signals-text"))
    );
    sections += &format!(".SH {}\n", message!("man-environment"));
    for (names, text) in variables() {
        sections += &entry(names, &text);
    }
    sections
}

/// Escapes text so that roff prints it unchanged.
fn escape_roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    escaped.lines().map(|line| format!("\\&{line}")).collect::<Vec<_>>().join("\n")
}

fn styled(text: &StyledStr, has_colors: bool) -> String {
    if has_colors { text.ansi().to_string() } else { text.to_string() }
}

fn print_help(text: &StyledStr) -> anyhow::Result<()> {
    print_stdout(styled(text, console::colors_enabled()).as_bytes())
}

/// Prints help, the version, and an error in the arguments. `args` are the arguments of this program.
pub(super) fn report_clap_error(
    error: &clap::Error,
    args: &[OsString],
    cli: impl FnOnce() -> Command,
) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print_help(&error.render()) {
            Err(error) => report_error(&error),
            Ok(()) => ExitCode::Done,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            // A failed write to standard error has no place for a report.
            let help = localize(cli(), None).render_help();
            let help = styled(&help, console::colors_enabled_stderr());
            let _ = Blocking(io::stderr()).write_all(help.as_bytes());
            ExitCode::Usage
        }
        _ => {
            eprint_error(&usage_error::describe(error, args, &cli()));
            ExitCode::Usage
        }
    }
}
