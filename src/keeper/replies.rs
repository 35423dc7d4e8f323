//! What the keeper says, and what it remembers: effects and states of the queue as replies and facts.

use std::num::NonZeroU64;

use crate::clock::Nanos;
use crate::journal::Record;
use crate::queue::{
    Batch, ClientActivity, ClientId, Counts, Effect, PutRefusal, Queue, Refusal, Sentinel,
    WaitReason,
};
use crate::role::Role;
use crate::wire::{ClientKey, ClientStatus, ErrorCode, Reply, Status};

/// What a client is told of an effect; `window` is for what has been accepted.
pub(super) fn reply_to(effect: Effect, window: impl FnOnce() -> u64) -> Option<Reply> {
    Some(match effect {
        Effect::Accepted { seq, batch, .. } => {
            let id = batch.end_id() - 1;
            Reply::Ok { seq, id, window: window() }
        }
        Effect::Refused { seq, reason: PutRefusal::Closed, .. } => Reply::Closed { seq },
        Effect::Refused { seq, reason: PutRefusal::Full, .. } => Reply::Full { seq },
        Effect::Delivered { batch, .. } => Reply::Batch(batch),
        Effect::Done { .. }
        | Effect::Requeued { .. }
        | Effect::Failed { .. }
        | Effect::AttemptBegun { .. } => return None,
        Effect::Ended { .. } => Reply::Ended,
        Effect::Empty { .. } => Reply::Empty,
        Effect::Joined { failed, .. } => Reply::Joined { failed },
        Effect::Unfinished { items, .. } => Reply::Unfinished { items },
        Effect::Cancelled { .. } => Reply::Cancelled,
        Effect::Affected { items, .. } => Reply::Count { items },
    })
}

/// What is to be remembered of what happened at this time to the client `key`.
pub(super) fn record_of(effect: &Effect, key: ClientKey, at: Nanos) -> Option<Record<'_>> {
    let first_count = |batch: &Batch| (batch.first_id, batch.count());
    Some(match effect {
        Effect::Accepted { seq, batch, .. } => Record::Put { key, seq: *seq, batch: batch.clone() },
        Effect::Delivered { batch, .. } => {
            let (first, count) = first_count(batch);
            Record::Delivered { key, first_id: first, count, delivered_at: at }
        }
        Effect::Done { batch, .. } => {
            let (first, count) = first_count(batch);
            Record::Done { first_id: first, count }
        }
        Effect::AttemptBegun { batch, .. } => {
            Record::Attempt { id: batch.first_id, attempt: batch.attempt }
        }
        Effect::Requeued { batch, .. } => {
            let (first, count) = first_count(batch);
            Record::Requeued {
                first_id: first,
                count,
                attempt: batch.attempt,
                delivery_failures: batch.delivery_failures,
            }
        }
        Effect::Failed { batch, reason, .. } => {
            let (first, count) = first_count(batch);
            Record::Failed {
                first_id: first,
                count,
                attempt: batch.attempt,
                delivery_failures: batch.delivery_failures,
                reason,
            }
        }
        _ => return None,
    })
}

/// What a client is told that asked for what cannot be. The codes are listed in `docs/PROTOCOL.md`.
pub(super) fn refusal_reply(refusal: &Refusal) -> Reply {
    let code = match *refusal {
        Refusal::NotInFlight(batch_ref) => return Reply::NotInFlight(batch_ref),
        Refusal::Capacity { .. } => ErrorCode::Capacity,
        Refusal::TooManyBlocked { .. } => ErrorCode::TooFar,
        Refusal::GetPending => ErrorCode::GetTwice,
        Refusal::NotFailed { .. } => ErrorCode::NotFailed,
    };
    error_reply(code, refusal.to_string())
}

/// Something is the matter.
pub(super) fn error_reply(code: ErrorCode, text: impl Into<String>) -> Reply {
    Reply::Error { code, text: text.into() }
}

/// How many items there are.
pub(super) fn size_reply(queue: &Queue) -> Reply {
    let capacity = queue.capacity().map_or(0, NonZeroU64::get);
    Reply::Size { counts: queue.counts(), capacity }
}

/// Why the queue is not removed just so.
pub(super) fn in_use_message(counts: &Counts, others: usize) -> String {
    let Counts { ready: in_line, in_flight: out, failed, .. } = counts;
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
pub(super) fn peek_reply(batch: Option<Batch>) -> Reply {
    batch.map_or(Reply::Empty, Reply::Batch)
}

/// The first item that was put aside, from this number on.
pub(super) fn failed_item_reply(queue: &Queue, from: u64) -> Reply {
    queue.next_failed(from).map_or(Reply::Empty, |failed| {
        let (batch, reason) = (failed.batch.clone(), failed.reason.clone());
        Reply::Failed { batch, reason }
    })
}

/// How the queue is now, and who is here: `known` tells a client's process, and how many items it has
/// put, or done.
pub(super) fn queue_status(
    queue: &Queue,
    record: impl Fn(ClientId) -> Option<(u32, u64)>,
    now: Nanos,
) -> Status {
    let counts = queue.counts();
    let age = |since: Nanos| now.saturating_sub(since) as f64 / 1e9;
    let client = |doing: &ClientActivity| {
        record(doing.client).map(|(pid, items)| ClientStatus {
            pid,
            role: doing.role,
            items,
            wait_reason: doing.wait_reason,
            in_flight: doing.in_flight,
            held_s: doing.oldest_delivered_at.map(age),
        })
    };
    // A visitor is what it does.
    let puts = |doing: &ClientActivity| {
        doing.role == Role::Producer
            || doing.role == Role::Visitor && doing.wait_reason == Some(WaitReason::Room)
    };
    let gets = |doing: &ClientActivity| {
        doing.role == Role::Consumer
            || doing.role == Role::Visitor
                && (doing.in_flight > 0 || doing.wait_reason == Some(WaitReason::Item))
    };
    let state = match queue.sentinel() {
        None if queue.has_ended() => "ended",
        None => "open",
        Some(Sentinel::LastProducerLeft) => "ending",
        Some(Sentinel::Closed) => "closed",
    };
    Status {
        ready: counts.ready,
        in_flight: counts.in_flight,
        done: counts.done,
        failed: counts.failed,
        capacity: queue.capacity().map(NonZeroU64::get),
        sync: queue.sync(),
        oldest_age_s: queue.oldest_accepted_at().map(age),
        state: state.to_owned(),
        producers: queue.client_activities().filter(puts).filter_map(|d| client(&d)).collect(),
        consumers: queue.client_activities().filter(gets).filter_map(|d| client(&d)).collect(),
    }
}
