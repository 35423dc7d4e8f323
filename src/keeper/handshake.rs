//! How a client comes: its mailbox is opened, and it is welcomed or turned away.

use std::io;

use super::replies;
use super::{Host, Keeper, Known, Peer, send};
use crate::journal::Fact;
use crate::queue::{ClientId, Request};
use crate::role::{Role, Worker};
use crate::wire::{Hello, Key, Reply, Resumed, VERSION, Welcome};

impl Keeper {
    pub(super) fn hello(&mut self, key: Key, hello: &Hello, host: &mut impl Host) {
        if let Some(&client) = self.keys.get(&key) {
            return self.come_again(client, hello, host);
        }
        let client = self.next_client;
        let mailbox = hello.mailbox_name(key);
        if let Err(error) = host.open(client, &mailbox) {
            // Most likely it has died. If it is this process that cannot, it can be told.
            let mut mail = Vec::new();
            let text = format!("no room for another client: {error}");
            replies::error("internal", text).write(&mut mail);
            host.turn_away(&mailbox, &mail);
            return;
        }
        self.next_client += 1;
        match self.admit(client, hello) {
            Ok(worker) => {
                let mut peer = Peer::new(key, worker, hello.clone());
                // What a visitor has not done anything yet is not worth a line.
                if worker.is_none() && hello.role != Role::Visitor {
                    record(&mut peer, host);
                }
                self.peers.insert(client, peer);
                self.keys.insert(key, client);
                self.crew.extend(worker.map(|worker| (worker, client)));
                if let (Some(pacer), Some(worker)) = (&mut self.pacer, worker) {
                    pacer.came(worker, self.wall);
                }
                self.welcome(client, None, host);
            }
            Err(why) => {
                send(host, client, &why);
                host.close(client);
            }
        }
    }

    fn welcome(&self, client: ClientId, resumed: Option<Resumed>, host: &mut impl Host) {
        let welcome = Welcome {
            version: VERSION,
            paced: self.pacer.is_some(),
            window: self.window(),
            ended: self.queue.is_over() && !self.queue.is_told(client),
            resumed,
        };
        send(host, client, &Reply::Welcome(welcome));
    }

    /// Takes over the clients of the keeper before this one. They come when they need something; until
    /// then what they have stays theirs, unless they are found to be dead.
    pub(crate) fn take_over(
        &mut self,
        clients: impl IntoIterator<Item = (ClientId, Key, Known)>,
        host: &mut impl Host,
    ) -> io::Result<()> {
        for (client, key, known) in clients {
            self.next_client = self.next_client.max(client + 1);
            let mailbox = known.hello.mailbox_name(key);
            self.peers.insert(client, Peer::absent(key, known));
            self.keys.insert(key, client);
            if !host.find(client, &mailbox)? {
                self.died(self.wall, client, host);
            }
        }
        Ok(())
    }

    /// A client of the keeper before this one.
    fn come_again(&mut self, client: ClientId, hello: &Hello, host: &mut impl Host) {
        let peer = self.peers.get_mut(&client).filter(|peer| peer.absent);
        let (Some(peer), Some(got)) = (peer, hello.resume) else {
            return;
        };
        peer.absent = false;
        host.resume(client);
        if std::mem::replace(&mut peer.known.runs, got) > got {
            // The last run was never read: nobody has had it.
            let first = peer.known.last_run;
            self.apply(client, Request::NotSeen { first }, host);
        }
        let out = self.queue.held_by(client).map(|run| (run.first, run.count(), run.attempt));
        let out = out.collect();
        if let Some(peer) = self.peers.get_mut(&client) {
            record(peer, host);
            let resumed = peer.resumed(out);
            self.welcome(client, Some(resumed), host);
        }
    }

    fn admit(&mut self, client: ClientId, hello: &Hello) -> Result<Option<Worker>, Reply> {
        if hello.version != VERSION {
            let text = format!(
                "the keeper speaks protocol version {VERSION}, the client version {}",
                hello.version
            );
            return Err(replies::error("version", text));
        }
        let worker = self.workers.as_ref().and_then(|workers| {
            let (role, number) = (hello.role, hello.worker?);
            let worker = Worker { role, number };
            let awaited = workers.contains(&worker) && !self.crew.contains_key(&worker);
            awaited.then_some(worker)
        });
        if self.workers.is_some() && worker.is_none() {
            let text = "this queue belongs to a run, and is not open to others";
            return Err(replies::error("private", text));
        }
        let member = Known::new(hello.clone()).member();
        match self.queue.apply(client, Request::Come(member), &mut self.effects) {
            Ok(()) => Ok(worker),
            Err(refusal) => Err(replies::refused(&refusal)),
        }
    }
}

/// The next keeper is to know of this client.
fn record(peer: &mut Peer, host: &mut impl Host) {
    let key = peer.key;
    if let Some(json) = peer.record() {
        host.record(&Fact::Client { key, json: &json });
    }
}
