//! What cannot be measured on this machine, and why.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::{BenchCase, Implementation, SkippedMeasurement, machine};
use crate::os::{self, pipe_size_ratio};
use crate::pipe::WIDE_PIPE_BYTES;

/// Items larger than this need much memory: in a measurement as many are put as can be, and wait.
const LARGE_ITEM_SIZE: u64 = 4 << 10;
const LARGE_ITEM_MEMORY: u64 = 256 << 20;

/// Of these cases, those that are possible here, and why the others are not; and what else is not as it
/// should be.
pub(super) fn filter_cases(
    mut cases: Vec<BenchCase>,
) -> std::io::Result<(Vec<BenchCase>, Vec<SkippedMeasurement>)> {
    let mut left_out = Vec::new();
    left_out.extend(check_pipe_capacity(&cases)?);
    left_out.extend(drop_large_cases(&mut cases, machine::free_memory()));
    if cases.iter().any(|case| case.implementation == Implementation::Python)
        && let Err(reason) = check_python()
    {
        cases.retain(|case| case.implementation != Implementation::Python);
        left_out.push(SkippedMeasurement { what: "multiprocessing.Queue".to_owned(), reason });
    }
    Ok((cases, left_out))
}

/// Whether pipes hold what they are meant to, or why not. One that cannot be made at all is found out
/// with the case that it is for.
fn check_pipe_capacity(cases: &[BenchCase]) -> std::io::Result<Option<SkippedMeasurement>> {
    let consumers = cases.iter().map(|case| case.consumers).max().unwrap_or(0);
    let width = match pipe_size_ratio(consumers, WIDE_PIPE_BYTES) {
        Err(error) if os::resource_remedy(&error).is_some() => return Ok(None),
        width => width?,
    };
    Ok(width.filter(|&width| width < 1.0).map(|width| SkippedMeasurement {
        what: "pipes as wide as they are meant to be".to_owned(),
        reason: format!(
            "they hold down to {:.0} % of that, as their user has many, these included: the figures are those of narrow \
             pipes; end what has them, take fewer consumers, or raise /proc/sys/fs/pipe-user-pages-soft",
            width * 100.0
        ),
    }))
}

/// Takes those out that there is not enough memory for.
fn drop_large_cases(cases: &mut Vec<BenchCase>, free: Option<u64>) -> Option<SkippedMeasurement> {
    let free = free.filter(|&free| free < LARGE_ITEM_MEMORY)?;
    let before = cases.len();
    cases.retain(|case| case.size <= LARGE_ITEM_SIZE);
    (cases.len() < before).then(|| SkippedMeasurement {
        what: format!("items of more than {LARGE_ITEM_SIZE} bytes"),
        reason: format!(
            "{} MiB of memory are needed, and {} MiB are free",
            LARGE_ITEM_MEMORY >> 20,
            free >> 20
        ),
    })
}

/// Whether there is a Python to compare with, or why not.
fn check_python() -> Result<(), String> {
    let mut command = Command::new("python3");
    command.args(["-c", "import multiprocessing.synchronize"]).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().last().unwrap_or("it failed, and did not say why");
            Err(format!("python3 cannot do it: {last}"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("there is no python3 in the PATH: install it".to_owned())
        }
        Err(error) => Err(format!("python3 cannot be started: {error}")),
    }
}

/// Why it failed, and what helps, if that is known.
pub(super) fn explain_failure(error: &anyhow::Error) -> String {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let remedy = causes.filter_map(os::resource_remedy).last();
    format!("{error:#}{}", remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default())
}

/// Cases that failed, and why: those that failed alike are told of together.
pub(super) fn group_failures(failed: Vec<(BenchCase, String)>) -> Vec<SkippedMeasurement> {
    let mut report: Vec<SkippedMeasurement> = Vec::new();
    for (case, reason) in failed {
        match report.iter_mut().find(|one| one.reason == reason) {
            Some(one) => one.what += &format!("; {}", case.label()),
            None => report.push(SkippedMeasurement { what: case.label(), reason }),
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(size: u64) -> BenchCase {
        BenchCase { implementation: Implementation::Qdemo, size, producers: 1, consumers: 1 }
    }

    #[test]
    fn where_there_is_little_memory_large_items_are_left_out() {
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
    fn what_failed_alike_is_told_of_together() {
        let failed = [(16, "a"), (256, "b"), (4096, "a")];
        let report =
            group_failures(failed.map(|(size, reason)| (case(size), reason.to_owned())).to_vec());
        let report: Vec<_> = report.iter().map(|one| (&one.what[..], &one.reason[..])).collect();
        assert_eq!(report, [("16 B, 1 × 1; 4 KiB, 1 × 1", "a"), ("256 B, 1 × 1", "b")]);
    }
}
