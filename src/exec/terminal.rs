//! The terminal, for a command that is to have it: its process group becomes the one in the foreground.

use std::fs::{File, OpenOptions};
use std::io;
use std::process::Stdio;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getpgrp;
use rustix::process::Pid;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

/// The terminal of this process. Whichever thread uses it has SIGTTOU blocked ([`Terminal::block`]): the
/// kernel would stop this process for taking the terminal back, or for writing while a command has it.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: File,
    /// The process group of this process.
    own_group: Pid,
    /// The modes that the terminal is in before any command.
    initial_modes: Termios,
}

/// Why a command cannot have the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminalError {
    /// There is none.
    #[error("--tty needs a terminal, and there is none: leave --tty out")]
    Missing(#[source] io::Error),
    /// Another process group has it.
    #[error("--tty needs the terminal, and this consumer is in the background: start it without &")]
    Background,
}

impl Terminal {
    /// The terminal of this process, which must be in its foreground.
    pub(crate) fn open() -> Result<Self, TerminalError> {
        let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let file = opened.map_err(TerminalError::Missing)?;
        let modes = tcgetattr(&file).map_err(|error| TerminalError::Missing(error.into()))?;
        // It has no number if its leader is in another process namespace.
        let own = Pid::from_raw(getpgrp().as_raw()).ok_or(TerminalError::Background)?;
        let terminal = Self { file, own_group: own, initial_modes: modes };
        if !terminal.is_foreground(own) {
            return Err(TerminalError::Background);
        }
        Self::block_sigttou().map_err(TerminalError::Missing)?;
        Ok(terminal)
    }

    /// Blocks SIGTTOU in this thread.
    pub(super) fn block_sigttou() -> io::Result<()> {
        Ok(SigSet::from(Signal::SIGTTOU).thread_block()?)
    }

    /// The terminal as a command's standard input.
    pub(super) fn stdin(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// Whether this process group is in the foreground.
    pub(super) fn is_foreground(&self, group: Pid) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground == group)
    }

    /// Gives the terminal to a command, if this process has it.
    pub(super) fn set_foreground(&self, group: Pid) {
        self.transfer(self.own_group, group);
    }

    /// Takes the terminal back from a command, if the command has it.
    pub(super) fn reclaim_from(&self, group: Pid) {
        self.transfer(group, self.own_group);
    }

    /// Undoes what a command may have left that did not end by itself: no echo, say.
    pub(super) fn restore_modes(&self) {
        // A terminal that is gone needs none.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.initial_modes);
    }

    fn transfer(&self, from: Pid, to: Pid) {
        if self.is_foreground(from) {
            // The terminal, or the command, may be gone.
            let _ = tcsetpgrp(&self.file, to);
        }
    }
}
