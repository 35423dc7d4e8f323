//! A producer and a consumer of the queue that is measured.

use std::os::fd::AsFd;

use super::item::{line, stamp, stamped};
use super::task::{Task, Told, give, take};
use crate::client::{Client, Options};
use crate::clock::Clock;
use crate::role::Role;
use crate::run::private_dir::BENCH;

/// How many items a consumer takes at a time, as `qdemo consumer` does.
const SEVERAL: u64 = 65536;

/// Puts items until the time is over.
pub(super) fn produce(task: &Task) -> anyhow::Result<Told> {
    let mut client = come(task, Role::Producer)?;
    let tokens = task.open_tokens()?;
    let clock = task.get_ready()?;
    let begin = clock.now();
    let end = begin + task.window;
    let mut item = line(task.size);
    item.pop();
    match tokens {
        None => {
            let stride = task.stride();
            let going_on = |n: &u64| !n.is_multiple_of(stride) || clock.now() < end;
            client.put_all((0..).take_while(going_on).map(|_| &item))?;
        }
        Some(tokens) => {
            while clock.now() < end {
                // Notices too if the queue goes.
                client.wait_for(tokens.as_fd())?;
                if !take(&tokens)? {
                    break;
                }
                stamp(&mut item, clock.now());
                client.put(&item)?;
            }
        }
    }
    client.leave()?;
    Ok(Told::Put { begin })
}

/// Gets items until there are none any more.
pub(super) fn consume(task: &Task) -> anyhow::Result<Told> {
    let mut client = come(task, Role::Consumer)?;
    let tokens = task.create_tokens()?;
    let clock = task.get_ready()?;
    let told = match tokens {
        None => get_all(&mut client, clock)?,
        Some(tokens) => {
            let mut latencies = Vec::new();
            loop {
                // It waits when somebody is allowed to put.
                client.ask_for(1)?;
                give(&tokens)?;
                let Some(batch) = client.asked()? else { break };
                let now = clock.now();
                let puts = batch.items().filter_map(|(_, item)| stamped(item));
                latencies.extend(puts.map(|put| now.saturating_sub(put)));
                client.done_with(batch.run())?;
            }
            let items = latencies.len() as u64;
            Told::Got { end: clock.now(), items, latencies }
        }
    };
    client.leave()?;
    Ok(told)
}

fn get_all(client: &mut Client, clock: Clock) -> anyhow::Result<Told> {
    let (mut items, mut end) = (0, 0);
    while let Some(batch) = client.get(SEVERAL)? {
        items += batch.count();
        end = clock.now();
        client.done_with(batch.run())?;
    }
    Ok(Told::Got { end, items, latencies: Vec::new() })
}

fn come(task: &Task, role: Role) -> anyhow::Result<Client> {
    let options = Options::new(BENCH.parse()?, role).dir(task.place.clone());
    Ok(options.worker(task.number).max_item_size(task.size).connect()?)
}
