//! The crew of a run: its producers and consumers, child processes of this program.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::queue::Worker;

/// The children of a run. Clones share them; whoever drops the last clone has ended them all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crew {
    hands: Arc<Mutex<Vec<Hand>>>,
}

#[derive(Debug)]
struct Hand {
    worker: Worker,
    child: Child,
}

/// A worker that is no more.
#[derive(Debug)]
pub(crate) struct Departed {
    pub(crate) worker: Worker,
    pub(crate) pid: u32,
    pub(crate) status: ExitStatus,
}

impl Departed {
    /// How it died, if it did not leave of its own will.
    pub(crate) fn cause(&self) -> Option<String> {
        match (self.status.code(), self.status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("failed with exit code {code}")),
            (None, Some(signal)) => Some(format!("was killed by signal {signal}")),
            (None, None) => Some("ended in an unknown way".to_owned()),
        }
    }
}

impl Crew {
    /// Starts a worker: this program with these arguments, on queues that lie in `base`.
    pub(crate) fn start(&self, worker: Worker, args: &[String], base: &Path) -> io::Result<()> {
        let child = Command::new(own_program()?)
            .arg0("qdemo")
            .args(args)
            .env("QDEMO_DIR", base)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A terminal's Ctrl-C is for the parent: it tells the workers.
            .process_group(0)
            .spawn()?;
        self.lock().push(Hand { worker, child });
        Ok(())
    }

    /// Those who have died since the last time; no zombie stays of them.
    pub(crate) fn reap(&self) -> io::Result<Vec<Departed>> {
        let mut departed = Vec::new();
        let mut failed = None;
        self.lock().retain_mut(|hand| match hand.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let pid = hand.child.id();
                let worker = hand.worker;
                departed.push(Departed { worker, pid, status });
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(departed), Err)
    }

    /// Whether nobody is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Kills those who are left, and waits for their end.
    pub(crate) fn kill(&self) {
        let mut hands = self.lock();
        for hand in hands.iter_mut() {
            // One that is dead already is what is wanted.
            let _ = hand.child.kill();
        }
        for mut hand in hands.drain(..) {
            let _ = hand.child.wait();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This program. If its file has been replaced or removed meanwhile, the one that runs, by a link
/// that Linux has to it; but then the system lists the child under the link's name.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    match std::env::current_exe() {
        Ok(path) if !path.exists() => Ok(PathBuf::from("/proc/self/exe")),
        other => other,
    }
}
