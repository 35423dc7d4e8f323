//! Runs each recipe of the cookbooks and checks its results: on a keeper as the English cookbook has it, on a server as the
//! Japanese one has it. Only one recipe prints words of qdemo, so each recipe does not need both languages on both.

use std::fs;

use crate::harness::{Backend, Outcome, Sandbox, assert_same};

/// The heading and the script of each recipe, in order.
fn recipes(book: &str) -> Vec<(String, String)> {
    let book = fs::read_to_string(book).unwrap();
    let parts = book.split("\n## ").skip(1);
    let recipe = |part: &str| {
        let (heading, rest) = part.split_once('\n').unwrap();
        let scripts: Vec<_> = rest.split("```bash\n").skip(1).collect();
        assert_eq!(scripts.len(), 1, "the recipe does not have exactly one script: {heading}");
        let (script, _) = scripts[0].split_once("```").unwrap();
        (heading.to_owned(), script.to_owned())
    };
    parts.map(recipe).collect()
}

const ENGLISH: &str = "docs/COOKBOOK.md";
const JAPANESE: &str = "docs/COOKBOOK.ja.md";

/// Runs the recipe that has this heading in the English cookbook.
fn run(sandbox: &Sandbox, backend: Backend, heading: &str) -> Outcome {
    let found = recipes(ENGLISH).iter().position(|recipe| recipe.0 == heading);
    let at = found.unwrap_or_else(|| panic!("no recipe has the heading: {heading}"));
    let (book, locale) = match backend {
        Backend::Local => (ENGLISH, "en_US.UTF-8"),
        Backend::Server | Backend::DurableServer => (JAPANESE, "ja_JP.UTF-8"),
    };
    sandbox.script_in_locale(locale, &recipes(book)[at].1)
}

