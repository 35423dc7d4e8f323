//! Gives the terminal to a command: the command's process group becomes the foreground group.

use std::fs::{File, OpenOptions};
use std::io;
use std::process::Stdio;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getpgrp;
use rustix::process::Pid;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

use crate::catalogue::message;

/// The terminal of this process. Each thread that uses the terminal blocks SIGTTOU
/// ([`Terminal::block_sigttou`]): otherwise the kernel stops this process when it reclaims the terminal, or
/// writes while a command has the terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    file: File,
    own_group: Pid,
    /// The modes of the terminal before the first command.
    initial_modes: Termios,
}

/// Why a command cannot get the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminalError {
    /// This process has no terminal.
    #[error("{}", message!("exec-no-terminal"))]
    Missing(#[source] io::Error),
    /// Another process group is in the foreground.
    #[error("{}", message!("exec-background"))]
    Background,
}

impl Terminal {
    /// Opens the terminal of this process. The process must be in the foreground.
    pub(crate) fn open() -> Result<Self, TerminalError> {
        let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let file = opened.map_err(TerminalError::Missing)?;
        let initial_modes =
            tcgetattr(&file).map_err(|error| TerminalError::Missing(error.into()))?;
        // The group has no number here if its leader is in another PID namespace.
        let own_group = Pid::from_raw(getpgrp().as_raw()).ok_or(TerminalError::Background)?;
        let terminal = Self { file, own_group, initial_modes };
        if !terminal.is_foreground(own_group) {
            return Err(TerminalError::Background);
        }
        Self::block_sigttou().map_err(TerminalError::Missing)?;
        Ok(terminal)
    }

    /// Blocks SIGTTOU in this thread.
    pub(super) fn block_sigttou() -> io::Result<()> {
        Ok(SigSet::from(Signal::SIGTTOU).thread_block()?)
    }

    /// The terminal as the standard input of a command.
    pub(super) fn stdin(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// Whether this process group is in the foreground.
    pub(super) fn is_foreground(&self, group: Pid) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground == group)
    }

    /// Gives the terminal to a command, if this process has the terminal.
    pub(super) fn set_foreground(&self, group: Pid) {
        self.transfer(self.own_group, group);
    }

    /// Takes the terminal back from a command, if the command has the terminal.
    pub(super) fn reclaim_from(&self, group: Pid) {
        self.transfer(group, self.own_group);
    }

    /// Restores the modes after an involuntary end of a command, which may have disabled the echo.
    pub(super) fn restore_modes(&self) {
        // The terminal may be gone.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.initial_modes);
    }

    fn transfer(&self, from: Pid, to: Pid) {
        if self.is_foreground(from) {
            // The terminal, or the command, may be gone.
            let _ = tcsetpgrp(&self.file, to);
        }
    }
}
