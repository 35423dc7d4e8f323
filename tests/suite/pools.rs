//! Pools and loops in which each get is a separate process. Every get learns of the end of the queue.

use crate::harness::{Running, Sandbox};

/// Asserts that `taken` of the lines are exit code 0 and `ended` are exit code 4, the end of the queue.
pub fn assert_codes(lines: &[String], taken: usize, ended: usize) {
    let count = |code: &str| lines.iter().filter(|line| *line == code).count();
    assert_eq!((count("0"), count("4")), (taken, ended), "{lines:?}");
    assert_eq!(lines.len(), taken + ended, "{lines:?}");
}

both!(each_get_of_a_pool_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    for jobs in ["1", "3", "6"] {
        let script = format!(
            r#"
            qdemo put -q y 0.01 0.02 0.03
            qdemo close -q y
            seq 6 | xargs -P{jobs} -n1 sh -c 't=$(qdemo get --quiet -q y); echo $?; sleep ${{t:-0}}'
            "#
        );
        let outcome = sandbox.script(&script);
        assert_eq!(outcome.stderr, "");
        assert_codes(&outcome.lines(), 3, 3);
    }
    sandbox.assert_nothing_left();
});

both!(each_get_of_a_script_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = sandbox.script(
        "qdemo put a b; qdemo close
         for n in 1 2 3 4; do qdemo get --quiet > /dev/null; echo $?; done
         for n in 1 2; do (qdemo get --quiet > /dev/null; echo $?) & done; wait",
    );
    assert_codes(&outcome.lines(), 2, 4);
    sandbox.assert_nothing_left();
});

// The first process of a container or a service leads a session.
both!(each_get_of_a_script_that_leads_a_session_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = "qdemo put a b; qdemo close
        for n in 1 2 3 4; do timeout 30 qdemo get --quiet > /dev/null; echo $?; done";
    let mut command = sandbox.command("setsid");
    command.args(["--wait", "bash", "-c", script]);
    let outcome = Running::start(command).end();
    assert_codes(&outcome.lines(), 2, 2);
    sandbox.assert_nothing_left();
});

both!(each_thread_of_a_program_that_calls_get_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    let program = "
import subprocess, threading

def work():
    while True:
        get = subprocess.run(['qdemo', 'get', '--quiet'], stdout=subprocess.DEVNULL)
        print(get.returncode, flush=True)
        if get.returncode:
            return

subprocess.run('qdemo put 1 2 3 4 5; qdemo close', shell=True, check=True)
for threads in 3, 2:
    workers = [threading.Thread(target=work) for _ in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
";
    let mut command = sandbox.command("python3");
    command.args(["-c", program]);
    let outcome = Running::start(command).end();
    assert_codes(&outcome.lines(), 5, 5);
    sandbox.assert_nothing_left();
});

both!(each_recipe_of_a_parallel_make_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    let makefile = "all: a b c d e\n\
                    a b c d e:\n\t@item=$$(qdemo get --quiet); echo $$?\n";
    std::fs::write(sandbox.path("Makefile"), makefile).unwrap();
    let outcome = sandbox.script("qdemo put 1 2; qdemo close; make -s -j2");
    assert_codes(&outcome.lines(), 2, 3);
    sandbox.assert_nothing_left();
});

both!(a_pool_gets_items_put_after_the_end_and_a_new_script_waits_for_them, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox
        .script("qdemo put a; qdemo close; qdemo get; qdemo get")
        .assert_one_line_of_error(&["has ended"]);
    // This shell works as at a prompt: the shell leads a session, and each job is a process group.
    let mut prompt = sandbox.command("setsid");
    prompt.args(["--wait", "bash", "-mc", "qdemo get; true"]);
    let late = Running::start(prompt);
    sandbox.wait_for_consumer();
    sandbox.run(&["put", "new"]).assert_prints("");
    // Without a terminal, this shell complains on standard error.
    assert_eq!(late.end().text(), "new\n");
    // This shell is older than the second end, and new items have come since that end.
    let outcome = sandbox.script(
        "qdemo close; qdemo get --quiet; echo $?
         qdemo put b c; seq 2 | xargs -P2 -n1 sh -c 'qdemo get --quiet > /dev/null; echo $?'",
    );
    assert_codes(&outcome.lines(), 2, 1);
    sandbox.assert_nothing_left();
});
