//! The output and the exit code of each command.

use std::fs;

use rustix::process::Signal;

use super::{Transcript, blank, compare, visible_nul, without_times};
use crate::harness::Sandbox;

/// Random delays, several workers, and a queue that is full at times.
const BUSY: &str = "--items 8 --producers 2 --consumers 3 --capacity 2 --producer-delay exp:400ms \
                    --consumer-delay uniform:500ms..1.5s --seed 7 --speed max";

#[test]
fn run() {
    let mut one = Transcript::new();
    one.run("run --speed max");
    one.run("run --speed max --lang en --items 3");
    one.script("QDEMO_LANG=en qdemo run --speed max --items 1 --item-name job");
    one.run("run --speed max --items 3 --format json");
    one.run("run --speed max --items 2 --quiet");
    one.run("run --speed max --items 0");
    one.run("run --speed max --items 4 --capacity 1 --producer-delay 10ms --lang en");
    one.run(&format!("run {BUSY} --lang en"));
    one.run(&format!("run {BUSY} --format json"));
    one.run("run --speed max --items 6 --seed 1 --consumer-delay exp:2s --format json --lang en");
    one.compare("run.txt");
}

#[test]
fn statistics_of_a_run() {
    let mut one = Transcript::new();
    one.run(&format!("run {BUSY} --quiet --stats-file stats.json"));
    one.file("stats.json");
    one.run(&format!(
        "run {BUSY} --quiet --warmup 2 --stats text --stats-file stats.txt --lang en"
    ));
    one.file("stats.txt");
    one.run("run --speed max --quiet --items 200 --producer-delay exp:1s --consumer-delay exp:800ms --seed 1 --stats-file theory.json");
    one.file("theory.json");
    // Standard error would get the same object.
    let args = format!("run {BUSY} --quiet --stats json");
    let told = one.sandbox.run(&args.split(' ').collect::<Vec<_>>()).stderr;
    assert_eq!(
        told.trim_end(),
        fs::read_to_string(one.sandbox.path("stats.json")).unwrap().trim_end()
    );
    one.compare("statistics.txt");
}

/// Workers that die and are respawned, and ready items that are dropped.
const DEATHS: &str = r#"{"t":0.0,"event":"put","role":"producer","worker":1,"id":1,"item":"a","attempt":1,"waited":0.0}
{"t":0.5,"event":"get","role":"consumer","worker":1,"id":1,"item":"a","attempt":1,"waited":0.5}
{"t":1.0,"event":"died","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":null}
{"t":1.0,"event":"back","role":"consumer","worker":1,"id":1,"item":"a","attempt":2,"waited":null}
{"t":1.0,"event":"restart","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":null}
{"t":1.5,"event":"get","role":"consumer","worker":1,"id":1,"item":"a","attempt":2,"waited":0.5}
{"t":1.75,"event":"put","role":"producer","worker":1,"id":2,"item":"b","attempt":1,"waited":0.0}
{"t":2.0,"event":"clear","role":null,"worker":null,"id":null,"item":null,"attempt":null,"waited":null}
{"t":2.5,"event":"done","role":"consumer","worker":1,"id":1,"item":"a","attempt":2,"waited":null}
{"t":3.0,"event":"died","role":"producer","worker":1,"id":null,"item":null,"attempt":null,"waited":1.25}
{"t":3.0,"event":"left","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":0.5}
{"t":3.0,"event":"end","role":null,"worker":null,"id":null,"item":null,"attempt":null,"waited":null}
"#;

