//! What clients have out, and what becomes of it: done, back in line, or put aside.

use std::collections::BTreeMap;

use super::{ClientId, Effect, Queue, Refusal, Run, Sentinel, Which};
use crate::clock::Nanos;

/// Items that are out with a client.
#[derive(Debug)]
pub(super) struct Held {
    /// When they were handed out.
    pub(super) since: Nanos,
    pub(super) run: Run,
    /// Their client has begun this attempt itself, and was not handed the items in it.
    pub(super) again: bool,
}

/// An item that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The item: a run of one.
    pub(crate) run: Run,
    /// What happened, for people.
    pub(crate) why: String,
}

impl Queue {
    /// Takes back in line what somebody has held for longer than its lease.
    pub(crate) fn expire(&mut self, now: Nanos, effects: &mut Vec<Effect>) {
        while let Some((_, key, client)) = self.leases.first().copied().filter(|l| l.0 <= now) {
            match self.let_go(client, key) {
                Some(held) => self.strike(client, held.run, effects),
                // Cannot be: they are kept together. But not to go on for ever is worth a line.
                None => drop(self.leases.pop_first()),
            }
        }
    }

    /// When the next lease runs out.
    pub(crate) fn next_expiry(&self) -> Option<Nanos> {
        self.leases.first().map(|lease| lease.0)
    }

