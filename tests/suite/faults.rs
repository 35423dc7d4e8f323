//! A full disk, a lack of descriptors, an unwritable folder. A command that meets such a fault fails with
//! one line that names a remedy. Accepted items stay, and the queue works again when the fault is gone.
//!
//! Local: the faults are those of a file system and of a keeper.

use std::process::{Command, Stdio};

use crate::harness::{Outcome, Running, Sandbox};

/// A file system for queues in a mount namespace of its own. A test can make the file system fail.
pub struct Mount {
    /// The option of `unshare` that makes the namespace.
    option: &'static str,
}

impl Mount {
    /// None if this process may not mount a file system.
    pub fn new() -> Option<Self> {
        let mounts = |option: &&str| {
            let mut command = Command::new("unshare");
            command.args([option, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        ["-m", "-Urm"].into_iter().find(mounts).map(|option| Self { option })
    }

    /// Runs a script whose queues are in a file system with these mount options.
    pub fn script(&self, sandbox: &Sandbox, options: &str, script: &str) -> Outcome {
        let mount =
            format!(r#"mount -t tmpfs -o mode=700,{options} tmpfs "$QDEMO_DIR" || exit 99"#);
        let mut command = sandbox.command("unshare");
        command.args([self.option, "bash", "-c", &format!("{mount}\n{script}")]);
        Running::start(command).end()
    }
}

/// Asserts that standard error is `lines` errors of one line, and that each error has all `words`.
#[track_caller]
fn assert_errors(outcome: &Outcome, lines: usize, words: &[&str]) {
    assert_eq!(outcome.stderr.lines().count(), lines, "{outcome:?}");
    for line in outcome.stderr.lines() {
        assert!(line.starts_with("qdemo: "), "{line}");
        assert!(words.iter().all(|word| line.contains(word)), "no {words:?} in: {line}");
    }
}

#[test]
fn accepted_items_survive_a_full_disk_and_puts_work_again_with_room() {
    // The ballast keeps some room that the script later frees.
    let script = r#"
        head -c 100000 /dev/zero > "$QDEMO_DIR/ballast"
        (LIMIT seq -f 'item %g' 100000 | qdemo put -); echo "code $?"
        rm "$QDEMO_DIR/ballast"
        qdemo put last || exit
        count=$(qdemo status -q default --format json | sed 's/.*"ready":\([0-9]*\).*/\1/')
        qdemo get --count "$count" > got || exit
        (seq -f 'item %g' $((count - 1)); echo last) | cmp - got && echo "every item is there"
        [ "$count" -gt 1000 ] || echo "only $count items"
    "#;
    let sandbox = Sandbox::new();
    let (outcome, remedy) = match Mount::new() {
        Some(mount) => {
            let script = script.replace("LIMIT", "");
            (mount.script(&sandbox, "size=1m", &script), "make room there")
        }
        // Without a mount, a limit of 1 MiB for each file stands in for the full disk.
        None => (sandbox.script(&script.replace("LIMIT", "ulimit -f 1024;")), "ulimit -f"),
    };
    assert_eq!(outcome.text(), "code 1\nevery item is there\n", "{outcome:?}");
    let words = ["cannot write the queue's journal", remedy, "is still there"];
    assert_errors(&outcome, 1, &words);
    sandbox.assert_nothing_left();
}

/// Puts two items, spoils the folder, runs commands that create a file there, and mends the folder.
fn spoil_and_mend(spoil: &str, mend: &str) -> String {
    format!(
        r#"
        qdemo put a b || exit
        while [ -e "$QDEMO_DIR/default/inbox" ]; do :; done # until the keeper has ended
        {spoil}
        for command in "put c" get peek "put -q new x"; do qdemo $command; echo "code $?"; done
        qdemo status | sed 's/, the oldest .*//'
        {mend}
        qdemo put c && qdemo get --count 3
        "#
    )
}

#[track_caller]
fn assert_spoiled_and_mended(outcome: &Outcome, words: &[&str]) {
    let codes = "code 1\n".repeat(4);
    let expected = format!("{codes}default: 2 ready, 0 in flight, 0 done, 0 failed\na\nb\nc\n");
    assert_eq!(outcome.text(), expected, "{outcome:?}");
    assert_errors(outcome, 4, words);
}

/// A directory without write permission stands in for a read-only medium.
#[test]
fn an_unwritable_directory_is_reported_and_its_queue_can_be_seen() {
    let sandbox = Sandbox::unprivileged();
    let script = spoil_and_mend(
        r#"chmod 500 "$QDEMO_DIR" "$QDEMO_DIR/default""#,
        r#"chmod 700 "$QDEMO_DIR" "$QDEMO_DIR/default""#,
    );
    let outcome = sandbox.script(&script);
    assert_spoiled_and_mended(
        &outcome,
        &["Permission denied", "give yourself the right", "/queues/"],
    );
    sandbox.assert_nothing_left();
}

#[test]
fn a_read_only_file_system_is_reported_and_its_queue_can_be_seen() {
    let Some(mount) = Mount::new() else {
        return an_unwritable_directory_is_reported_and_its_queue_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = spoil_and_mend(
        r#"mount -o remount,bind,ro "$QDEMO_DIR" || exit"#,
        r#"mount -o remount,bind,rw "$QDEMO_DIR""#,
    );
    let outcome = mount.script(&sandbox, "size=1m", &script);
    assert_spoiled_and_mended(&outcome, &["Read-only file system", "QDEMO_DIR", "/queues/"]);
    sandbox.assert_nothing_left();
}

const TAKE_ALL_FILES: &str = r#"
    n=0
    while : > "$QDEMO_DIR/taken.$n"; do n=$((n + 1)); done 2> /dev/null
"#;
const FREE_ALL_FILES: &str = r#"rm "$QDEMO_DIR"/taken.*"#;

#[test]
fn a_lack_of_inodes_is_reported_and_puts_work_again_with_room() {
    let Some(mount) = Mount::new() else {
        return an_unwritable_directory_is_reported_and_its_queue_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = spoil_and_mend(TAKE_ALL_FILES, FREE_ALL_FILES);
    let outcome = mount.script(&sandbox, "nr_inodes=20", &script);
    assert_spoiled_and_mended(&outcome, &["No space left", "make room there", "/queues/"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_lack_of_an_inode_for_any_file_of_a_queue_is_reported() {
    let Some(mount) = Mount::new() else {
        return an_unwritable_directory_is_reported_and_its_queue_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let mut codes = Vec::new();
    // A queue needs up to seven inodes: the folder, the directory of the queue, the journal, the inbox, a
    // mailbox, ...
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
fn a_client_without_room_for_its_pipes_fails_and_the_others_go_on() {
    let Some(mount) = Mount::new() else {
        return an_unwritable_directory_is_reported_and_its_queue_can_be_seen();
    };
    let sandbox = Sandbox::new();
    let script = format!(
        r#"
        qdemo put first || exit
        qdemo consumer --format raw > got &
        until grep -qs first got; do :; done
        {TAKE_ALL_FILES}
        qdemo put second; echo "code $?"
        {FREE_ALL_FILES}
        qdemo put third && qdemo close
        wait; echo "consumer $?"
        cat got
        "#
    );
    let outcome = mount.script(&sandbox, "nr_inodes=20", &script);
    assert_eq!(outcome.text(), "code 1\nconsumer 0\nfirst\nthird\n", "{outcome:?}");
    assert_errors(&outcome, 1, &["cannot make the client's pipes", "No space left", "make room"]);
    sandbox.assert_nothing_left();
}

/// A keeper inherits the descriptor limit of the client that starts the keeper.
#[test]
fn accepted_items_survive_a_lack_of_descriptors() {
    let sandbox = Sandbox::new();
    let script = r#"
        for files in $(seq 5 24); do
            (ulimit -n $files; exec qdemo put "$files") && echo "$files" >> accepted
            (ulimit -n $files; exec qdemo get -q other --no-wait); [ $? -eq 0 ] && echo "an item?"
        done
        qdemo get --count "$(wc -l < accepted)" | cmp - accepted && echo "every item is there"
        # The same with a keeper that has enough descriptors.
        qdemo consumer --quiet --delay 1h &
        qdemo put first
        for files in $(seq 5 24); do
            (ulimit -n $files; exec qdemo put "$files") && echo "$files" >> more
        done
        kill %1; wait
        (echo first; cat more) > accepted
        qdemo get --count "$(wc -l < accepted)" | cmp - accepted && echo "every item is there too"
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.text(), "every item is there\nevery item is there too\n", "{outcome:?}");
    for line in outcome.stderr.lines().filter(|line| !line.ends_with("is empty")) {
        assert!(line.starts_with("qdemo: ") && line.contains("Too many open files"), "{line}");
        // The error has other words if the keeper cannot start.
        let remedy = line.contains("ulimit -n") || line.contains("cannot start a keeper");
        assert!(remedy, "{line}");
    }
    assert!(outcome.stderr.lines().count() > 20, "{outcome:?}");
    sandbox.assert_nothing_left();
}

/// The queue fills its disk to the last byte. Commands that make room must work without room.
#[test]
fn on_a_disk_that_the_queue_has_filled_commands_that_remove_items_work() {
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
        // A command that removes all items makes room.
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
