//! How a client comes: its mailbox is opened, and it is welcomed or turned away.

use std::io;

use super::replies;
use super::{ClientRecord, ConnectedClient, Host, Keeper, send_reply};
use crate::journal::Record;
use crate::queue::{ClientId, Request};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, ErrorCode, Hello, Reply, Resumed, VERSION, Welcome};

impl Keeper {
    pub(super) fn handle_hello(&mut self, key: ClientKey, hello: &Hello, host: &mut impl Host) {
        if let Some(&client) = self.clients_by_key.get(&key) {
            return self.resume_client(client, hello, host);
        }
        let client = self.next_client_id;
        let mailbox = hello.mailbox_name(key);
        if let Err(error) = host.open_mailbox(client, &mailbox) {
            // Most likely it has died. If it is this process that cannot, it can be told.
            let mut mail = Vec::new();
            let text = format!("no room for another client: {error}");
            replies::error_reply(ErrorCode::Internal, text).write(&mut mail);
            host.reject_connection(&mailbox, &mail);
            return;
        }
        self.next_client_id += 1;
        match self.admit(client, hello) {
            Ok(worker) => {
                let mut peer = ConnectedClient::new(key, worker, hello.clone());
                // What a visitor has not done anything yet is not worth a line.
                if worker.is_none() && hello.role != Role::Visitor {
                    record_client(&mut peer, host);
                }
                self.clients.insert(client, peer);
                self.clients_by_key.insert(key, client);
                self.connected_workers.extend(worker.map(|worker| (worker, client)));
                if let (Some(pacer), Some(worker)) = (&mut self.pacer, worker) {
                    pacer.on_connect(worker, self.last_wall_time);
                }
                self.send_welcome(client, None, host);
            }
            Err(reason) => {
                send_reply(host, client, &reason);
                host.close_mailbox(client);
            }
        }
    }

    fn send_welcome(&self, client: ClientId, resumed: Option<Resumed>, host: &mut impl Host) {
        let welcome = Welcome {
            version: VERSION,
            is_paced: self.pacer.is_some(),
            window: self.put_window(),
            has_ended: self.queue.has_ended() && !self.queue.has_ended_for(client),
            resumed,
        };
        send_reply(host, client, &Reply::Welcome(welcome));
    }

    /// Takes over the clients of the keeper before this one. They come when they need something; until
    /// then what they have stays theirs, unless they are found to be dead.
    pub(crate) fn adopt_clients(
        &mut self,
        clients: impl IntoIterator<Item = (ClientId, ClientKey, ClientRecord)>,
        host: &mut impl Host,
    ) -> io::Result<()> {
        for (client, key, record) in clients {
            self.next_client_id = self.next_client_id.max(client + 1);
            let mailbox = record.hello.mailbox_name(key);
            self.clients.insert(client, ConnectedClient::from_previous_keeper(key, record));
            self.clients_by_key.insert(key, client);
            if !host.reopen_mailbox(client, &mailbox)? {
                self.client_died(self.last_wall_time, client, host);
            }
        }
        Ok(())
    }

    /// A client of the keeper before this one.
    fn resume_client(&mut self, client: ClientId, hello: &Hello, host: &mut impl Host) {
        let peer = self.clients.get_mut(&client).filter(|peer| peer.is_absent);
        let (Some(peer), Some(got)) = (peer, hello.batches_received) else {
            return;
        };
        peer.is_absent = false;
        host.resume_mailbox(client);
        if std::mem::replace(&mut peer.record.deliveries, got) > got {
            // The last run was never read: nobody has had it.
            let first = peer.record.last_delivery_first_id;
            self.apply(client, Request::NotReceived { first_id: first }, host);
        }
        let out = self
            .queue
            .in_flight_of(client)
            .map(|batch| (batch.first_id, batch.count(), batch.attempt));
        let out = out.collect();
        if let Some(peer) = self.clients.get_mut(&client) {
            record_client(peer, host);
            let resumed = peer.resume_info(out);
            self.send_welcome(client, Some(resumed), host);
        }
    }

    fn admit(&mut self, client: ClientId, hello: &Hello) -> Result<Option<WorkerId>, Reply> {
        if hello.version != VERSION {
            let text = format!(
                "the keeper speaks protocol version {VERSION}, the client version {}",
                hello.version
            );
            return Err(replies::error_reply(ErrorCode::Version, text));
        }
        let worker = self.expected_workers.as_ref().and_then(|workers| {
            let (role, number) = (hello.role, hello.worker_index?);
            let worker = WorkerId { role, index: number };
            let awaited =
                workers.contains(&worker) && !self.connected_workers.contains_key(&worker);
            awaited.then_some(worker)
        });
        if self.expected_workers.is_some() && worker.is_none() {
            let text = "this queue belongs to a run, and is not open to others";
            return Err(replies::error_reply(ErrorCode::Private, text));
        }
        let settings = ClientRecord::new(hello.clone()).settings();
        match self.queue.apply(client, Request::Connect(settings), &mut self.effects) {
            Ok(()) => Ok(worker),
            Err(refusal) => Err(replies::refusal_reply(&refusal)),
        }
    }
}

/// The next keeper is to know of this client.
fn record_client(peer: &mut ConnectedClient, host: &mut impl Host) {
    let key = peer.key;
    if let Some(json) = peer.serialize_record() {
        host.append_record(&Record::Client { key, json: &json });
    }
}
