//! Dead workers of a run are replaced. No item is lost or put twice because a worker died.
//!
//! Local: a run has its queue on this machine.

use std::collections::{HashMap, HashSet};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{
    Outcome, Running, Sandbox, assert_same, children_of, signal_to, wait_for_end, wait_while,
};

/// The state of all items and workers, derived from the JSON events of a run.
#[derive(Default)]
struct Ledger {
    /// The latest event and attempt of each item.
    items: HashMap<String, (String, u64)>,
    /// The number of each producer's next item.
    next_item_of: HashMap<u64, u64>,
    /// Workers that are dead and not yet replaced.
    dead: HashSet<String>,
    died: usize,
    restarted: usize,
    last_time: f64,
}

impl Ledger {
    fn of<'a>(producers: u64, lines: impl IntoIterator<Item = &'a String>) -> Self {
        let mut ledger = Self::default();
        for line in lines {
            ledger.apply(producers, line);
        }
        ledger
    }

    /// Applies one event. Each item is put once, in the order of its producer. A consumer gets an item only when the item is
    /// ready, with an attempt that grows by one for each requeue. Each item is done once.
    fn apply(&mut self, producers: u64, line: &str) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event.as_object().unwrap().len(), 8, "the event has not 8 keys: {line}");
        let t = event["t"].as_f64().unwrap();
        assert!(t >= self.last_time, "the time goes backwards: {line}");
        self.last_time = t;
        let kind = event["event"].as_str().unwrap();
        let item = event["item"].as_str().unwrap_or_default();
        let before = self.items.get(item).map(|(kind, attempt)| (kind.as_str(), *attempt));
        let attempt = event["attempt"].as_u64().unwrap_or_default();
        let name = format!("{} {}", event["role"], event["worker"]);
        match kind {
            "died" => assert!(self.dead.insert(name), "{line}"),
            "restart" => assert!(self.dead.remove(&name), "{line}"),
            "back" => assert!(self.dead.contains(&name), "{line}"),
            _ => assert!(!self.dead.contains(&name), "a dead worker acts: {line}"),
        }
        match kind {
            "put" => {
                assert_eq!((before, attempt), (None, 1), "{line}");
                let worker = event["worker"].as_u64().unwrap();
                let next = self.next_item_of.entry(worker).or_insert(worker - 1);
                assert_eq!(item, format!("アイテム{next}"), "{line}");
                *next += producers;
            }
            "get" if attempt == 1 => assert_eq!(before, Some(("put", 1)), "{line}"),
            "get" => assert_eq!(before, Some(("back", attempt)), "{line}"),
            "done" => assert_eq!(before, Some(("get", attempt)), "{line}"),
            "back" => assert_eq!(before, Some(("get", attempt - 1)), "{line}"),
            "died" => self.died += 1,
            "restart" => self.restarted += 1,
            _ => assert!(kind == "left" || kind == "end", "{line}"),
        }
        if !item.is_empty() {
            self.items.insert(item.to_owned(), (kind.to_owned(), attempt));
        }
    }

    #[track_caller]
    fn assert_all_done(&self, items: usize) {
        assert_eq!(self.items.len(), items);
        let not_done: Vec<_> = self.items.iter().filter(|(_, latest)| latest.0 != "done").collect();
        assert!(not_done.is_empty(), "{not_done:?}");
    }
}

/// The process id of a worker such as `producer 1/2`. Waits while a dead worker has no successor yet.
fn pid_of(run: &Running, worker: &str) -> i32 {
    let (role, share) = worker.split_once(' ').unwrap();
    loop {
        let found = children_of(run.pid()).into_iter().find(|child| {
            child.args.starts_with(&format!("qdemo {role} "))
                && child.args.contains(&format!("--worker={share}"))
        });
        if let Some(child) = found {
            return child.pid;
        }
    }
}

fn kill(run: &Running, worker: &str) {
    signal_to(pid_of(run, worker), Signal::KILL);
}

