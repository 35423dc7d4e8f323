//! What a client has said and the keeper has not answered yet: if the keeper dies, its successor is
//! told again.

use std::collections::VecDeque;

use crate::queue::BatchRef;
use crate::wire::Reply;

/// Everything that is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    puts: VecDeque<OutstandingPut>,
    /// How many bytes of items these are.
    put_bytes: usize,
    /// The number of the last item of which is known what became of it.
    last_answered_seq: u64,
    /// The `max` of the get that waits.
    pending_get: Option<(u64, DispositionMark)>,
    /// How many runs have come.
    received_batches: u64,
    pending_join: Option<DispositionMark>,
    pending_cancel: Option<DispositionMark>,
    queries: VecDeque<(OutstandingQuery, DispositionMark)>,
    /// What was said of items. It has no answer, but it has arrived when something is answered that
    /// was asked after it.
    dispositions: VecDeque<Disposition>,
    /// How many were said and have arrived.
    confirmed_dispositions: u64,
}

/// How many things had been said of items when something was asked.
type DispositionMark = u64;

/// Items that were put together.
#[derive(Debug)]
pub(super) struct OutstandingPut {
    /// The client's number of the last of them.
    pub(super) last_seq: u64,
    pub(super) count: u64,
    /// Each with its newline.
    pub(super) lines: Vec<u8>,
}

/// A request with one answer of its own.
#[derive(Debug)]
pub(super) struct OutstandingQuery {
    pub(super) verb: &'static str,
    pub(super) argument: Option<String>,
}

/// What became of items that were out with the client.
#[derive(Clone, Debug)]
pub(crate) enum Disposition {
    /// `done` or `back`
    DoneOrRequeued { verb: &'static str, batch_ref: BatchRef },
    /// `fail`
    Failed { id: u64, attempt: u32, tries: u32, reason: String },
}

impl Disposition {
    /// Of which items.
    pub(super) fn batch_ref(&self) -> BatchRef {
        match *self {
            Self::DoneOrRequeued { batch_ref, .. } => batch_ref,
            Self::Failed { id, attempt, .. } => {
                BatchRef { first_id: id, count: 1, attempt: Some(attempt) }
            }
        }
    }
}

impl Outstanding {
    pub(super) fn put_bytes(&self) -> usize {
        self.put_bytes
    }

    pub(super) fn last_answered_seq(&self) -> u64 {
        self.last_answered_seq
    }

    pub(super) fn received_batches(&self) -> u64 {
        self.received_batches
    }

    pub(super) fn puts(&self) -> impl Iterator<Item = &OutstandingPut> {
        self.puts.iter()
    }

    pub(super) fn pending_get_max(&self) -> Option<u64> {
        self.pending_get.map(|(max, _)| max)
    }

    pub(super) fn has_pending_join(&self) -> bool {
        self.pending_join.is_some()
    }

    pub(super) fn has_pending_cancel(&self) -> bool {
        self.pending_cancel.is_some()
    }

    pub(super) fn queries(&self) -> impl Iterator<Item = &OutstandingQuery> {
        self.queries.iter().map(|(question, _)| question)
    }

    pub(super) fn dispositions(&self) -> impl Iterator<Item = &Disposition> {
        self.dispositions.iter()
    }

    pub(super) fn add_put(&mut self, last: u64, count: u64, lines: Vec<u8>) {
        self.put_bytes += lines.len();
        self.puts.push_back(OutstandingPut { last_seq: last, count, lines });
    }

    pub(super) fn set_get(&mut self, max: u64) {
        self.pending_get = Some((max, self.current_mark()));
    }

    pub(super) fn set_join(&mut self) {
        self.pending_join = Some(self.current_mark());
    }

    pub(super) fn set_cancel(&mut self) {
        self.pending_cancel = Some(self.current_mark());
    }

    pub(super) fn add_query(&mut self, question: OutstandingQuery) {
        self.queries.push_back((question, self.current_mark()));
    }

    pub(super) fn add_disposition(&mut self, disposition: Disposition) {
        self.dispositions.push_back(disposition);
    }

    /// What this reply answers is not owed any more.
    pub(super) fn apply_reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Ok { seq, .. } | Reply::Closed { seq } | Reply::Full { seq } => {
                self.complete_puts(*seq);
            }
            Reply::Batch(_) | Reply::Empty if self.is_next_reply_to_query() => {
                self.complete_query()
            }
            Reply::Batch(_) => {
                self.received_batches += 1;
                self.complete_get();
            }
            Reply::Ended | Reply::Empty => self.complete_get(),
            Reply::Joined { .. } | Reply::Unfinished { .. } => {
                let mark = self.pending_join.take();
                self.confirm_dispositions(mark);
            }
            Reply::Cancelled => {
                let mark = self.pending_cancel.take();
                self.confirm_dispositions(mark);
            }
            Reply::Count { .. }
            | Reply::Size { .. }
            | Reply::Status(_)
            | Reply::Failed { .. }
            | Reply::Bye { .. }
            | Reply::Error { .. } => self.complete_query(),
            Reply::Welcome(_) | Reply::NotInFlight(_) | Reply::Wake => {}
        }
    }

    /// Whether the next run or `empty` is of an item that is only shown.
    fn is_next_reply_to_query(&self) -> bool {
        let shows = |question: &OutstandingQuery| matches!(question.verb, "peek" | "failed");
        self.pending_get.is_none() && self.queries().next().is_some_and(shows)
    }

    fn complete_puts(&mut self, seq: u64) {
        self.last_answered_seq = self.last_answered_seq.max(seq);
        while let Some(put) = self.puts.front().filter(|put| put.last_seq <= seq) {
            self.put_bytes -= put.lines.len();
            self.puts.pop_front();
        }
    }

    fn complete_get(&mut self) {
        let mark = self.pending_get.take().map(|(_, mark)| mark);
        self.confirm_dispositions(mark);
    }

    fn complete_query(&mut self) {
        let mark = self.queries.pop_front().map(|(_, mark)| mark);
        self.confirm_dispositions(mark);
    }

    fn current_mark(&self) -> DispositionMark {
        self.confirmed_dispositions + self.dispositions.len() as u64
    }

    fn confirm_dispositions(&mut self, mark: Option<DispositionMark>) {
        while self.confirmed_dispositions < mark.unwrap_or(0)
            && self.dispositions.pop_front().is_some()
        {
            self.confirmed_dispositions += 1;
        }
    }
}
