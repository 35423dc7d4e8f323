//! The requests that the keeper has not answered. If the keeper dies, the session sends them to the
//! next keeper.

use std::collections::VecDeque;

use super::held_items::HeldItems;
use crate::queue::{BatchRef, Items};
use crate::wire::{Reply, Request};

/// The requests without a reply.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    puts: VecDeque<OutstandingPut>,
    /// The bytes of the items in `puts`.
    put_bytes: usize,
    /// The client's number of the last item that the keeper accepted or refused.
    last_answered_seq: u64,
    /// How many batches have come in reply to a get.
    received_batches: u64,
    /// The client's number of the last item that the keeper accepted.
    last_accepted_seq: u64,
    /// The items that the client has in flight, as far as the client knows.
    held: HeldItems,
    /// The requests with a reply of their own except puts, oldest first.
    requests: VecDeque<(Request, ReportMark)>,
    /// The `done`, `requeue` and `fail` requests, oldest first. The keeper does not answer them, but a
    /// reply to a later request proves that they have arrived.
    item_reports: VecDeque<ItemReport>,
    /// How many item reports are known to have arrived.
    confirmed_reports: u64,
    /// How many of the puts, and of the requests, a server has refused: the oldest ones.
    refused: (usize, usize),
}

/// How many item reports came before a request.
type ReportMark = u64;

/// A `done`, `requeue` or `fail`.
#[derive(Debug)]
pub(super) struct ItemReport {
    pub(super) request: Request,
    /// The number of the request in the present conversation; 0 if an earlier keeper has handled it.
    pub(super) number: u64,
}

/// Items of one put.
#[derive(Debug)]
pub(super) struct OutstandingPut {
    /// The client's number of the last item.
    pub(super) last_seq: u64,
    pub(super) items: Items,
}

impl Outstanding {
    pub(super) fn put_bytes(&self) -> usize {
        self.put_bytes
    }

    pub(super) fn last_answered_seq(&self) -> u64 {
        self.last_answered_seq
    }

    pub(super) fn last_accepted_seq(&self) -> u64 {
        self.last_accepted_seq
    }

    /// The parts of these batches that the client has neither in flight nor reported.
    pub(super) fn unknown_items(&self, in_flight: &[(u64, u64, u32)]) -> Vec<BatchRef> {
        let mut known = self.held.clone();
        let reported =
            self.item_reports.iter().filter_map(|report| report.request.reported_batch_ref());
        reported.for_each(|items| known.add(items.first_id, items.count));
        in_flight.iter().flat_map(|&batch| known.missing(batch)).collect()
    }

    pub(super) fn received_batches(&self) -> u64 {
        self.received_batches
    }

    pub(super) fn puts(&self) -> impl Iterator<Item = &OutstandingPut> {
        self.puts.iter()
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().map(|(request, _)| request)
    }

    pub(super) fn item_reports_mut(&mut self) -> impl Iterator<Item = &mut ItemReport> {
        self.item_reports.iter_mut()
    }

    /// Gives up every put without an answer, and forgets which puts the keeper has accepted.
    pub(super) fn forget_puts(&mut self) {
        self.puts.clear();
        (self.put_bytes, self.last_accepted_seq) = (0, 0);
    }

    /// A server has refused the puts and the requests so far.
    pub(super) fn mark_refused(&mut self) {
        self.refused = (self.puts.len(), self.requests.len());
    }

    /// Removes what was refused. Returns the client's number of the last item that is neither accepted nor unanswered then.
    pub(super) fn drop_refused(&mut self) -> Option<u64> {
        let (puts, requests) = std::mem::take(&mut self.refused);
        self.requests.drain(..requests.min(self.requests.len()));
        let put = puts.min(self.puts.len()).checked_sub(1).and_then(|last| self.puts.get(last));
        let last_seq = put.map(|put| put.last_seq)?;
        self.complete_puts(last_seq);
        Some(last_seq)
    }

    pub(super) fn add_put(&mut self, last_seq: u64, items: Items) {
        self.put_bytes += items.bytes.len();
        self.puts.push_back(OutstandingPut { last_seq, items });
    }

    /// Adds a request that is no put. `number` is its number in the present conversation.
    pub(super) fn add_request(&mut self, request: Request, number: u64) {
        match request {
            Request::Done(_) | Request::Requeue(_) | Request::Fail { .. } => {
                if let Some(items) = request.reported_batch_ref() {
                    self.held.remove(items);
                }
                self.item_reports.push_back(ItemReport { request, number });
            }
            // A keeper that paces time has no successor. A renewal is followed by another one.
            Request::Sleep(_) | Request::Renew(_) => {}
            _ => {
                let mark = self.confirmed_reports + self.item_reports.len() as u64;
                self.requests.push_back((request, mark));
            }
        }
    }

    /// Removes the requests that this reply answers.
    pub(super) fn apply_reply(&mut self, reply: &Reply) {
        let is_get = |request: &Request| matches!(request, Request::Get { .. });
        let shows_items = |request: &Request| {
            matches!(request, Request::Peek { .. } | Request::ListFailed { .. })
        };
        match reply {
            Reply::Ok { seq, .. } | Reply::Closed { seq } | Reply::Full { seq } => {
                if matches!(reply, Reply::Ok { .. }) {
                    self.last_accepted_seq = self.last_accepted_seq.max(*seq);
                }
                self.complete_puts(*seq);
            }
            Reply::Batch(batch) => {
                let is_shown = !self.complete(is_get) && self.complete(shows_items);
                if !is_shown {
                    self.received_batches += 1;
                    self.held.add(batch.first_id, batch.count());
                }
            }
            Reply::Empty => {
                let _ = self.complete(is_get) || self.complete(shows_items);
            }
            Reply::Ended => {
                self.complete(is_get);
            }
            Reply::Joined { .. } | Reply::Unfinished { .. } => {
                self.complete(|request| matches!(request, Request::Join));
            }
            Reply::Cancelled => {
                self.complete(|request| matches!(request, Request::Cancel));
            }
            Reply::Count { .. }
            | Reply::Size { .. }
            | Reply::Status(_)
            | Reply::Failed { .. }
            | Reply::Bye { .. }
            | Reply::Error { .. } => {
                self.complete(|request| {
                    !matches!(request, Request::Get { .. } | Request::Join | Request::Cancel)
                });
            }
            Reply::NotInFlight(items) => self.held.remove(*items),
            Reply::Welcome(_) | Reply::Wake => {}
        }
    }

    fn complete_puts(&mut self, seq: u64) {
        self.last_answered_seq = self.last_answered_seq.max(seq);
        while let Some(put) = self.puts.front().filter(|put| put.last_seq <= seq) {
            self.put_bytes -= put.items.bytes.len();
            self.puts.pop_front();
        }
    }

    /// Removes the oldest request that `is_answered` picks, and all item reports before that request.
    fn complete(&mut self, is_answered: impl Fn(&Request) -> bool) -> bool {
        let position = self.requests.iter().position(|(request, _)| is_answered(request));
        let Some((_, mark)) = position.and_then(|at| self.requests.remove(at)) else {
            return false;
        };
        while self.confirmed_reports < mark && self.item_reports.pop_front().is_some() {
            self.confirmed_reports += 1;
        }
        true
    }
}
