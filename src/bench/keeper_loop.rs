//! A relay of items in one process, without any pipes and always in the same steps: so that the
//! instructions can be counted that the keeper's loop takes for an item.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use anyhow::{Context, bail};

use super::item::line;
use super::task::{Task, Told};
use crate::client::{Said, session::Session};
use crate::clock::Stamp;
use crate::journal::Fact;
use crate::keeper::{Event, Host, Keeper, Plan};
use crate::queue::{ClientId, Queue, Remains};
use crate::role::{Role, Worker};
use crate::wire::{Hello, Key, Reply};

/// How many items.
const ITEMS: u64 = 100_000;
/// What a write holds, and how much of the inbox is read at once: as on Linux, wherever this is.
const WRITE: usize = 4096;
const READ: usize = 64 * 1024;

/// Passes items of the task's size from one client to another.
pub(super) fn relay(task: &Task) -> anyhow::Result<Told> {
    let item = line(task.size);
    let mut sides = [Side::of(Role::Producer)?, Side::of(Role::Consumer)?];
    let mut keeper = Keeper::new(Plan {
        queue: Queue::new(Remains::default(), false),
        workers: Some(sides.iter().map(|side| side.worker).collect::<BTreeSet<_>>()),
        pacer: None,
    });
    let mut host = Mailboxes::default();
    let [producer, consumer] = &mut sides;
    consumer.session.get(ITEMS);
    let (mut sent, mut got) = (0, 0);
    loop {
        let mut inbox = Vec::with_capacity(READ);
        while inbox.len() + WRITE <= READ && sent < ITEMS {
            let several = ((producer.session.room() / item.len()) as u64).min(ITEMS - sent);
            let lines = item.repeat(usize::try_from(several)?);
            producer.session.put(several, lines);
            sent += several;
            if sent == ITEMS {
                producer.session.ask("bye", None);
            }
            producer.write_to(&mut inbox);
        }
        consumer.write_to(&mut inbox);
        if inbox.is_empty() {
            bail!("nothing goes on after {got} of {ITEMS} items");
        }
        take_a_turn(&mut keeper, &inbox, &mut host)?;
        for side in [&mut *producer, &mut *consumer] {
            let mail = host.mail.get_mut(&side.mailbox).context("it has not come")?;
            side.session.feed(mail);
            mail.clear();
        }
        // It is the answer to each put that makes room for more.
        while producer.session.next().transpose()?.is_some() {}
        while let Some(reply) = consumer.session.next().transpose()? {
            match reply {
                Reply::Run(run) => {
                    got += run.count();
                    consumer.session.say(Said::About { verb: "done", which: run.which() });
                    consumer.session.get(ITEMS);
                }
                Reply::Ended if got == ITEMS => {
                    return Ok(Told::Got { end: 0, items: got, latencies: Vec::new() });
                }
                other => bail!("{other:?} after {got} of {ITEMS} items"),
            }
        }
    }
}

/// What is counted: reading, and answering.
#[inline(never)]
fn take_a_turn(keeper: &mut Keeper, inbox: &[u8], host: &mut Mailboxes) -> io::Result<()> {
    keeper.receive(0, inbox, host);
    keeper.turn(0, host)?;
    Ok(())
}

/// A client.
struct Side {
    worker: Worker,
    mailbox: String,
    session: Session,
}

impl Side {
    fn of(role: Role) -> serde_json::Result<Self> {
        let key = Key(role as u64 + 1);
        let hello = Hello { worker: Some(1), mailbox: Some(key), ..Hello::new(role) };
        let worker = Worker { role, number: 1 };
        let mailbox = hello.mailbox_name(key);
        Ok(Self { worker, mailbox, session: Session::new(key, hello, WRITE)? })
    }

    fn write_to(&mut self, inbox: &mut Vec<u8>) {
        self.session.close_write();
        while let Some(write) = self.session.next_write() {
            inbox.extend_from_slice(write);
            self.session.written();
        }
    }
}

/// The world of this keeper: mail, by the names of the mailboxes.
#[derive(Default)]
struct Mailboxes {
    names: BTreeMap<ClientId, String>,
    mail: BTreeMap<String, Vec<u8>>,
}

impl Host for Mailboxes {
    fn open(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        self.names.insert(client, mailbox.to_owned());
        self.mail.insert(mailbox.to_owned(), Vec::new());
        Ok(())
    }

    fn find(&mut self, _: ClientId, _: &str) -> io::Result<bool> {
        Ok(false)
    }

    fn resume(&mut self, _: ClientId) {}

    fn turn_away(&mut self, _: &str, _: &[u8]) {}

    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.mail.get_mut(self.names.get(&client)?)
    }

    fn close(&mut self, _: ClientId) {}

    fn end(&mut self) -> io::Result<Stamp> {
        Ok(Stamp::default())
    }

    fn event(&mut self, _: Event<'_>) {}

    fn record(&mut self, _: &Fact<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_goes_through() {
        let task: Task = serde_json::from_str(r#"{"part":"KeeperLoop","size":22}"#).unwrap();
        let all = Told::Got { end: 0, items: ITEMS, latencies: Vec::new() };
        assert_eq!(relay(&task).unwrap(), all);
    }
}
