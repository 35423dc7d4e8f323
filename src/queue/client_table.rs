//! The connected clients by their ids.

use std::collections::BTreeMap;

use super::blocked::BlockedPuts;
use super::in_flight::InFlight;
use super::types::{ClientId, ClientSettings};
use super::wait_line::Turn;

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) settings: ClientSettings,
    pub(super) blocked_puts: BlockedPuts,
    pub(super) pending_get: Option<PendingGet>,
    pub(super) is_joining: bool,
    /// By the first id of each batch.
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    /// The round that the client came for has ended, so the client's next get sees the end.
    pub(super) sees_end_next: bool,
}

/// A get without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingGet {
    /// How many items at most.
    pub(super) max: u64,
    /// The get's place in `waiting_getters`.
    pub(super) turn: Turn,
}

/// Ids ascend, and few clients leave before the others: so the place of a client is most often the difference of its id to
/// the first one. A lookup then costs the same for one client and for thousands.
#[derive(Debug, Default)]
pub(super) struct ClientTable {
    /// By id. A client is larger than what a removal may move.
    clients: Vec<(ClientId, Box<Client>)>,
}

impl ClientTable {
    /// The place of the client, or where it would be.
    fn place(&self, client: ClientId) -> Result<usize, usize> {
        let first = self.clients.first().map_or(client, |first| first.0);
        let distance = client.saturating_sub(first);
        match self.clients.get(distance) {
            Some(&(id, _)) if id == client => Ok(distance),
            // All ids differ, so the client is not behind this place.
            _ => {
                let before = &self.clients[..self.clients.len().min(distance)];
                before.binary_search_by_key(&client, |&(id, _)| id)
            }
        }
    }

    pub(super) fn get(&self, client: ClientId) -> Option<&Client> {
        self.place(client).ok().map(|at| &*self.clients[at].1)
    }

    pub(super) fn get_mut(&mut self, client: ClientId) -> Option<&mut Client> {
        self.place(client).ok().map(|at| &mut *self.clients[at].1)
    }

    /// Returns the client that had this id.
    pub(super) fn insert(&mut self, id: ClientId, client: Client) -> Option<Box<Client>> {
        let client = Box::new(client);
        match self.place(id) {
            Ok(at) => Some(std::mem::replace(&mut self.clients[at].1, client)),
            Err(at) => {
                self.clients.insert(at, (id, client));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, client: ClientId) -> Option<Box<Client>> {
        self.place(client).ok().map(|at| self.clients.remove(at).1)
    }

    /// In the order of the ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.clients.iter().map(|(id, client)| (*id, &**client))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.clients.iter_mut().map(|(_, client)| &mut **client)
    }
}

#[cfg(test)]
mod tests {
    use crate::queue::Queue;
    use crate::queue::model::settings;
    use crate::role::Role;

    #[test]
    fn clients_are_found_whichever_of_them_have_left() {
        let mut queue = Queue::default();
        for id in [7, 3, 4, 5, 9] {
            queue.add_client(id, settings(Role::Consumer));
        }
        let ids = |queue: &Queue| queue.clients.iter().map(|(id, _)| id).collect::<Vec<_>>();
        let found = |queue: &Queue| {
            (0..12).filter(|&id| queue.clients.get(id).is_some()).collect::<Vec<_>>()
        };
        for (removed, left) in [
            (None, vec![3, 4, 5, 7, 9]),
            (Some(4), vec![3, 5, 7, 9]),
            (Some(3), vec![5, 7, 9]),
            (Some(8), vec![5, 7, 9]),
            (Some(9), vec![5, 7]),
            (Some(5), vec![7]),
            (Some(7), vec![]),
        ] {
            removed.and_then(|id| queue.clients.remove(id));
            assert_eq!((ids(&queue), found(&queue)), (left.clone(), left), "without {removed:?}");
        }
    }
}
