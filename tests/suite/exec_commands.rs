//! How a consumer builds the command of each item: replacement strings, slots, `--jobs` and `--dry-run`.

use std::thread;

use crate::harness::{Outcome, Running, Sandbox, assert_same};

/// Items that a shell, a terminal or a program could mistake for something else.
const ITEMS: [&str; 16] = [
    "plain",
    "two words",
    "  spaces  ",
    "dir.d/file name.tar.gz",
    "\"quoted\" and 'single'",
    "$(touch hacked) `touch hacked`",
    "; touch hacked; | & > < * ? ~ ! ^ #",
    "~/{a,b}/[x].$HOME",
    "a\nnewline\n",
    "tab\tand\rreturn",
    "back\\slash \\n \\",
    "-n",
    "--help",
    "アイテム/キュー.png",
    "",
    "{} {/} {#} {%}",
];

fn put_and_close(sandbox: &Sandbox, items: &[&str]) {
    let input: String = items.iter().map(|item| format!("{item}\0")).collect();
    sandbox.run_with_input(&["put", "-0", "-"], input.as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
}

/// What each replacement string becomes: see the unit tests in `src/exec/replacement.rs` for more.
#[test]
fn replacement_strings_are_replaced_in_every_argument_as_gnu_parallel_does() {
    let sandbox = Sandbox::new();
    put_and_close(&sandbox, &["a b/c.d.e", ".bashrc", "/x/", "$(x)/{/.}.{%}"]);
    let args = ["printf", "<%s>", "{}", "{/}", "{//}", "{.}", "{/.}", "{#}", "{%}", "{x}", "\n"];
    sandbox.run(&[&["consumer", "--"][..], &args].concat()).assert_prints(
        "<a b/c.d.e><c.d.e><a b><a b/c.d><c.d><1><1><{x}><\n>\
         <.bashrc><.bashrc><.><><><2><1><{x}><\n>\
         </x/><></></x/><><3><1><{x}><\n>\
         <$(x)/{/.}.{%}><.}.{%}><$(x)/{><$(x)/{/.}><.}><4><1><{x}><\n>",
    );
    sandbox.assert_nothing_left();
}

#[test]
fn a_replacement_string_in_the_middle_of_an_argument_is_replaced_each_time() {
    let sandbox = Sandbox::new();
    put_and_close(&sandbox, &["in/x.jpg"]);
    let args = ["consumer", "--", "echo", "{//}/../out/{/.}-{#}.png={{/.}}", "{.}{.}"];
    sandbox.run(&args).assert_prints("in/../out/x-1.png={x} in/xin/x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_comes_on_standard_input_if_only_its_id_and_slot_are_in_the_arguments() {
    let sandbox = Sandbox::new();
    put_and_close(&sandbox, &["first", "second"]);
    let script = "read -r item; echo \"$1 $2 [$item]\"";
    let at_stdin = ["consumer", "--max", "1", "--", "sh", "-c", script, "sh", "{#}", "{%}"];
    sandbox.run(&at_stdin).assert_prints("1 1 [first]\n");
    let in_argument = ["consumer", "--", "sh", "-c", script, "sh", "{#}", "{/.}"];
    sandbox.run(&in_argument).assert_prints("2 second []\n");
    sandbox.assert_nothing_left();
}

#[test]
fn the_name_of_the_command_has_no_replacement_strings() {
    let sandbox = Sandbox::new();
    put_and_close(&sandbox, &["echo"]);
    sandbox.run(&["consumer", "--", "{}", "x"]).assert_refused(127, &["no command `{}`"]);
    sandbox.run(&["get"]).assert_prints("echo\n");
    sandbox.assert_nothing_left();
}

/// Each command says through the pipe `started` that it runs, and ends when something comes through the pipe of its
/// item. Its slot is free when its line has come through the pipe `printed`.
#[test]
fn a_command_takes_the_smallest_slot_that_no_other_command_has() {
    let sandbox = Sandbox::new();
    let script = r#"
        mkfifo started printed 1 2 3 4 5 6
        exec 3<> started 4<> printed
        start() { qdemo put "$@" && read -r <&3; }
        end() { echo > "$1" && read -r line <&4 && echo "$line"; }
        qdemo producer --quiet --keep-open 1 2 3
        qdemo consumer --max 6 -j 3 -- \
            sh -c 'echo > started; read -r line < {}; echo "item {}: slot {%} is $QDEMO_SLOT"' > printed &
        for item in 1 2 3; do read -r <&3; done
        end 3; end 1; start 4; start 5; end 2; start 6; end 6; end 5; end 4
        wait $!
    "#;
    sandbox.script(script).assert_prints(
        "item 3: slot 3 is 3\n\
         item 1: slot 1 is 1\n\
         item 2: slot 2 is 2\n\
         item 6: slot 2 is 2\n\
         item 5: slot 3 is 3\n\
         item 4: slot 1 is 1\n",
    );
    sandbox.assert_nothing_left();
}

// The consumer asks for an item while the retry is not due. Then the retry starts, and an item comes.
both!(an_item_that_comes_while_a_retry_has_the_only_job_waits_for_the_job, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.script("mkfifo started go; qdemo producer --quiet --keep-open late").assert_prints("");
    let command = r#"
        [ {}$QDEMO_ATTEMPT = late1 ] && exit 1
        echo {} > started; read -r line < go; echo "{} had slot {%}"
    "#;
    let options = ["consumer", "--max", "2", "-j", "1", "--retries", "1", "--backoff", "1ms"];
    let mut consumer = sandbox.start(&[&options[..], &["--", "sh", "-c", command]].concat());
    sandbox.script("cat started").assert_prints("late\n");
    sandbox.run(&["put", "next"]).assert_prints("");
    sandbox.wait_for_status(|status| status["in_flight"] == 2);
    sandbox.script("echo > go").assert_prints("");
    assert_eq!(consumer.line(), "late had slot 1");
    sandbox.script("cat started; echo > go").assert_prints("next\n");
    assert_eq!(consumer.line(), "next had slot 1");
    consumer.end().assert_prints("");
    sandbox.assert_nothing_left();
});

#[test]
fn a_consumer_inside_a_command_gives_its_own_commands_slots_of_their_own() {
    let sandbox = Sandbox::new();
    put_and_close(&sandbox, &["x"]);
    let mut command = sandbox.qdemo(&["consumer", "--", "printenv", "QDEMO_SLOT"]);
    command.env("QDEMO_SLOT", "7");
    Running::start(command).end().assert_prints("1\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_number_of_jobs_that_makes_no_sense_is_refused_before_any_item_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let nonsense = "that is not a number of commands: write 4, 50% (of the usable cores) or auto (all of them)";
    for (jobs, reason) in [
        ("0", "at least one is needed: write 1 or more"),
        ("0%", "at least one is needed: write 1 or more"),
        ("1001", "that is too many: write 1000 or less"),
        ("9999999%", "that is too many: write 1000 or less"),
        ("-1", nonsense),
        ("+2", nonsense),
        ("many", nonsense),
        ("1.5", nonsense),
        ("%", nonsense),
    ] {
        let outcome = sandbox.run(&["consumer", "-j", jobs, "--", "echo", "{}"]);
        assert_eq!(outcome.code(), Some(2), "{jobs}");
        let expected =
            format!("qdemo: invalid value '{jobs}' for '--jobs <N|N%|auto>': {reason}\n");
        assert_same(&expected, &outcome.stderr);
        assert_same("", &outcome.text());
    }
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

/// A dry run shows how many slots there are.
#[test]
fn a_share_of_the_cores_is_a_share_of_those_that_the_process_may_use() {
    let sandbox = Sandbox::new();
    let cores = thread::available_parallelism().unwrap().get();
    let items: Vec<_> = (1..=2 * cores + 1).map(|number| number.to_string()).collect();
    put_and_close(&sandbox, &items.iter().map(String::as_str).collect::<Vec<_>>());
    let assert_slots = |program: &str, jobs: &str, slots: usize| {
        let outcome = sandbox
            .script(&format!("{program} qdemo consumer --dry-run -j {jobs} -- echo {{}} {{%}}"));
        let turn = |at: usize| format!("echo {} {}\n", at + 1, at % slots + 1);
        outcome.assert_prints(&(0..items.len()).map(turn).collect::<String>());
    };
    assert_slots("", "auto", cores);
    assert_slots("", "100%", cores);
    assert_slots("", "200%", 2 * cores);
    assert_slots("", "1%", cores.div_ceil(100));
    let one_core = "taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')";
    assert_slots(one_core, "auto", 1);
    assert_slots(one_core, "150%", 2);
    sandbox.assert_nothing_left();
}

fn dry_run(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.run(&[&["consumer", "--dry-run"], args].concat())
}

both!(a_dry_run_prints_the_command_of_each_ready_item_and_takes_none, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a b/c.png", "it's", "x", "last"]).assert_prints("");
    let status = || sandbox.status_text(&[]).split(", the oldest").next().unwrap().to_owned();
    let before = (status(), sandbox.run(&["peek", "--count", "9", "--format", "json"]).text());
    dry_run(&sandbox, &["-j", "3", "--", "convert", "{}", "small/{/.}.jpg", "{#}", "{%}"])
        .assert_prints(
            "convert 'a b/c.png' small/c.jpg 1 1\n\
             convert \"it's\" \"small/it's.jpg\" 2 2\n\
             convert x small/x.jpg 3 3\n\
             convert last small/last.jpg 4 1\n",
        );
    dry_run(&sandbox, &["--max", "2", "--follow", "--", "wc", "-c"])
        .assert_prints("printf '%s\\n' 'a b/c.png' | wc -c\nprintf '%s\\n' \"it's\" | wc -c\n");
    let after = (status(), sandbox.run(&["peek", "--count", "9", "--format", "json"]).text());
    assert_eq!(before, after);
    sandbox
        .run(&["get", "--format", "json"])
        .assert_prints("{\"id\":1,\"item\":\"a b/c.png\",\"attempt\":1}\n");
    dry_run(&sandbox, &["--max", "1", "--", "echo", "{#}", "{}"])
        .assert_prints("echo 2 \"it's\"\n");
    sandbox.assert_nothing_left();
});

both!(a_dry_run_makes_no_queue_and_ends_where_no_item_is_ready, |backend| {
    let sandbox = Sandbox::on(backend);
    dry_run(&sandbox, &["--", "echo"]).assert_refused(1, &["there is no queue `default`"]);
    sandbox.assert_no_queue();
    sandbox.run(&["put", "x"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("x\n");
    dry_run(&sandbox, &["--", "echo"]).assert_prints("");
    dry_run(&sandbox, &["--max", "0", "--", "echo"]).assert_prints("");
    sandbox.assert_nothing_left();
});

#[test]
fn the_lines_of_a_dry_run_do_in_a_shell_what_the_consumer_does() {
    let sandbox = Sandbox::new();
    // On Debian, sh is dash.
    let script = r#"
        cat > items
        for shell in sh bash; do
            for command in 'printf <%s> {} {/} {//} {.} {/.} {#} {%} a"b' 'od -c'; do
                qdemo put -0 - < items
                qdemo close
                qdemo consumer --dry-run -- $command | $shell > lines.txt
                qdemo consumer -- $command | diff lines.txt - && echo "$shell: same"
            done
        done
    "#;
    let mut command = sandbox.command("bash");
    command.args(["-c", script]);
    let mut running = Running::start(command);
    running.feed(&ITEMS.map(|item| format!("{item}\0")).concat());
    running.end().assert_prints("sh: same\nsh: same\nbash: same\nbash: same\n");
    assert!(!sandbox.path("hacked").exists());
    sandbox.assert_nothing_left();
}

#[test]
fn a_dry_run_names_an_item_that_no_line_of_a_shell_can_hold() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--json", r#""a\u0000b""#, "\"c\""]).assert_prints("");
    let outcome = dry_run(&sandbox, &["--", "echo", "{}"]);
    assert_same("echo c\n", &outcome.text());
    assert_same(
        "qdemo: item 1 is not shown: no line of a shell can hold the NUL in it\n",
        &outcome.stderr,
    );
    assert_eq!(outcome.code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn a_dry_run_needs_a_command_that_could_run() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let sayings = ["write the command behind --"];
    dry_run(&sandbox, &[]).assert_refused(2, &sayings);
    dry_run(&sandbox, &["--"]).assert_refused(2, &sayings);
    dry_run(&sandbox, &["--", "no-such-command"]).assert_refused(127, &["no-such-command"]);
    let tty = ["--tty", "-j", "2", "--", "cat"];
    dry_run(&sandbox, &tty).assert_refused(2, &["--tty is for one command at a time"]);
    dry_run(&sandbox, &["--tty", "--", "cat"]).assert_prints("printf '%s\\n' x | cat\n");
    sandbox.assert_nothing_left();
}
