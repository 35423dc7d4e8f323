//! Clients: what they say is made by the real session; what they want is a script.

use super::ledger::{SimModel, item_text};
use super::pipes::SharedPipe;
use super::world::SimRng;
use crate::client::session::Session;
use std::collections::VecDeque;

use crate::clock::ProcessBirth;
use crate::queue::{Batch, BatchRef};
use crate::role::Role;
use crate::wire::{ClientKey, ErrorCode, Hello, Reply, Request};

/// A client.
pub(super) struct SimClient {
    pub(super) key: u64,
    pub(super) hello: Hello,
    pub(super) session: Session,
    pub(super) mailbox: SharedPipe,
    /// Which keeper it knows; none yet.
    pub(super) keeper: Option<u64>,
    pub(super) is_welcomed: bool,
    /// Some keeper has welcomed it.
    pub(super) was_welcomed: bool,
    pub(super) is_stopped: bool,
    /// It has left.
    pub(super) has_left: bool,
    script: Script,
    /// It waits for the answer to something.
    is_waiting: bool,
    /// When it asked for items last, by the machine's boot clock.
    asked_at: u64,
    is_leaving: bool,
}

/// What a client wants.
pub(super) enum Script {
    /// Puts so many items, some at a time; `patient` or not.
    Put { remaining: u64, waits_for_room: bool, sent: Vec<String>, answered: usize },
    /// Gets items and deals with them until the end, or until it has had so many runs.
    /// What it is `trying` once more waits for the keeper's answer.
    Get {
        batches_left: u64,
        always_done: bool,
        in_flight: Vec<Batch>,
        attempting: VecDeque<Batch>,
        done_sent: Vec<String>,
        done_before_get: Vec<String>,
    },
    /// Waits for everything to be done.
    Join,
    /// Asks one thing.
    Ask(Request<'static>),
}

impl SimClient {
    pub(super) fn new(name: u64, hello: Hello, mailbox: SharedPipe, script: Script) -> Self {
        let session = new_session(name, &hello);
        Self {
            key: name,
            hello,
            session,
            mailbox,
            keeper: None,
            is_welcomed: false,
            was_welcomed: false,
            is_stopped: false,
            has_left: false,
            script,
            is_waiting: false,
            asked_at: 0,
            is_leaving: false,
        }
    }

    /// As another client, since the keeper went before it had welcomed this one.
    pub(super) fn restart_as_new(&mut self, name: u64, mailbox: SharedPipe) {
        self.key = name;
        self.hello.mailbox = Some(ClientKey(name));
        self.session = new_session(name, &self.hello);
        self.mailbox = mailbox;
    }

    /// It is not one of those who have come for what has ended.
    pub(super) fn set_late_birth(&mut self, born: ProcessBirth) {
        if self.keeper.is_some() || !self.is_consumer() {
            return;
        }
        self.hello.birth = born;
        self.session = new_session(self.key, &self.hello);
    }

    pub(super) fn mailbox_name(&self) -> String {
        self.hello.mailbox_name(ClientKey(self.key))
    }

    pub(super) fn is_consumer(&self) -> bool {
        matches!(self.script, Script::Get { .. })
    }

