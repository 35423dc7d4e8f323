//! A queue put together again from what has become of its items.

use std::collections::BTreeMap;

use super::in_flight::Held;
use super::{ClientId, Failed, Line, Member, Queue, Remains, Run};
use crate::clock::Nanos;

/// Where each item is, as far as has been told.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    line: Runs<()>,
    out: Runs<Holder>,
    failed: BTreeMap<u64, Failed>,
    /// The number of the last item.
    last_number: u64,
    /// How many have been done.
    done: u64,
}

/// Who has items, and since when.
#[derive(Clone, Copy, Debug)]
struct Holder {
    client: ClientId,
    since: Nanos,
    /// The client has begun this attempt itself.
    again: bool,
}

/// Runs by the number of their first item, and something of each.
#[derive(Debug)]
struct Runs<T>(BTreeMap<u64, (T, Run)>);

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> Runs<T> {
    fn add(&mut self, what: T, run: Run) {
        self.0.insert(run.first, (what, run));
    }

    /// Takes out what there is of `count` items from number `first` on.
    fn take(&mut self, first: u64, count: u64) -> Vec<Run> {
        let end = first.saturating_add(count);
        let before = self.0.range(..first).next_back().map(|(&key, _)| key);
        let within = self.0.range(first..end).map(|(&key, _)| key);
        let keys: Vec<u64> = before.into_iter().chain(within).collect();
        let mut taken = Vec::new();
        for key in keys {
            let Some((what, mut run)) = self.0.remove(&key) else { continue };
            let head = run.split_to(first.saturating_sub(run.first).min(run.count()));
            let middle = run.split_to(end.saturating_sub(run.first).min(run.count()));
            if middle.count() > 0 {
                taken.push(middle);
            }
            for rest in [head, run] {
                if rest.count() > 0 {
                    self.add(what, rest);
                }
            }
        }
        taken
    }
}

impl Replay {
    /// These are in line.
    pub(crate) fn put(&mut self, run: Run) {
        self.last_number = self.last_number.max(run.end() - 1);
        self.line.add((), run);
    }

    /// These are with this client, since then.
    pub(crate) fn out(&mut self, client: ClientId, first: u64, count: u64, since: Nanos) {
        // They were handed out as one run, however they were put, and may come back as any part of it.
        for run in joined(self.line.take(first, count)) {
            self.out.add(Holder { client, since, again: false }, run);
        }
    }

    /// These are done.
    pub(crate) fn done(&mut self, first: u64, count: u64) {
        self.done += self.out.take(first, count).iter().map(Run::count).sum::<u64>();
    }

    /// This one is still out, in another attempt.
    pub(crate) fn attempt(&mut self, id: u64, attempt: u32) {
        let held = self.out.0.range(..=id).next_back().filter(|(_, (_, run))| id < run.end());
        if let Some((_, &(holder, _))) = held {
            for run in self.out.take(id, 1) {
                self.out.add(Holder { again: true, ..holder }, Run { attempt, ..run });
            }
        }
    }

    /// These are in line again, for another attempt.
    pub(crate) fn back(&mut self, first: u64, count: u64, attempt: u32, strikes: u32) {
        for run in self.out.take(first, count) {
            self.line.add((), Run { attempt, strikes, ..run });
        }
    }

    /// These are put aside.
    pub(crate) fn failed(&mut self, first: u64, count: u64, attempt: u32, strikes: u32, why: &str) {
        for mut run in self.out.take(first, count) {
            (run.attempt, run.strikes) = (attempt, strikes);
            while run.count() > 0 {
                let run = run.split_to(1);
                self.failed.insert(run.first, Failed { run, why: why.to_owned() });
            }
        }
    }

    /// What was put aside is in line again; none for all of it.
    pub(crate) fn retry(&mut self, id: Option<u64>) {
        for Failed { run, .. } in self.take_failed(id) {
            let attempt = run.attempt.saturating_add(1);
            self.line.add((), Run { attempt, strikes: 0, ..run });
        }
    }

