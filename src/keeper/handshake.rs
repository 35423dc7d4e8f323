//! The handshake with a client: opens its pipes, and admits the client or refuses it.

use std::io;

use super::replies;
use super::{ClientRecord, ConnectedClient, Host, Keeper, Observer, send_reply};
use crate::catalogue::message;
use crate::journal::Record;
use crate::os::os_text;
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::{ClientId, Request};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, ErrorCode, Hello, Reply, Resumed, VERSION, Welcome};

impl Keeper {
    pub(super) fn handle_hello(&mut self, key: ClientKey, hello: &Hello, host: &mut impl Host) {
        if let Some(&client) = self.clients_by_key.get(&key) {
            return self.resume_client(client, hello, host);
        }
        let pipes = hello.pipes(key);
        if hello.version != VERSION {
            return reject_version(&pipes, hello, host);
        }
        let client = self.next_client_id;
        if let Err(error) = host.open_pipes(client, &pipes) {
            // Most likely the client has died. If the keeper lacks a resource, the client reads this.
            let text = || message!("refusal-no-room", error = os_text(&error));
            return reject(&pipes, ErrorCode::Internal, text, host);
        }
        self.next_client_id += 1;
        match self.admit(client, hello) {
            Ok(worker) => {
                let mut connected =
                    ConnectedClient::new(key, worker, ClientRecord::new(hello.clone()));
                // A visitor needs no record before its first put or get.
                if worker.is_none() && hello.role != Role::Visitor {
                    record_client(&mut connected, host);
                }
                self.clients.insert(client, connected);
                self.clients_by_key.insert(key, client);
                self.connected_workers.extend(worker.map(|worker| (worker, client)));
                if let (Some(pacer), Some(worker)) = (&mut self.pacer, worker) {
                    pacer.on_run(worker, self.last_wall_time);
                }
                self.send_welcome(client, None, host);
            }
            Err(refusal) => {
                send_reply(host, client, &refusal);
                host.close_pipes(client);
            }
        }
    }

    fn send_welcome(&self, client: ClientId, resumed: Option<Resumed>, host: &mut impl Host) {
        let welcome = Welcome {
            version: VERSION,
            is_paced: self.pacer.is_some(),
            window: self.put_window(),
            can_renew: self.clients.get(&client).is_some_and(|c| c.record.hello.lease.is_some()),
            awaits_next_round: self.queue.has_ended() && !self.queue.sees_end_next(client),
            resumed,
            is_forgotten: false,
            queue_id: None,
        };
        send_reply(host, client, &Reply::Welcome(welcome));
    }

    /// Takes over the clients of the previous keeper. A living client keeps its items, and connects when it
    /// needs the keeper. The items of a dead client are released.
    pub(crate) fn adopt_clients(
        &mut self,
        clients: impl IntoIterator<Item = (ClientId, ClientKey, ClientRecord)>,
        host: &mut impl Host,
    ) -> io::Result<()> {
        for (client, key, record) in clients {
            self.next_client_id = self.next_client_id.max(client + 1);
            let pipes = record.hello.pipes(key);
            self.clients.insert(client, ConnectedClient::from_previous_keeper(key, record));
            self.clients_by_key.insert(key, client);
            if !host.reopen_mailbox(client, &pipes)? {
                self.client_died(self.last_wall_time, client, host);
            }
        }
        Ok(())
    }

    /// Continues with a client of the previous keeper.
    fn resume_client(&mut self, client: ClientId, hello: &Hello, host: &mut impl Host) {
        let absent = self.clients.get_mut(&client).filter(|c| c.is_absent);
        let (Some(c), Some(received)) = (absent, hello.batches_received) else {
            return;
        };
        let pipes = hello.pipes(c.key);
        if hello.version != VERSION {
            return reject_version(&pipes, hello, host);
        }
        match host.resume_pipes(client, &pipes) {
            Ok(()) => {}
            // The client has died, or somebody else wrote its announcement.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let text = || message!("refusal-no-room-to-resume", error = os_text(&error));
                return reject(&pipes, ErrorCode::Internal, text, host);
            }
        }
        c.is_absent = false;
        if std::mem::replace(&mut c.record.deliveries, received) > received {
            // The client never read the last batch.
            let first_id = c.record.last_delivery_first_id;
            self.apply(client, Request::NotReceived { first_id }, host);
        }
        let in_flight = self.queue.in_flight_of(client);
        let in_flight =
            in_flight.map(|batch| (batch.first_id, batch.count(), batch.attempt)).collect();
        if let Some(c) = self.clients.get_mut(&client) {
            record_client(c, host);
            let resumed = Resumed { accepted: c.record.accepted.clone(), in_flight };
            self.send_welcome(client, Some(resumed), host);
        }
    }

    fn admit(&mut self, client: ClientId, hello: &Hello) -> Result<Option<WorkerId>, Reply> {
        let worker = self.expected_workers.as_ref().and_then(|workers| {
            let worker = WorkerId { role: hello.role, index: hello.worker_index? };
            let is_expected =
                workers.contains(&worker) && !self.connected_workers.contains_key(&worker);
            is_expected.then_some(worker)
        });
        if self.expected_workers.is_some() && worker.is_none() {
            let text = || message!("refusal-private");
            return Err(replies::error_reply(ErrorCode::Private, text));
        }
        match self.queue.apply(client, Request::Connect(hello.into())) {
            Ok(()) => Ok(worker),
            Err(refusal) => Err(replies::refusal_reply(&refusal)),
        }
    }
}

/// Writes the record of a client, so that the next keeper knows the client.
fn record_client(client: &mut ConnectedClient, host: &mut impl Host) {
    let key = client.key;
    if let Some(json) = client.serialize_record() {
        host.observer().append_record(&Record::Client { key, json: &json });
    }
}

fn reject_version(pipes: &PipePairName, hello: &Hello, host: &mut impl Host) {
    let text = || message!("refusal-version", own = VERSION, other = hello.version);
    reject(pipes, ErrorCode::Version, text, host);
}

/// Tells a client why it is not connected.
fn reject(
    pipes: &PipePairName,
    code: ErrorCode,
    text: impl FnOnce() -> String,
    host: &mut impl Host,
) {
    let mut mail = WriteBuffer::default();
    replies::error_reply(code, text).write(&mut mail);
    host.reject_connection(pipes, mail);
}
