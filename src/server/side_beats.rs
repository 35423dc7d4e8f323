//! Beats on a second connection. A call occupies the connection of a client until it is answered. A large item on a
//! slow network may take longer than a silent client lives.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::connection::Connection;
use super::script::QueueKeys;
use super::settings::ServerSettings;
use super::url::Place;
use crate::wire::ClientKey;

/// Keeps a client alive while a call is under way.
pub(super) struct SideBeats {
    pub(super) settings: Arc<ServerSettings>,
    pub(super) address: Option<Place>,
    pub(super) keys: QueueKeys,
    pub(super) key: ClientKey,
    /// The number of the conversation that the call belongs to.
    pub(super) conversation: u64,
}

impl SideBeats {
    /// The beats of one call. A call that is answered soon needs none, and no second connection.
    pub(super) async fn run(&self) -> Infallible {
        let mut connection: Option<Connection> = None;
        loop {
            sleep(Duration::from_nanos(self.settings.dead_after / 3)).await;
            // Nothing depends on a beat that fails: the next one connects again.
            connection = self.beat(connection.take()).await;
        }
    }

    async fn beat(&self, connection: Option<Connection>) -> Option<Connection> {
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let address = self.address.as_ref();
                let opened =
                    Connection::open(&self.settings, address, &self.keys, self.key, true).await;
                let mut connection = opened.ok()?;
                connection.caller.conversation = self.conversation;
                connection
            }
        };
        connection.caller.call(Vec::new()).await.ok().map(|()| connection)
    }
}
