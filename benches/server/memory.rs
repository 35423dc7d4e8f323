//! The memory of items that wait on the server, as a multiple of a bare list's.

use std::fs::File;

use anyhow::{Result, ensure};
use qdemo::{QueueBuilder, Role};
use redis::cmd;

use crate::redis_server::RedisServer;
use crate::throughput::{file_of_items, qdemo, text};

const BATCH: usize = 1000;

fn used_memory_of(server: &RedisServer, put: impl FnOnce() -> Result<()>) -> Result<f64> {
    server.clear()?;
    let mut monitor = server.connect()?;
    let before = server.info(&mut monitor, "memory", "used_memory")?;
    put()?;
    // The monitor, and no client.
    server.wait_until(&mut monitor, |server, monitor| {
        Ok(server.info(monitor, "clients", "connected_clients")? == 1)
    })?;
    let after = server.info(&mut monitor, "memory", "used_memory")?;
    Ok(after as f64 - before as f64)
}

fn list_bytes(server: &RedisServer, items: usize) -> Result<f64> {
    used_memory_of(server, || {
        let mut connection = server.connect()?;
        let items: Vec<_> = (0..items).map(|n| format!("\"{}\"", text(n))).collect();
        for batch in items.chunks(BATCH) {
            cmd("LPUSH").arg("list").arg(batch).exec(&mut connection)?;
        }
        Ok(())
    })
}

/// Items from `qdemo put -`.
pub fn put_together(server: &RedisServer, items: usize) -> Result<f64> {
    let file = file_of_items(items)?;
    let bytes = used_memory_of(server, || {
        let put = qdemo(server).args(["put", "-"]).stdin(File::open(file.path())?).status()?;
        ensure!(put.success(), "qdemo has failed: {put}");
        Ok(())
    })?;
    Ok(bytes / list_bytes(server, items)?)
}

/// Items that one client puts one by one.
pub fn put_one_by_one(server: &RedisServer, items: usize) -> Result<f64> {
    let bytes = used_memory_of(server, || {
        let builder = QueueBuilder::new("default".parse()?).server(&server.url())?;
        let mut client = builder.connect(Role::Visitor)?;
        for number in 0..items {
            client.put(format!("\"{}\"", text(number)).as_bytes())?;
        }
        Ok(client.leave().map(drop)?)
    })?;
    Ok(bytes / list_bytes(server, items)?)
}
