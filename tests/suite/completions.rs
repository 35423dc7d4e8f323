//! Completing in bash, zsh and fish. A shell sends the words of a line, and qdemo answers with what can stand there.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::harness::{Outcome, Running, Sandbox};

impl Sandbox {
    /// What fish gets for these words: a candidate and its description on each line.
    fn completes(&self, words: &[&str], locale: &str) -> Outcome {
        let mut command = self.qdemo(&[&["--", "qdemo"], words].concat());
        command.env("QDEMO_COMPLETE", "fish").env("LC_ALL", locale);
        Running::start(command).end()
    }
}

/// Whether this shell is there. Says that the test is skipped if it is not.
fn has_shell(shell: &str) -> bool {
    let is_there = Command::new(shell).args(["-c", "true"]).output().is_ok();
    if !is_there {
        eprintln!("SKIPPED: there is no {shell}");
    }
    is_there
}

both!(the_names_of_queues_complete_an_option, |backend| {
    let sandbox = Sandbox::on(backend);
    for queue in ["jobs", "jobs:high", "my queue", "images"] {
        sandbox.run(&["put", "-q", queue, "x"]).assert_prints("");
    }
    let completes =
        |words: &[&str], expected| sandbox.completes(words, "C").assert_prints(expected);
    completes(&["get", "-q", ""], "images\njobs\njobs:high\nmy queue\n");
    completes(&["get", "-q", "jo"], "jobs\njobs:high\n");
    completes(&["status", "--queue=im"], "--queue=images\n");
    // The URL may be half a URL, and the queues of this machine are not on that server.
    completes(&["get", "--server", "redis://", "-q", "jo"], "");
    for queue in ["jobs", "jobs:high", "my queue", "images"] {
        sandbox.run(&["rm", "--force", "-q", queue]).assert_prints("removed 1 item\n");
    }
    sandbox.assert_nothing_left();
});

#[test]
fn options_commands_and_choices_complete_in_the_language_of_the_locale() {
    let sandbox = Sandbox::new();
    let completes = |words: &[&str], locale: &str, expected| {
        sandbox.completes(words, locale).assert_prints(expected);
    };
    completes(&["st"], "C", "status\tShow the items and clients of queues\n");
    completes(&["st"], "ja_JP.UTF-8", "status\tキューのアイテムとクライアントを表示する\n");
    completes(&["help", "pe"], "C", "peek\tShow the first ready items; they stay in the queue\n");
    completes(&["get", "--cou"], "ja_JP.UTF-8", "--count\tアイテムの個数 [既定値: 1]\n");
    completes(&["get", "--lang", ""], "C", "ja\nen\n");
    completes(&["get", "--color", "a"], "C", "auto\nalways\n");
    completes(&["run", "--format", "j"], "C", "json\n");
    completes(&["keep"], "C", "");
    fs::write(sandbox.path("events.json"), "").unwrap();
    completes(&["timeline", "ev"], "C", "events.json\n");
    completes(&["consumer", "--", "cat", "ev"], "C", "events.json\n");
}

#[test]
fn completing_makes_nothing_and_waits_for_no_server() {
    let sandbox = Sandbox::new();
    fs::remove_dir(sandbox.path("queues")).unwrap();
    sandbox.completes(&["get", "-q", ""], "C").assert_prints("");
    assert!(!sandbox.path("queues").exists());
    fs::create_dir(sandbox.path("queues")).unwrap();
    // Accepts a client, and never answers.
    let socket = sandbox.path("silent");
    let _listener = UnixListener::bind(&socket).unwrap();
    let silent = Sandbox::at_server(&format!("redis+unix://{}", socket.display()));
    silent.completes(&["get", "-q", ""], "C").assert_prints("");
    let wrong = Sandbox::at_server("no URL");
    wrong.completes(&["get", "-q", ""], "C").assert_prints("");
}

/// What the script of a shell does with the line up to the cursor.
const IN_BASH: &str = r#"
    source <(qdemo completions bash)
    complete_line() { COMP_LINE=$1; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _qdemo qdemo; echo "${COMPREPLY[*]}"; }
    complete_line 'qdemo get -q jo' qdemo get -q jo
    complete_line 'qdemo get -q jobs:h' qdemo get -q jobs : h
    complete_line 'qdemo get --queue=jobs:h' qdemo get --queue = jobs : h
    complete_line 'qdemo get --queue=' qdemo get --queue =
    complete_line 'qdemo get -q my' qdemo get -q my
    complete_line 'qdemo sta' qdemo sta
    complete -p qdemo
"#;

const IN_ZSH: &str = r#"
    compdef() { :; }
    _describe() { print -rl -- ${(P)argv[3]}; }
    source <(qdemo completions zsh)
    words=(qdemo get -q jobs:); CURRENT=4; _clap_dynamic_completer_qdemo
    words=(qdemo sta); CURRENT=2; _clap_dynamic_completer_qdemo
    # A file in fpath becomes a function at the first completion, and completes then.
    mkdir functions; qdemo completions zsh > functions/_qdemo; fpath=($PWD/functions $fpath); autoload _qdemo
    words=(qdemo get -q my); CURRENT=4; _qdemo
"#;

const IN_FISH: &str = r#"
    qdemo completions fish | source
    complete -C 'qdemo get -q jo'
    complete -C 'qdemo get --queue=im'
    complete -C 'qdemo sta'
"#;

#[test]
fn the_scripts_complete_in_bash_zsh_and_fish() {
    let sandbox = Sandbox::new();
    for queue in ["jobs", "jobs:high", "my queue", "images"] {
        sandbox.run(&["put", "-q", queue, "x"]).assert_prints("");
    }
    let in_bash = "jobs jobs:high\nhigh\nhigh\nimages jobs jobs:high 'my queue'\n'my queue'\nstatus\n\
                   complete -o bashdefault -o nosort -F _qdemo qdemo\n";
    let in_zsh = "jobs\\:high\nstatus:Show the items and clients of queues\nmy queue\n";
    let in_fish = "jobs\njobs:high\n--queue=images\nstatus\tShow the items and clients of queues\n";
    for (shell, script, expected) in
        [("bash", IN_BASH, in_bash), ("zsh", IN_ZSH, in_zsh), ("fish", IN_FISH, in_fish)]
    {
        if has_shell(shell) {
            let mut command = sandbox.command(shell);
            command.args(["-c", script]);
            Running::start(command).end().assert_prints(expected);
        }
    }
}
