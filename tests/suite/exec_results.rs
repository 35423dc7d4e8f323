//! `--results`: a folder with the output and the record of each command.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::faults::Mount;
use crate::harness::Sandbox;

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn put(sandbox: &Sandbox, items: &[&str]) {
    sandbox.run(&[&["put"][..], items].concat()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
}

both!(each_item_has_a_folder_with_its_output_and_its_record, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = "printf 'out %s' {}; printf 'err\\n' >&2; [ $QDEMO_ATTEMPT != 1 ]";
    for (round, more) in [(0, &[][..]), (1, &["--live"]), (2, &["--tag", "--keep-order"])] {
        put(&sandbox, &["a", "b"]);
        let options = ["consumer", "--results", "new/results", "--retries", "1"];
        let options = [&options[..], more, &["--backoff", "1ms", "--", "sh", "-c", script]];
        assert_eq!(sandbox.run(&options.concat()).code(), Some(0));
        let results = sandbox.path("new/results");
        for (id, item) in [(1, "a"), (2, "b")] {
            // A queue on a server and one of this machine count on in the next round.
            let id = id + 2 * round;
            let dir = results.join(id.to_string());
            assert_eq!(names(&dir), ["record.json", "stderr", "stdout"]);
            let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
            assert_eq!((read("stdout"), read("stderr")), (format!("out {item}"), "err\n".into()));
            let record: Value = serde_json::from_str(&read("record.json")).unwrap();
            assert_eq!((&record["id"], &record["item"]), (&id.into(), &item.into()));
            // The result of the first try has given way.
            assert_eq!((&record["attempt"], &record["exit"]), (&2.into(), &0.into()));
            assert!(record.get("stdout").is_none(), "{record}");
        }
        assert_eq!(names(&results).len(), 3 + 2 * round, "{:?}", names(&results));
    }
    sandbox.assert_nothing_left();
});

#[test]
fn consumers_of_the_same_queue_share_a_folder_and_a_new_result_replaces_an_old_one() {
    let sandbox = Sandbox::new();
    let script = r#"
        seq 40 | qdemo put - && qdemo close
        for n in 1 2 3; do qdemo consumer --results r -- echo {} > /dev/null & done; wait
        cat $(seq -f r/%g/stdout 40) | diff - <(seq 40) && ls -A r | wc -l
        qdemo rm -q default --force > /dev/null
        qdemo put again && qdemo consumer --results r --max 1 -- echo {} && cat r/1/stdout
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.text(), "41\nagain\nagain\n", "{outcome:?}");
    sandbox.assert_nothing_left();
}

#[test]
fn a_folder_with_other_content_or_that_cannot_be_written_is_refused() {
    let sandbox = Sandbox::unprivileged();
    let script = "
        mkdir other locked && touch other/file file && chmod 500 locked
        qdemo put -q first 1 && qdemo consumer -q first --max 1 --results of-first -- true
        qdemo put x";
    sandbox.script(script).assert_prints("");
    for (dir, words) in [
        ("other", &["other has other content", "empty or a new folder"][..]),
        ("of-first", &["of-first has the results of another queue (first)"]),
        ("file", &["cannot use file for --results", "choose another folder"]),
        ("file/below", &["cannot use file/below for --results", "Not a directory"]),
        ("locked", &["cannot use locked for --results", "Permission denied"]),
        ("locked/below", &["cannot use locked/below for --results", "Permission denied"]),
        ("", &["--results"]),
    ] {
        sandbox.run(&["consumer", "--results", dir, "--", "echo", "x"]).assert_refused(2, words);
    }
    assert_eq!(names(&sandbox.path("other")), ["file"]);
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_full_disk_for_results_is_told_and_the_item_goes_back() {
    let script = r#"
        qdemo put x
        LIMIT qdemo consumer --results "$QDEMO_DIR/../RESULTS" --max 1 -- head -c 3000000 /dev/zero > /dev/null
        echo $?; ls -A "$QDEMO_DIR/../RESULTS"; qdemo get
    "#;
    let sandbox = Sandbox::new();
    let outcome = match Mount::new() {
        Some(mount) => {
            let script =
                script.replace("LIMIT", "").replace("$QDEMO_DIR/../RESULTS", "$QDEMO_DIR/r");
            mount.script(&sandbox, "size=2m", &script)
        }
        // Without a mount, a limit of 1 MiB for each file stands in for the full disk.
        None => {
            let script = script.replace("LIMIT", "ulimit -f 1024;").replace("RESULTS", "r");
            sandbox.script(&script)
        }
    };
    assert_eq!(outcome.text(), "1\n.qdemo-queue\nx\n", "{outcome:?}");
    outcome.assert_one_line_of_error(&["cannot save the result of item 1 in", "make room there"]);
    sandbox.assert_nothing_left();
}

#[test]
fn what_a_killed_consumer_has_left_of_a_result_is_removed_by_the_next_one() {
    let sandbox = Sandbox::new();
    let script = r#"
        qdemo put a b
        (qdemo consumer --results r -- sh -c 'kill -9 $PPID; sleep 1000'; :) 2> /dev/null
        ls -A r | sed 's/new\..*/new/'
        left=$(echo r/.qdemo-new.*) && mkdir $left/7 && touch $left/7/stdout
        qdemo consumer --results r --max 2 -- true
        ls -A r
    "#;
    sandbox.script(script).assert_prints(".qdemo-new\n.qdemo-queue\n.qdemo-queue\n1\n2\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_consumer_that_has_lost_its_lease_leaves_the_result_of_another_in_place() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let held = "qdemo put -q started x; qdemo get -q go";
    let args = ["consumer", "--max", "1", "--lease", "300ms", "--results", "r", "--"];
    let late = sandbox.start(&[&args[..], &["sh", "-c", held]].concat());
    sandbox.run(&["get", "-q", "started"]).assert_prints("x\n");
    late.signal(Signal::STOP);
    sandbox.run(&[&args[..], &["echo", "good"]].concat()).assert_prints("good\n");
    late.signal(Signal::CONT);
    late.wait_until_told("came too late");
    sandbox.run(&["put", "-q", "go", "late"]).assert_prints("");
    assert_eq!(late.end().text(), "late\n");
    assert_eq!(fs::read_to_string(sandbox.path("r/1/stdout")).unwrap(), "good\n");
    sandbox.assert_nothing_left();
}
