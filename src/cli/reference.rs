//! The parts of `docs/REFERENCE.md` and `docs/REFERENCE.ja.md` that come from the description of the commands and
//! from the catalogue, as help and manual pages do. `make documents` writes these parts anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{Arg, Command};

use super::help::{COMMAND_GROUPS, examples_of, localize, text_id};
use super::manual::{exit_codes, variables};
use super::syntax::all_commands;
use crate::catalogue::{Lang, in_language, lookup, message};

/// Options that every command has.
const OF_EVERY_COMMAND: [&str; 3] = ["lang", "color", "help"];
/// The heading of the options for a queue on a server, in the description of the commands.
const SERVER_HEADING: &str = "help-heading-server";

/// The titles of the tables, in the language of the text.
struct Titles {
    option: &'static str,
    meaning: &'static str,
    code: &'static str,
    variable: &'static str,
    every_command: &'static str,
    /// What a command says that has the options of the table above it.
    has_server_options: &'static str,
}

const TITLES: [(Lang, Titles); 2] = [
    (
        Lang::Ja,
        Titles {
            option: "オプション",
            meaning: "意味",
            code: "終了コード",
            variable: "環境変数",
            every_command: "すべてのコマンドのオプション",
            has_server_options: "サーバー上のキューのオプションも使えます",
        },
    ),
    (
        Lang::En,
        Titles {
            option: "option",
            meaning: "meaning",
            code: "exit code",
            variable: "variable",
            every_command: "Options of every command",
            has_server_options: "Also the options for a queue on a server",
        },
    ),
];

fn table(head: [&str; 2], rows: &[[String; 2]]) -> String {
    let line = |cells: [&str; 2]| {
        let [name, text] = cells.map(|cell| cell.replace('|', "\\|"));
        format!("| {name} | {text} |\n")
    };
    let rows: String = rows.iter().map(|[name, text]| line([name, text])).collect();
    format!("{}| --- | --- |\n{rows}", line(head))
}

/// How the option is written, and its text.
fn row(arg: &Arg) -> [String; 2] {
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    [format!("`{short}{arg}`"), text]
}

/// Text of the help as paragraphs. A line that begins with `-` would be a list.
fn paragraphs(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("{}\n\n", line.replacen("- ", "`-` ", 1))).collect()
}

/// Whether the option has the same text in every command.
fn is_shared(command: &Command, arg: &Arg) -> bool {
    lookup(&format!("help-{}-{}", command.get_name(), text_id(arg))).is_none()
}

fn visible_args(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

/// The options of a command by their headings; and those of a server that all commands share.
struct Options {
    own: Vec<(String, Vec<[String; 2]>)>,
    server: BTreeMap<String, [String; 2]>,
}

fn options(command: &Command) -> Options {
    let server_title = lookup(SERVER_HEADING).unwrap();
    let mut options = Options { own: Vec::new(), server: BTreeMap::new() };
    for arg in visible_args(command) {
        let id = text_id(arg);
        let title = arg.get_help_heading().unwrap_or_default().to_owned();
        if title == server_title && is_shared(command, arg) {
            options.server.insert(id, row(arg));
            continue;
        }
        if OF_EVERY_COMMAND.contains(&id.as_str()) {
            continue;
        }
        match options.own.iter_mut().find(|(other, _)| *other == title) {
            Some((_, rows)) => rows.push(row(arg)),
            None => options.own.push((title, vec![row(arg)])),
        }
    }
    options
}

fn describe(command: &Command, examples: &str, titles: &Titles) -> String {
    let name = command.get_name();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let (_, usage) = usage.split_once("qdemo").unwrap();
    let mut text = format!("### qdemo {name}\n\n{about}\n\n```\nqdemo{usage}\n```\n\n");
    let options = options(command);
    for (title, rows) in &options.own {
        text += &format!("{}\n", table([title, titles.meaning], rows));
    }
    if !options.server.is_empty() {
        let names: Vec<_> = options.server.keys().map(|id| format!("`--{id}`")).collect();
        text += &format!("{}: {}\n\n", titles.has_server_options, names.join(", "));
    }
    if let Some(detail) = lookup(&format!("help-{name}-detail")) {
        text += &paragraphs(&detail);
    }
    text + &format!("```sh\n{examples}\n```\n\n")
}

/// All commands with their options.
fn commands(titles: &Titles) -> String {
    let plain = all_commands();
    let mut cli = localize(plain.clone(), Some(usize::MAX));
    cli.build();
    let find = |name: &str| cli.find_subcommand(name).unwrap();
    let every: Vec<_> = OF_EVERY_COMMAND
        .iter()
        .map(|id| row(visible_args(find("put")).find(|arg| text_id(arg) == *id).unwrap()))
        .collect();
    let mut text = format!("### {}\n\n", titles.every_command);
    text += &format!("{}\n", table([titles.option, titles.meaning], &every));
    let mut server = BTreeMap::new();
    let mut described = String::new();
    for name in COMMAND_GROUPS.iter().flat_map(|group| group.1) {
        let examples = examples_of(plain.find_subcommand(name).unwrap());
        described += &describe(find(name), &examples, titles);
        server.extend(options(find(name)).server);
    }
    let rows: Vec<_> = server.into_values().collect();
    text += &format!("### {}\n\n", lookup(SERVER_HEADING).unwrap());
    text += &format!("{}\n", table([titles.option, titles.meaning], &rows));
    text + described.trim_end() + "\n"
}

fn exit_code_table(titles: &Titles) -> String {
    let rows = exit_codes().map(|(code, text)| [code.to_owned(), text]);
    let note = message!("man-exit-note");
    format!("{}\n{note}\n", table([titles.code, titles.meaning], &rows))
}

fn variable_table(titles: &Titles) -> String {
    let rows = variables().map(|(names, text)| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        [names.join(", "), text]
    });
    table([titles.variable, titles.meaning], &rows)
}

