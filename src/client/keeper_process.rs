//! The keeper as a process of its own: what it does before and after it keeps the queue.

use std::env;
use std::io::{self, Write};

use super::builder::default_base_dir;
use super::process;
use crate::keeper::daemon;
use crate::os::signals::{self, LeaveSignals};
use crate::os::{self, chain_text, raise_open_file_limit};
use crate::pipe::QueueDir;
use crate::queue_name::QueueName;

/// The arguments that make a program a keeper; the queue's name follows.
pub(super) const KEEPER_ARGS: [&str; 2] = ["keeper", "--queue"];

/// Lets this program keep its queues itself, so that it needs no `qdemo` in the `PATH`. Call this first
/// thing in `main`.
///
/// When the program was started as a keeper, with the arguments `keeper --queue NAME`, this function
/// keeps that queue and then exits the process. Otherwise it returns at once. From then on the whole
/// process starts itself, and not `qdemo`, for a queue without a keeper. Python has `freeze_support` in
/// `multiprocessing` for the same purpose.
///
/// ```standalone_crate
/// qdemo::keep_if_asked();
/// // The program's own work follows.
/// ```
pub fn keep_if_asked() {
    enable_self_hosting();
    let args: Vec<_> = env::args_os().collect();
    if let [_, command, option, name] = &args[..]
        && [command, option] == KEEPER_ARGS
    {
        let name = name.to_string_lossy().parse().map_err(anyhow::Error::from);
        let kept = os::set_up_signals()
            .map_err(anyhow::Error::from)
            .and_then(|()| run_keeper_process(name));
        std::process::exit(i32::from(kept.is_err()));
    }
}

/// Makes this program the one that is started as a keeper. Its path is looked up each time, because its
/// file may be replaced or removed while it runs.
pub(crate) fn enable_self_hosting() {
    process::set_self_hosted();
}

/// Keeps the queue `name` of the default directory until there is nothing left to keep. The starter
/// reads from standard output that the keeper is ready, or an error in one line.
pub(crate) fn run_keeper_process(name: anyhow::Result<QueueName>) -> anyhow::Result<()> {
    close_inherited_fds();
    let kept = keep_queue(name);
    if let Err(error) = &kept {
        let _ = writeln!(io::stdout(), "{}", chain_text(error.as_ref()).replace('\n', " "));
    }
    kept
}

fn keep_queue(name: anyhow::Result<QueueName>) -> anyhow::Result<()> {
    raise_open_file_limit();
    // The keeper outlives the terminal that its starter happens to use.
    let stop = signals::install_handlers(LeaveSignals::AllButHangup)?;
    signals::ignore_file_size_signal()?;
    let dir = QueueDir::open_or_create(&default_base_dir()?, name?.as_str())?;
    daemon::run_keeper(dir, &stop)
}

/// Closes what the starter's script had open: a lock or a pipe that another process waits for must not
/// stay open for as long as the queue lives.
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
        // The descriptor of the listing itself is among them.
        let _ = nix::unistd::close(fd);
    }
}
