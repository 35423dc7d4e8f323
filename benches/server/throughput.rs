//! Items that pass from producers to consumers at the same time, as fast as they can.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use qdemo::{QueueBuilder, Role};
use redis::{Connection, Value, cmd, pipe};

use crate::redis_server::{RedisServer, elements};

/// How many items the bare peers put and get with one command, or with commands that are sent together.
const BATCH: usize = 1000;

/// The text of an item. As JSON it has 16 bytes.
pub fn text(number: usize) -> String {
    format!("item-{number:09}")
}

/// What passes items through a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passer {
    /// LPUSH and BLMPOP, by the thousand. Nobody acknowledges an item.
    List,
    /// XADD, and XREADGROUP with XACK, by the thousand.
    Stream,
    /// The processes `qdemo put -` and `qdemo get`.
    Qdemo,
}

impl Passer {
    /// Items per second, with as many producers as consumers.
    pub fn rate(self, server: &RedisServer, workers: usize, items: usize) -> Result<f64> {
        server.clear()?;
        let share = items / workers;
        let seconds = match self {
            Self::Qdemo => qdemo_processes(server, workers, share)?,
            Self::List | Self::Stream => {
                if self == Self::Stream {
                    make_group(&mut server.connect()?)?;
                }
                self.bare_threads(server, workers, share)?
            }
        };
        Ok((share * workers) as f64 / seconds)
    }

    fn bare_threads(self, server: &RedisServer, workers: usize, share: usize) -> Result<f64> {
        // Making the items does not count.
        let items: Vec<String> = (0..share).map(|n| format!("\"{}\"", text(n))).collect();
        let barrier = Barrier::new(2 * workers + 1);
        thread::scope(|scope| {
            let (items, barrier) = (&items, &barrier);
            let mut threads = Vec::new();
            for index in 0..workers {
                let mut producer = server.connect()?;
                let mut consumer = server.connect()?;
                threads.push(scope.spawn(move || {
                    barrier.wait();
                    self.put(&mut producer, items)
                }));
                threads.push(scope.spawn(move || {
                    barrier.wait();
                    self.get(&mut consumer, index, share)
                }));
            }
            barrier.wait();
            let begin = Instant::now();
            join_all(threads)?;
            Ok(begin.elapsed().as_secs_f64())
        })
    }

    fn put(self, connection: &mut Connection, items: &[String]) -> Result<()> {
        for batch in items.chunks(BATCH) {
            if self == Self::List {
                cmd("LPUSH").arg("list").arg(batch).exec(connection)?;
                continue;
            }
            let mut adds = pipe();
            for item in batch {
                adds.cmd("XADD").arg("stream").arg("*").arg("i").arg(item).ignore();
            }
            adds.exec(connection)?;
        }
        Ok(())
    }

    fn get(self, connection: &mut Connection, index: usize, items: usize) -> Result<()> {
        let mut left = items;
        while left > 0 {
            let most = BATCH.min(left);
            left -= match self {
                Self::List => {
                    let mut pop = cmd("BLMPOP");
                    pop.arg(0).arg(1).arg("list").arg("RIGHT").arg("COUNT").arg(most);
                    let (_, items): (String, Vec<Value>) = pop.query(connection)?;
                    items.len()
                }
                _ => {
                    let ids = read_stream(connection, index, most)?;
                    cmd("XACK").arg("stream").arg("group").arg(&ids).exec(connection)?;
                    ids.len()
                }
            };
        }
        Ok(())
    }
}

/// Makes a stream with a group of consumers.
pub fn make_group(connection: &mut Connection) -> Result<()> {
    let mut create = cmd("XGROUP");
    create.arg("CREATE").arg("stream").arg("group").arg("$").arg("MKSTREAM");
    Ok(create.exec(connection)?)
}

/// Waits for entries of the stream. Returns their ids.
pub fn read_stream(
    connection: &mut Connection,
    consumer: usize,
    most: usize,
) -> Result<Vec<Vec<u8>>> {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg("group").arg(consumer).arg("COUNT").arg(most).arg("BLOCK").arg(0);
    let reply: Value = read.arg("STREAMS").arg("stream").arg(">").query(connection)?;
    // A list of streams, each with its name and its entries, each with its id and its fields.
    let stream = elements(reply).into_iter().next().map(elements).unwrap_or_default();
    let entries = stream.into_iter().nth(1).map(elements).unwrap_or_default();
    let id = |entry| match elements(entry).into_iter().next() {
        Some(Value::BulkString(id)) => Some(id),
        _ => None,
    };
    Ok(entries.into_iter().filter_map(id).collect())
}

/// Waits for threads. The first error counts.
pub fn join_all(threads: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a thread has panicked"))??;
    }
    Ok(())
}

pub fn qdemo(server: &RedisServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qdemo"));
    command.env("QDEMO_SERVER", server.url()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A file with this many items, one a line.
pub fn file_of_items(items: usize) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    let mut lines = std::io::BufWriter::new(file.as_file());
    for number in 0..items {
        writeln!(lines, "{}", text(number))?;
    }
    lines.flush()?;
    drop(lines);
    Ok(file)
}

fn qdemo_processes(server: &RedisServer, workers: usize, share: usize) -> Result<f64> {
    let file = file_of_items(share)?;
    let begin = Instant::now();
    let mut processes = Vec::new();
    for _ in 0..workers {
        let count = share.to_string();
        processes.push(qdemo(server).args(["get", "--quiet", "--count", &count]).spawn()?);
        processes.push(qdemo(server).args(["put", "-"]).stdin(File::open(file.path())?).spawn()?);
    }
    for mut process in processes {
        let status = process.wait()?;
        ensure!(status.success(), "qdemo has failed: {status}");
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// Consumers of one queue.
#[derive(Clone, Copy)]
pub struct Herd {
    /// What a consumer gets at most at a time.
    pub most: u64,
    /// All items are ready before the consumers ask. Otherwise the consumers wait before the first put.
    pub is_ready_before: bool,
    pub items: usize,
}

impl Herd {
    /// Items per second that this many consumers get, until the queue ends. `qdemo put -` puts the items.
    pub fn rate(self, server: &RedisServer, consumers: usize) -> Result<f64> {
        server.clear()?;
        let file = file_of_items(self.items)?;
        let put = || -> Result<()> {
            let put = qdemo(server).args(["put", "-"]).stdin(File::open(file.path())?).status()?;
            let close = qdemo(server).arg("close").status()?;
            ensure!(put.success() && close.success(), "qdemo has failed: {put}, {close}");
            Ok(())
        };
        if self.is_ready_before {
            put()?;
        }
        let builder = QueueBuilder::new("default".parse()?).server(&server.url())?;
        let barrier = Barrier::new(consumers + 1);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for _ in 0..consumers {
                let mut client = builder.clone().connect(Role::Consumer)?;
                let barrier = &barrier;
                threads.push(scope.spawn(move || {
                    barrier.wait();
                    while let Some(delivery) = client.get(self.most)? {
                        client.done(&delivery)?;
                    }
                    Ok(client.leave().map(drop)?)
                }));
            }
            let mut begin = Instant::now();
            barrier.wait();
            if !self.is_ready_before {
                let all = consumers as u64;
                let mut monitor = server.connect()?;
                server
                    .wait_until(&mut monitor, |server, monitor| server.has_getters(monitor, all))?;
                begin = Instant::now();
                put()?;
            }
            join_all(threads)?;
            Ok(self.items as f64 / begin.elapsed().as_secs_f64())
        })
    }
}