/// Asserts that `lines` are the `expected` lines in any order.
#[track_caller]
fn assert_each_once(expected: &[String], lines: &[String]) {
    for line in expected {
        let count = lines.iter().filter(|have| *have == line).count();
        assert_eq!(count, 1, "{line:?} in {lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

fn numbered(count: u32, line: impl Fn(u32) -> String) -> Vec<String> {
    (1..=count).map(line).collect()
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn each_of_the_recipes_has_a_test() {
    let recipes = recipes(ENGLISH);
    assert_eq!(recipes.len(), 14);
    let tests = include_str!("cookbook.rs");
    for (heading, script) in recipes {
        let call = format!("run(&sandbox, backend, {heading:?})");
        assert_eq!(tests.matches(&call).count(), 1, "not exactly one test runs: {heading}");
        assert!(script.starts_with("#!/usr/bin/env bash\nset -euo pipefail\n"), "{heading}");
    }
}

both!(every_picture_gets_a_whole_thumbnail, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Make thumbnails, four at a time");
    outcome.assert_done();
    assert_each_once(&numbered(6, |n| format!("small/holiday {n}.jpg")), &outcome.lines());
    for n in 1..=6 {
        let small = fs::read_to_string(sandbox.path(&format!("small/holiday {n}.jpg"))).unwrap();
        assert_same(&format!("picture {n}\n"), &small);
    }
    let made = fs::read_dir(sandbox.path("small")).unwrap().count();
    assert_eq!(made, 6, "a part of a thumbnail is left");
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(a_crawl_visits_every_page_once_and_ends, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Crawl pages that lead to further pages");
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let lines = outcome.lines();
    assert_eq!(lines.first().map(String::as_str), Some("visited index.html"));
    let expected = [
        "visited index.html",
        "visited news.html",
        "visited about.html",
        "visited people.html",
        "visited old.html",
        "missing gone.html",
    ];
    assert_each_once(&owned(&expected), &lines);
    assert_same("", &outcome.stderr);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(calls_of_all_clients_together_keep_to_the_rate_limit, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Call a service no more often than it allows");
    outcome.assert_prints("12 calls were answered\n");
    let calls = fs::read_to_string(sandbox.path("calls.jsonl")).unwrap();
    let calls: Vec<serde_json::Value> =
        calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answers: Vec<_> =
        calls.iter().map(|call| call["stdout"].as_str().unwrap().to_owned()).collect();
    for client in ["red", "green", "blue"] {
        let of_client = answers.iter().filter(|answer| answer.contains(client)).cloned();
        // The calls of one client keep their order.
        let expected = numbered(4, |n| format!("answer to {client}/{n}\n"));
        assert_eq!(of_client.collect::<Vec<_>>(), expected);
    }
    assert_eq!(answers.len(), 12);
    for pair in calls.windows(2) {
        let start = |call: &serde_json::Value| call["start"].as_f64().unwrap();
        let apart = start(&pair[1]) - start(&pair[0]);
        assert!(apart > 0.0499, "only {apart} s between {} and {}", pair[0], pair[1]);
    }
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(results_of_several_workers_are_not_mixed, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome =
        run(&sandbox, backend, "Spread work over workers, and gather the results in one file");
    outcome.assert_prints("results.txt has 12 reports\n");
    let results = fs::read_to_string(sandbox.path("results.txt")).unwrap();
    let lines: Vec<_> = results.lines().map(str::to_owned).collect();
    let reports: Vec<_> = lines.chunks(2).map(|report| report.join("\n")).collect();
    assert_each_once(&numbered(12, |n| format!("chapter {n}.txt\n    {n} words")), &reports);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(a_fast_step_waits_for_a_slow_one, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Keep a fast step from running ahead of a slow one");
    outcome.assert_done();
    let lines = outcome.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "20 parts uploaded");
    let most = lines[1].strip_prefix("at most ").unwrap();
    let most = most.strip_suffix(" parts on the disk at a time").unwrap();
    assert!((1..=5).contains(&most.parse::<u32>().unwrap()), "{}", lines[1]);
    for n in 1..=20 {
        let part = fs::read_to_string(sandbox.path(&format!("uploaded/part {n}"))).unwrap();
        assert_same(&numbered(n, |n| format!("{n}\n")).concat(), &part);
    }
    assert_eq!(fs::read_dir(sandbox.path("spool")).unwrap().count(), 0);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(failed_items_are_retried_and_then_wait_for_a_decision, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Try again what failed, and look at what still fails");
    let lines = outcome.lines();
    assert_eq!(lines[0], "first round: exit code 1");
    // On the server the reader is Japanese.
    let words = [("exit code ", ", 3 tries"), ("終了コード ", "、3 回試行")];
    let (code, tries) = words[usize::from(backend.is_server())];
    for (at, id, exit, item, why) in [
        (1, "2", "75", "bob@far.example", "far.example does not answer"),
        (3, "3", "65", "no address", "no @ in it"),
    ] {
        let fields: Vec<_> = lines[at].split("  ").collect();
        assert_eq!(fields[0], id);
        assert_eq!(fields[2..], [&format!("{code}{exit}{tries}"), item]);
        assert_eq!(lines[at + 1], format!("    {why}"));
    }
    // What qdemo says of one dropped item and of one retried item.
    assert!(lines[5..7].iter().all(|line| line.contains('1')), "{lines:?}");
    assert_eq!(lines[7..], ["second round: all done"]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let sent = fs::read_to_string(sandbox.path("sent")).unwrap();
    assert_same("ann@near.example\ncleo@near.example\nbob@far.example\n", &sent);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(a_third_failure_in_thirty_items_ends_the_consumer_and_a_long_item_runs_once, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome =
        run(&sandbox, backend, "Stop when too much fails, and let long work take its time");
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    let lines = outcome.lines();
    assert_eq!(lines[0], "long, attempt 1");
    let code = lines.iter().position(|line| line == "exit code 1").unwrap();
    // The last line is that of `qdemo rm`.
    let failed = &lines[code + 1..lines.len() - 1];
    assert_eq!(failed.len(), 3, "{lines:?}");
    assert!(failed.iter().all(|item| item.starts_with("broken")), "{lines:?}");
    assert!(outcome.stderr.contains("--halt soon,fail=10%"), "{outcome:?}");
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(another_worker_does_the_item_of_a_killed_worker, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Go on when a worker is killed");
    outcome.assert_done();
    let mut expected = numbered(6, |n| match n {
        3 => "frame 3, attempt 2".to_owned(),
        n => format!("frame {n}, attempt 1"),
    });
    expected.push("a worker ended with exit code 137".to_owned());
    assert_each_once(&expected, &outcome.lines());
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(at_most_two_jobs_hold_a_licence_at_a_time, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Let no more than two do something at a time");
    outcome.assert_done();
    let lines = outcome.lines();
    let (jobs, back) = lines.split_at(8);
    assert_each_once(&numbered(8, |n| format!("job {n} is through")), jobs);
    assert_each_once(&owned(&["licence-A", "licence-B"]), back);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(records_keep_their_fields_and_the_sum_is_right, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Pass records on, and add up the results");
    outcome.assert_prints(
        r#"{"name": "ruler, 12\"", "total": 1200}
{"name": "tea, green", "total": 1000}
{"name": "two\nlines", "total": 150}
all: 2350
"#,
    );
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(shell_loops_share_the_items_until_the_end_of_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Set something up once for each worker");
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_each_once(&numbered(10, |n| format!("test {n} passed")), &outcome.lines());
    // Each of the three loops learns of the end of the queue.
    assert_same("", &outcome.stderr);
    for n in 1..=3 {
        assert!(!sandbox.path(&format!("database.{n}")).exists());
    }
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(each_gpu_has_one_model_at_a_time_and_a_port_of_its_own, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Give each worker a GPU or a port of its own");
    outcome.assert_done();
    let lines = outcome.lines();
    let ends = [": GPU 0, port 8001", ": GPU 1, port 8002", ": GPU 2, port 8003"];
    let model =
        |line: &String| ends.iter().find_map(|end| line.strip_suffix(end)).map(str::to_owned);
    let models: Vec<_> = lines.iter().map(|line| model(line).unwrap()).collect();
    assert_each_once(&numbered(8, |n| format!("model {n}")), &models);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(a_sweep_finds_the_number_of_workers_that_the_cookbooks_name, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run(&sandbox, backend, "Find out how many workers are enough");
    outcome.assert_done();
    for book in [ENGLISH, JAPANESE] {
        let printed = format!("```text\n{}```", outcome.text());
        assert!(fs::read_to_string(book).unwrap().contains(&printed), "{book} has no {printed}");
    }
    assert!(sandbox.path("wait.svg").exists());
    sandbox.assert_nothing_left();
});

both!(parallel_builds_are_watched_kept_and_reported_in_order, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome =
        run(&sandbox, backend, "Watch parallel commands, and keep what each of them prints");
    assert_same("", &outcome.stderr);
    assert_eq!(outcome.code(), Some(0));
    let modules = ["core", "net", "ui"];
    let steps =
        modules.iter().flat_map(|module| ["compile", "link"].map(|s| format!("{module}\t{s}")));
    assert_each_once(&steps.collect::<Vec<_>>(), &outcome.lines());
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    assert_same(&outcome.text(), &read("build.log"));
    let warnings = modules.map(|module| format!("{module}\ta warning about {module}"));
    assert_each_once(&warnings, &owned(&read("warnings.log").lines().collect::<Vec<_>>()));
    let entries = fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    let results = names.iter().find(|name| name.starts_with("results.")).unwrap();
    for (id, module) in (1..).zip(modules) {
        assert_same("compile\nlink\n", &read(&format!("{results}/{id}/stdout")));
        assert_same(
            &format!("a warning about {module}\n"),
            &read(&format!("{results}/{id}/stderr")),
        );
    }
    assert_same("core: 2 steps\nnet: 2 steps\nui: 2 steps\n", &read("report.txt"));
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});
