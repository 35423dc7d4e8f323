//! The clients of the simulation: the real session, driven by a script.

use super::model::{SimModel, item_text};
use super::pipes::SimPair;
use super::world::SimRng;
use crate::client::session::{LastConversation, Session};
use std::collections::VecDeque;

use crate::clock::ProcessBirth;
use crate::queue::{Batch, BatchRef, Items};
use crate::role::Role;
use crate::wire::{ClientKey, ErrorCode, Hello, Reply, Request};

pub(super) struct SimClient {
    pub(super) key: u64,
    pub(super) hello: Hello,
    pub(super) session: Session,
    pub(super) pipes: SimPair,
    /// The generation of the last known keeper.
    pub(super) keeper: Option<u64>,
    pub(super) is_welcomed: bool,
    /// Any keeper may know the client: the client has written to it, or has its welcome.
    pub(super) may_be_known: bool,
    pub(super) is_stopped: bool,
    pub(super) has_left: bool,
    script: Script,
    /// The client waits for a reply.
    is_waiting: bool,
    /// The boot time of the last `get`.
    last_get_at: u64,
    is_leaving: bool,
    /// The batches whose lease this client has renewed at a time, since the last get and before it.
    renewed: Vec<(BatchRef, u64)>,
    renewed_before_get: Vec<(BatchRef, u64)>,
}

/// The goal of a client.
pub(super) enum Script {
    /// Puts items, a few at a time.
    Put { remaining: u64, waits_for_room: bool, sent: Vec<String>, answered: usize },
    /// Gets items and disposes of them, until the end of the queue or for this many batches. The batches in
    /// `attempting` wait for the keeper's reply to `attempt`.
    Get {
        batches_left: u64,
        always_done: bool,
        in_flight: Vec<Batch>,
        attempting: VecDeque<Batch>,
        done_sent: Vec<String>,
        done_before_get: Vec<String>,
    },
    /// Waits until all items are done.
    Join,
    /// Sends one request.
    Ask(Request),
}

impl SimClient {
    pub(super) fn new(key: u64, hello: Hello, pipes: SimPair, script: Script) -> Self {
        let session = new_session(key, &hello);
        Self {
            key,
            hello,
            session,
            pipes,
            keeper: None,
            is_welcomed: false,
            may_be_known: false,
            is_stopped: false,
            has_left: false,
            script,
            is_waiting: false,
            last_get_at: 0,
            is_leaving: false,
            renewed: Vec::new(),
            renewed_before_get: Vec::new(),
        }
    }

    /// Starts again with a new key: the last keeper exited before its welcome.
    pub(super) fn restart_as_new(&mut self, key: u64) {
        self.key = key;
        self.session = new_session(key, &self.hello);
        self.pipes = SimPair::default();
    }

    /// Gives a consumer that has not connected yet a birth after the end of the queue.
    pub(super) fn set_late_birth(&mut self, birth: ProcessBirth) {
        if self.keeper.is_some() || !self.is_consumer() || self.may_be_known {
            return;
        }
        self.hello.birth = birth;
        self.session = new_session(self.key, &self.hello);
    }

    /// The client resumes at another keeper, which may not have read its renewals.
    pub(super) fn resume(&mut self) {
        self.renewed.clear();
        self.renewed_before_get.clear();
        self.session.resume(LastConversation::default());
    }

    pub(super) fn pair_name(&self) -> String {
        self.session.pipes().0
    }

    pub(super) fn is_consumer(&self) -> bool {
        matches!(self.script, Script::Get { .. })
    }

    /// Sends the next requests of the script.
    pub(super) fn send_next(&mut self, now: u64, rng: &mut SimRng, model: &mut SimModel) {
        if self.has_left {
            return;
        }
        let leaves = match &mut self.script {
            Script::Put { remaining, waits_for_room, sent, answered } => {
                if *remaining > 0 && sent.len() - *answered < 8 && !self.is_waiting {
                    let count = (1 + rng.below(4)).min(*remaining);
                    let mut items = Vec::new();
                    for _ in 0..count {
                        // Some items are longer than a pipe.
                        let filler = if rng.one_in(40) { "x".repeat(2000) } else { String::new() };
                        let item =
                            format!("\"{:08}-{:06}{filler}\"", self.key, sent.len() + items.len());
                        items.push(item);
                    }
                    put(&mut self.session, &items);
                    sent.extend(items);
                    *remaining -= count;
                    if !*waits_for_room {
                        self.session.add_request(Request::Cancel);
                        self.is_waiting = true;
                    }
                }
                *remaining == 0 && sent.len() == *answered
            }
            Script::Get { batches_left, always_done, in_flight, attempting, done_sent, .. } => {
                if self.hello.lease.is_some() && !in_flight.is_empty() && rng.one_in(3) {
                    self.renewed.push((renew_one(&mut self.session, in_flight, rng), now));
                }
                dispose_items(
                    &mut self.session,
                    *always_done,
                    (in_flight, attempting),
                    done_sent,
                    rng,
                    model,
                );
                if !self.is_waiting && *batches_left > 0 && (in_flight.is_empty() || rng.one_in(4))
                {
                    self.session.add_request(Request::Get { max: 1 + rng.below(5) });
                    if let Script::Get { done_sent, done_before_get, .. } = &mut self.script {
                        done_before_get.append(done_sent);
                    }
                    self.renewed_before_get.append(&mut self.renewed);
                    self.is_waiting = true;
                    self.last_get_at = now;
                    false
                } else {
                    *batches_left == 0
                        && in_flight.is_empty()
                        && attempting.is_empty()
                        && !self.is_waiting
                }
            }
            Script::Join => {
                if !std::mem::replace(&mut self.is_waiting, true) {
                    self.session.add_request(Request::Join);
                }
                false
            }
            Script::Ask(request) => {
                if !std::mem::replace(&mut self.is_waiting, true) {
                    self.session.add_request(request.clone());
                }
                false
            }
        };
        if leaves {
            self.disconnect();
        }
    }

