//! What cannot be measured on this machine, and why.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::{Case, LeftOut, Subject, machine};
use crate::os::{self, width};

/// Items larger than this need much memory: in a measurement as many are put as can be, and wait.
const LARGE: u64 = 4 << 10;
const NEEDED: u64 = 256 << 20;

/// Of these cases, those that are possible here, and why the others are not; and what else is not as it
/// should be.
pub(super) fn possible(mut cases: Vec<Case>) -> std::io::Result<(Vec<Case>, Vec<LeftOut>)> {
    let mut left_out = Vec::new();
    left_out.extend(narrow_pipes(&cases)?);
    left_out.extend(too_large(&mut cases, machine::free_memory()));
    if cases.iter().any(|case| case.subject == Subject::Python)
        && let Err(why) = has_python()
    {
        cases.retain(|case| case.subject != Subject::Python);
        left_out.push(LeftOut { what: "multiprocessing.Queue".to_owned(), why });
    }
    Ok((cases, left_out))
}

/// Whether pipes hold what they are meant to, or why not. One that cannot be made at all is found out
/// with the case that it is for.
fn narrow_pipes(cases: &[Case]) -> std::io::Result<Option<LeftOut>> {
    let consumers = cases.iter().map(|case| case.consumers).max().unwrap_or(0);
    let width = match width(consumers) {
        Err(error) if os::lack(&error).is_some() => return Ok(None),
        width => width?,
    };
    Ok(width.filter(|&width| width < 1.0).map(|width| LeftOut {
        what: "pipes as wide as they are meant to be".to_owned(),
        why: format!(
            "they hold down to {:.0} % of that, as their user has many, these included: the figures are those of narrow \
             pipes; end what has them, take fewer consumers, or raise /proc/sys/fs/pipe-user-pages-soft",
            width * 100.0
        ),
    }))
}

/// Takes those out that there is not enough memory for.
fn too_large(cases: &mut Vec<Case>, free: Option<u64>) -> Option<LeftOut> {
    let free = free.filter(|&free| free < NEEDED)?;
    let before = cases.len();
    cases.retain(|case| case.size <= LARGE);
    (cases.len() < before).then(|| LeftOut {
        what: format!("items of more than {LARGE} bytes"),
        why: format!("{} MiB of memory are needed, and {} MiB are free", NEEDED >> 20, free >> 20),
    })
}

/// Whether there is a Python to compare with, or why not.
fn has_python() -> Result<(), String> {
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
pub(super) fn why(error: &anyhow::Error) -> String {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let remedy = causes.filter_map(os::lack).last();
    format!("{error:#}{}", remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default())
}

/// Cases that failed, and why: those that failed alike are told of together.
pub(super) fn told(failed: Vec<(Case, String)>) -> Vec<LeftOut> {
    let mut told: Vec<LeftOut> = Vec::new();
    for (case, why) in failed {
        match told.iter_mut().find(|one| one.why == why) {
            Some(one) => one.what += &format!("; {}", case.name()),
            None => told.push(LeftOut { what: case.name(), why }),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(size: u64) -> Case {
        Case { subject: Subject::Qdemo, size, producers: 1, consumers: 1 }
    }

    #[test]
    fn where_there_is_little_memory_large_items_are_left_out() {
        let all = vec![case(16), case(4096), case(65536)];
        for free in [None, Some(NEEDED)] {
            let mut cases = all.clone();
            assert_eq!(too_large(&mut cases, free), None);
            assert_eq!(cases, all);
        }
        let mut cases = all;
        let why = too_large(&mut cases, Some(100 << 20)).unwrap().why;
        assert_eq!(why, "256 MiB of memory are needed, and 100 MiB are free");
        assert_eq!(cases, [case(16), case(4096)]);
    }

    #[test]
    fn what_failed_alike_is_told_of_together() {
        let failed = [(16, "a"), (256, "b"), (4096, "a")];
        let told = told(failed.map(|(size, why)| (case(size), why.to_owned())).to_vec());
        let told: Vec<_> = told.iter().map(|one| (&one.what[..], &one.why[..])).collect();
        assert_eq!(told, [("16 B, 1 × 1; 4 KiB, 1 × 1", "a"), ("256 B, 1 × 1", "b")]);
    }
}