    /// Says what is to be said next.
    pub(super) fn send_next(&mut self, now: u64, dice: &mut SimRng, ledger: &mut SimModel) {
        if self.has_left || !self.is_welcomed {
            return;
        }
        let leaves = match &mut self.script {
            Script::Put { remaining: left, waits_for_room: patient, sent, answered } => {
                if *left > 0 && sent.len() - *answered < 8 && !self.is_waiting {
                    let count = (1 + dice.below(4)).min(*left);
                    let mut lines = Vec::new();
                    for _ in 0..count {
                        // Some are longer than a write.
                        let filler = if dice.one_in(40) { "x".repeat(600) } else { String::new() };
                        let item =
                            format!("\"{:08}-{:06}{filler}\"", self.key, sent.len() + lines.len());
                        lines.push(item);
                    }
                    put(&mut self.session, &lines);
                    sent.extend(lines);
                    *left -= count;
                    if !*patient {
                        self.session.add_request(Request::Cancel);
                        self.is_waiting = true;
                    }
                }
                *left == 0 && sent.len() == *answered
            }
            Script::Get {
                batches_left: batches,
                always_done: gently,
                in_flight: held,
                attempting: trying,
                done_sent: said,
                ..
            } => {
                dispose_items(&mut self.session, *gently, (held, trying), said, dice, ledger);
                if !self.is_waiting && *batches > 0 && (held.is_empty() || dice.one_in(4)) {
                    self.session.add_request(Request::Get { max: 1 + dice.below(5) });
                    if let Script::Get { done_sent: said, done_before_get: before, .. } =
                        &mut self.script
                    {
                        before.append(said);
                    }
                    self.is_waiting = true;
                    self.asked_at = now;
                    false
                } else {
                    *batches == 0 && held.is_empty() && trying.is_empty() && !self.is_waiting
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
        self.session.finish_write();
    }

    fn disconnect(&mut self) {
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.session.add_request(Request::Bye);
        }
    }

    /// Takes in what the keeper says.
    pub(super) fn handle_reply(
        &mut self,
        now: u64,
        reply: Reply,
        ledger: &mut SimModel,
    ) -> Result<(), String> {
        match (reply, &mut self.script) {
            (Reply::Bye { .. }, _) => self.has_left = true,
            (Reply::Error { code: ErrorCode::NotFailed | ErrorCode::InUse, .. }, _) => {
                self.disconnect();
            }
            // The keeper cannot go on, and says so: what this one has goes back.
            (Reply::Error { .. }, _) => {
                ledger.may_redeliver = true;
                self.has_left = true;
            }
            (Reply::Ok { seq, id, .. }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for (at, item) in sent.iter().enumerate().take(seq).skip(*answered) {
                    ledger.record_accepted(item, id - (seq - 1 - at) as u64)?;
                }
                *answered = seq;
            }
            (Reply::Closed { seq } | Reply::Full { seq }, Script::Put { sent, answered, .. }) => {
                let seq = usize::try_from(seq).unwrap();
                for item in &sent[*answered..seq] {
                    ledger.record_refused(item)?;
                }
                *answered = seq;
            }
            (
                Reply::Batch(batch),
                Script::Get {
                    batches_left: batches, in_flight: held, done_before_get: before, ..
                },
            ) => {
                ledger.record_delivery(self.key, &batch)?;
                let until = self.hello.lease.map(|lease| self.asked_at + lease);
                ledger.record_lease(self.key, &batch, now, until)?;
                if self.hello.lease.is_none() {
                    before.drain(..).for_each(|item| ledger.record_done_confirmed(&item));
                }
                held.push(batch);
                *batches = batches.saturating_sub(1);
                self.is_waiting = false;
            }
            (Reply::Count { items }, Script::Get { in_flight: held, attempting: trying, .. }) => {
                if let Some(mut batch) = trying.pop_front().filter(|_| items > 0) {
                    batch.attempt += 1;
                    ledger.record_attempts(&batch)?;
                    held.push(batch);
                }
            }
            (Reply::Ended, Script::Get { batches_left: batches, .. }) => {
                *batches = 0;
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

fn new_session(name: u64, hello: &Hello) -> Session {
    // Short writes: more of them.
    Session::new(ClientKey(name), hello.clone(), 400)
}

fn put(session: &mut Session, lines: &[String]) {
    let whole: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if whole.len() <= session.max_put_bytes() {
        return session.put(lines.len() as u64, whole.into_bytes());
    }
    for line in lines {
        session.put(1, format!("{line}\n").into_bytes());
    }
}

/// Does something with what is held.
fn dispose_items(
    session: &mut Session,
    gently: bool,
    (held, trying): (&mut Vec<Batch>, &mut VecDeque<Batch>),
    said: &mut Vec<String>,
    dice: &mut SimRng,
    ledger: &mut SimModel,
) {
    while !held.is_empty() && !dice.one_in(3) {
        let at = usize::try_from(dice.below(held.len() as u64)).unwrap();
        let batch = &mut held[at];
        let part = batch.split_to(1 + dice.below(batch.count()));
        if batch.count() == 0 {
            held.remove(at);
        }
        let batch_ref = part.batch_ref();
        match dice.below(9) {
            8 if batch_ref.count == 1 => {
                let (id, attempt) = (part.first_id, part.attempt + 1);
                session.add_request(Request::Attempt { id, attempt });
                trying.push_back(part);
            }
            0 if !gently => {
                ledger.may_redeliver = true;
                session.add_request(Request::Requeue(batch_ref));
            }
            1 if !gently => fail(session, batch_ref),
            _ => {
                for (_, item) in part.iter_with_ids() {
                    ledger.record_done_sent(&item_text(item));
                    said.push(item_text(item));
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

/// Comes as this.
pub(super) fn hello(name: u64, role: Role) -> Hello {
    Hello { pid: 1, mailbox: Some(ClientKey(name)), ..Hello::new(role) }
}
