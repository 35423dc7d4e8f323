//! How a client comes: its mailbox is opened, and it is welcomed or turned away.

use bytes::BytesMut;

use super::{Host, Keeper, Peer, answer, send};
use crate::queue::{ClientId, Member, Request, Worker};
use crate::wire::{Hello, Key, LARGEST_ITEM, Reply, VERSION, Welcome, mailbox_name};

impl Keeper {
    pub(super) fn hello(&mut self, key: Key, hello: &Hello, host: &mut impl Host) {
        if self.keys.contains_key(&key) {
            return;
        }
        let client = self.next_client;
        let mailbox = mailbox_name(hello.pid, key);
        if let Err(error) = host.open(client, &mailbox) {
            // Most likely it has died. If it is this process that cannot, it can be told.
            let mut mail = Vec::new();
            let text = format!("no room for another client: {error}");
            answer::error("internal", text).write(&mut mail);
            host.turn_away(&mailbox, &mail);
            return;
        }
        self.next_client += 1;
        match self.admit(client, hello) {
            Ok(worker) => {
                let largest = hello.largest.unwrap_or(LARGEST_ITEM);
                let parts = BytesMut::new();
                let peer = Peer { key, worker, pid: hello.pid, largest, parts };
                self.peers.insert(client, peer);
                self.keys.insert(key, client);
                self.crew.extend(worker.map(|worker| (worker, client)));
                if let (Some(pacer), Some(worker)) = (&mut self.pacer, worker) {
                    pacer.came(worker, self.wall);
                }
                let window = self.window();
                let paced = self.pacer.is_some();
                let version = VERSION;
                let ended = self.queue.is_over() && !self.queue.is_told(client);
                let welcome = Welcome { version, paced, window, ended };
                send(host, client, &Reply::Welcome(welcome));
            }
            Err(why) => {
                send(host, client, &why);
                host.close(client);
            }
        }
    }

    fn admit(&mut self, client: ClientId, hello: &Hello) -> Result<Option<Worker>, Reply> {
        if hello.version != VERSION {
            let text = format!(
                "the keeper speaks protocol version {VERSION}, the client version {}",
                hello.version
            );
            return Err(answer::error("version", text));
        }
        let worker = self.workers.as_ref().and_then(|workers| {
            let (role, number) = (hello.role, hello.worker?);
            let worker = Worker { role, number };
            let awaited = workers.contains(&worker) && !self.crew.contains_key(&worker);
            awaited.then_some(worker)
        });
        if self.workers.is_some() && worker.is_none() {
            let text = "this queue belongs to a run, and is not open to others";
            return Err(answer::error("private", text));
        }
        let member = Member {
            role: hello.role,
            keep_open: hello.keep_open,
            follow: hello.follow,
            born: hello.born,
            callers: hello.callers.clone(),
            lease: hello.lease,
            max_attempts: hello.max_attempts,
            capacity: hello.capacity(),
        };
        match self.queue.apply(client, Request::Come(member), &mut self.effects) {
            Ok(()) => Ok(worker),
            Err(refusal) => Err(answer::refused(&refusal)),
        }
    }
}
