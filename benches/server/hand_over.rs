//! The time of one item from before its put until a waiting consumer has it.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use qdemo::{QueueBuilder, Role};
use redis::{Value, cmd};

use crate::redis_server::RedisServer;
use crate::throughput::{join_all, make_group, read_stream, text};

/// What the producer and the consumer are idle for before each item.
const PAUSE: Duration = Duration::from_micros(500);
/// The first hand-overs do not count.
const WARM_UP: usize = 20;

/// What hands an item over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// LPUSH and BLPOP.
    List,
    /// XADD, and XREADGROUP with XACK.
    Stream,
    /// Two clients of the library.
    Qdemo,
}

type Put = Box<dyn FnMut(&str) -> Result<()>>;

impl Way {
    /// The microseconds of each of `count` hand-overs.
    pub fn microseconds(self, server: &RedisServer, count: usize) -> Result<Vec<f64>> {
        server.clear()?;
        let total = WARM_UP + count;
        let mut put = self.producer(server)?;
        let mut monitor = server.connect()?;
        let (arrived, arrivals) = channel();
        let mut taken = Vec::new();
        thread::scope(|scope| {
            let consumer = scope.spawn(move || self.consume(server, total, &arrived));
            for number in 0..total {
                let is_waiting = server.wait_until(&mut monitor, |server, monitor| match self {
                    Self::Qdemo => server.has_getters(monitor, 1),
                    _ => server.has_blocked(monitor, 1),
                });
                if consumer.is_finished() {
                    break;
                }
                is_waiting?;
                thread::sleep(PAUSE);
                let item = format!("\"{}\"", text(number));
                let begin = Instant::now();
                put(&item)?;
                let Ok(arrival) = arrivals.recv() else { break };
                taken.push(arrival.saturating_duration_since(begin).as_secs_f64() * 1e6);
            }
            join_all(vec![consumer])
        })?;
        ensure!(taken.len() == total, "items are missing");
        Ok(taken.split_off(WARM_UP))
    }

    fn producer(self, server: &RedisServer) -> Result<Put> {
        let mut connection = server.connect()?;
        Ok(match self {
            Self::List => Box::new(move |item| {
                Ok(cmd("LPUSH").arg("list").arg(item).exec(&mut connection)?)
            }),
            Self::Stream => {
                make_group(&mut connection)?;
                Box::new(move |item| {
                    let mut add = cmd("XADD");
                    Ok(add.arg("stream").arg("*").arg("i").arg(item).exec(&mut connection)?)
                })
            }
            Self::Qdemo => {
                let builder = QueueBuilder::new("default".parse()?).server(&server.url())?;
                let mut client = builder.connect(Role::Visitor)?;
                Box::new(move |item| Ok(client.put(item.as_bytes())?))
            }
        })
    }

    fn consume(self, server: &RedisServer, total: usize, arrived: &Sender<Instant>) -> Result<()> {
        if self == Self::Qdemo {
            let builder = QueueBuilder::new("default".parse()?).server(&server.url())?;
            let mut client = builder.connect(Role::Visitor)?;
            for _ in 0..total {
                let delivery = client.get(1)?;
                arrived.send(Instant::now())?;
                if let Some(delivery) = delivery {
                    client.done(&delivery)?;
                }
            }
            return Ok(client.leave().map(drop)?);
        }
        let mut connection = server.connect()?;
        for _ in 0..total {
            if self == Self::List {
                let _: Value = cmd("BLPOP").arg("list").arg(0).query(&mut connection)?;
                arrived.send(Instant::now())?;
                continue;
            }
            let ids = read_stream(&mut connection, 0, 1)?;
            arrived.send(Instant::now())?;
            cmd("XACK").arg("stream").arg("group").arg(&ids).exec(&mut connection)?;
        }
        Ok(())
    }
}
