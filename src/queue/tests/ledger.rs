//! The rules against books kept by somebody else, over random moves.

use proptest::prelude::*;

use super::*;

/// What a random client may do.
#[derive(Clone, Copy, Debug)]
enum Move {
    Join(bool),
    Put(u64),
    Get(u64),
    Done {
        pick: usize,
        part: u64,
    },
    GiveBack(usize),
    Fail(usize),
    Retry,
    Drop,
    Cancel,
    Leave,
    Die,
    Step,
    /// Time goes on: leases of 10 run out.
    Later,
    Close,
}

fn moves() -> impl Strategy<Value = Vec<(usize, Move)>> {
    let one = prop_oneof![
        2 => any::<bool>().prop_map(Move::Join),
        5 => (1..6u64).prop_map(Move::Put),
        5 => (1..6u64).prop_map(Move::Get),
        5 => (any::<usize>(), 1..4u64).prop_map(|(pick, part)| Move::Done { pick, part }),
        1 => any::<usize>().prop_map(Move::GiveBack),
        1 => any::<usize>().prop_map(Move::Fail),
        1 => Just(Move::Retry),
        1 => Just(Move::Drop),
        1 => Just(Move::Cancel),
        1 => Just(Move::Leave),
        1 => Just(Move::Die),
        1 => Just(Move::Later),
        9 => Just(Move::Step),
        1 => Just(Move::Close),
    ];
    proptest::collection::vec((0..6usize, one), 0..200)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Line,
    Out(ClientId),
    Failed,
    Done,
    Dropped,
}

/// Keeps its own books of what the effects say.
#[derive(Default)]
struct Ledger {
    capacity: u64,
    /// By the queue's number: where the item is, how often it was handed out, what it is.
    items: BTreeMap<u64, (Place, u32, String)>,
    /// By client: the number of its last item that was sent, and accepted.
    sent: BTreeMap<ClientId, u64>,
    accepted: BTreeMap<ClientId, u64>,
}

impl Ledger {
    fn enter(&mut self, effect: &Effect) {
        match effect {
            Effect::Accepted { client, seq, run } => {
                let next = self.items.last_key_value().map_or(1, |(id, _)| id + 1);
                assert_eq!(run.first, next, "numbers are given without gaps");
                let accepted = self.accepted.entry(*client).or_default();
                assert_eq!(*seq, *accepted + run.count(), "each producer's order is kept");
                for (id, item) in run.items() {
                    *accepted += 1;
                    let text = String::from_utf8(item.to_vec()).unwrap();
                    assert_eq!(text, format!("{client}-{accepted}"));
                    self.items.insert(id, (Place::Line, 0, text));
                }
                if self.capacity > 0 {
                    assert!(self.count(Place::Line) <= self.capacity, "the capacity is exact");
                }
            }
            Effect::Handed { client, run } => {
                for (id, item) in run.items() {
                    let first = self.items.iter().find(|(_, i)| i.0 == Place::Line).unwrap();
                    assert_eq!(*first.0, id, "first in, first out");
                    let (place, times, text) = self.items.get_mut(&id).unwrap();
                    *times += 1;
                    assert_eq!(run.attempt, *times);
                    assert_eq!(text.as_bytes(), item);
                    *place = Place::Out(*client);
                }
            }
            Effect::Done { client, run } => self.shift(run, *client, Place::Done),
            Effect::Returned { client, run } => self.shift(run, *client, Place::Line),
            Effect::Failed { client, run, .. } => self.shift(run, *client, Place::Failed),
            Effect::Refused { client, why: NotTaken::Full, .. } => {
                // The client may start over from what was accepted.
                self.sent.insert(*client, self.accepted.get(client).copied().unwrap_or(0));
            }
            Effect::Refused { client, seq, why: NotTaken::Closed } => {
                assert_eq!(self.sent.get(client), Some(seq), "refused as a whole");
            }
            Effect::Ended { .. }
            | Effect::Empty { .. }
            | Effect::Joined { .. }
            | Effect::Unfinished { .. }
            | Effect::Cancelled { .. }
            | Effect::Counted { .. } => {}
        }
    }

    fn shift(&mut self, run: &Run, from: ClientId, to: Place) {
        for (id, _) in run.items() {
            let place = &mut self.items.get_mut(&id).unwrap().0;
            assert_eq!(*place, Place::Out(from));
            *place = to;
        }
    }

    fn move_failed(&mut self, to: Place) {
        for item in self.items.values_mut().filter(|item| item.0 == Place::Failed) {
            item.0 = to;
        }
    }

    fn count(&self, place: Place) -> u64 {
        self.items.values().filter(|item| item.0 == place).count() as u64
    }

