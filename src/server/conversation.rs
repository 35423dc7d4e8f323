//! What a client and its bridge tell each other besides the bytes of the pipes.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::durability::DurabilityReport;
use super::error::{ServerError, no_answer_yet};
use super::notifier::Notifier;
use crate::catalogue::message;
use crate::clock::{Clock, Nanos};
use crate::os::lock;

/// What a client wants to know of a server before it begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// The server keeps accepted items on its disk.
    pub(crate) sync: bool,
    /// The server does not drop items. The first connection checks that.
    pub(crate) keeps_items: bool,
}

/// The far ends of a client's pipes, and the hello that begins the conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// `hello {…}` with its newline.
    pub(crate) hello: Vec<u8>,
    pub(crate) needs: Needs,
    pub(crate) requests: OwnedFd,
    pub(crate) mailbox: OwnedFd,
}

/// What the client and its bridge both know.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The server's address, for people.
    server: String,
    /// The client has left.
    pub(super) left: Notify,
    /// Tells a person of a server that does not answer.
    notify: Option<Notifier>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The bridge has sent requests of the client, or is about to. The server has not refused them.
    pub(super) has_sent: bool,
    /// The client has given up before the bridge sent anything.
    pub(super) is_withdrawn: bool,
    /// Why there is no connection at the moment.
    pub(super) problem: Option<ServerError>,
    /// The server does not do what the client has asked, and another attempt would not have helped. The client returns it
    /// once.
    pub(super) refusal: Option<ServerError>,
    /// Started when the server went away: it has taken no call since, but perhaps a hello.
    pub(super) away: Option<Clock>,
    /// What a person should know of the server.
    pub(super) warning: Option<String>,
    /// The worst that the waits of `--sync` have reached.
    pub(super) durability: Option<DurabilityReport>,
    /// A person knows that the server does not answer.
    pub(super) has_told_silence: bool,
    /// How many requests of the last conversation the server has handled and the client has the replies of.
    pub(super) handled_requests: u64,
    /// Started at the last answer of the server, or at the first call.
    pub(super) last_answer: Option<Clock>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn new(server: String, notify: Option<Notifier>) -> Self {
        Self { state: Mutex::default(), server, left: Notify::new(), notify }
    }

    /// Why the server does not answer.
    pub(super) fn silence(&self) -> ServerError {
        let problem = self.lock().problem.clone();
        let silent = || ServerError::Silent { server: self.server.clone(), cause: no_answer_yet() };
        problem.unwrap_or_else(silent)
    }

    /// Tells of a server that does not answer, once until it answers again.
    pub(super) fn tell_silence(&self) {
        let error = self.silence();
        let was_told = std::mem::replace(&mut self.lock().has_told_silence, true);
        if let Some(notifier) = self.notify.as_ref().filter(|_| !was_told) {
            notifier.tell(&message!("server-trying-again", error = &error));
        }
    }

    pub(super) fn note_answer(&self) {
        self.lock().last_answer = Some(Clock::start_boot());
    }

    /// The server has taken a call that is more than a hello: only then is a problem over. A server that loads its data takes
    /// connections, and one that hangs may welcome its clients.
    pub(super) fn tell_answer(&self) {
        self.set_problem(None);
        self.note_answer();
        self.lock().away = None;
        let was_told = std::mem::take(&mut self.lock().has_told_silence);
        if let Some(notifier) = self.notify.as_ref().filter(|_| was_told) {
            notifier.tell(&message!("server-answers-again"));
        }
    }

    /// The server has been away for this time at least.
    pub(super) fn begin_absence(&self, before: Nanos) {
        let begin = || Clock::since(Clock::origin().saturating_sub(before));
        self.lock().away.get_or_insert_with(begin);
    }

    /// For how long the server has been away.
    pub(super) fn away_for(&self) -> Nanos {
        self.lock().away.map_or(0, |away| away.now())
    }

    /// Whether the bridge may send requests of the client; if so, the client can no longer withdraw them. Returns whether
    /// it has sent others before; none if the client has withdrawn its requests.
    pub(super) fn begin_sending(&self) -> Option<bool> {
        let mut state = self.lock();
        let has_sent = state.has_sent;
        state.has_sent |= !state.is_withdrawn;
        state.last_answer.get_or_insert_with(Clock::start_boot);
        (!state.is_withdrawn).then_some(has_sent)
    }

    pub(super) fn set_durability(&self, report: DurabilityReport) {
        let mut state = self.lock();
        let missing =
            |report: DurabilityReport| report.replicas.saturating_sub(report.reached_replicas);
        let is_worse = |old: DurabilityReport| {
            (missing(old), old.reached_replicas) < (missing(report), report.reached_replicas)
        };
        if state.durability.is_none_or(is_worse) {
            state.durability = Some(report);
        }
    }

    pub(super) fn set_warning(&self, warning: Option<String>) {
        self.lock().warning = warning;
    }

    pub(super) fn set_problem(&self, problem: Option<ServerError>) {
        self.lock().problem = problem;
    }

    pub(super) fn set_refusal(&self, error: ServerError) {
        self.lock().refusal = Some(error);
    }
}
