//! What a client and its bridge tell each other besides the bytes of the pipes.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard};

use super::durability::DurabilityReport;
use super::error::ServerError;
use crate::clock::Clock;
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
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Tells a person of a server that does not answer.
    notify: Option<fn(&str)>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The bridge has sent requests, or is about to.
    pub(super) has_sent: bool,
    /// The client has given up before the bridge sent anything.
    pub(super) is_withdrawn: bool,
    /// Why there is no connection at the moment.
    pub(super) problem: Option<Problem>,
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

/// Why a client has no connection.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) error: ServerError,
    /// Another attempt does not help.
    pub(crate) is_final: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn new(notify: Option<fn(&str)>) -> Self {
        Self { notify, ..Self::default() }
    }

    /// Tells of a server that does not answer, once until it answers again.
    pub(super) fn tell_silence(&self, error: &ServerError) {
        let was_told = std::mem::replace(&mut self.lock().has_told_silence, true);
        if let Some(notify) = self.notify.filter(|_| !was_told) {
            notify(&format!("{error}; trying again"));
        }
    }

    pub(super) fn note_answer(&self) {
        self.lock().last_answer = Some(Clock::start_boot());
    }

    /// The server has answered a call: only then is a problem over. A server that loads its data takes connections.
    pub(super) fn tell_answer(&self) {
        self.set_problem(None);
        self.note_answer();
        let was_told = std::mem::take(&mut self.lock().has_told_silence);
        if let Some(notify) = self.notify.filter(|_| was_told) {
            notify("the server answers again");
        }
    }

    /// Whether the bridge may send requests; if so, the client can no longer withdraw them.
    pub(super) fn begin_sending(&self) -> bool {
        let mut state = self.lock();
        state.has_sent |= !state.is_withdrawn;
        state.last_answer.get_or_insert_with(Clock::start_boot);
        !state.is_withdrawn
    }

    pub(super) fn set_durability(&self, report: DurabilityReport) {
        let mut state = self.lock();
        let is_worse = |old: DurabilityReport| report.reached_replicas < old.reached_replicas;
        if state.durability.is_none_or(is_worse) {
            state.durability = Some(report);
        }
    }

    pub(super) fn set_warning(&self, warning: Option<String>) {
        self.lock().warning = warning;
    }

    pub(super) fn set_problem(&self, problem: Option<Problem>) {
        self.lock().problem = problem;
    }
}