    fn out(&self) -> Vec<(u64, ClientId)> {
        let out = self.items.iter().filter_map(|(id, item)| match item.0 {
            Place::Out(client) => Some((*id, client)),
            _ => None,
        });
        out.collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_clients_do_items_are_conserved_in_order_within_capacity(
        capacity in 0..4u64,
        moves in moves(),
    ) {
        let mut queue = Told::new(capacity).queue;
        let mut ledger = Ledger { capacity, ..Ledger::default() };
        let (mut ends, mut now) = (0, 0);
        for (n, (slot, action)) in moves.into_iter().enumerate() {
            let mut effects = Vec::new();
            // Each coming is a new client, as the keeper numbers them.
            let here = queue.clients.keys().copied().find(|c| c % 6 == slot);
            let client = here.unwrap_or(n * 6 + slot);
            match (action, here) {
                (Move::Join(producer), None) => {
                    let role = if producer { Role::Producer } else { Role::Consumer };
                    let leased = Member { lease: Some(10), max_attempts: 2, ..member(role) };
                    queue.apply(client, Request::Come(leased), &mut effects).unwrap();
                }
                (Move::Put(count), Some(_)) => {
                    let sent = ledger.sent.entry(client).or_default();
                    let items: Vec<_> = (1..=count).map(|i| format!("{client}-{}", *sent + i)).collect();
                    *sent += count;
                    let items: Vec<_> = items.iter().map(String::as_str).collect();
                    let put = Request::Put { seq: *sent, lines: lines(&items) };
                    queue.apply(client, put, &mut effects).unwrap();
                    if let Some(effect) = effects.pop() {
                        ledger.enter(&effect);
                        *ledger.sent.entry(client).or_default() -= count;
                    }
                }
                (Move::Get(max), Some(_)) => {
                    let waits = queue.getters.contains(&client);
                    let got = queue.apply(client, Request::Get { max }, &mut effects);
                    prop_assert_eq!(got.is_err(), waits);
                }
                (Move::Done { pick, part }, _) => {
                    let out = ledger.out();
                    if !out.is_empty() {
                        let (first, client) = out[pick % out.len()];
                        let done = Request::Done(which(first, part));
                        let all_his = (first..first + part).all(|id| out.contains(&(id, client)));
                        let taken = queue.apply(client, done, &mut effects).is_ok();
                        // Items of several runs take several `done`s.
                        prop_assert!(!taken || all_his);
                        prop_assert!(taken || part > 1);
                    }
                }
                (Move::GiveBack(pick) | Move::Fail(pick), _) => {
                    let out = ledger.out();
                    if !out.is_empty() {
                        let (id, client) = out[pick % out.len()];
                        let request = match action {
                            Move::Fail(_) => Request::Fail {
                                which: which(id, 1),
                                tries: 1,
                                why: String::new(),
                            },
                            _ => Request::GiveBack(which(id, 1)),
                        };
                        queue.apply(client, request, &mut effects).unwrap();
                    }
                }
                (Move::Retry, Some(_)) => {
                    queue.apply(client, Request::Retry { id: None }, &mut effects).unwrap();
                    ledger.move_failed(Place::Line);
                }
                (Move::Drop, Some(_)) => {
                    queue.apply(client, Request::Drop { id: None }, &mut effects).unwrap();
                    ledger.move_failed(Place::Dropped);
                }
                (Move::Cancel, Some(_)) => {
                    queue.apply(client, Request::Cancel, &mut effects).unwrap();
                }
                (Move::Leave, Some(_)) => {
                    queue.apply(client, Request::Leave, &mut effects).unwrap();
                }
                (Move::Die, Some(_)) => {
                    queue.apply(client, Request::Die, &mut effects).unwrap();
                }
                (Move::Later, _) => {
                    now += 6;
                    queue.expire(now, &mut effects);
                    prop_assert!(queue.next_expiry().is_none_or(|next| next > now));
                }
                (Move::Close, _) => drop(queue.close()),
                (Move::Step, _) => {
                    if queue.end_is_due() {
                        prop_assert_eq!(ledger.count(Place::Line), 0);
                        prop_assert!(ledger.out().is_empty());
                        queue.end(Stamp::new(100, 1));
                        ends += 1;
                        // The next queue of this name has the capacity that it is given.
                        ledger.capacity = 0;
                    }
                    effects.extend(queue.step(now));
                }
                _ => {}
            }
            for effect in &effects {
                if matches!(effect, Effect::Ended { .. }) {
                    prop_assert!(ends > 0, "nobody is told of an end before there is one");
                }
                ledger.enter(effect);
            }
            let census = queue.census();
            prop_assert_eq!(census.in_line, ledger.count(Place::Line));
            prop_assert_eq!(census.out, ledger.out().len() as u64);
            prop_assert_eq!(census.failed, ledger.count(Place::Failed));
            prop_assert!(queue.leases.len() <= ledger.out().len(), "no lease of nothing");
        }
        // Whoever is still there and asks is told or served in the end: nobody waits for ever.
        let consumer = 1_000_000;
        let mut effects = Vec::new();
        for client in queue.clients.keys().copied().collect::<Vec<_>>() {
            queue.apply(client, Request::Leave, &mut effects).unwrap();
        }
        queue.end = None;
        queue.apply(consumer, Request::Come(member(Role::Consumer)), &mut effects).unwrap();
        queue.close();
        loop {
            effects.iter().for_each(|effect| ledger.enter(effect));
            effects.clear();
            queue.apply(consumer, Request::Get { max: 100 }, &mut effects).unwrap();
            if queue.end_is_due() {
                break;
            }
            let Some(Effect::Handed { run, .. }) = queue.step(0) else {
                panic!("a get with items in line must be served");
            };
            ledger.enter(&Effect::Handed { client: consumer, run: run.clone() });
            let done = Request::Done(run.which());
            queue.apply(consumer, done, &mut effects).unwrap();
        }
        let gone = [Place::Done, Place::Failed, Place::Dropped].map(|place| ledger.count(place));
        prop_assert_eq!(gone.iter().sum::<u64>(), ledger.items.len() as u64);
    }
}