#[test]
fn timeline() {
    let mut one = Transcript::new();
    one.run(&format!("run {BUSY} --quiet --lang en --timeline run.svg"));
    compare("timeline/run.svg", &fs::read_to_string(one.sandbox.path("run.svg")).unwrap());
    one.run(&format!("run {BUSY} --quiet --lang ja --timeline run.html"));
    compare("timeline/run.html", &fs::read_to_string(one.sandbox.path("run.html")).unwrap());
    let recording = one.sandbox.run(&["run", "--items", "3", "--speed", "max", "--format", "json"]);
    fs::write(one.sandbox.path("run.jsonl"), &recording.stdout).unwrap();
    let drawn = one.sandbox.run(&["timeline", "run.jsonl"]);
    compare("timeline/from-a-recording.svg", &drawn.text());
    fs::write(one.sandbox.path("deaths.jsonl"), DEATHS).unwrap();
    let drawn = one.sandbox.run(&["timeline", "deaths.jsonl", "--lang", "en"]);
    compare("timeline/deaths.svg", &drawn.text());
    one.run("timeline run.jsonl --lang en -o again.svg");
    compare("timeline/again.svg", &fs::read_to_string(one.sandbox.path("again.svg")).unwrap());
    one.script("qdemo timeline - --lang ja < run.jsonl | cmp - again.svg > /dev/null; echo $?");
    one.script("qdemo timeline - --lang en < run.jsonl | cmp - again.svg");
    one.run("timeline missing.jsonl");
    one.run_with_input("timeline -", "no event\n");
    one.compare("timeline.txt");
}

#[test]
fn producer() {
    let mut one = Transcript::with_times();
    one.run("producer first second");
    one.run("consumer");
    one.run("producer --items 2 --lang en");
    one.run("consumer --lang en");
    one.run("producer --items 2 --item-name job --format json");
    one.run("consumer --format raw");
    one.run_with_input("producer --keep-open --lang en -", "a line\n\nlast");
    one.run_with_input("producer --keep-open --quiet -0 -", "two\nlines\0last\0");
    one.run("producer --keep-open --lang en --format json --json {\"a\":[1,2]} null \"text\" 1e2");
    one.run("peek --count 99");
    one.run("producer --keep-open --json {");
    one.run("producer --keep-open --max-item-size 3 abcd");
    one.run(
        "producer -q sync --sync --capacity 3 --keep-open --quiet --delay 1ms --seed 1 -- - -x",
    );
    one.run("status -q sync --format json");
    one.run("producer -q sync --capacity 4 x");
    one.run("close -q sync");
    one.run("producer -q sync x");
    one.run("producer --items 2 x");
    one.script("QDEMO_QUEUE=other qdemo producer --lang en x");
    one.run("consumer -q other --lang en");
    one.compare("producer.txt");
}

#[test]
fn consumer() {
    let mut one = Transcript::with_times();
    one.run("put a b c d e f g h i j");
    one.run("consumer --max 1");
    one.run("consumer --max 1 --lang en");
    one.run("consumer --max 1 --format json");
    one.run("consumer --max 2 --format raw");
    one.run("consumer --max 2 --format raw -0");
    one.run("consumer --max 1 --quiet");
    one.run("consumer --max 1 --fast --lang en --delay 1ms --seed 1");
    one.run("consumer --max 0");
    one.run("consumer --no-wait --format raw");
    one.run("consumer --timeout 1ms --lang en");
    one.run("put z");
    one.run("close");
    one.run("consumer --follow --max 1 --lang en");
    one.run("consumer");
    one.run("consumer -q bad/name");
    one.compare("consumer.txt");
}