    /// What was put aside is forgotten; none for all of it.
    pub(crate) fn take_failed(&mut self, id: Option<u64>) -> Vec<Failed> {
        match id {
            Some(id) => self.failed.remove(&id).into_iter().collect(),
            None => std::mem::take(&mut self.failed).into_values().collect(),
        }
    }

    /// What was in line is dropped.
    pub(crate) fn clear(&mut self) {
        self.line = Runs::default();
    }

    /// So many were done before all that is told from here on.
    pub(crate) fn set_done(&mut self, done: u64) {
        self.done = done;
    }

    /// The queue, with these clients. What others had is back in line.
    pub(crate) fn finish(
        mut self,
        remains: Remains,
        clients: impl IntoIterator<Item = (ClientId, Member)>,
    ) -> Queue {
        let last_number = remains.last_number.max(self.last_number);
        let mut queue = Queue::new(Remains { last_number, done: self.done, ..remains }, true);
        for (client, member) in clients {
            queue.join_in(client, member);
        }
        for (Holder { client, since, again }, run) in std::mem::take(&mut self.out).0.into_values()
        {
            if queue.clients.contains_key(&client) {
                queue.out += run.count();
                queue.hold(client, Held { since, run, again });
            } else {
                let attempt = run.attempt.saturating_add(1);
                self.line.add((), Run { attempt, ..run });
            }
        }
        for ((), run) in self.line.0.into_values() {
            queue.line.push(run);
        }
        queue.failed = self.failed;
        queue.last_handed = last_handed(&queue.line, last_number);
        queue
    }
}

/// The highest number that has been handed out: all above it are in line, and were never anywhere else.
fn last_handed(line: &Line, last_number: u64) -> u64 {
    let never_out = |last: &u64, run: &Run| run.end() - 1 == *last && run.attempt == 1;
    let mut last = last_number;
    for run in line.runs().rev() {
        if !never_out(&last, run) {
            break;
        }
        last = run.first - 1;
    }
    last
}

