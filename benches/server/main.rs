//! A queue on a Redis server beside bare Redis, and beside other queues on Redis: `make bench-server`.
//!
//! Each value is a ratio of two things that were measured in turns in one round. The median of the rounds counts.

mod hand_over;
mod jobs;
mod measure;
mod memory;
mod redis_server;
mod start;
mod throughput;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::hand_over::Way;
use crate::jobs::JobQueue;
use crate::measure::{HEAD, Measure, median, number, quantile};
use crate::redis_server::{Persistence, RedisServer};
use crate::throughput::{Herd, Passer};

/// About a second of items.
const ITEMS: usize = 1_000_000;
const STREAM_ITEMS: usize = 200_000;
const HAND_OVERS: usize = 300;
const CONSUMERS: usize = 64;
const ITEMS_ONE_BY_ONE: usize = 100_000;
const JOBS: usize = 3000;

/// What the command line asks for.
struct Options {
    rounds: usize,
    /// The binary before queues on a server.
    before: Option<PathBuf>,
    /// Only the groups of measures with this word in their names.
    only: Option<String>,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self { rounds: 5, before: None, only: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            // Cargo's word for a bench.
            if word == "--bench" {
                continue;
            }
            let value = words.next().with_context(|| format!("{word} takes a value"))?;
            match word.as_str() {
                "--rounds" => options.rounds = value.parse()?,
                "--before" => options.before = Some(value.into()),
                "--only" => options.only = Some(value),
                _ => {
                    bail!("--rounds N, --before PROGRAM and --only GROUP are known, and no {word}")
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, group: &str) -> bool {
        self.only.as_ref().is_none_or(|word| group.contains(word.as_str()))
    }
}

fn main() -> Result<()> {
    let options = Options::parse()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    println!("load {load} before the start, medians of {} rounds (least … most)\n", options.rounds);
    println!("{HEAD}");
    if options.wants("throughput") {
        for persistence in Persistence::ALL {
            show(throughput(persistence, options.rounds)?);
        }
    }
    let server = RedisServer::start(Persistence::AofEverySecond)?;
    if options.wants("hand-over") {
        for persistence in Persistence::ALL {
            show(hand_over(persistence, options.rounds)?);
        }
    }
    if options.wants("consumers") {
        show(many_consumers(&server, options.rounds)?);
    }
    if options.wants("memory") {
        show(memory()?);
    }
    if options.wants("jobs") {
        show(jobs(&server, options.rounds)?);
    }
    if let Some(before) = options.before.as_ref().filter(|_| options.wants("start")) {
        let now = Path::new(env!("CARGO_BIN_EXE_qdemo"));
        show(start::measures(now, before, options.rounds)?);
    }
    Ok(())
}

fn show(measures: Vec<Measure>) {
    for measure in measures {
        println!("{}", measure.row());
    }
}

fn throughput(persistence: Persistence, rounds: usize) -> Result<Vec<Measure>> {
    let server = RedisServer::start(persistence)?;
    let mut all = Vec::new();
    for workers in [1, 4] {
        let (mut to_list, mut to_stream, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let qdemo = Passer::Qdemo.rate(&server, workers, ITEMS)?;
            to_list.push(qdemo / Passer::List.rate(&server, workers, ITEMS)?);
            to_stream.push(qdemo / Passer::Stream.rate(&server, workers, STREAM_ITEMS)?);
            rates.push(qdemo / 1e6);
        }
        let case = format!("{workers} × {workers}, {}", persistence.name());
        let what = format!("`put -` and `get --count`, {case}");
        all.push(Measure::new(what, rates).unit("M items/s"));
        let what = format!("the same against bare LPUSH and BLMPOP, {case}");
        all.push(Measure::new(what, to_list).at_least(0.5, Some(0.8)));
        let what = format!("the same against bare streams with XACK, {case}");
        all.push(Measure::new(what, to_stream).at_least(5.0, None));
    }
    Ok(all)
}

fn hand_over(persistence: Persistence, rounds: usize) -> Result<Vec<Measure>> {
    let server = RedisServer::start(persistence)?;
    let (mut to_list, mut to_stream, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    let (mut qdemo_times, mut stream_times) = (Vec::new(), Vec::new());
    let mut calls = (0.0, Vec::new());
    for _ in 0..rounds {
        let list = Way::List.microseconds(&server, HAND_OVERS)?;
        let stream = Way::Stream.microseconds(&server, HAND_OVERS)?;
        server.reset_statistics()?;
        let qdemo = Way::Qdemo.microseconds(&server, HAND_OVERS)?;
        let (count, microseconds) = server.script_calls()?;
        calls.0 = count as f64 / HAND_OVERS as f64;
        calls.1.push(microseconds);
        to_list.push(median(&qdemo) / median(&list));
        to_stream.push(median(&qdemo) / median(&stream));
        tails.push(quantile(&qdemo, 0.99) / quantile(&stream, 0.99));
        qdemo_times.push(median(&qdemo));
        stream_times.push(median(&stream));
    }
    let name = persistence.name();
    let what = format!("the script's time for a call, {} calls an item, {name}", number(calls.0));
    Ok(vec![
        Measure::new(format!("hand-over of one item, {name}"), qdemo_times).unit("µs"),
        Measure::new(format!("hand-over of one item by a stream, {name}"), stream_times).unit("µs"),
        Measure::new(format!("hand-over of one item against a stream's, {name}"), to_stream)
            .at_most(2.0, Some(1.2)),
        Measure::new(
            format!("99th percentile of the hand-overs against a stream's, {name}"),
            tails,
        ),
        Measure::new(format!("hand-over of one item against LPUSH and BLPOP, {name}"), to_list),
        Measure::new(what, calls.1).unit("µs"),
    ])
}

fn many_consumers(server: &RedisServer, rounds: usize) -> Result<Vec<Measure>> {
    let as_many_as_possible = Herd { most: 65536, is_ready_before: true, items: ITEMS };
    let cases = [
        ("items that are ready", as_many_as_possible),
        ("items that arrive", Herd { is_ready_before: false, ..as_many_as_possible }),
        (
            "one item at a time",
            Herd { most: 1, items: ITEMS_ONE_BY_ONE / 5, ..as_many_as_possible },
        ),
    ];
    let mut all = Vec::new();
    for (case, herd) in cases {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let one = herd.rate(server, 1)?;
            ratios.push(herd.rate(server, CONSUMERS)? / one);
        }
        let what = format!("items/s, {CONSUMERS} consumers of one queue against one, {case}");
        all.push(Measure::new(what, ratios).at_least(0.7, None));
    }
    Ok(all)
}

fn memory() -> Result<Vec<Measure>> {
    let server = RedisServer::start(Persistence::None)?;
    let together = memory::put_together(&server, ITEMS)?;
    let one_by_one = memory::put_one_by_one(&server, ITEMS_ONE_BY_ONE)?;
    let what = "memory against a bare list of the same items";
    let count = |items: usize| number(items as f64);
    Ok(vec![
        Measure::new(format!("{what}, {} from `put -`", count(ITEMS)), vec![together])
            .at_most(2.0, None),
        Measure::new(format!("{what}, {} one by one", count(ITEMS_ONE_BY_ONE)), vec![one_by_one])
            .at_most(2.0, None),
    ])
}

fn jobs(server: &RedisServer, rounds: usize) -> Result<Vec<Measure>> {
    let mut all = Vec::new();
    for queue in JobQueue::ALL {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            match queue.rate(server) {
                Ok(rate) => ratios.push(jobs::qdemo_rate(server, JOBS)? / rate),
                Err(error) => {
                    eprintln!("skipped: {}: {error:#}", queue.name());
                    break;
                }
            }
        }
        let what = format!("items/s one by one against {}", queue.name());
        all.push(Measure::new(what, ratios));
    }
    Ok(all)
}