    pub(super) fn hold(&mut self, client: ClientId, held: Held) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        if let Some(lease) = c.member.lease {
            self.leases.insert((held.since.saturating_add(lease), held.run.first, client));
        }
        c.out.insert(held.run.first, held);
    }

    fn let_go(&mut self, client: ClientId, key: u64) -> Option<Held> {
        let c = self.clients.get_mut(&client)?;
        let held = c.out.remove(&key)?;
        if let Some(lease) = c.member.lease {
            self.leases.remove(&(held.since.saturating_add(lease), key, client));
        }
        Some(held)
    }

    /// Takes items from a client that has them as a part of one run.
    pub(super) fn take_back(&mut self, client: ClientId, which: Which) -> Result<Run, Refusal> {
        let Which { first, count, attempt } = which;
        let not_out = || Refusal::NotOut(which);
        let c = self.clients.get(&client).ok_or_else(not_out)?;
        let key = c.out.range(..=first).next_back().filter(|(_, held)| {
            // Not empty, all of it here, and not there for another time.
            count > 0
                && first.checked_add(count).is_some_and(|end| end <= held.run.end())
                && attempt.is_none_or(|attempt| attempt == held.run.attempt)
        });
        let (&key, _) = key.ok_or_else(not_out)?;
        let Held { since, mut run, again } = self.let_go(client, key).ok_or_else(not_out)?;
        let before = run.split_to(first - key);
        let taken = run.split_to(count);
        for run in [before, run] {
            if run.count() > 0 {
                self.hold(client, Held { since, run, again });
            }
        }
        Ok(taken)
    }

    pub(super) fn done(
        &mut self,
        client: ClientId,
        which: Which,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let run = self.take_back(client, which)?;
        self.out -= run.count();
        self.done += run.count();
        effects.push(Effect::Done { client, run });
        Ok(())
    }

    /// Puts what `client` had back in line, at its old place.
    pub(super) fn give_back(&mut self, client: ClientId, mut run: Run, effects: &mut Vec<Effect>) {
        run.attempt = run.attempt.saturating_add(1);
        self.out -= run.count();
        self.line.give_back(run.clone());
        effects.push(Effect::Returned { client, run });
    }

    /// `client` begins another attempt at an item. Tells whether it has the item, in this attempt now:
    /// it may have lost the item by its lease, or have said the same to a keeper that is dead.
    pub(super) fn begin_attempt(
        &mut self,
        client: ClientId,
        id: u64,
        attempt: u32,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some((key, held)) = self.clients.get(&client).and_then(|c| {
            let (&key, held) = c.out.range(..=id).next_back()?;
            (id < held.run.end()).then_some((key, held))
        }) else {
            return false;
        };
        if held.run.attempt.checked_add(1) != Some(attempt) {
            // It may have lost the item by its lease, and have been handed it again in this attempt.
            return held.run.attempt == attempt && held.again;
        }
        let Some(Held { since, mut run, again }) = self.let_go(client, key) else {
            return false;
        };
        let front = run.split_to(id - key);
        let one = Run { attempt, ..run.split_to(1) };
        effects.push(Effect::Attempted { client, run: one.clone() });
        // The lease goes on.
        for (run, again) in [(front, again), (one, true), (run, again)] {
            if run.count() > 0 {
                self.hold(client, Held { since, run, again });
            }
        }
        true
    }

    /// Puts back in line what a keeper had handed out that died before its client could read it: as it
    /// was, if nothing behind it has been handed out. Otherwise it comes in another order than it was
    /// put in, and the attempt shows that.
    pub(super) fn take_unseen(&mut self, client: ClientId, first: u64, effects: &mut Vec<Effect>) {
        if let Some(Held { mut run, .. }) = self.let_go(client, first) {
            if self.last_handed >= run.end() {
                run.attempt = run.attempt.saturating_add(1);
            }
            self.out -= run.count();
            self.line.give_back(run.clone());
            effects.push(Effect::Returned { client, run });
        }
    }

    /// Takes what `client` had out of the way: nobody gets it any more, and nothing waits for it.
    pub(super) fn put_aside(
        &mut self,
        client: ClientId,
        mut run: Run,
        why: &str,
        effects: &mut Vec<Effect>,
    ) {
        self.out -= run.count();
        effects.push(Effect::Failed { client, run: run.clone(), why: why.to_owned() });
        while run.count() > 0 {
            let mut run = run.split_to(1);
            run.lines.detach();
            self.failed.insert(run.first, Failed { run, why: why.to_owned() });
        }
    }

    /// Whoever had this died, or is stuck: perhaps of it.
    fn strike(&mut self, client: ClientId, mut run: Run, effects: &mut Vec<Effect>) {
        run.strikes = run.strikes.saturating_add(1);
        let most = self.clients.get(&client).map_or(0, |c| c.member.max_attempts);
        if most == 0 || run.strikes < most {
            return self.give_back(client, run, effects);
        }
        let why = match run.strikes {
            1 => "its consumer died, or held it for longer than its lease".to_owned(),
            n => format!("{n} consumers died of it, or held it for longer than their lease"),
        };
        self.put_aside(client, run, &why, effects);
    }

    /// Takes back all that a client has.
    pub(super) fn lose_all(&mut self, client: ClientId, died: bool, effects: &mut Vec<Effect>) {
        let keys = self.clients.get(&client).map(|c| c.out.keys().copied().collect::<Vec<_>>());
        for key in keys.unwrap_or_default() {
            if let Some(Held { run, .. }) = self.let_go(client, key) {
                match died {
                    true => self.strike(client, run, effects),
                    false => self.give_back(client, run, effects),
                }
            }
        }
    }

    /// Puts one item that was put aside, or all of them, back in line. Tells how many.
    pub(super) fn retry(&mut self, id: Option<u64>) -> Result<u64, Refusal> {
        let failed = self.take_failed(id)?;
        let items = failed.len() as u64;
        if items > 0 && self.end.is_some() && !self.begun {
            // What they belonged to has ended, and ends again after them.
            self.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
        for Failed { mut run, .. } in failed.into_values() {
            self.begin();
            run.attempt = run.attempt.saturating_add(1);
            run.strikes = 0;
            self.line.give_back(run);
        }
        Ok(items)
    }

    /// Takes one item, or all, from those that were put aside.
    pub(super) fn take_failed(
        &mut self,
        id: Option<u64>,
    ) -> Result<BTreeMap<u64, Failed>, Refusal> {
        let Some(id) = id else {
            return Ok(std::mem::take(&mut self.failed));
        };
        let failed = self.failed.remove(&id).ok_or(Refusal::NotFailed { id })?;
        Ok(BTreeMap::from([(id, failed)]))
    }
}