/// Waits for the end of a run and checks all its events. `lines` are the lines that the caller has already read.
#[track_caller]
fn assert_all_done(run: Running, mut lines: Vec<String>, producers: u64, items: usize) -> Ledger {
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    lines.extend(outcome.lines());
    let ledger = Ledger::of(producers, &lines);
    ledger.assert_all_done(items);
    assert!(lines.last().unwrap().contains(r#""event":"end""#));
    ledger
}

#[test]
fn a_killed_consumer_is_replaced_and_its_item_is_done() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--items", "1", "--consumer-delay", "30s", "--speed", "20"];
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    assert_eq!(run.line(), "消費者: アイテム0 を取得しました");
    kill(&run, "consumer 1/1");
    let outcome = run.end();
    let expected = "\
消費者: 異常終了しました（シグナル 9）
消費者: アイテム0 がキューに戻りました（次は 2 回目）
消費者: 再起動しました
消費者: アイテム0 を取得しました（2 回目）
すべてのプロセスが終了しました
";
    assert_same(expected, &outcome.text());
    let summary = "1 個中 1 個のアイテムを処理しました\
                （異常終了 1 回、再起動 1 回、再配信したアイテム 1 個）\n";
    assert_same(summary, &outcome.stderr);
    assert_eq!(outcome.code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn deaths_are_reported_in_english_with_the_number_of_the_worker() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "2", "--producers", "2", "--consumers", "2", "--lang", "en"];
    let more = ["--consumer-delay", "30s", "--producer-delay", "30s", "--speed", "20"];
    let mut run = sandbox.start(&[&args[..], &more].concat());
    assert_eq!(run.line(), "producer 1: added item0");
    assert_eq!(run.line(), "producer 2: added item1");
    assert_eq!(run.line(), "consumer 1: got item0");
    assert_eq!(run.line(), "consumer 2: got item1");
    kill(&run, "consumer 2/2");
    let outcome = run.end();
    let expected = "\
consumer 2: was killed by signal 9
consumer 2: item1 is ready again (attempt 2 is next)
consumer 2: restarted
consumer 2: got item1 (attempt 2)
all processes have finished
";
    assert_same(expected, &outcome.text());
    let summary = "2 of 2 items done; 1 worker died, 1 replaced; 1 item delivered again\n";
    assert_same(summary, &outcome.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn a_replaced_producer_continues_with_its_next_item() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "4", "--producer-delay", "30s", "--consumer-delay", "0"];
    let mut run = sandbox.start(&[&args[..], &["--speed", "20", "--lang", "en"]].concat());
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer: got item0");
    for n in 1..4 {
        kill(&run, "producer 1/1");
        assert_eq!(run.line(), "producer: was killed by signal 9");
        assert_eq!(run.line(), "producer: restarted");
        // The replaced producer puts its next item at once.
        assert_eq!(run.line(), format!("producer: added item{n}"));
        assert_eq!(run.line(), format!("consumer: got item{n}"));
    }
    // A producer without further items is not replaced, and the queue ends.
    kill(&run, "producer 1/1");
    let outcome = run.end();
    assert_same("producer: was killed by signal 9\nall processes have finished\n", &outcome.text());
    let summary = "4 of 4 items done; 4 workers died, 3 replaced; 0 items delivered again\n";
    assert_same(summary, &outcome.stderr);
    assert_eq!(outcome.code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn deaths_and_restarts_are_json_events_with_all_keys() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "1", "--producer-delay", "0", "--consumer-delay", "30s"];
    let mut run = sandbox.start(&[&args[..], &["--speed", "20", "--format", "json"]].concat());
    for kind in ["put", "left", "get"] {
        assert!(run.line().contains(kind));
    }
    kill(&run, "consumer 1/1");
    let outcome = run.end();
    let lines = outcome.lines();
    // The time of the death is a wall time, which the test cannot predict.
    let t = lines[0].split_once(',').unwrap().0;
    let expected = format!(
        r#"{t},"event":"died","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":null}}
{t},"event":"back","role":"consumer","worker":1,"id":1,"item":"アイテム0","attempt":2,"waited":null}}
{t},"event":"restart","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":null}}
{t},"event":"get","role":"consumer","worker":1,"id":1,"item":"アイテム0","attempt":2,"waited":0.0}}
"#
    );
    assert_same(&expected, &(lines[..4].join("\n") + "\n"));
    assert_eq!(outcome.code(), Some(0));
}

#[test]
fn a_worker_is_not_replaced_more_often_than_respawn_allows() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "3", "--consumer-delay", "30s", "--lang", "en"];
    let more = ["--producer-delay", "0", "--speed", "20", "--respawn", "2"];
    let mut run = sandbox.start(&[&args[..], &more].concat());
    for (n, again) in ["", " (attempt 2)"].iter().enumerate() {
        let got = format!("consumer: got item0{again}");
        wait_while(|| run.line() != got);
        kill(&run, "consumer 1/1");
        assert_eq!(run.line(), "consumer: was killed by signal 9");
        let back = format!("consumer: item0 is ready again (attempt {} is next)", n + 2);
        assert_eq!(run.line(), back);
        assert_eq!(run.line(), "consumer: restarted");
    }
    assert_eq!(run.line(), "consumer: got item0 (attempt 3)");
    kill(&run, "consumer 1/1");
    let outcome = run.end();
    let expected = "\
consumer: was killed by signal 9
consumer: item0 is ready again (attempt 4 is next)
all processes have finished
";
    assert_same(expected, &outcome.text());
    let errors = "\
0 of 3 items done; 3 workers died, 2 replaced; 1 item delivered again
qdemo: 3 of 3 items were not done, since workers have died
";
    assert_same(errors, &outcome.stderr);
    assert_eq!(outcome.code(), Some(1));
    sandbox.assert_nothing_left();
}

