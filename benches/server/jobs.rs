//! Jobs that are put one by one and then worked off one by one, through queues in Python and JavaScript and through qdemo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use qdemo::{QueueBuilder, Role};

use crate::redis_server::RedisServer;
use crate::throughput::text;

/// A queue for jobs on Redis.
#[derive(Clone, Copy)]
pub enum JobQueue {
    Rq,
    Celery,
    BullMq,
}

impl JobQueue {
    pub const ALL: [Self; 3] = [Self::Rq, Self::Celery, Self::BullMq];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rq => "RQ",
            Self::Celery => "Celery",
            Self::BullMq => "BullMQ",
        }
    }

    /// About a second of jobs.
    fn jobs(self) -> usize {
        match self {
            Self::Rq => 500,
            Self::Celery => 1000,
            Self::BullMq => 3000,
        }
    }

    /// Jobs per second. An error says that this queue is not installed.
    pub fn rate(self, server: &RedisServer) -> Result<f64> {
        server.clear()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/peers/bin/python");
        let script = |name: &str| -> PathBuf { root.join("benches/peers").join(name) };
        let mut command = match self {
            Self::Rq => Command::new(python),
            Self::Celery => Command::new(python),
            Self::BullMq => Command::new("node"),
        };
        match self {
            Self::Rq => command.arg(script("jobs.py")).arg("rq"),
            Self::Celery => command.arg(script("jobs.py")).arg("celery"),
            Self::BullMq => command.arg(script("jobs.mjs")),
        };
        command.arg(server.socket()).arg(self.jobs().to_string());
        command.env("NODE_DIR", root.join("target/peers/node"));
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        let cause = error.lines().rfind(|line| line.contains("Error"));
        let cause = cause.or(error.lines().last()).unwrap_or_default();
        ensure!(output.status.success(), "{cause}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().with_context(|| format!("the result is `{}`", text.trim()))
    }
}

/// Items per second through two clients of qdemo's library.
pub fn qdemo_rate(server: &RedisServer, items: usize) -> Result<f64> {
    server.clear()?;
    let builder = QueueBuilder::new("default".parse()?).server(&server.url())?;
    let mut producer = builder.clone().connect(Role::Visitor)?;
    let mut consumer = builder.connect(Role::Visitor)?;
    let begin = Instant::now();
    for number in 0..items {
        producer.put(format!("\"{}\"", text(number)).as_bytes())?;
    }
    for _ in 0..items {
        let delivery = consumer.get(1)?.context("the queue has ended")?;
        consumer.done(&delivery)?;
    }
    // The answer says that the last item is done.
    consumer.leave()?;
    Ok(items as f64 / begin.elapsed().as_secs_f64())
}
