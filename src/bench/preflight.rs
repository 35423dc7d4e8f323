//! Finds out what cannot be measured on this machine, and why.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::case::{BenchCase, Implementation, SkippedMeasurement};
use super::machine;
use crate::catalogue::message;
use crate::os::{self, pipe_size_ratio};
use crate::queue::MAX_DELIVERY_BYTES;

/// Larger items need much memory: a trial puts as many items as possible, and the items wait in the queue.
const LARGE_ITEM_SIZE: u64 = 4 << 10;
const LARGE_ITEM_MEMORY: u64 = 256 << 20;

/// Returns the cases that are possible on this machine, and the other cases and problems with their reasons.
pub(super) fn filter_cases(
    mut cases: Vec<BenchCase>,
) -> std::io::Result<(Vec<BenchCase>, Vec<SkippedMeasurement>)> {
    let mut skipped = Vec::new();
    skipped.extend(check_pipe_capacity(&cases)?);
    skipped.extend(drop_large_cases(&mut cases, machine::free_memory()));
    if cases.iter().any(|case| case.implementation == Implementation::Python)
        && let Err(reason) = check_python()
    {
        cases.retain(|case| case.implementation != Implementation::Python);
        skipped.push(SkippedMeasurement { what: "multiprocessing.Queue".to_owned(), reason });
    }
    Ok((cases, skipped))
}

/// Checks whether pipes get their intended size. A failure to create a pipe shows later, in the case that needs the
/// pipe.
fn check_pipe_capacity(cases: &[BenchCase]) -> std::io::Result<Option<SkippedMeasurement>> {
    // Of each process one pipe becomes wide: a producer's requests, or a consumer's mailbox.
    let wide_pipes = cases.iter().map(|case| case.producers + case.consumers).max().unwrap_or(0);
    let ratio = match pipe_size_ratio(wide_pipes, MAX_DELIVERY_BYTES) {
        Err(error) if os::resource_remedy(&error).is_some() => return Ok(None),
        ratio => ratio?,
    };
    Ok(ratio.filter(|&ratio| ratio < 1.0).map(|ratio| SkippedMeasurement {
        what: message!("bench-wide-pipes"),
        reason: message!("bench-narrow-pipes", percent = format!("{:.0}", ratio * 100.0)),
    }))
}

/// Removes the cases that need more memory than is free.
fn drop_large_cases(cases: &mut Vec<BenchCase>, free: Option<u64>) -> Option<SkippedMeasurement> {
    let free = free.filter(|&free| free < LARGE_ITEM_MEMORY)?;
    let before = cases.len();
    cases.retain(|case| case.size <= LARGE_ITEM_SIZE);
    (cases.len() < before).then(|| SkippedMeasurement {
        what: message!("bench-large-items", bytes = LARGE_ITEM_SIZE),
        reason: message!(
            "bench-little-memory",
            needed = LARGE_ITEM_MEMORY >> 20,
            free = free >> 20
        ),
    })
}

/// Checks that Python can run, or returns the reason.
fn check_python() -> Result<(), String> {
    let mut command = Command::new("python3");
    command.args(["-c", "import multiprocessing.synchronize"]).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let reason = text.lines().last().map(str::to_owned);
            let reason = reason.unwrap_or_else(|| message!("bench-python-silent"));
            Err(message!("bench-python-failed", reason = reason))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(message!("bench-python-missing")),
        Err(error) => Err(message!("bench-python-unstartable", cause = os::os_text(&error))),
    }
}

/// The causes of a failure, with a remedy if one is known.
pub(super) fn explain_failure(error: &anyhow::Error) -> String {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let remedy = causes.filter_map(os::resource_remedy).last();
    let text = os::chain_text(error.as_ref());
    match remedy {
        Some(remedy) => message!("os-with-remedy", error = text, remedy = remedy),
        None => text,
    }
}

/// Groups failed cases with the same reason.
pub(super) fn group_failures(failed: Vec<(BenchCase, String)>) -> Vec<SkippedMeasurement> {
    let mut groups: Vec<SkippedMeasurement> = Vec::new();
    for (case, reason) in failed {
        match groups.iter_mut().find(|one| one.reason == reason) {
            Some(one) => one.what += &format!("; {}", case.label()),
            None => groups.push(SkippedMeasurement { what: case.label(), reason }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(size: u64) -> BenchCase {
        BenchCase {
            implementation: Implementation::Qdemo,
            size,
            producers: 1,
            consumers: 1,
            idle_clients: 0,
        }
    }

    #[test]
    fn large_items_are_skipped_if_little_memory_is_free() {
        let all = vec![case(16), case(4096), case(65536)];
        for free in [None, Some(LARGE_ITEM_MEMORY)] {
            let mut cases = all.clone();
            assert_eq!(drop_large_cases(&mut cases, free), None);
            assert_eq!(cases, all);
        }
        let mut cases = all;
        let reason = drop_large_cases(&mut cases, Some(100 << 20)).unwrap().reason;
        assert_eq!(reason, "256 MiB of memory are needed, and 100 MiB are free");
        assert_eq!(cases, [case(16), case(4096)]);
    }

    #[test]
    fn failures_with_the_same_reason_are_grouped() {
        let failed = [(16, "a"), (256, "b"), (4096, "a")];
        let groups =
            group_failures(failed.map(|(size, reason)| (case(size), reason.to_owned())).to_vec());
        let groups: Vec<_> = groups.iter().map(|one| (&one.what[..], &one.reason[..])).collect();
        assert_eq!(groups, [("16 B, 1 × 1; 4 KiB, 1 × 1", "a"), ("256 B, 1 × 1", "b")]);
    }
}