/// Replaces the text between the marks of the part `name`.
fn replace(document: &str, name: &str, text: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{start}\n{text}\n{end}{after}")
}

/// Everything on the command line and around it that `docs/STABILITY.md` promises to keep: commands, options with their
/// defaults and words, exit codes and variables.
fn promised() -> String {
    let mut plain = all_commands();
    plain.build();
    let mut text = String::new();
    for name in COMMAND_GROUPS.iter().flat_map(|group| group.1) {
        text += &format!("qdemo {name}\n");
        for arg in visible_args(plain.find_subcommand(name).unwrap()) {
            let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
            let list = |title: &str, words: Vec<String>| match words.join(", ") {
                words if words.is_empty() => words,
                words => format!(" [{title}: {words}]"),
            };
            // A flag has the words true and false.
            let values = Some(arg).filter(|arg| arg.get_action().takes_values());
            let words = values.map(Arg::get_possible_values).unwrap_or_default();
            let words = words.iter().map(|word| word.get_name().to_owned()).collect();
            let defaults = values.map(Arg::get_default_values).unwrap_or_default();
            let defaults = defaults.iter().map(|word| word.to_string_lossy().into_owned());
            let (defaults, words) = (list("default", defaults.collect()), list("one of", words));
            text += &format!("    {short}{arg}{defaults}{words}\n");
        }
    }
    let codes = exit_codes().map(|(code, meaning)| format!("exit code {code}: {meaning}\n"));
    let names = variables().map(|(names, _)| format!("variable {}\n", names.join(", ")));
    text + &codes.concat() + &names.concat()
}

/// Compares the reference with the commands, or writes its parts anew.
fn check(lang: Lang, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    let before = fs::read_to_string(&path).unwrap();
    let (_, titles) = TITLES.iter().find(|(other, _)| *other == lang).unwrap();
    let now = in_language(lang, || {
        let document = replace(&before, "commands", &commands(titles));
        let document = replace(&document, "exit codes", &exit_code_table(titles));
        let document = replace(&document, "signals", &(message!("man-signals-text") + "\n"));
        replace(&document, "environment", &variable_table(titles))
    });
    if std::env::var_os("QDEMO_RECORD").is_some() {
        fs::write(&path, now).unwrap();
        return;
    }
    let differs = before.lines().zip(now.lines()).find(|(before, now)| before != now);
    assert!(before == now, "docs/{file} is out of date, `make documents` writes it: {differs:?}");
}

/// A line that goes away or changes breaks a promise. A new line is a new promise.
#[test]
fn the_command_line_is_as_recorded() {
    crate::testing::recorded::compare("command-line.txt", &in_language(Lang::En, promised));
}

#[test]
fn the_english_reference_has_the_commands_exit_codes_and_variables_of_the_program() {
    check(Lang::En, "REFERENCE.md");
}

#[test]
fn the_japanese_reference_has_the_commands_exit_codes_and_variables_of_the_program() {
    check(Lang::Ja, "REFERENCE.ja.md");
}
