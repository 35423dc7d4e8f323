//! `qdemo rm`: removes a queue, or all queues that have ended.

use anyhow::Context;

use super::args::QueueArg;
use super::one_shot::OneShot;
use super::queues::{Place, QueryOutcome};
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use crate::catalogue::message;
use crate::client::Error;
use crate::exit::ExitCode;
use crate::os::chain_text;
use crate::report::eprint_line;
use crate::wire::{ErrorCode, Status};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo rm -q jobs
qdemo rm -q jobs --force
qdemo rm --ended")]
pub(super) struct Args {
    #[arg(long)]
    force: bool,

    #[arg(long, conflicts_with_all = ["force", "queue"])]
    ended: bool,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let one_shot = OneShot::new(&self.queue, &self.server)?;
        if self.ended {
            return remove_ended_queues(one_shot);
        }
        let text = match self.remove(&one_shot) {
            Ok(0) => return Ok(ExitCode::Done),
            Ok(removed) => message!("command-removed-items", items = removed),
            Err(error) if self.force && has_unusable_journal(&error) => {
                one_shot.remove_files().with_context(|| chain_text(error.as_ref()))?;
                message!("command-removed-uncounted")
            }
            Err(error) => return Err(error),
        };
        Ok(one_shot.print_result(&text)?)
    }

    /// Returns the number of items in the removed queue.
    fn remove(&self, one_shot: &OneShot) -> anyhow::Result<u64> {
        let mut client = one_shot.connect_existing()?;
        if self.force {
            let counts = client.size()?.0;
            if counts.ready + counts.in_flight + counts.failed > 0 {
                // The command prints the number of items.
                require_stdout()?;
            }
        }
        let removed = client.remove_queue(self.force).map_err(|error| {
            let is_in_use = error.is_refusal(ErrorCode::InUse);
            let error = anyhow::Error::from(error);
            // The refusal does not name the queue, which may be the default one.
            if is_in_use {
                error.context(message!("command-not-removed", queue = &one_shot.queue))
            } else {
                error
            }
        })?;
        // The queue's files exist until the keeper has exited.
        client.wait_for_keeper_exit()?;
        Ok(removed)
    }
}

/// Removes the queues that have ended, except those that have items or clients. The exit code is 1 if one of them stays.
fn remove_ended_queues(mut one_shot: OneShot) -> anyhow::Result<ExitCode> {
    require_stdout()?;
    let (place, names) = Place::open(&one_shot)?;
    let mut outcomes = place.query_all(&names)?;
    outcomes.retain(QueryOutcome::has_ended);
    let (mut removed, mut is_any_left) = (0_u64, false);
    for outcome in outcomes {
        let QueryOutcome::Available { queue, status, .. } = outcome else { continue };
        one_shot = one_shot.with_queue(queue.parse()?);
        let obstacle = match remove_if_unused(&one_shot, &status) {
            Ok(None) => {
                removed += 1;
                continue;
            }
            Ok(Some(obstacle)) => obstacle,
            Err(error @ Error::Interrupted) => return Err(error.into()),
            // One unusable queue must not keep the others.
            Err(error) => format!("{queue}: {}", chain_text(&error)),
        };
        is_any_left = true;
        eprint_line(&obstacle);
    }
    if removed > 0 {
        one_shot.print_result(&message!("command-removed-ended", queues = removed))?;
    } else if !is_any_left {
        one_shot.print_result(&message!("command-no-ended"))?;
    }
    Ok(if is_any_left { ExitCode::Failed } else { ExitCode::Done })
}

/// Removes a queue that has ended, or returns why the queue stays.
fn remove_if_unused(one_shot: &OneShot, status: &Status) -> Result<Option<String>, Error> {
    let (queue, quoted) = (&one_shot.queue, one_shot.queue.shell_quoted());
    if let items @ 1.. = status.counts.failed {
        let text = message!("command-kept-failed", queue = queue, items = items, quoted = quoted);
        return Ok(Some(text));
    }
    let Some(mut client) = one_shot.options.clone().connect_if_exists()? else {
        // Another process has removed the queue.
        return Ok(None);
    };
    match client.remove_queue(false) {
        Ok(_) => {
            client.wait_for_keeper_exit()?;
            Ok(None)
        }
        Err(error) if error.is_refusal(ErrorCode::InUse) => {
            client.leave_at_once();
            Ok(Some(message!("command-kept-used", queue = queue, quoted = quoted)))
        }
        Err(error) => Err(error),
    }
}

/// Whether no keeper can read the queue's journal or write to it.
fn has_unusable_journal(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(Error::Start(_)) => true,
        Some(Error::Refused { code, .. }) => code == "journal",
        _ => false,
    }
}
