//! How long a test may take. Nothing here is a measurement: a limit only keeps a test that hangs from hanging for ever.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::QDEMO;

/// A short command takes less than this on a machine that has nothing else to do.
const USUAL: Duration = Duration::from_millis(20);

/// A limit, which grows by as much as the machine is slower than usual.
pub struct Limit {
    begin: Instant,
    limit: Duration,
}

impl Limit {
    /// The limit of everything that a test starts or waits for.
    pub fn start() -> Self {
        Self::of_seconds(40)
    }

    /// So many seconds on a machine with nothing else to do.
    pub fn of_seconds(seconds: u64) -> Self {
        Self { begin: Instant::now(), limit: Duration::from_secs(seconds) }
    }

    /// Whether the limit is over. The slowness is measured when the limit seems to be over, not before.
    pub fn is_over(&self) -> bool {
        let elapsed = self.begin.elapsed();
        elapsed > self.limit && elapsed > self.limit.mul_f64(slowness())
    }

    /// When [`Limit::is_over`] is worth another question.
    fn remaining(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.limit.saturating_sub(self.begin.elapsed()).max(second)
    }
}

/// How many times longer than usual a short command takes now: 1 to 10.
fn slowness() -> f64 {
    let begin = Instant::now();
    for _ in 0..3 {
        let mut command = Command::new(QDEMO);
        let _ = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    }
    (begin.elapsed() / 3).div_duration_f64(USUAL).clamp(1.0, 10.0)
}

/// Kills a process and its process group when the limit is over. Dropping the returned sender ends the watch.
pub(super) fn watch(pid: u32) -> mpsc::Sender<()> {
    let (keep, gone) = mpsc::channel::<()>();
    let limit = Limit::start();
    thread::spawn(move || {
        while gone.recv_timeout(limit.remaining()) == Err(mpsc::RecvTimeoutError::Timeout) {
            if limit.is_over() {
                eprintln!("process {pid} has had its {:?}", limit.begin.elapsed());
                let _ = kill_process_group(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
                return;
            }
        }
    });
    keep
}
