//! The hidden commands: `qdemo keeper` holds a queue, `qdemo guard` ends the commands of a dead consumer. Other
//! commands start both.

use std::io::{self, Write};

use super::args::QueueArg;
use crate::client::default_base_dir;
use crate::exec;
use crate::exit::ExitCode;
use crate::keeper::daemon;
use crate::os::raise_open_file_limit;
use crate::os::signals::{self, LeaveSignals};
use crate::pipe::QueueDir;

/// Hold a queue while it has clients (other commands start the keeper)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    queue: QueueArg,
}

/// End the commands of a dead consumer (the consumer starts the guard)
#[derive(Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// The mark in the environment of the commands
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
            // The client that started the keeper reads the reason.
            let _ = writeln!(io::stdout(), "{}", format!("{error:#}").replace('\n', " "));
        }
        kept.map(|()| ExitCode::Done)
    }

    fn run_keeper(&self) -> anyhow::Result<()> {
        raise_open_file_limit();
        // The queue outlives the terminal of the command that started the keeper.
        let stop = signals::install_handlers(LeaveSignals::AllButHangup)?;
        signals::ignore_file_size_signal()?;
        let dir = QueueDir::open_or_create(&default_base_dir()?, self.queue.name()?.as_str())?;
        daemon::run_keeper(dir, &stop)
    }
}

/// Closes the descriptors that a script had open when it ran the command that started the keeper: a lock of the
/// script, or a pipe to one of its programs, must not stay open for the life of the queue.
fn close_inherited_fds() {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else {
        return;
    };
    let fds: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in fds {
        // The descriptor of the listing itself is closed already.
        let _ = nix::unistd::close(fd);
    }
}
