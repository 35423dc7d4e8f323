//! `qdemo keeper` keeps a stand-alone queue, `qdemo guard` looks after the commands of a consumer. The
//! other commands start them; nobody needs to.

use std::io::{self, Write};

use crate::client::default_base_dir;
use crate::exec;
use crate::exit::ExitCode;
use crate::keeper::daemon;
use crate::os::raise_open_file_limit;
use crate::pipe::QueueDir;

use super::QueueArg;
use crate::os::signals::{self, LeaveSignals};

/// Keep a queue for as long as there is something to keep (the other commands start this)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    queue: QueueArg,
}

/// End the commands of a consumer that has died (the consumer starts this)
#[derive(Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// What its commands have in their environment
    mark: String,
}

impl GuardArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        exec::run_guard(&self.mark)?;
        Ok(ExitCode::Done)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        close_inherited_fds();
        let kept = self.run_keeper();
        if let Err(error) = &kept {
            // Who started it reads why.
            let _ = writeln!(io::stdout(), "{}", format!("{error:#}").replace('\n', " "));
        }
        kept.map(|()| ExitCode::Done)
    }

    fn run_keeper(&self) -> anyhow::Result<()> {
        raise_open_file_limit();
        // The terminal that somebody happened to start it from may go.
        let stop = signals::install_handlers(LeaveSignals::AllButHangup)?;
        signals::ignore_file_size_signal()?;
        let dir = QueueDir::open_or_create(&default_base_dir()?, self.queue.name()?.as_str())?;
        daemon::run_keeper(dir, &stop)
    }
}

/// Closes what a script had open when it ran the command that started this: a lock or a pipe that
/// is waited for must not stay open for as long as the queue lives.
fn close_inherited_fds() {
    let Ok(open) = std::fs::read_dir("/dev/fd") else {
        return;
    };
    let numbers: Vec<i32> = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in numbers {
        // One of them was the listing itself.
        let _ = nix::unistd::close(fd);
    }
}