/// Runs that follow one another, as one each.
fn joined(runs: Vec<Run>) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last)
                if last.end() == run.first
                    && (last.attempt, last.strikes) == (run.attempt, run.strikes) =>
            {
                last.extend(&[run]);
            }
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Lines, Request, Which};
    use crate::role::Role;
    use crate::wire::Hello;

    fn run(first: u64, items: &[&str]) -> Run {
        let text: String = items.iter().map(|item| format!("{item}\n")).collect();
        let lines = Lines { count: items.len() as u64, bytes: text.into() };
        Run { first, attempt: 1, strikes: 0, since: 0, lines }
    }

    fn in_line(queue: &Queue) -> Vec<(u64, u32, String)> {
        let (mut all, mut from) = (Vec::new(), 1);
        while let Some(run) = queue.peek(from, 1) {
            from = run.end();
            let text = String::from_utf8_lossy(&run.lines.bytes).trim().to_owned();
            all.push((run.first, run.attempt, text));
        }
        all
    }

    #[test]
    fn every_item_is_where_it_was_and_what_was_out_is_back() {
        let mut replay = Replay::default();
        replay.put(run(1, &["a", "b", "c", "d"]));
        replay.put(run(5, &["e", "f"]));
        replay.out(7, 1, 5, 0);
        replay.done(2, 1);
        replay.back(3, 1, 2, 1);
        replay.failed(4, 1, 3, 2, "odd");
        let queue = replay.finish(Remains { done: 7, ..Remains::default() }, []);
        let expected = [(1, 2, "a"), (3, 2, "c"), (5, 2, "e"), (6, 1, "f")];
        assert_eq!(in_line(&queue), expected.map(|(n, k, t)| (n, k, t.to_owned())));
        let failed = queue.failed_from(1).unwrap();
        assert_eq!((failed.run.first, failed.run.attempt, failed.why.as_str()), (4, 3, "odd"));
        assert_eq!((queue.remains().last_number, queue.census().done), (6, 1));
    }

    #[test]
    fn what_was_handed_out_together_can_be_done_in_any_parts() {
        let mut replay = Replay::default();
        replay.put(run(1, &["a", "b"]));
        replay.put(run(3, &["c", "d"]));
        replay.out(7, 1, 4, 5);
        let consumer = crate::keeper::Known::new(Hello::new(Role::Consumer)).member();
        let mut queue = replay.finish(Remains::default(), [(7, consumer)]);
        let which = Which { first: 2, count: 2, attempt: Some(1) };
        queue.apply(7, Request::Done(which), &mut Vec::new()).unwrap();
        assert_eq!((queue.census().done, queue.census().out), (2, 2));
    }

    #[test]
    fn an_attempt_that_has_begun_is_not_begun_again() {
        let mut replay = Replay::default();
        replay.put(run(1, &["a", "b", "c"]));
        replay.out(7, 1, 3, 5);
        replay.attempt(2, 2);
        replay.attempt(2, 3);
        replay.attempt(9, 2);
        // The client is not known: what it had is back in line.
        let queue = replay.finish(Remains::default(), []);
        let expected = [(1, 2, "a"), (2, 4, "b"), (3, 2, "c")];
        assert_eq!(in_line(&queue), expected.map(|(n, k, t)| (n, k, t.to_owned())));
    }

    /// Two consumers have been handed an item each, by a keeper that died before the first one read its own.
    fn handed(second: bool) -> Queue {
        let mut replay = Replay::default();
        replay.put(run(1, &["x"]));
        replay.put(run(2, &["y"]));
        replay.out(7, 1, 1, 0);
        if second {
            replay.out(8, 2, 1, 0);
        }
        let consumer = || crate::keeper::Known::new(Hello::new(Role::Consumer)).member();
        let members = [(7, consumer()), (8, consumer())];
        let mut queue = replay.finish(Remains::default(), members);
        queue.apply(7, Request::NotSeen { first: 1 }, &mut Vec::new()).unwrap();
        queue
    }

    #[test]
    fn what_was_not_seen_comes_as_it_was_or_its_attempt_shows_that_it_comes_out_of_order() {
        let all = |items: &[(u64, u32, &str)]| -> Vec<_> {
            items
                .iter()
                .map(|&(number, attempt, item)| (number, attempt, item.to_owned()))
                .collect()
        };
        assert_eq!(in_line(&handed(false)), all(&[(1, 1, "x"), (2, 1, "y")]));
        assert_eq!(in_line(&handed(true)), all(&[(1, 2, "x")]));
    }

    #[test]
    fn what_the_next_keeper_hands_out_before_shows_in_the_attempt_too() {
        let mut replay = Replay::default();
        replay.put(run(1, &["x", "y"]));
        replay.out(7, 1, 1, 0);
        let consumer = || crate::keeper::Known::new(Hello::new(Role::Consumer)).member();
        let mut queue = replay.finish(Remains::default(), [(7, consumer()), (8, consumer())]);
        queue.apply(8, Request::Get { max: 1 }, &mut Vec::new()).unwrap();
        assert!(queue.step(0).is_some(), "y is handed out");
        queue.apply(7, Request::NotSeen { first: 1 }, &mut Vec::new()).unwrap();
        assert_eq!(in_line(&queue), [(1, 2, "x".to_owned())]);
    }

    #[test]
    fn what_is_told_of_items_that_are_not_there_is_nothing() {
        let mut replay = Replay::default();
        replay.put(run(3, &["c"]));
        replay.out(7, 1, 2, 0);
        replay.done(1, 5);
        replay.back(9, 9, 1, 0);
        replay.retry(Some(7));
        assert_eq!(in_line(&replay.finish(Remains::default(), [])), [(3, 1, "c".to_owned())]);
    }
}
