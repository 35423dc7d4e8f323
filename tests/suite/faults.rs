//! A full disk, no more descriptors, a place that cannot be written to: whatever met it is told so in one
//! line, with the remedy; what was accepted stays, and it goes on when the cause is gone.

use std::process::{Command, Stdio};

use crate::harness::{Outcome, Running, Sandbox};

/// A place to have a queue in that can be made to fail, in a mount namespace of its own.
pub struct Mount {
    /// How `unshare` makes one.
    how: &'static str,
}

impl Mount {
    /// None where nothing can be mounted.
    pub fn new() -> Option<Self> {
        let mounts = |how: &&str| {
            let mut command = Command::new("unshare");
            command.args([how, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        ["-m", "-Urm"].into_iter().find(mounts).map(|how| Self { how })
    }

    /// Runs a script in which queues lie in a file system with these options.
    pub fn script(&self, sandbox: &Sandbox, options: &str, script: &str) -> Outcome {
        let mount =
            format!(r#"mount -t tmpfs -o mode=700,{options} tmpfs "$QDEMO_DIR" || exit 99"#);
        let mut command = sandbox.command("unshare");
        command.args([self.how, "bash", "-c", &format!("{mount}\n{script}")]);
        Running::start(command).end()
    }
}

/// Each line of what was said on standard error is one error, with all these words.
#[track_caller]
fn assert_each_line_says(outcome: &Outcome, lines: usize, words: &[&str]) {
    assert_eq!(outcome.stderr.lines().count(), lines, "{outcome:?}");
    for line in outcome.stderr.lines() {
        assert!(line.starts_with("qdemo: "), "{line}");
        assert!(words.iter().all(|word| line.contains(word)), "no {words:?} in: {line}");
    }
}

#[test]
fn on_a_full_disk_what_was_accepted_stays_and_with_room_it_goes_on() {
    // The rest of it is what becomes free.
    let script = r#"
        head -c 100000 /dev/zero > "$QDEMO_DIR/ballast"
        (LIMIT seq -f 'item %g' 100000 | qdemo put -); echo "code $?"
        rm "$QDEMO_DIR/ballast"
        qdemo put last || exit
        count=$(qdemo status -q default --format json | sed 's/.*"in_line":\([0-9]*\).*/\1/')
        qdemo get --count "$count" > got || exit
        (seq -f 'item %g' $((count - 1)); echo last) | cmp - got && echo "all of them are there"
        [ "$count" -gt 1000 ] || echo "but only $count"
    "#;
    let sandbox = Sandbox::new();
    let (outcome, remedy) = match Mount::new() {
        Some(mount) => {
            let script = script.replace("LIMIT", "");
            (mount.script(&sandbox, "size=256k", &script), "make room there")
        }
        // The next best thing: no file may have more than 256 KiB.
        None => (sandbox.script(&script.replace("LIMIT", "ulimit -f 256;")), "ulimit -f"),
    };
    assert_eq!(outcome.text(), "code 1\nall of them are there\n", "{outcome:?}");
    let words = ["cannot write the queue's journal", remedy, "is still there"];
    assert_each_line_says(&outcome, 1, &words);
    sandbox.assert_nothing_left();
}

/// Spoils a place in which two items are in line, tries what needs to make something there, and mends
/// the place.
fn spoil_and_mend(spoil: &str, mend: &str) -> String {
    format!(
        r#"
        qdemo put a b || exit
        while [ -e "$QDEMO_DIR/default/inbox" ]; do :; done # until its keeper has gone
        {spoil}
        for command in "put c" get peek "put -q new x"; do qdemo $command; echo "code $?"; done
        qdemo status | sed 's/, the oldest .*//'
        {mend}
        qdemo put c && qdemo get --count 3
        "#
    )
}

#[track_caller]
fn assert_spoilt_and_mended(outcome: &Outcome, words: &[&str]) {
    let codes = "code 1\n".repeat(4);
    let expected = format!("{codes}default: 2 in line, 0 out, 0 done, 0 failed\na\nb\nc\n");
    assert_eq!(outcome.text(), expected, "{outcome:?}");
    assert_each_line_says(outcome, 4, words);
}

/// A directory that its owner has closed is as good as one on a medium that is.
#[test]
fn a_directory_that_cannot_be_written_to_is_told_and_what_is_there_can_be_seen() {
    let sandbox = Sandbox::unprivileged();
    let script = spoil_and_mend(
        r#"chmod 500 "$QDEMO_DIR" "$QDEMO_DIR/default""#,
        r#"chmod 700 "$QDEMO_DIR" "$QDEMO_DIR/default""#,
    );
    let outcome = sandbox.script(&script);
    assert_spoilt_and_mended(
        &outcome,
        &["Permission denied", "give yourself the right", "/queues/"],
    );
    sandbox.assert_nothing_left();
}

#[test]
fn a_file_system_that_is_read_only_is_told_and_what_is_there_can_be_seen() {
    let Some(mount) = Mount::new() else {
        return a_directory_that_cannot_be_written_to_is_told_and_what_is_there_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = spoil_and_mend(
        r#"mount -o remount,ro "$QDEMO_DIR" || exit"#,
        r#"mount -o remount,rw "$QDEMO_DIR""#,
    );
    let outcome = mount.script(&sandbox, "size=1m", &script);
    assert_spoilt_and_mended(&outcome, &["Read-only file system", "QDEMO_DIR", "/queues/"]);
    sandbox.assert_nothing_left();
}

const TAKE_ALL_FILES: &str = r#"
    n=0
    while : > "$QDEMO_DIR/taken.$n"; do n=$((n + 1)); done 2> /dev/null
"#;
const GIVE_THEM_BACK: &str = r#"rm "$QDEMO_DIR"/taken.*"#;

#[test]
fn where_no_file_can_be_made_that_is_told_and_with_room_it_goes_on() {
    let Some(mount) = Mount::new() else {
        return a_directory_that_cannot_be_written_to_is_told_and_what_is_there_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = spoil_and_mend(TAKE_ALL_FILES, GIVE_THEM_BACK);
    let outcome = mount.script(&sandbox, "nr_inodes=20", &script);
    assert_spoilt_and_mended(&outcome, &["No space left", "make room there", "/queues/"]);
    sandbox.assert_nothing_left();
}

#[test]
fn wherever_the_last_file_is_lacking_that_is_told() {
    let Some(mount) = Mount::new() else {
        return a_directory_that_cannot_be_written_to_is_told_and_what_is_there_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let mut codes = Vec::new();
    // A queue takes up to seven: the folder, its own, the journal, the inbox, a mailbox, ...
    for files in 2..=8 {
        let options = format!("nr_inodes={files}");
        let outcome = mount.script(&sandbox, &options, "qdemo put x");
        match outcome.code() {
            Some(0) => outcome.assert_prints(""),
            _ => outcome.assert_refused(1, &["No space left", "make room there"]),
        }
        codes.push(outcome.code().unwrap());
        sandbox.assert_nothing_left();
    }
    assert!(codes.is_sorted_by(|fewer, more| fewer >= more), "{codes:?}");
    assert!(codes[2] == 1 && codes[6] == 0, "{codes:?}");
}

#[test]
fn a_client_for_whose_mailbox_there_is_no_room_is_told_and_the_others_go_on() {
    let Some(mount) = Mount::new() else {
        return a_directory_that_cannot_be_written_to_is_told_and_what_is_there_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = format!(
        r#"
        qdemo put first || exit
        qdemo consumer --format raw > got &
        until grep -qs first got; do :; done
        {TAKE_ALL_FILES}
        qdemo put second; echo "code $?"
        {GIVE_THEM_BACK}
        qdemo put third && qdemo close
        wait; echo "consumer $?"
        cat got
        "#
    );
    let outcome = mount.script(&sandbox, "nr_inodes=20", &script);
    assert_eq!(outcome.text(), "code 1\nconsumer 0\nfirst\nthird\n", "{outcome:?}");
    assert_each_line_says(&outcome, 1, &["cannot make a mailbox", "No space left", "make room"]);
    sandbox.assert_nothing_left();
}

/// The keeper that a client starts may open no more than that has left to it.
#[test]
fn without_descriptors_whatever_lacks_them_is_told_and_what_was_accepted_is_there() {
    let sandbox = Sandbox::new();
    let script = r#"
        for files in $(seq 5 24); do
            (ulimit -n $files; exec qdemo put "$files") && echo "$files" >> accepted
            (ulimit -n $files; exec qdemo get -q other --no-wait); [ $? -eq 0 ] && echo "an item?"
        done
        qdemo get --count "$(wc -l < accepted)" | cmp - accepted && echo "all of them are there"
        # The same with a keeper that has enough.
        qdemo consumer --quiet --delay 1h &
        qdemo put first
        for files in $(seq 5 24); do
            (ulimit -n $files; exec qdemo put "$files") && echo "$files" >> more
        done
        kill %1; wait
        (echo first; cat more) > accepted
        qdemo get --count "$(wc -l < accepted)" | cmp - accepted && echo "and here too"
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.text(), "all of them are there\nand here too\n", "{outcome:?}");
    for line in outcome.stderr.lines().filter(|line| !line.ends_with("is empty")) {
        assert!(line.starts_with("qdemo: ") && line.contains("Too many open files"), "{line}");
        // When it is the keeper that cannot be started, that is said otherwise.
        let remedy = line.contains("ulimit -n") || line.contains("cannot start a keeper");
        assert!(remedy, "{line}");
    }
    assert!(outcome.stderr.lines().count() > 20, "{outcome:?}");
    sandbox.assert_nothing_left();
}

/// A queue fills its disk, to the last byte; what makes room must work without room.
#[test]
fn on_a_disk_that_the_queue_has_filled_what_takes_items_away_works() {
    let Some(mount) = Mount::new() else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    let fill = r#"
        seq -f 'item %g' 1000000 | qdemo put - 2> /dev/null; echo "put $?"
        cat /dev/zero > "$QDEMO_DIR/ballast" 2> /dev/null
        qdemo put one-more 2> /dev/null; echo "put $?"
        [ "$(stat -f -c %a "$QDEMO_DIR")" = 0 ] || echo "there is room"
    "#;
    for (take, expected) in [
        ("for n in $(seq 40); do qdemo get > /dev/null || exit; done; qdemo get", "item 41\n"),
        ("qdemo consumer --max 100 --format raw | tail -1", "item 100\n"),
        ("qdemo consumer --max 3 -- false 2> /dev/null; qdemo failed --drop", "dropped 3 items\n"),
        ("qdemo close --now | sed 's/[0-9]* items/items/'", "dropped items\n"),
        ("qdemo rm --force | sed 's/[0-9]* items/items/'; qdemo status", "removed items\n"),
        // Whoever takes everything away has room again.
        (
            "qdemo close --now > /dev/null; qdemo get 2> /dev/null
             rm \"$QDEMO_DIR/ballast\"; qdemo put new; qdemo get",
            "new\n",
        ),
    ] {
        let sandbox = Sandbox::new();
        let outcome = mount.script(&sandbox, "size=1m", &format!("{fill}\n{take}"));
        assert_eq!(outcome.text(), format!("put 1\nput 1\n{expected}"), "{take}: {outcome:?}");
        assert_eq!(outcome.stderr, "", "{take}");
        sandbox.assert_nothing_left();
    }
}
