//! A client's end of its bridge: starts the thread, gives it the pipes, and learns why it has given up.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::bridge::Bridge;
use super::durability::DurabilityReport;
use super::error::ServerError;
use super::script::QueueKeys;
use super::settings::ServerSettings;
use crate::os::lock;
use crate::queue_name::QueueName;
use crate::wire::ClientKey;

/// How long a client that leaves waits until its last requests are with the server.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

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
pub(super) struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The bridge has sent requests, or is about to.
    has_sent: bool,
    /// The client has given up before the bridge sent anything.
    is_withdrawn: bool,
    /// Why there is no connection at the moment.
    problem: Option<Problem>,
    /// What a person should know of the server.
    warning: Option<String>,
    /// The worst that the waits of `--sync` have reached.
    durability: Option<DurabilityReport>,
}

/// Why a client has no connection.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) error: ServerError,
    /// Another attempt does not help.
    pub(crate) is_final: bool,
}

impl Shared {
    /// Whether the bridge may send requests; if so, the client can no longer withdraw them.
    pub(super) fn begin_sending(&self) -> bool {
        let mut state = lock(&self.0);
        state.has_sent |= !state.is_withdrawn;
        !state.is_withdrawn
    }

    pub(super) fn set_durability(&self, report: DurabilityReport) {
        let mut state = lock(&self.0);
        let is_worse = |old: DurabilityReport| report.reached_replicas < old.reached_replicas;
        if state.durability.is_none_or(is_worse) {
            state.durability = Some(report);
        }
    }

    pub(super) fn set_warning(&self, warning: Option<String>) {
        lock(&self.0).warning = warning;
    }

    pub(super) fn set_problem(&self, problem: Option<Problem>) {
        lock(&self.0).problem = problem;
    }
}

/// A client's way to its server. The client talks through the pipes of its present [`Conversation`].
#[derive(Debug)]
pub(crate) struct ServerLink {
    /// None when the link is being dropped.
    conversations: Option<UnboundedSender<Conversation>>,
    shared: Arc<Shared>,
    /// Disconnects when the bridge has ended.
    bridge_end: mpsc::Receiver<()>,
}

impl ServerLink {
    /// Starts the bridge of the client `key`. The bridge connects when it gets a conversation.
    pub(crate) fn start(
        settings: &ServerSettings,
        queue: &QueueName,
        key: ClientKey,
    ) -> io::Result<Self> {
        let (conversations, received) = unbounded_channel();
        let shared = Arc::new(Shared::default());
        let keys = QueueKeys::new(&settings.url.prefix, queue);
        let bridge = Bridge::new(settings.clone(), keys, key, Arc::clone(&shared));
        let (alive, bridge_end) = mpsc::channel();
        thread::Builder::new().name("server".to_owned()).spawn(move || {
            run(bridge, received);
            drop(alive);
        })?;
        Ok(Self { conversations: Some(conversations), shared, bridge_end })
    }

    /// Begins a conversation. The pipes of an earlier one are closed.
    pub(crate) fn begin(&self, conversation: Conversation) {
        if let Some(conversations) = &self.conversations {
            // If the bridge is gone, the pipes close, and the client sees that.
            let _ = conversations.send(conversation);
        }
    }

    /// Takes the requests back. Returns whether the bridge has sent none of them, and never will.
    pub(crate) fn withdraw(&self) -> bool {
        let mut state = lock(&self.shared.0);
        state.is_withdrawn = !state.has_sent;
        state.is_withdrawn
    }

    /// The worst that the waits of `--sync` have reached; none if there was none.
    pub(crate) fn durability(&self) -> Option<DurabilityReport> {
        lock(&self.shared.0).durability
    }

    /// What a person should know of the server, once.
    pub(crate) fn take_warning(&self) -> Option<String> {
        lock(&self.shared.0).warning.take()
    }

    /// Why there is no connection at the moment; none if there is one.
    pub(crate) fn problem(&self) -> Option<Problem> {
        lock(&self.shared.0).problem.clone()
    }
}

impl Drop for ServerLink {
    /// Waits until the server has the client's last requests. The client has closed its pipes.
    fn drop(&mut self) {
        self.conversations = None;
        // An error says that the bridge has ended, or that it takes too long.
        let _ = self.bridge_end.recv_timeout(LEAVE_TIMEOUT);
    }
}

/// Runs the bridge on this thread. If the system refuses what the thread needs, the pipes of the conversations
/// close, and the client learns the cause from `problem`.
fn run(bridge: Bridge, mut conversations: UnboundedReceiver<Conversation>) {
    let shared = Arc::clone(&bridge.shared);
    match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime.block_on(bridge.run(conversations)),
        Err(error) => {
            shared.set_problem(Some(Problem {
                error: ServerError::System { cause: error.to_string() },
                is_final: true,
            }));
            conversations.close();
        }
    }
}
