//! A relay of items in one process, without any pipes and always in the same steps: so that the
//! instructions can be counted that the keeper's loop takes for an item.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use anyhow::{Context, bail};

use super::item::item_line;
use super::task::{ProcessReport, TrialTask};
use crate::client::session::Session;
use crate::clock::ProcessBirth;
use crate::journal::Record;
use crate::keeper::{Event, Host, Keeper, KeeperConfig};
use crate::queue::{ClientId, Queue, QueueState};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, Hello, Reply, Request};

/// How many items.
const ITEM_COUNT: u64 = 100_000;
/// What a write holds, and how much of the inbox is read at once: as on Linux, wherever this is.
const WRITE_SIZE: usize = 4096;
const READ_SIZE: usize = 64 * 1024;

/// Passes items of the task's size from one client to another.
pub(super) fn run_keeper_loop(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let item = item_line(task.size);
    let mut sides = [LoopClient::new(Role::Producer), LoopClient::new(Role::Consumer)];
    let mut keeper = Keeper::new(KeeperConfig {
        queue: Queue::new(QueueState::default(), false),
        workers: Some(sides.iter().map(|side| side.worker).collect::<BTreeSet<_>>()),
        pacer: None,
    });
    let mut host = InMemoryHost::default();
    let [producer, consumer] = &mut sides;
    consumer.session.add_request(Request::Get { max: ITEM_COUNT });
    let (mut sent, mut got) = (0, 0);
    loop {
        let mut inbox = Vec::with_capacity(READ_SIZE);
        while inbox.len() + WRITE_SIZE <= READ_SIZE && sent < ITEM_COUNT {
            let several =
                ((producer.session.max_put_bytes() / item.len()) as u64).min(ITEM_COUNT - sent);
            let lines = item.repeat(usize::try_from(several)?);
            producer.session.put(several, lines);
            sent += several;
            if sent == ITEM_COUNT {
                producer.session.add_request(Request::Bye);
            }
            producer.write_to(&mut inbox);
        }
        consumer.write_to(&mut inbox);
        if inbox.is_empty() {
            bail!("nothing goes on after {got} of {ITEM_COUNT} items");
        }
        take_a_turn(&mut keeper, &inbox, &mut host)?;
        for side in [&mut *producer, &mut *consumer] {
            let mail = host.replies.get_mut(&side.mailbox).context("it has not come")?;
            side.session.feed(mail);
            mail.clear();
        }
        // It is the answer to each put that makes room for more.
        while producer.session.next().transpose()?.is_some() {}
        while let Some(reply) = consumer.session.next().transpose()? {
            match reply {
                Reply::Batch(run) => {
                    got += run.count();
                    consumer.session.add_request(Request::Done(run.batch_ref()));
                    consumer.session.add_request(Request::Get { max: ITEM_COUNT });
                }
                Reply::Ended if got == ITEM_COUNT => {
                    return Ok(ProcessReport::Got { end: 0, items: got, latencies: Vec::new() });
                }
                other => bail!("{other:?} after {got} of {ITEM_COUNT} items"),
            }
        }
    }
}

/// What is counted: reading, and answering.
#[inline(never)]
fn take_a_turn(keeper: &mut Keeper, inbox: &[u8], host: &mut InMemoryHost) -> io::Result<()> {
    keeper.receive(0, inbox, host);
    keeper.process_pending(0, host)?;
    Ok(())
}

/// A client.
struct LoopClient {
    worker: WorkerId,
    mailbox: String,
    session: Session,
}

impl LoopClient {
    fn new(role: Role) -> Self {
        let key = ClientKey(role as u64 + 1);
        let hello = Hello { worker_index: Some(1), mailbox: Some(key), ..Hello::new(role) };
        let worker = WorkerId { role, index: 1 };
        let mailbox = hello.mailbox_name(key);
        Self { worker, mailbox, session: Session::new(key, hello, WRITE_SIZE) }
    }

    fn write_to(&mut self, inbox: &mut Vec<u8>) {
        self.session.finish_write();
        while let Some(write) = self.session.next_write() {
            inbox.extend_from_slice(write);
            self.session.pop_written();
        }
    }
}

/// The world of this keeper: mail, by the names of the mailboxes.
#[derive(Default)]
struct InMemoryHost {
    mailbox_names: BTreeMap<ClientId, String>,
    replies: BTreeMap<String, Vec<u8>>,
}

impl Host for InMemoryHost {
    fn open_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        self.mailbox_names.insert(client, mailbox.to_owned());
        self.replies.insert(mailbox.to_owned(), Vec::new());
        Ok(())
    }

    fn reopen_mailbox(&mut self, _: ClientId, _: &str) -> io::Result<bool> {
        Ok(false)
    }

    fn resume_mailbox(&mut self, _: ClientId) {}

    fn reject_connection(&mut self, _: &str, _: &[u8]) {}

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.replies.get_mut(self.mailbox_names.get(&client)?)
    }

    fn close_mailbox(&mut self, _: ClientId) {}

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::default())
    }

    fn on_event(&mut self, _: Event<'_>) {}

    fn append_record(&mut self, _: &Record<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_goes_through() {
        let task: TrialTask = serde_json::from_str(r#"{"part":"KeeperLoop","size":22}"#).unwrap();
        let all = ProcessReport::Got { end: 0, items: ITEM_COUNT, latencies: Vec::new() };
        assert_eq!(run_keeper_loop(&task).unwrap(), all);
    }
}
