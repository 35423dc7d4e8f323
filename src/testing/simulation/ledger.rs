//! What must be true, seen from outside: every item that somebody was told is accepted, and what became
//! of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::{Queue, Run};

/// All items that anybody ever put, by their text.
#[derive(Default)]
pub(super) struct Ledger {
    items: BTreeMap<String, Fate>,
    /// All attempts at items that have begun, by number.
    attempts: BTreeSet<(u64, u32)>,
    /// The highest number that each consumer has read.
    read: BTreeMap<u64, u64>,
    /// Items may well be seen twice: a consumer has died, or given one back.
    pub(super) repeats: bool,
    /// Only the end of its lease brings an item back.
    pub(super) leases_hold: bool,
    /// The latest attempt in which an item has been read, by whom, and until when it is lent at least.
    lent: BTreeMap<u64, (u32, u64, u64)>,
    /// Nothing comes back in line: what is there was put within the capacity.
    pub(super) nothing_returns: bool,
}

#[derive(Default)]
struct Fate {
    /// Its producer was told that it is in the queue, under this number.
    accepted: Option<u64>,
    /// Its producer was told that it is not.
    refused: bool,
    /// In how many runs it has been seen.
    seen: u32,
    done: Done,
}

#[derive(Default, PartialEq)]
enum Done {
    #[default]
    No,
    /// A consumer has said so.
    Said,
    /// And it has had an answer to something that it said later.
    Heard,
}

impl Ledger {
    pub(super) fn accepted(&mut self, item: &str, id: u64) -> Result<(), String> {
        let fate = self.fate(item);
        if fate.accepted.is_some() || fate.refused {
            return Err(format!("{item} is answered twice"));
        }
        fate.accepted = Some(id);
        Ok(())
    }

    pub(super) fn refused(&mut self, item: &str) -> Result<(), String> {
        let fate = self.fate(item);
        if fate.accepted.is_some() || fate.refused || fate.seen > 0 {
            return Err(format!("{item} is refused, but is there"));
        }
        fate.refused = true;
        Ok(())
    }

    /// This consumer has read this run.
    pub(super) fn seen(&mut self, reader: u64, run: &Run) -> Result<(), String> {
        self.begun(run)?;
        let repeats = self.repeats;
        let last = self.read.entry(reader).or_default();
        if run.attempt == 1 && run.first < *last {
            return Err(format!("{} came behind {last} in attempt 1", run.first));
        }
        *last = (*last).max(run.end() - 1);
        for (id, item) in run.items() {
            let item = text(item);
            let fate = self.fate(&item);
            fate.seen += 1;
            if fate.refused {
                return Err(format!("{item} was refused, and came all the same"));
            }
            if fate.accepted.is_some_and(|told| told != id) {
                return Err(format!("{item} is number {id}, which is not what was told"));
            }
            if fate.done == Done::Heard {
                return Err(format!("{item} was done, and came again"));
            }
            if !repeats && fate.seen > 1 {
                return Err(format!("{item} came {} times", fate.seen));
            }
        }
        Ok(())
    }

    /// These attempts have begun.
    pub(super) fn begun(&mut self, run: &Run) -> Result<(), String> {
        for (id, _) in run.items() {
            if !self.attempts.insert((id, run.attempt)) {
                return Err(format!("attempt {} at {id} began twice", run.attempt));
            }
        }
        Ok(())
    }

    /// This consumer has read this run now, and may keep it `until` then at least.
    pub(super) fn lent(
        &mut self,
        reader: u64,
        run: &Run,
        now: u64,
        until: Option<u64>,
    ) -> Result<(), String> {
        for (id, _) in run.items().filter(|_| self.leases_hold) {
            let before = self.lent.get(&id).copied();
            if before.is_some_and(|(attempt, ..)| attempt > run.attempt) {
                // This one has read so late that it had lost the item before.
                continue;
            }
            self.lent.insert(id, (run.attempt, reader, until.unwrap_or(u64::MAX)));
            if let Some((_, who, until)) = before.filter(|b| b.1 != reader && b.2 > now) {
                return Err(format!("{id} was lent to {who} until {until}, and {reader} has it"));
            }
        }
        Ok(())
    }

    pub(super) fn said_done(&mut self, item: &str) {
        let fate = self.fate(item);
        if fate.done == Done::No {
            fate.done = Done::Said;
        }
    }

    pub(super) fn heard_done(&mut self, item: &str) {
        self.fate(item).done = Done::Heard;
    }

    fn fate(&mut self, item: &str) -> &mut Fate {
        self.items.entry(item.to_owned()).or_default()
    }

    /// Compares it with a queue.
    pub(super) fn check(&self, queue: &Queue) -> Result<(), String> {
        if let Some(capacity) = queue.capacity().filter(|_| self.nothing_returns)
            && queue.census().in_line > capacity.get()
        {
            return Err(format!("{} are in line, of {capacity}", queue.census().in_line));
        }
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut last = 0;
        for run in queue.line() {
            if run.first <= last {
                return Err(format!("the line is out of order at {}", run.first));
            }
            last = run.end() - 1;
        }
        let out = queue.out().map(|(_, _, run)| run);
        let failed = queue.failed().map(|failed| &failed.run);
        for run in queue.line().chain(out).chain(failed) {
            for (id, item) in run.items() {
                if places.insert(text(item), id).is_some() {
                    return Err(format!("{} is in two places", text(item)));
                }
            }
        }
        for (item, fate) in &self.items {
            let place = places.get(item);
            match (fate, place) {
                (Fate { refused: true, .. }, Some(_)) => {
                    return Err(format!("{item} was refused, and is there"));
                }
                (Fate { accepted: Some(_), done: Done::No, .. }, None) => {
                    return Err(format!("{item} was accepted, and is lost"));
                }
                (Fate { done: Done::Heard, .. }, Some(_)) => {
                    return Err(format!("{item} is done, and is there"));
                }
                (Fate { accepted: Some(told), .. }, Some(id)) if told != id => {
                    return Err(format!("{item} is number {id}, and {told} was told"));
                }
                _ => {}
            }
        }
        in_order(&places)
    }

    /// Everything that was accepted has been done, or is put aside.
    pub(super) fn check_end(&self, queue: &Queue) -> Result<(), String> {
        self.check(queue)?;
        let census = queue.census();
        match census.in_line + census.out {
            0 => Ok(()),
            left => Err(format!("{left} items are left")),
        }
    }
}

/// What one producer put earlier has a smaller number.
fn in_order(places: &BTreeMap<String, u64>) -> Result<(), String> {
    // "PRODUCER-NUMBER" with both of a fixed length: they come in that order.
    let mut last: Option<(&str, u64)> = None;
    for (item, &id) in places {
        let producer = item.split('-').next().unwrap_or_default();
        if last.is_some_and(|(before, last)| before == producer && last >= id) {
            return Err(format!("{item} has overtaken another one of its producer"));
        }
        last = Some((producer, id));
    }
    Ok(())
}

pub(super) fn text(item: &[u8]) -> String {
    String::from_utf8_lossy(item).into_owned()
}