    fn disconnect(&mut self) {
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.session.add_request(Request::Bye);
        }
    }

    /// Handles a reply of the keeper.
    pub(super) fn handle_reply(
        &mut self,
        now: u64,
        reply: Reply,
        model: &mut SimModel,
    ) -> Result<(), String> {
        match (reply, &mut self.script) {
            (Reply::Bye { .. }, _) => self.has_left = true,
            (Reply::Error { code: ErrorCode::NotFailed | ErrorCode::InUse, .. }, _) => {
                self.disconnect();
            }
            // The keeper failed: the items of this client are requeued.
            (Reply::Error { .. }, _) => {
                model.may_redeliver = true;
                self.has_left = true;
            }
            (Reply::Ok { seq, id, .. }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for (at, item) in sent.iter().enumerate().take(seq).skip(*answered) {
                    model.record_accepted(item, id - (seq - 1 - at) as u64)?;
                }
                *answered = seq;
            }
            (Reply::Closed { seq } | Reply::Full { seq }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for item in &sent[*answered..seq] {
                    model.record_refused(item)?;
                }
                *answered = seq;
            }
            (Reply::Batch(batch), Script::Get { batches_left, in_flight, done_before_get, .. }) => {
                model.record_delivery(self.key, &batch)?;
                let until = self.hello.lease.map(|lease| self.last_get_at + lease);
                model.record_lease(self.key, &batch, now, until)?;
                if self.hello.lease.is_none() {
                    done_before_get.drain(..).for_each(|item| model.record_done_confirmed(&item));
                }
                // The keeper has read the renewals before this get.
                for (batch_ref, at) in self.renewed_before_get.drain(..) {
                    let until = self.hello.lease.map(|lease| at + lease);
                    model.record_renewal(self.key, batch_ref, until);
                }
                in_flight.push(batch);
                *batches_left = batches_left.saturating_sub(1);
                self.is_waiting = false;
            }
            (Reply::NotInFlight(batch_ref), _) => {
                self.renewed.retain(|(renewed, _)| *renewed != batch_ref);
                self.renewed_before_get.retain(|(renewed, _)| *renewed != batch_ref);
            }
            (Reply::Count { items }, Script::Get { in_flight, attempting, .. }) => {
                if let Some(mut batch) = attempting.pop_front().filter(|_| items > 0) {
                    batch.attempt += 1;
                    model.record_attempts(&batch)?;
                    in_flight.push(batch);
                }
            }
            (Reply::Ended, Script::Get { batches_left, .. }) => {
                *batches_left = 0;
                self.is_waiting = false;
            }
            (Reply::Empty, Script::Get { .. }) => self.is_waiting = false,
            (Reply::Cancelled, Script::Put { .. }) => self.is_waiting = false,
            (Reply::Joined { .. } | Reply::Count { .. } | Reply::Size { .. }, _) => {
                self.disconnect()
            }
            _ => {}
        }
        Ok(())
    }
}

fn new_session(key: u64, hello: &Hello) -> Session {
    Session::new(ClientKey(key), hello.clone())
}

fn put(session: &mut Session, items: &[String]) {
    let bytes = items.iter().map(|item| format!("{item}\n")).collect::<String>().into();
    session.put(Items { count: items.len() as u64, bytes });
}

/// Renews the lease of one batch.
fn renew_one(session: &mut Session, in_flight: &[Batch], rng: &mut SimRng) -> BatchRef {
    let at = usize::try_from(rng.below(in_flight.len() as u64)).unwrap();
    let batch_ref = in_flight[at].batch_ref();
    session.add_request(Request::Renew(batch_ref));
    batch_ref
}

/// Disposes of some items in flight.
fn dispose_items(
    session: &mut Session,
    always_done: bool,
    (in_flight, attempting): (&mut Vec<Batch>, &mut VecDeque<Batch>),
    done_sent: &mut Vec<String>,
    rng: &mut SimRng,
    model: &mut SimModel,
) {
    while !in_flight.is_empty() && !rng.one_in(3) {
        let at = usize::try_from(rng.below(in_flight.len() as u64)).unwrap();
        let batch = &mut in_flight[at];
        let part = batch.split_to(1 + rng.below(batch.count()));
        if batch.count() == 0 {
            in_flight.remove(at);
        }
        let batch_ref = part.batch_ref();
        match rng.below(9) {
            8 if batch_ref.count == 1 => {
                let (id, attempt) = (part.first_id, part.attempt + 1);
                session.add_request(Request::Attempt { id, attempt });
                attempting.push_back(part);
            }
            0 if !always_done => {
                model.may_redeliver = true;
                session.add_request(Request::Requeue(batch_ref));
            }
            1 if !always_done => fail(session, batch_ref),
            _ => {
                for (_, item) in part.iter_with_ids() {
                    model.record_done_sent(&item_text(item));
                    done_sent.push(item_text(item));
                }
                session.add_request(Request::Done(batch_ref));
            }
        }
    }
}

fn fail(session: &mut Session, batch_ref: BatchRef) {
    for id in batch_ref.first_id..batch_ref.first_id + batch_ref.count {
        let attempt = batch_ref.attempt.unwrap_or(1);
        session.add_request(Request::Fail { id, attempt, try_count: 1, reason: "odd".into() });
    }
}

pub(super) fn hello(role: Role) -> Hello {
    Hello { pid: 1, ..Hello::new(role) }
}
