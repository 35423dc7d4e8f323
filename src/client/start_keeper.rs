//! Starting a keeper. Only the process that holds the lock of the queue's directory may start one. The
//! process passes the lock on to the keeper: if the process dies, no other one starts a second keeper.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::builder::QueueBuilder;
use super::error::{Error, StartFailure, open_error};
use super::keeper_process::KEEPER_ARGS;
use super::process;
use super::timeout::SilenceLimit;
use crate::catalogue::{lang, message};
use crate::clock::Nanos;
use crate::keeper::daemon::{DAMAGED_PREFIX, READY_LINE};
use crate::os::GUARD_ENV;
use crate::os::is_transient;
use crate::os::spawn_self;
use crate::pipe::{InboxWriter, QueueDir, StartLock, starter_pid};

/// How often to try the lock where the system cannot tell when it is free.
const LOCK_RETRY_INTERVAL: Nanos = 20_000_000;

impl QueueBuilder {
    /// Starts a keeper and waits until its inbox exists. The keeper waits for this client as long as the
    /// returned pipe is open. None when there is a keeper already, or when the directory or the new
    /// keeper is gone: then the caller looks for a keeper again.
    pub(super) fn start_keeper(
        &self,
        dir: &QueueDir,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
    ) -> Result<Option<ChildStdout>, Error> {
        let Some(lock) = self.acquire_start_lock(dir, limit)? else {
            return Ok(None);
        };
        // Another client may have started one while this one waited for the lock.
        let inbox = InboxWriter::open(dir).map_err(open_error(message!("error-no-inbox")))?;
        if inbox.is_some() {
            return Ok(None);
        }
        let mut keeper = self.spawn_keeper(dir, &lock)?;
        let (pid, stdout) = (keeper.id(), keeper.stdout.take());
        process::adopt_keeper(keeper);
        let Some(mut stdout) = stdout else {
            return Ok(None);
        };
        match self.read_startup_line(&mut stdout, damaged, limit, pid)?.as_str() {
            READY_LINE => Ok(Some(stdout)),
            // A signal killed the keeper: the next one may live.
            "" => Ok(None),
            reason => Err(StartFailure::Reported(reason.trim_end().to_owned()).into()),
        }
    }

    /// Waits for the lock that allows to start a keeper; none when the directory is gone.
    fn acquire_start_lock(
        &self,
        dir: &QueueDir,
        limit: &SilenceLimit,
    ) -> Result<Option<StartLock>, Error> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(open_error(message!("error-no-lock"))(error)),
        };
        match dir.try_lock() {
            Ok(None) => {}
            other => return other.or_else(failed),
        }
        match dir.request_lock() {
            Ok(Some(wanted)) if self.wait_readable(wanted.ready_pipe.as_fd(), limit)? => {
                dir.finish_lock(wanted).or_else(failed)
            }
            Ok(Some(_)) => Err(self.not_ready_error(starter_pid(dir.path()))),
            Ok(None) => {
                let deadline = limit.wait_deadline();
                loop {
                    match dir.try_lock() {
                        Ok(None) => {}
                        other => return other.or_else(failed),
                    }
                    let left = deadline
                        .remaining()
                        .unwrap_or(LOCK_RETRY_INTERVAL)
                        .min(LOCK_RETRY_INTERVAL);
                    if left == 0 {
                        return Err(self.not_ready_error(starter_pid(dir.path())));
                    }
                    self.wait_interruptibly(&[], Some(left))?;
                }
            }
            Err(error) => failed(error),
        }
    }

    fn spawn_keeper(&self, dir: &QueueDir, lock: &StartLock) -> Result<Child, Error> {
        // The path of the queue's directory is absolute, so its parent's path is absolute too.
        let base = dir.path().parent().unwrap_or(dir.path());
        let failed = || open_error(message!("error-start"));
        let start = |command: &mut Command| {
            command
                .arg0("qdemo")
                .args(KEEPER_ARGS)
                .arg(self.name.as_str())
                .env("QDEMO_DIR", base)
                // What the keeper tells its starter is for the same people. Nothing else inherits this.
                .env("QDEMO_LANG", lang().code())
                .env_remove(GUARD_ENV)
                .current_dir("/")
                .stdin(lock.duplicate_for_child()?)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                // A terminal's Ctrl-C must not reach the keeper.
                .process_group(0)
                .spawn()
        };
        // The keeper has another working directory. A bare name is looked up in the PATH.
        let program = match self.program.as_deref().map(Path::new) {
            None if process::is_self_hosted() => {
                return spawn_self(start).map_err(failed());
            }
            None => PathBuf::from("qdemo"),
            Some(name) if name.components().count() == 1 => name.to_owned(),
            Some(path) => std::path::absolute(path)
                .map_err(open_error(message!("error-no-working-directory")))?,
        };
        start(&mut Command::new(&program)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StartFailure::NoProgram { program, source }.into(),
            _ => failed()(source),
        })
    }

    /// Reads what a new keeper says: the numbers of damaged lines go to `damaged`. Returns the line
    /// after these, or nothing if the keeper has died.
    fn read_startup_line(
        &self,
        stdout: &mut ChildStdout,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
        pid: u32,
    ) -> Result<String, Error> {
        let mut unread = Vec::new();
        loop {
            while let Some(end) = memchr::memchr(b'\n', &unread) {
                let line: Vec<u8> = unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                match line
                    .strip_prefix(DAMAGED_PREFIX)
                    .and_then(|line| line.trim_end().parse().ok())
                {
                    Some(line) => damaged.push(line),
                    None => return Ok(line),
                }
            }
            if !self.wait_readable(stdout.as_fd(), limit)? {
                return Err(self.not_ready_error(Some(pid)));
            }
            let mut buffer = [0; 4096];
            match stdout.read(&mut buffer) {
                Ok(0) => return Ok(String::from_utf8_lossy(&unread).into_owned()),
                Ok(read) => unread.extend_from_slice(&buffer[..read]),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(Error::Pipe(error)),
            }
        }
    }

    fn not_ready_error(&self, process: Option<u32>) -> Error {
        Error::NoAnswer { queue: self.name.to_string(), process, starting: true, server: None }
    }
}
