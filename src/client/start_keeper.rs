//! Starting a keeper. Only the process that has the lock of the queue's directory may do so, and it
//! passes the lock on to the keeper: when this process dies, no other one starts a second keeper.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::Error;
use super::connect::{KEEPER, KEEPS, Options, open_failed};
use super::timeout::Limit;
use crate::clock::Nanos;
use crate::exec::MARK;
use crate::keeper::daemon::{DAMAGED, READY};
use crate::os::is_passing;
use crate::os::start_own;
use crate::pipe::{Door, QueueDir, StartLock, starter_of};

/// The keepers that this process has started and not reaped yet: [`reap_keepers`] does that.
static STARTED: Mutex<Vec<Child>> = Mutex::new(Vec::new());
/// How long it takes to ask again for a lock that nothing tells of.
const AGAIN: Nanos = 20_000_000;

/// Reaps the keepers that this process has started and that have ended. Each client does so when it looks for
/// a keeper and when it is dropped, so that zombies don't gather in a program that opens many queues.
pub(super) fn reap_keepers() {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    // If a child cannot be waited for, the program has reaped it itself.
    started.retain_mut(|keeper| matches!(keeper.try_wait(), Ok(None)));
}

impl Options {
    /// Starts a keeper and waits until its inbox can be seen. The keeper waits for this client as long
    /// as the returned pipe is open. None when there is a keeper already, or the directory or the
    /// started keeper is gone: then the client looks again.
    pub(super) fn start(
        &self,
        dir: &QueueDir,
        damaged: &mut Vec<u64>,
        limit: &Limit,
    ) -> Result<Option<ChildStdout>, Error> {
        let Some(lock) = self.lock(dir, limit)? else {
            return Ok(None);
        };
        // Another client may have started one while this one waited for the lock.
        let door = Door::open(dir).map_err(open_failed("cannot open the queue's inbox"))?;
        if door.is_some() {
            return Ok(None);
        }
        let mut keeper = self.spawn(dir, &lock)?;
        let (pid, stdout) = (keeper.id(), keeper.stdout.take());
        STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
        let Some(mut stdout) = stdout else {
            return Ok(None);
        };
        match self.first_word(&mut stdout, damaged, limit, pid)?.as_str() {
            READY => Ok(Some(stdout)),
            // Somebody has killed it: the next one may live.
            "" => Ok(None),
            why => Err(Error::Start(why.trim_end().to_owned())),
        }
    }

    /// Waits for the right to start a keeper; none when the directory is gone.
    fn lock(&self, dir: &QueueDir, limit: &Limit) -> Result<Option<StartLock>, Error> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(open_failed("cannot lock the queue's directory")(error)),
        };
        match dir.try_lock() {
            Ok(None) => {}
            other => return other.or_else(failed),
        }
        match dir.want_lock() {
            Ok(Some(wanted)) => match self.wait_within(wanted.as_fd(), limit)? {
                true => dir.have_lock(&wanted).or_else(failed),
                false => Err(self.not_ready(starter_of(dir.path()))),
            },
            Ok(None) => {
                let deadline = limit.of_a_wait();
                loop {
                    match dir.try_lock() {
                        Ok(None) => {}
                        other => return other.or_else(failed),
                    }
                    let left = deadline.left().unwrap_or(AGAIN).min(AGAIN);
                    if left == 0 {
                        return Err(self.not_ready(starter_of(dir.path())));
                    }
                    self.wait(&[], Some(left))?;
                }
            }
            Err(error) => failed(error),
        }
    }

    fn spawn(&self, dir: &QueueDir, lock: &StartLock) -> Result<Child, Error> {
        // As the directory's path is absolute, so is that of the folder that it lies in.
        let base = dir.path().parent().unwrap_or(dir.path());
        let failed = || open_failed("cannot start a keeper for the queue");
        let start = |command: &mut Command| {
            command
                .arg0("qdemo")
                .args(KEEPER)
                .arg(self.name.as_str())
                .env("QDEMO_DIR", base)
                // It lives on when the command of some item that started it is ended.
                .env_remove(MARK)
                .current_dir("/")
                .stdin(lock.share()?)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                // A terminal's Ctrl-C is not meant for it.
                .process_group(0)
                .spawn()
        };
        // The keeper has another working directory; a bare name is looked up in the PATH.
        let program = match self.program.as_deref().map(Path::new) {
            None if KEEPS.load(Ordering::Relaxed) => return start_own(start).map_err(failed()),
            None => PathBuf::from("qdemo"),
            Some(name) if name.components().count() == 1 => name.to_owned(),
            Some(path) => std::path::absolute(path).map_err(open_failed("no working directory"))?,
        };
        start(&mut Command::new(&program)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let remedy = "install qdemo, or call qdemo::keep_if_asked() first thing in main";
                Error::Start(format!("{}: {error}: {remedy}", program.display()))
            }
            _ => failed()(error),
        })
    }

    /// What a keeper says that has been started, but for damaged places: a line, or nothing if it has
    /// died.
    fn first_word(
        &self,
        stdout: &mut ChildStdout,
        damaged: &mut Vec<u64>,
        limit: &Limit,
        pid: u32,
    ) -> Result<String, Error> {
        let mut said = Vec::new();
        loop {
            while let Some(end) = memchr::memchr(b'\n', &said) {
                let line: Vec<u8> = said.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                match line.strip_prefix(DAMAGED).and_then(|line| line.trim_end().parse().ok()) {
                    Some(line) => damaged.push(line),
                    None => return Ok(line),
                }
            }
            if !self.wait_within(stdout.as_fd(), limit)? {
                return Err(self.not_ready(Some(pid)));
            }
            let mut buffer = [0; 4096];
            match stdout.read(&mut buffer) {
                Ok(0) => return Ok(String::from_utf8_lossy(&said).into_owned()),
                Ok(read) => said.extend_from_slice(&buffer[..read]),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Error::Pipe(error)),
            }
        }
    }

    fn not_ready(&self, process: Option<u32>) -> Error {
        Error::NoAnswer { queue: self.name.to_string(), process, starting: true }
    }
}
