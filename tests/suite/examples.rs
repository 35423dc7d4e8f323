//! Runs the examples and checks their output.
//!
//! The client in Python is local: it speaks the protocol of the pipes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Outcome, QDEMO, Running, Sandbox};

fn run_example(sandbox: &Sandbox, name: &str) -> Outcome {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    Running::start(sandbox.command(path.to_str().unwrap())).end()
}

both!(the_example_of_two_terminals_prints_the_lines_of_both_roles, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run_example(&sandbox, "two_terminals.sh");
    outcome.assert_done();
    let lines_of = |role: &str| {
        let lines = outcome.lines();
        lines.into_iter().filter(|line| line.starts_with(role)).collect::<Vec<_>>()
    };
    let expected = |role: &str, verb: &str| -> Vec<String> {
        (0..5).map(|n| format!("{role}: アイテム{n} を{verb}しました")).collect()
    };
    assert_eq!(lines_of("生産者"), expected("生産者", "追加"));
    assert_eq!(lines_of("消費者"), expected("消費者", "取得"));
    sandbox.assert_nothing_left();
});

both!(the_example_of_a_worker_pool_does_every_page_once, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = run_example(&sandbox, "worker_pool.sh");
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 12);
    for page in 1..=12 {
        let done = lines.iter().filter(|line| line.ends_with(&format!(" page {page}"))).count();
        assert_eq!(done, 1, "page {page} in {lines:?}");
    }
    sandbox.assert_nothing_left();
});

both!(the_example_of_a_pipeline_passes_the_largest_files_in_order, |backend| {
    let sandbox = Sandbox::on(backend);
    for (name, size) in [("small.md", 10), ("large.md", 3000), ("middle one.md", 200), ("no.md", 1)]
    {
        fs::write(sandbox.path(name), "x".repeat(size)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipeline.sh");
    let mut command = sandbox.command(path.to_str().unwrap());
    command.arg(".");
    Running::start(command).end().assert_prints(
        "large.md has 3000 bytes\nmiddle one.md has 200 bytes\nsmall.md has 10 bytes\n",
    );
    // Without a folder, it shows the documents of this repository.
    let outcome = run_example(&sandbox, "pipeline.sh");
    outcome.assert_done();
    let is_of_a_document = |line: &String| line.contains(".md has ") && line.ends_with(" bytes");
    assert_eq!(outcome.lines().iter().filter(|line| is_of_a_document(line)).count(), 3);
    sandbox.assert_nothing_left();
});

#[test]
fn every_example_says_in_its_first_lines_what_it_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let start: Vec<_> = text.lines().take(2).collect();
        let start = start.join("\n");
        // The other examples use this file.
        let is_helper = path.ends_with("find_qdemo.sh");
        assert!(is_helper || start.contains("Shows a") || start.contains("Shows t"), "{start}");
    }
}

both!(the_example_of_the_library_passes_items_between_processes, |backend| {
    let sandbox = Sandbox::on(backend);
    // Cargo builds the examples together with the tests.
    let example: PathBuf = Path::new(QDEMO).with_file_name("examples").join("library");
    let start = |what: &str| {
        let mut command = sandbox.command(example.to_str().unwrap());
        command.arg(what);
        Running::start(command)
    };
    let producer = start("produce");
    start("consume").end().assert_prints(
        "item 1: page 1, 第1章\nitem 2: page 2, 第2章\nitem 3: page 3, 第3章\n\
         item 4: page 4, 第4章\nitem 5: page 5, 第5章\n",
    );
    producer.end().assert_prints("");
    // Without an argument, it is both.
    let both = Running::start(sandbox.command(example.to_str().unwrap())).end();
    both.assert_done();
    assert_eq!(both.lines().len(), 5, "{both:?}");
    assert!(both.lines()[4].ends_with("page 5, 第5章"), "{both:?}");
    sandbox.assert_nothing_left();
});

#[test]
fn the_client_in_python() {
    let sandbox = Sandbox::new();
    let long = "長い".repeat(20_000);
    let python = |args: &[&str]| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/client.py");
        let mut command = sandbox.command("python3");
        command.arg(path).args(args);
        Running::start(command)
    };
    // It starts a keeper, and what it puts is found by others.
    python(&["put", "py", "一", "two", &long]).end().assert_prints("");
    let got = sandbox.run(&["consumer", "-q", "py", "--format", "raw"]);
    got.assert_prints(&format!("一\ntwo\n{long}\n"));
    sandbox.wait_for_keeper_to_go("py");
    // It finds what others put, and is told of the end.
    let consumer = python(&["get", "py"]);
    sandbox.run(&["producer", "-q", "py", "--quiet", "三", &long]);
    consumer.end().assert_prints(&format!("三\n{long}\n"));
    // Without an argument, it is a producer and a consumer.
    python(&[]).end().assert_prints("got one\ngot two\ngot 三\n");
    sandbox.assert_nothing_left();
}
