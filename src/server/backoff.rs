//! The pauses between attempts to reach a server.

use std::time::Duration;

use tokio::time::sleep;

use crate::clock::random_u64;

/// The pause after the first attempt that fails. Each further pause is twice as long, up to the maximum.
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before the next attempt.
pub(super) struct Backoff {
    next_pause: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next_pause: MIN_PAUSE }
    }
}

impl Backoff {
    /// Waits before the next attempt, longer each time. A random part keeps many clients from coming all at once.
    pub(super) async fn pause(&mut self) {
        let pause = self.next_pause;
        self.next_pause = (pause * 2).min(MAX_PAUSE);
        let random = random_u64().unwrap_or(0) % 1000;
        sleep(pause / 2 + pause.mul_f64(random as f64 / 2000.0)).await;
    }
}
