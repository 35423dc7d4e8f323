//! What the keeper says, and what it remembers: effects and states of the queue as replies and facts.

use std::num::NonZeroU64;

use crate::clock::Nanos;
use crate::journal::Fact;
use crate::queue::{
    Census, ClientId, Doing, Effect, NotTaken, Queue, Refusal, Run, Sentinel, WaitsFor,
};
use crate::role::Role;
use crate::wire::{ClientStatus, Key, Reply, Status};

/// What a client is told of an effect; `window` is for what has been accepted.
pub(super) fn reply_to(effect: Effect, window: impl FnOnce() -> u64) -> Option<Reply> {
    Some(match effect {
        Effect::Accepted { seq, run, .. } => {
            let id = run.end() - 1;
            Reply::Ok { seq, id, window: window() }
        }
        Effect::Refused { seq, why: NotTaken::Closed, .. } => Reply::Closed { seq },
        Effect::Refused { seq, why: NotTaken::Full, .. } => Reply::Full { seq },
        Effect::Handed { run, .. } => Reply::Run(run),
        Effect::Done { .. }
        | Effect::Returned { .. }
        | Effect::Failed { .. }
        | Effect::Attempted { .. } => return None,
        Effect::Ended { .. } => Reply::Ended,
        Effect::Empty { .. } => Reply::Empty,
        Effect::Joined { failed, .. } => Reply::Joined { failed },
        Effect::Unfinished { items, .. } => Reply::Unfinished { items },
        Effect::Cancelled { .. } => Reply::Cancelled,
        Effect::Counted { items, .. } => Reply::Count { items },
    })
}

/// What is to be remembered of what happened at this time to the client `key`.
pub(super) fn fact_of(effect: &Effect, key: Key, at: Nanos) -> Option<Fact<'_>> {
    let first_count = |run: &Run| (run.first, run.count());
    Some(match effect {
        Effect::Accepted { seq, run, .. } => Fact::Put { key, seq: *seq, run: run.clone() },
        Effect::Handed { run, .. } => {
            let (first, count) = first_count(run);
            Fact::Out { key, first, count, since: at }
        }
        Effect::Done { run, .. } => {
            let (first, count) = first_count(run);
            Fact::Done { first, count }
        }
        Effect::Attempted { run, .. } => Fact::Attempt { id: run.first, attempt: run.attempt },
        Effect::Returned { run, .. } => {
            let (first, count) = first_count(run);
            Fact::Back { first, count, attempt: run.attempt, strikes: run.strikes }
        }
        Effect::Failed { run, why, .. } => {
            let (first, count) = first_count(run);
            Fact::Failed { first, count, attempt: run.attempt, strikes: run.strikes, why }
        }
        _ => return None,
    })
}

/// What a client is told that asked for what cannot be. The codes are listed in `docs/PROTOCOL.md`.
pub(super) fn refused(refusal: &Refusal) -> Reply {
    let code = match *refusal {
        Refusal::NotOut(which) => return Reply::Lost(which),
        Refusal::Capacity { .. } => "capacity",
        Refusal::TooFar { .. } => "too-far",
        Refusal::GetTwice => "get-twice",
        Refusal::NotFailed { .. } => "not-failed",
    };
    error(code, refusal.to_string())
}

/// Something is the matter.
pub(super) fn error(code: &str, text: impl Into<String>) -> Reply {
    Reply::Error { code: code.to_owned(), text: text.into() }
}

/// How many items there are.
pub(super) fn size(queue: &Queue) -> Reply {
    let capacity = queue.capacity().map_or(0, NonZeroU64::get);
    Reply::Size { census: queue.census(), capacity }
}

/// Why the queue is not removed just so.
pub(super) fn in_use(census: &Census, others: usize) -> String {
    let Census { in_line, out, failed, .. } = census;
    let items = match in_line + out + failed {
        0 => String::new(),
        1 => format!("1 item ({in_line} in line, {out} out, {failed} failed)"),
        n => format!("{n} items ({in_line} in line, {out} out, {failed} failed)"),
    };
    let clients = match others {
        0 => String::new(),
        1 => "1 process that uses it".to_owned(),
        n => format!("{n} processes that use it"),
    };
    let and = if items.is_empty() || clients.is_empty() { "" } else { " and " };
    format!("the queue has {items}{and}{clients}: give --force to remove it all the same")
}

/// Some of what is in line.
pub(super) fn shown(run: Option<Run>) -> Reply {
    run.map_or(Reply::Empty, Reply::Run)
}

/// The first item that was put aside, from this number on.
pub(super) fn failed(queue: &Queue, from: u64) -> Reply {
    queue.failed_from(from).map_or(Reply::Empty, |failed| {
        let (run, why) = (failed.run.clone(), failed.why.clone());
        Reply::Failed { run, why }
    })
}

/// How the queue is now, and who is here: `known` tells a client's process, and how many items it has
/// put, or done.
pub(super) fn status(
    queue: &Queue,
    known: impl Fn(ClientId) -> Option<(u32, u64)>,
    now: Nanos,
) -> Status {
    let census = queue.census();
    let age = |since: Nanos| now.saturating_sub(since) as f64 / 1e9;
    let client = |doing: &Doing| {
        known(doing.client).map(|(pid, items)| ClientStatus {
            pid,
            role: doing.role,
            items,
            waits_for: doing.waits_for,
            holds: doing.holds,
            held_s: doing.since.map(age),
        })
    };
    // A visitor is what it does.
    let puts = |doing: &Doing| {
        doing.role == Role::Producer
            || doing.role == Role::Visitor && doing.waits_for == Some(WaitsFor::Room)
    };
    let gets = |doing: &Doing| {
        doing.role == Role::Consumer
            || doing.role == Role::Visitor
                && (doing.holds > 0 || doing.waits_for == Some(WaitsFor::Item))
    };
    let state = match queue.sentinel() {
        None if queue.is_over() => "ended",
        None => "open",
        Some(Sentinel::LastProducerLeft) => "ending",
        Some(Sentinel::Closed) => "closed",
    };
    Status {
        in_line: census.in_line,
        out: census.out,
        done: census.done,
        failed: census.failed,
        capacity: queue.capacity().map(NonZeroU64::get),
        sync: queue.sync(),
        oldest_s: queue.oldest().map(age),
        state: state.to_owned(),
        producers: queue.doing().filter(puts).filter_map(|d| client(&d)).collect(),
        consumers: queue.doing().filter(gets).filter_map(|d| client(&d)).collect(),
    }
}
