//! Clients that wait for one thing, in the order of their requests.

use std::collections::VecDeque;

use super::ClientId;

/// The place of one request in a [`WaitLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

/// A client may stand in the line more than once. Any request can leave the line: its turn finds the request among
/// thousands of others without a look at each of them.
#[derive(Debug, Default)]
pub(super) struct WaitLine {
    /// By turn.
    waiting: VecDeque<(Turn, ClientId)>,
    last_turn: u64,
}

impl WaitLine {
    /// Adds a request of the client at the end.
    pub(super) fn push(&mut self, client: ClientId) -> Turn {
        self.last_turn += 1;
        let turn = Turn(self.last_turn);
        self.waiting.push_back((turn, client));
        turn
    }

    /// Removes the request that has this turn.
    pub(super) fn remove(&mut self, turn: Turn) {
        if let Ok(at) = self.waiting.binary_search_by_key(&turn, |&(turn, _)| turn) {
            self.waiting.remove(at);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The client of the first request.
    pub(super) fn first(&self) -> Option<ClientId> {
        self.find(|_| true)
    }

    /// The first client in the line with this property.
    pub(super) fn find(&self, has_property: impl Fn(ClientId) -> bool) -> Option<ClientId> {
        self.waiting.iter().map(|&(_, client)| client).find(|&client| has_property(client))
    }

    /// Removes all requests. Returns the client of each.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = ClientId> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, client)| client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_request_leaves_the_line_and_the_others_keep_their_order() {
        let mut line = WaitLine::default();
        let turns: Vec<_> = [7, 3, 7, 5].into_iter().map(|client| line.push(client)).collect();
        line.remove(turns[2]);
        line.remove(turns[2]);
        assert_eq!(
            (line.len(), line.first(), line.find(|client| client < 7)),
            (3, Some(7), Some(3))
        );
        line.remove(turns[0]);
        line.push(7);
        assert_eq!((line.len(), line.take_all().collect::<Vec<_>>()), (3, vec![3, 5, 7]));
        assert!(line.is_empty());
    }
}