#[test]
fn items_of_an_unreplaced_producer_stay_undone_and_other_items_are_done() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "6", "--producers", "2", "--consumer-delay", "0"];
    let more = ["--producer-delay", "10s", "--speed", "20", "--respawn", "0", "--lang", "en"];
    let mut run = sandbox.start(&[&args[..], &more].concat());
    assert_eq!(run.line(), "producer 1: added item0");
    kill(&run, "producer 2/2");
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(1));
    let lines = outcome.lines();
    assert!(lines.contains(&"producer 2: was killed by signal 9".to_owned()), "{lines:?}");
    assert!(!outcome.text().contains("restarted"));
    for item in ["item0", "item2", "item4"] {
        assert!(lines.contains(&format!("consumer: got {item}")), "{lines:?}");
    }
    let cause = outcome.stderr.lines().last().unwrap();
    assert!(cause.ends_with("of 6 items were not done, since workers have died"), "{cause}");
    sandbox.assert_nothing_left();
}

/// Kills random workers, with a random number of lines between two kills, and checks the run's events.
fn kill_at_random(sandbox: &Sandbox, seed: u64, items: usize, more: &[&str]) -> Ledger {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let count = items.to_string();
    let args =
        ["run", "--items", &count, "--producers", "3", "--consumers", "3", "--format", "json"];
    let mut run = sandbox.start(&[&args[..], &["--respawn", "1000000"], more].concat());
    let mut lines = Vec::new();
    // The first victim dies as soon as a worker exists, before the run has printed a line.
    wait_while(|| children_of(run.pid()).is_empty() && !run.has_ended());
    for _ in 0..random.random_range(3..12) {
        let children = children_of(run.pid());
        if children.is_empty() {
            // The run is over or about to end.
            lines.extend(Some(run.line()).filter(|line| !line.is_empty()));
            continue;
        }
        let victim = &children[random.random_range(0..children.len())];
        // The victim may have exited meanwhile.
        let _ = kill_process(Pid::from_raw(victim.pid).unwrap(), Signal::KILL);
        for _ in 0..random.random_range(0..items / 4) {
            lines.extend(Some(run.line()).filter(|line| !line.is_empty()));
        }
    }
    assert_all_done(run, lines, 3, items)
}

share! {
fn each_item_of_a_paced_run_is_put_and_done_once_when_workers_are_killed(rounds: 4, all: 12) {
    let sandbox = Sandbox::new();
    let mut died = 0;
    for seed in 0..u64::try_from(rounds).unwrap() {
        let delays = ["--producer-delay", "7ms", "--consumer-delay", "11ms"];
        let speed = if seed % 2 == 0 { "max" } else { "30" };
        let capacity = ["0", "2"][usize::try_from(seed).unwrap() % 2];
        let more = [&delays[..], &["--speed", speed, "--capacity", capacity]].concat();
        died += kill_at_random(&sandbox, seed, 90, &more).died;
    }
    assert!(died > rounds, "{died}");
    sandbox.assert_nothing_left();
}
}

share! {
fn each_item_of_a_run_without_delays_is_put_and_done_once_when_workers_are_killed(rounds: 2, all: 12) {
    let sandbox = Sandbox::new();
    let mut died = 0;
    for seed in 0..u64::try_from(rounds).unwrap() {
        let capacity = ["0", "1", "10", "300"][usize::try_from(seed).unwrap() % 4];
        let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
        let more = [&delays[..], &["--capacity", capacity]].concat();
        died += kill_at_random(&sandbox, 100 + seed, 3000, &more).died;
    }
    assert!(died > rounds, "{died}");
    sandbox.assert_nothing_left();
}
}

