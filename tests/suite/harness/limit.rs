//! Time limits of tests. A limit ends a test that hangs. No test measures speed with a limit.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::QDEMO;

/// The upper bound for the time of a short command on an idle machine.
const USUAL: Duration = Duration::from_millis(20);

/// A time limit. The limit grows with the slowness of the machine.
pub struct Limit {
    begin: Instant,
    limit: Duration,
}

impl Limit {
    /// The limit for a process or a wait of a test.
    pub fn start() -> Self {
        Self::of_seconds(40)
    }

    /// A limit of `seconds` seconds on an idle machine.
    pub fn of_seconds(seconds: u64) -> Self {
        Self { begin: Instant::now(), limit: Duration::from_secs(seconds) }
    }

    /// Whether the limit is over. The slowness is measured only after the limit for an idle machine.
    pub fn is_over(&self) -> bool {
        let elapsed = self.begin.elapsed();
        elapsed > self.limit && elapsed > self.limit.mul_f64(slowness())
    }

    /// The time to wait before the next call of [`Limit::is_over`]. At least one second.
    fn remaining(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.limit.saturating_sub(self.begin.elapsed()).max(second)
    }
}

/// Waits until `input` has bytes or ends. Returns false if the limit is over before that.
pub fn wait_for_input(input: impl AsFd) -> bool {
    let limit = Limit::start();
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    while poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&second)).unwrap() == 0 {
        if limit.is_over() {
            return false;
        }
    }
    true
}

/// Asks again and again, up to the limit, until the answer is false.
#[track_caller]
pub fn wait_while(mut condition: impl FnMut() -> bool) {
    let limit = Limit::start();
    while condition() {
        assert!(!limit.is_over(), "the condition never changed");
    }
}

/// The ratio of the current time of a short command to its usual time: 1 to 10.
fn slowness() -> f64 {
    let begin = Instant::now();
    for _ in 0..3 {
        let mut command = Command::new(QDEMO);
        let _ = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    }
    (begin.elapsed() / 3).div_duration_f64(USUAL).clamp(1.0, 10.0)
}

/// Kills the process group `pid` when the limit is over. Dropping the returned sender ends the watch.
pub(super) fn watch(pid: u32) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    let limit = Limit::start();
    thread::spawn(move || {
        while stopped.recv_timeout(limit.remaining()) == Err(mpsc::RecvTimeoutError::Timeout) {
            if limit.is_over() {
                eprintln!("process {pid} has exceeded its time limit: {:?}", limit.begin.elapsed());
                let _ = kill_process_group(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
                return;
            }
        }
    });
    stop
}
