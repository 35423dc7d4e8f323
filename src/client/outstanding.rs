//! What a client has said and the keeper has not answered yet: if the keeper dies, its successor is
//! told again.

use std::collections::VecDeque;

use crate::queue::Which;
use crate::wire::Reply;

/// Everything that is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Owed {
    puts: VecDeque<Put>,
    /// How many bytes of items these are.
    bytes: usize,
    /// The number of the last item of which is known what became of it.
    answered: u64,
    /// The `max` of the get that waits.
    get: Option<(u64, Mark)>,
    /// How many runs have come.
    got: u64,
    joins: Option<Mark>,
    cancels: Option<Mark>,
    questions: VecDeque<(Question, Mark)>,
    /// What was said of items. It has no answer, but it has arrived when something is answered that
    /// was asked after it.
    said: VecDeque<Said>,
    /// How many were said and have arrived.
    arrived: u64,
}

/// How many things had been said of items when something was asked.
type Mark = u64;

/// Items that were put together.
#[derive(Debug)]
pub(super) struct Put {
    /// The client's number of the last of them.
    pub(super) last: u64,
    pub(super) count: u64,
    /// Each with its newline.
    pub(super) lines: Vec<u8>,
}

/// A request with one answer of its own.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) verb: &'static str,
    pub(super) what: Option<String>,
}

/// What became of items that were out with the client.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// `done` or `back`
    About { verb: &'static str, which: Which },
    /// `fail`
    Failed { id: u64, attempt: u32, tries: u32, why: String },
}

impl Said {
    /// Of which items.
    pub(super) fn which(&self) -> Which {
        match *self {
            Self::About { which, .. } => which,
            Self::Failed { id, attempt, .. } => {
                Which { first: id, count: 1, attempt: Some(attempt) }
            }
        }
    }
}

impl Owed {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn got(&self) -> u64 {
        self.got
    }

    pub(super) fn puts(&self) -> impl Iterator<Item = &Put> {
        self.puts.iter()
    }

    pub(super) fn wants(&self) -> Option<u64> {
        self.get.map(|(max, _)| max)
    }

    pub(super) fn joins(&self) -> bool {
        self.joins.is_some()
    }

    pub(super) fn cancels(&self) -> bool {
        self.cancels.is_some()
    }

    pub(super) fn questions(&self) -> impl Iterator<Item = &Question> {
        self.questions.iter().map(|(question, _)| question)
    }

    pub(super) fn said(&self) -> impl Iterator<Item = &Said> {
        self.said.iter()
    }

    pub(super) fn put(&mut self, last: u64, count: u64, lines: Vec<u8>) {
        self.bytes += lines.len();
        self.puts.push_back(Put { last, count, lines });
    }

    pub(super) fn get(&mut self, max: u64) {
        self.get = Some((max, self.mark()));
    }

    pub(super) fn join(&mut self) {
        self.joins = Some(self.mark());
    }

    pub(super) fn cancel(&mut self) {
        self.cancels = Some(self.mark());
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.questions.push_back((question, self.mark()));
    }

    pub(super) fn say(&mut self, said: Said) {
        self.said.push_back(said);
    }

    /// What this reply answers is not owed any more.
    pub(super) fn hear(&mut self, reply: &Reply) {
        match reply {
            Reply::Ok { seq, .. } | Reply::Closed { seq } | Reply::Full { seq } => {
                self.put_is_answered(*seq);
            }
            Reply::Run(_) | Reply::Empty if self.is_shown() => self.question_is_answered(),
            Reply::Run(_) => {
                self.got += 1;
                self.get_is_answered();
            }
            Reply::Ended | Reply::Empty => self.get_is_answered(),
            Reply::Joined { .. } | Reply::Unfinished { .. } => {
                let mark = self.joins.take();
                self.has_arrived(mark);
            }
            Reply::Cancelled => {
                let mark = self.cancels.take();
                self.has_arrived(mark);
            }
            Reply::Count { .. }
            | Reply::Size { .. }
            | Reply::Status(_)
            | Reply::Failed { .. }
            | Reply::Bye { .. }
            | Reply::Error { .. } => self.question_is_answered(),
            Reply::Welcome(_) | Reply::Lost(_) | Reply::Wake => {}
        }
    }

    /// Whether the next run or `empty` is of an item that is only shown.
    fn is_shown(&self) -> bool {
        let shows = |question: &Question| matches!(question.verb, "peek" | "failed");
        self.get.is_none() && self.questions().next().is_some_and(shows)
    }

    fn put_is_answered(&mut self, seq: u64) {
        self.answered = self.answered.max(seq);
        while let Some(put) = self.puts.front().filter(|put| put.last <= seq) {
            self.bytes -= put.lines.len();
            self.puts.pop_front();
        }
    }

    fn get_is_answered(&mut self) {
        let mark = self.get.take().map(|(_, mark)| mark);
        self.has_arrived(mark);
    }

    fn question_is_answered(&mut self) {
        let mark = self.questions.pop_front().map(|(_, mark)| mark);
        self.has_arrived(mark);
    }

    fn mark(&self) -> Mark {
        self.arrived + self.said.len() as u64
    }

    fn has_arrived(&mut self, mark: Option<Mark>) {
        while self.arrived < mark.unwrap_or(0) && self.said.pop_front().is_some() {
            self.arrived += 1;
        }
    }
}
