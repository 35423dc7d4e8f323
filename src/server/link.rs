//! A client's end of its bridge: starts the thread, gives it the pipes, and learns why it has given up.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::bridge::Bridge;
use super::conversation::{Conversation, Shared};
use super::durability::DurabilityReport;
use super::error::ServerError;
use super::notifier::Notifier;
use super::script::QueueKeys;
use super::settings::ServerSettings;
use crate::clock::{Clock, Nanos};
use crate::os::os_text;
use crate::queue_name::QueueName;
use crate::wire::ClientKey;

/// How long a client that leaves waits until its last requests are with the server.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the bridge of a client that has left goes on trying, in the background.
const LAST_CALL_TIMEOUT: Duration = Duration::from_secs(10);

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
        notify: Option<Notifier>,
    ) -> io::Result<Self> {
        let (conversations, received) = unbounded_channel();
        let shared = Arc::new(Shared::new(settings.url.to_string(), notify));
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
        // The server is away until it has taken a call.
        self.shared.begin_absence(0);
        if let Some(conversations) = &self.conversations {
            // If the bridge is gone, the pipes close, and the client sees that.
            let _ = conversations.send(conversation);
        }
    }

    /// Takes the requests back. Returns whether the bridge has sent none of them, and never will.
    pub(crate) fn withdraw(&self) -> bool {
        let mut state = self.shared.lock();
        state.is_withdrawn = !state.has_sent;
        state.is_withdrawn
    }

    /// How many requests of the last conversation the server has handled, and a clock that started at its last answer.
    pub(crate) fn last_conversation(&self) -> (u64, Option<Clock>) {
        let mut state = self.shared.lock();
        (std::mem::take(&mut state.handled_requests), state.last_answer)
    }

    /// The worst that the waits of `--sync` have reached; none if there was none.
    pub(crate) fn durability(&self) -> Option<DurabilityReport> {
        self.shared.lock().durability
    }

    /// What a person should know of the server, once.
    pub(crate) fn take_warning(&self) -> Option<String> {
        self.shared.lock().warning.take()
    }

    /// For how long the server has been away.
    pub(crate) fn away_for(&self) -> Nanos {
        self.shared.away_for()
    }

    /// Why the server does not answer.
    pub(crate) fn silence(&self) -> ServerError {
        self.shared.silence()
    }

    /// What the server has refused, once. The next conversation tries again.
    pub(crate) fn take_refusal(&self) -> Option<ServerError> {
        self.shared.lock().refusal.take()
    }
}

impl Drop for ServerLink {
    /// Waits until the server has the client's last requests. The client has closed its pipes.
    fn drop(&mut self) {
        self.conversations = None;
        self.shared.left.notify_one();
        // An error says that the bridge has ended, or that it takes too long.
        let _ = self.bridge_end.recv_timeout(LEAVE_TIMEOUT);
    }
}

/// Runs the bridge on this thread, until [`LAST_CALL_TIMEOUT`] after the client has left at the latest. If the system refuses
/// what the thread needs, the pipes of the conversations close, and the client learns the cause.
fn run(bridge: Bridge, mut conversations: UnboundedReceiver<Conversation>) {
    let shared = Arc::clone(&bridge.shared);
    match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => {
            let left_too_long = async {
                shared.left.notified().await;
                sleep(LAST_CALL_TIMEOUT).await;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = bridge.run(conversations) => {}
                    () = left_too_long => {}
                }
            });
            // A thread that looks up the server's name may take longer, and is not waited for.
            runtime.shutdown_background();
        }
        Err(error) => {
            shared.set_refusal(ServerError::System { cause: os_text(&error) });
            conversations.close();
        }
    }
}
