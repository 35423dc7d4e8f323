//! A producer and a consumer of the measured queue.

use std::io::pipe;
use std::os::fd::AsFd;

use super::case::PUT_DURATION;
use super::item::{item_line, read_timestamp, write_timestamp};
use super::task::{ProcessReport, TrialTask, acquire_token, release_token};
use crate::catalogue::message;
use crate::client::{Client, QueueBuilder};
use crate::clock::Clock;
use crate::role::Role;
use crate::run::private_dir::BENCH_QUEUE;

/// The number of items that a consumer gets at a time, as in `qdemo consumer`.
const GET_LIMIT: u64 = 65536;

/// Puts items for the put duration.
pub(super) fn run_producer(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let mut client = connect_client(task, Role::Producer)?;
    let tokens = task.open_token_reader()?;
    let clock = task.wait_for_start()?;
    let begin = clock.now();
    let end = begin + PUT_DURATION;
    let mut item = item_line(task.size);
    item.pop();
    match tokens {
        None => {
            let stride = task.clock_check_interval();
            let has_time = |n: &u64| !n.is_multiple_of(stride) || clock.now() < end;
            client.put_all((0..task.max_puts).take_while(has_time).map(|_| &item))?;
        }
        Some(tokens) => {
            while clock.now() < end {
                // The wait also ends if the queue is gone.
                client.wait_for_input(tokens.as_fd())?;
                if !acquire_token(&tokens)? {
                    break;
                }
                write_timestamp(&mut item, clock.now());
                client.put(&item)?;
            }
        }
    }
    client.leave()?;
    Ok(ProcessReport::Put { begin })
}

/// Gets items until the queue ends.
pub(super) fn run_consumer(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let mut client = connect_client(task, Role::Consumer)?;
    let tokens = task.open_token_writer()?;
    let clock = task.wait_for_start()?;
    let report = match tokens {
        None => consume_all(&mut client, clock)?,
        Some(tokens) => {
            let mut latencies = Vec::new();
            loop {
                // Request first: the consumer already waits when the producer puts.
                client.request_items(1)?;
                release_token(&tokens)?;
                let Some(batch) = client.wait_for_items()? else { break };
                let now = clock.now();
                let puts = batch.items().filter_map(|(_, item)| read_timestamp(item));
                latencies.extend(puts.map(|put| now.saturating_sub(put)));
                client.done_batch(batch.batch())?;
            }
            let items = latencies.len() as u64;
            ProcessReport::Got { end: clock.now(), items, latencies }
        }
    };
    client.leave()?;
    Ok(report)
}

/// Connects clients that ask for nothing, and holds them until the queue is gone or this process is killed.
pub(super) fn run_idle_clients(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let numbers = 1..=task.idle_clients;
    let clients: Result<Vec<_>, _> =
        numbers.map(|index| connect_worker(task, Role::Visitor, index)).collect();
    let mut clients = clients?;
    task.wait_for_start()?;
    // Nothing is written to this pipe.
    let (reader, _writer) = pipe()?;
    if let Some(client) = clients.first_mut() {
        client.wait_for_input(reader.as_fd())?;
    }
    anyhow::bail!(message!("bench-idle-left"))
}

fn consume_all(client: &mut Client, clock: Clock) -> anyhow::Result<ProcessReport> {
    let (mut items, mut end) = (0, 0);
    while let Some(batch) = client.get(GET_LIMIT)? {
        items += batch.count();
        end = clock.now();
        client.done_batch(batch.batch())?;
    }
    Ok(ProcessReport::Got { end, items, latencies: Vec::new() })
}

fn connect_client(task: &TrialTask, role: Role) -> anyhow::Result<Client> {
    connect_worker(task, role, task.index)
}

fn connect_worker(task: &TrialTask, role: Role, index: u32) -> anyhow::Result<Client> {
    let options = QueueBuilder::new(BENCH_QUEUE.parse()?).dir(&task.dir);
    Ok(options.worker(index).max_item_size(task.size).connect(role)?)
}