#[test]
fn consumer_with_a_command() {
    let mut one = Transcript::with_times();
    let json = "--format json --max 1 --quiet";
    one.run_with_input("put -", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n");
    one.run("consumer --max 1 -- echo item {}");
    one.run("consumer --max 1 -- cat");
    one.run("consumer --max 1 -- printenv QDEMO_ITEM QDEMO_ID QDEMO_ATTEMPT QDEMO_QUEUE");
    one.run("consumer --max 2 -j 1 -- false");
    one.run(&format!("consumer {json} -- echo item {{}}"));
    one.script(&format!("qdemo consumer {json} -- sh -c 'echo out; echo err >&2; exit 3' sh {{}}"));
    one.run(&format!("consumer {json} --retries 1 --backoff 1ms -- false"));
    one.script(&format!("qdemo consumer {json} -- sh -c 'kill -9 $$'"));
    one.run(&format!("consumer {json} --timeout-each 200ms -- sleep 60"));
    one.run("consumer --max 1 --format json -- /nowhere/program");
    one.run("consumer --max 1 -- /dev/null");
    one.run("consumer --halt --lang en --format json -- false");
    one.run("failed");
    one.run("failed --format json");
    one.run("status --format json");
    one.compare("consumer-command.txt");
}

#[test]
fn put_get_peek() {
    let mut one = Transcript::new();
    one.run("put first second");
    one.run_with_input("put -", "a line\n\nthe last one");
    one.run_with_input("put -0 -", "two\nlines\0last\0");
    one.run("put --json {\"a\":[1,2]} null \"text\" 1e2");
    one.run("put -- - -x {}");
    one.run("peek");
    one.run("peek --count 99");
    one.run("peek --count 99 -0");
    one.run("peek --count 99 --format json");
    one.run("get");
    one.run("get --count 2 --format json");
    one.run("get --count 2 -0");
    one.run("get --count 99 --no-wait");
    one.run("get --no-wait");
    one.run("get --quiet --timeout 1ms");
    one.run("peek");
    one.run("peek --format json");
    one.run("put -q small --capacity 2 --no-wait a b c");
    one.run("put -q small --timeout 1ms c");
    one.run("put -q small --capacity 3 c");
    one.run("put -q small --json {");
    one.run("put -q small --max-item-size 3 abcd");
    one.run("put -q small");
    one.run("close -q small");
    one.run("put -q small c");
    one.run("get -q small --count 5 --format json");
    one.run("get -q small");
    one.run("get -q small --quiet");
    one.run("peek -q nothing");
    one.script("QDEMO_QUEUE=other qdemo put x; qdemo get -q other");
    one.compare("put-get-peek.txt");
}

#[test]
fn join_close_remove() {
    let mut one = Transcript::new();
    one.run("join");
    one.run("put a b");
    one.run("join --timeout 1ms");
    one.run("get");
    one.run("consumer --max 1 -- false");
    one.run("join");
    one.run("failed --drop");
    one.run("join");
    one.run("close");
    one.run("close");
    one.run("get");
    one.run("put c d e");
    one.run("close --now");
    one.run("close --now");
    one.run("rm -q nothing");
    one.run("rm -q nothing --force");
    one.run("put -q full a");
    one.run("rm -q full");
    one.run("rm -q full --force");
    one.run("put -q full a b");
    one.run("rm -q full --force");
    one.run("rm");
    one.run("status");
    one.compare("join-close-rm.txt");
}

#[test]
fn failed() {
    let mut one = Transcript::with_times();
    one.run("put a b c d");
    one.run("consumer --max 3 --retries 1 --backoff 1ms -- false");
    one.script("qdemo consumer --max 1 -- sh -c 'kill -15 $$'");
    one.run("failed");
    one.run("failed 2 4");
    one.run("failed --format json");
    one.run("failed 9");
    one.run("failed --drop 1");
    one.run("failed --drop 1");
    one.run("failed --retry 2 3");
    one.run("peek --count 9 --format json");
    one.run("failed --retry");
    one.run("failed --retry");
    one.run("failed --format json");
    one.run("failed --drop");
    one.run("failed");
    one.run("failed -q nothing");
    one.run("failed --drop --retry");
    one.compare("failed.txt");
}

/// The ages in seconds and the process ids differ between two runs.
fn without_ages(text: &str) -> String {
    let text = blank(text, "the oldest ", &['\n'], "AGE");
    let text = [" item for ", " items for "]
        .iter()
        .fold(text, |text, words| blank(&text, words, &['\n'], "AGE"));
    ["  producer ", "  consumer ", "  visitor "]
        .iter()
        .fold(without_times(&text), |text, role| blank(&text, role, &[':'], "PID"))
}

#[test]
fn status() {
    let mut one = Transcript { stable: without_ages, ..Transcript::new() };
    one.run("status");
    one.run("status --format json");
    one.run("status -q nothing");
    one.run("put --capacity 3 a b c");
    one.run("put -q jobs --sync x");
    one.run("close -q jobs");
    one.run("producer -q left --quiet y");
    one.run("status");
    one.run("status --format json");
    one.run("status -q jobs");
    one.run("status -q jobs --format json");
    let mut watch = one.sandbox.start(&["status", "-q", "jobs", "--format", "json", "--watch"]);
    one.text += &format!("(--watch) {}\n", without_ages(&watch.line()));
    watch.signal(Signal::TERM);
    watch.end();
    one.run("get -q jobs");
    one.run("get -q jobs");
    one.run("status -q jobs --format json");
    one.run("status -q jobs");
    one.compare("status.txt");
}

#[test]
fn status_of_a_queue_in_use() {
    let mut one = Transcript { stable: without_ages, ..Transcript::new() };
    let mut producer = one.sandbox.start(&["producer", "--capacity", "1", "--lang", "en", "-"]);
    producer.feed("a\n");
    assert_eq!(producer.line(), "producer: added a");
    let mut consumer = one.sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    assert_eq!(consumer.line(), "a");
    producer.feed("b\nc\n");
    assert_eq!(producer.line(), "producer: added b");
    one.sandbox.wait_for_status(|status| status["producers"][0]["waits_for"] == "room");
    one.run("status");
    one.run("status --format json");
    consumer.signal(Signal::TERM);
    consumer.end();
    one.run("status -q default --format json");
    one.run("get --count 3 --format json");
    assert_eq!(producer.line(), "producer: added c");
    producer.end();
    one.run("get");
    let waits = one.sandbox.start(&["consumer"]);
    one.sandbox.wait_for_consumer();
    one.run("status");
    waits.signal(Signal::TERM);
    waits.end();
    one.compare("status-in-use.txt");
}

#[test]
fn exit_codes_of_what_prints_for_people() {
    let sandbox = Sandbox::new();
    let mut codes = String::new();
    for words in [
        "completions bash",
        "completions elvish",
        "completions fish",
        "completions powershell",
        "completions zsh",
        "completions nosh",
        "man",
        "man put",
        "man keeper",
        "man nothing",
        "",
        "--help",
        "--version",
        "help",
        "run --help",
        "nothing",
        "run --items",
        "run --items x",
        "run --speed 0",
        "run --lang xx",
        "run --stats json --stats-file /nowhere/file --items 1 --speed max --quiet",
        "run --timeline file.png",
        "put",
        "get --count 0",
        "get --no-wait --timeout 1s",
        "consumer --jobs 2",
        "consumer --max-attempts x",
        "failed x",
        "status --every 1s",
        "bench --size x",
        "keeper --queue /",
    ] {
        let args: Vec<_> = words.split_terminator(' ').collect();
        let outcome = sandbox.run(&args);
        let silent = if outcome.stdout.is_empty() { "" } else { ", and something printed" };
        codes += &format!("qdemo {words}: {}{silent}\n", outcome.code().unwrap());
    }
    compare("exit-codes.txt", &codes);
}

/// The measured values differ between two runs. The keys and their order stay.
fn keys(json: &str) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| format!("{key}\n"));
    json.lines().filter_map(key).collect()
}

#[test]
fn bench() {
    let sandbox = Sandbox::new();
    let args = ["bench", "--rounds", "1", "--size", "16", "--workers", "1x1", "--format", "json"];
    let outcome = sandbox.run(&args);
    assert_eq!(outcome.code(), Some(0));
    compare("bench-keys.txt", &visible_nul(&keys(&outcome.text())));
}
