//! `docs/REFERENCE.md` and `docs/REFERENCE.ja.md`: the examples of the help, the options that documents name, and the keys
//! of JSON. The tables of options, exit codes and variables have tests in `src/cli/reference.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::blocks::{ENGLISH_ONLY, PAIRS, blocks, read};
use crate::harness::Sandbox;

/// Programs of other people that examples use. These take any arguments, and print what they read.
const OTHER_PROGRAMS: [&str; 3] = ["convert", "jq", "man"];

/// The lines of the examples, with continued lines in one piece.
fn examples() -> Vec<String> {
    let text = read("docs/REFERENCE.md");
    let (_, text) = text.split_once("<!-- commands -->").unwrap();
    let (text, _) = text.split_once("<!-- end of commands -->").unwrap();
    let blocks = blocks(text);
    let shell = blocks.iter().filter(|block| block.kind == "sh");
    let lines = shell.map(|block| block.text.replace("\\\n", " "));
    lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The example with less to do, and within the folders of the test.
fn prepare(example: &str) -> String {
    // It measures for seconds, or never ends: its arguments are parsed, and the help is printed.
    if example.starts_with("qdemo bench") || example.contains("--watch") {
        return format!("{example} --help");
    }
    // A queue with an end: `get` and `consumer` end too.
    let setup = if example.contains("qdemo join") {
        ""
    } else {
        "for q in jobs images default; do seq 4 | qdemo put -q $q -; qdemo close -q $q; done\n"
    };
    let example = match example.split_once("qdemo run") {
        Some((before, after)) if !after.contains("--speed") => {
            format!("{before}qdemo run --speed max{after}")
        }
        _ => example.to_owned(),
    };
    // Few items: no example says how many.
    let example = example.replace("qdemo sweep", "qdemo sweep --items 100");
    let example = example.replace("--delay 2s", "--delay 2ms");
    let example = example.replace("/usr/local/share/man/man1/", "./").replace("~/", "./");
    format!("{setup}qdemo put -q other x\nmkdir -p .zfunc .config/fish/completions\n{example}")
}

/// The examples are the same in both languages, and their output is no matter here: one language is enough.
#[test]
fn the_program_understands_the_examples_of_the_help() {
    let sandbox = Sandbox::new();
    for program in OTHER_PROGRAMS {
        let path = sandbox.path(program);
        std::fs::write(&path, "#!/bin/sh\n[ -t 0 ] || cat\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let examples = examples();
    assert!(examples.len() > 30, "{examples:?}");
    for example in examples {
        let sandbox_of_example = Sandbox::new();
        let tools = format!("PATH={}:$PATH", sandbox.path("").display());
        let text = prepare(&example);
        let outcome = sandbox_of_example.script(&format!("{tools}\n{text}"));
        let code = outcome.code();
        assert!(!matches!(code, None | Some(2 | 126 | 127)), "{text}: {code:?} {}", outcome.stderr);
        assert!(!outcome.stderr.contains("qdemo --help"), "{text}: {}", outcome.stderr);
    }
}

#[test]
fn the_options_that_a_document_shows_with_a_command_exist() {
    let sandbox = Sandbox::new();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    for document in PAIRS.iter().flatten().chain(&ENGLISH_ONLY) {
        let text = read(document);
        let spans = text.split('`').skip(1).step_by(2);
        for words in spans.filter_map(|span| span.strip_prefix("qdemo ")) {
            // What stands behind `--` belongs to another command.
            let mut words = words.split_whitespace().take_while(|word| *word != "--");
            let Some(command) = words.next().filter(|word| word.chars().all(char::is_lowercase))
            else {
                continue;
            };
            if command == "keeper" {
                // The command has no help: only other clients use it.
                continue;
            }
            let help = helps.entry(command.to_owned()).or_insert_with(|| {
                let help = sandbox.run(&[command, "--help"]);
                assert_eq!(help.code(), Some(0), "{document}: qdemo {command}");
                help.text()
            });
            for word in words.filter(|word| word.starts_with("--")) {
                let option = word.split(['=', '[', ']', '|', ',']).next().unwrap();
                let found = help.split_whitespace().any(|known| known.trim_matches(',') == option);
                assert!(found, "{document}: qdemo {command} {option}");
            }
        }
    }
}

fn add_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.insert(key.clone());
                add_keys(value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| add_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn the_reference_has_every_key_and_event_of_json() {
    let sandbox = Sandbox::new();
    let mut keys = BTreeSet::new();
    let script = "
        qdemo run --speed max --format json
        qdemo run --speed max --quiet --stats-file stats --producer-delay exp:1s --consumer-delay exp:2s
        cat stats
        qdemo put a b c
        qdemo consumer --max 2 --format json -- test {} = b 2>/dev/null
        qdemo peek --format json
        qdemo failed --format json
        qdemo status --format json";
    let outcome = sandbox.script(script);
    assert!(outcome.lines().len() > 20, "{}", outcome.text());
    for line in outcome.lines() {
        let value: Value = serde_json::from_str(&line).unwrap();
        if let Some(event) = value["event"].as_str() {
            keys.insert(event.to_owned());
        }
        add_keys(&value, &mut keys);
    }
    // The keys of each client, which this script has not.
    keys.extend(["pid", "waits_for", "held_s", "answers", "keeper"].map(str::to_owned));
    for document in PAIRS[1] {
        let text = read(document);
        for key in &keys {
            let is_there =
                text.contains(&format!("`{key}`")) || text.contains(&format!("\"{key}\""));
            assert!(is_there, "{document} has no {key}");
        }
    }
}