fn ledger_of(outcome: &Outcome) -> Ledger {
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    Ledger::of(3, &outcome.lines())
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn with_chaos_every_item_is_done() {
    let sandbox = Sandbox::new();
    let args = ["run", "--producers", "3", "--consumers", "4", "--respawn", "0"];
    let args = [&args[..], &["--format", "json", "--chaos", "2ms"]].concat();
    let without = ["--producer-delay", "0", "--consumer-delay", "0", "--items", "20000"];
    let paced = ["--producer-delay", "1ms", "--consumer-delay", "1ms", "--items", "300"];
    for (more, speed, items) in [(without, "1", 20_000), (paced, "1", 300), (paced, "0.5", 300)] {
        let outcome = sandbox.run(&[&args[..], &more, &["--speed", speed]].concat());
        let ledger = ledger_of(&outcome);
        ledger.assert_all_done(items);
        // A worker that dies after all items are put, or done, is not replaced.
        let Ledger { died, restarted, .. } = ledger;
        assert!(died > 0 && restarted <= died && died - restarted <= 7, "{died}, {restarted}");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn the_seed_of_a_run_at_the_highest_speed_decides_on_its_kills_too() {
    let sandbox = Sandbox::new();
    let workers = ["--producers", "3", "--consumers", "3", "--capacity", "4", "--items", "60"];
    let args = ["run", "--speed", "max", "--format", "json", "--chaos", "7s"];
    let args = [&args[..], &workers, &["--producer-delay", "exp:1s"]].concat();
    let of_seed = |seed| sandbox.run(&[&args[..], &["--seed", seed]].concat());
    let first = of_seed("7");
    let ledger = ledger_of(&first);
    ledger.assert_all_done(60);
    // Each run of a minute of its own time has several kills, which a run of a moment of wall time would not have.
    assert!(ledger.died >= 3, "{}", ledger.died);
    for _ in 0..3 {
        assert_same(&first.text(), &of_seed("7").text());
    }
    assert_ne!(first.text(), of_seed("8").text());
    // The seed is told where it is not given, and a long delay has no more kills than items.
    let long = ["run", "--speed", "max", "--items", "2", "--chaos", "1s", "--lang", "en"];
    let run = sandbox.run(&[&long[..], &["--consumer-delay", "87600h"]].concat());
    assert_eq!(run.code(), Some(0));
    let (seed, more) = run.stderr.split_once(": the same run again").unwrap();
    assert!(more.contains("2 of 2 items done"), "{more}");
    let seed = seed.strip_prefix("seed ").unwrap();
    let again = ["--consumer-delay", "87600h", "--seed", seed];
    assert_same(&run.text(), &sandbox.run(&[&long[..], &again].concat()).text());
    sandbox.assert_nothing_left();
}

#[test]
fn with_chaos_a_run_still_obeys_signals() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "1000000", "--producers", "3", "--consumers", "3"];
    let args = [&args[..], &["--chaos", "2ms", "--lang", "en"]].concat();
    let none = ["--producer-delay", "0", "--consumer-delay", "0", "--capacity", "100"];
    let some = ["--producer-delay", "1ms", "--consumer-delay", "1ms", "--capacity", "100"];
    for more in [none, some] {
        for times in [1, 2] {
            let mut run = sandbox.start(&[&args[..], &more].concat());
            wait_while(|| !run.line().ends_with(": restarted"));
            for _ in 0..times {
                run.signal(Signal::INT);
            }
            let outcome = run.end();
            assert_eq!(outcome.signal(), Some(2), "{}", outcome.stderr);
            if times == 1 {
                assert_eq!(outcome.lines().last().unwrap(), "all processes have finished");
                let last = outcome.stderr.lines().last().unwrap();
                assert!(last.starts_with("interrupted: "), "{last}");
            }
            sandbox.assert_nothing_left();
        }
    }
}

#[test]
fn no_worker_is_replaced_after_a_signal() {
    let sandbox = Sandbox::new();
    let args = ["run", "--consumer-delay", "1h", "--producer-delay", "1h", "--lang", "en"];
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer: got item0");
    let producer = pid_of(&run, "producer 1/1");
    run.signal(Signal::INT);
    // The producer's exit shows that the run has handled the signal.
    wait_for_end(producer);
    kill(&run, "consumer 1/1");
    let outcome = run.end();
    let expected = "\
consumer: was killed by signal 9
consumer: item0 is ready again (attempt 2 is next)
all processes have finished
";
    assert_same(expected, &outcome.text());
    let errors = "\
consumers finish the items that they hold (Ctrl-C again ends the run at once)
0 of 5 items done; 1 worker died, 0 replaced; 0 items delivered again
interrupted: 5 items are not done
";
    assert_same(errors, &outcome.stderr);
    assert_eq!(outcome.signal(), Some(2));
    sandbox.assert_nothing_left();
}
