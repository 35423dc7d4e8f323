//! Effects, refusals and states of the queue as replies and journal records.

use std::num::NonZeroU64;

use crate::catalogue::{Lang, in_language, message};
use crate::clock::Nanos;
use crate::journal::Record;
use crate::queue::{
    Batch, ClientActivity, ClientId, Counts, EffectKind, Queue, Refusal, Sentinel, WaitReason,
};
use crate::role::Role;
use crate::wire::{ClientKey, ClientStatus, ErrorCode, Reply, Status};

/// The reply to the client, if the effect has one. Only an accepted put needs `window`.
pub(super) fn reply_to(kind: EffectKind, window: impl FnOnce() -> u64) -> Option<Reply> {
    Some(match kind {
        EffectKind::Accepted { seq, batch } => {
            Reply::Ok { seq, id: batch.end_id() - 1, window: window() }
        }
        EffectKind::Closed { seq } => Reply::Closed { seq },
        EffectKind::Full { seq } => Reply::Full { seq },
        EffectKind::Delivered(batch) => Reply::Batch(batch),
        EffectKind::Done(_)
        | EffectKind::Requeued(_)
        | EffectKind::Failed { .. }
        | EffectKind::AttemptBegun(_)
        | EffectKind::Renewed(_) => return None,
        EffectKind::Ended => Reply::Ended,
        EffectKind::Empty => Reply::Empty,
        EffectKind::Joined { failed } => Reply::Joined { failed },
        EffectKind::Unfinished { items } => Reply::Unfinished { items },
        EffectKind::Cancelled => Reply::Cancelled,
        EffectKind::Affected { items } => Reply::Count { items },
    })
}

/// The journal record of an effect on the client `key`, if the effect changes the queue.
pub(super) fn record_of(kind: &EffectKind, key: ClientKey, at: Nanos) -> Option<Record<'_>> {
    Some(match kind {
        EffectKind::Accepted { seq, batch } => Record::Put { key, seq: *seq, batch: batch.clone() },
        EffectKind::Delivered(batch) => {
            Record::Delivered { key, ids: batch.ids(), delivered_at: at }
        }
        EffectKind::Done(batch) => Record::Done { ids: batch.ids() },
        EffectKind::AttemptBegun(batch) => {
            Record::Attempt { id: batch.first_id, attempt: batch.attempt }
        }
        EffectKind::Renewed(batch) => Record::Renewed { ids: batch.ids(), leased_at: at },
        EffectKind::Requeued(batch) => Record::Requeued {
            ids: batch.ids(),
            attempt: batch.attempt,
            delivery_failures: batch.delivery_failures,
        },
        EffectKind::Failed { batch, reason } => failure_record(batch, reason),
        _ => return None,
    })
}

pub(super) fn failure_record<'a>(batch: &Batch, reason: &'a str) -> Record<'a> {
    Record::Failed {
        ids: batch.ids(),
        attempt: batch.attempt,
        delivery_failures: batch.delivery_failures,
        reason,
    }
}

/// The reply to a refused request. `docs/PROTOCOL.md` lists the codes.
pub(super) fn refusal_reply(refusal: &Refusal) -> Reply {
    let code = match *refusal {
        Refusal::NotInFlight(batch_ref) => return Reply::NotInFlight(batch_ref),
        Refusal::Capacity { .. } => ErrorCode::Capacity,
        Refusal::TooManyBlocked { .. } => ErrorCode::TooFar,
        Refusal::GetPending => ErrorCode::GetTwice,
        Refusal::NotFailed { .. } => ErrorCode::NotFailed,
    };
    error_reply(code, || refusal.to_string())
}

/// `text` makes the text that goes over the wire, which is English. A client shows it in its own language.
pub(super) fn error_reply(code: ErrorCode, text: impl FnOnce() -> String) -> Reply {
    Reply::Error { code, text: in_language(Lang::En, text) }
}

/// Why the queue is not removed without `--force`.
pub(super) fn in_use_text(counts: &Counts, others: usize) -> String {
    let Counts { ready, in_flight, failed, .. } = counts;
    let (ready, in_flight, failed) = (*ready, *in_flight, *failed);
    match (counts.stored(), others) {
        (0, others) => message!("refusal-in-use-clients", clients = others),
        (items, 0) => message!(
            "refusal-in-use-items",
            items = items,
            ready = ready,
            in_flight = in_flight,
            failed = failed,
        ),
        (items, others) => message!(
            "refusal-in-use",
            items = items,
            ready = ready,
            in_flight = in_flight,
            failed = failed,
            clients = others,
        ),
    }
}

/// The status of the queue and its clients. `totals` gives a client's process id, and the number of items
/// that the client has put or done.
pub(super) fn queue_status(
    queue: &Queue,
    totals: impl Fn(ClientId) -> Option<(u32, u64)>,
    now: Nanos,
) -> Status {
    let age = |since: Nanos| now.saturating_sub(since) as f64 / 1e9;
    let client = |activity: ClientActivity| {
        let (pid, items) = totals(activity.client)?;
        Some(ClientStatus {
            pid,
            role: activity.role,
            items,
            wait_reason: activity.wait_reason,
            in_flight: activity.in_flight,
            held_s: activity.oldest_delivered_at.map(age),
        })
    };
    // A visitor is listed by its present activity.
    let puts = |activity: &ClientActivity| {
        activity.role == Role::Producer
            || activity.role == Role::Visitor && activity.wait_reason == Some(WaitReason::Room)
    };
    let gets = |activity: &ClientActivity| {
        activity.role == Role::Consumer
            || activity.role == Role::Visitor
                && (activity.in_flight > 0 || activity.wait_reason == Some(WaitReason::Item))
    };
    let state = match queue.state().sentinel {
        None if queue.has_ended() => "ended",
        None => "open",
        Some(Sentinel::LastProducerLeft) => "ending",
        Some(Sentinel::Closed) => "closed",
    };
    Status {
        counts: queue.counts(),
        capacity: queue.capacity().map(NonZeroU64::get),
        sync: queue.state().sync,
        oldest_age_s: queue.oldest_accepted_at().map(age),
        state: state.to_owned(),
        producers: queue.client_activities().filter(puts).filter_map(&client).collect(),
        consumers: queue.client_activities().filter(gets).filter_map(&client).collect(),
    }
}
