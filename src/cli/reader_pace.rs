//! How many items a consumer takes at a time for the reader of a pipe, and the wait for that reader.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::client::Client;
use crate::clock::Nanos;
use crate::os::NarrowPipe;
use crate::report::StdoutError;

/// The portions grow for a reader that reads a portion in less than this time.
const FAST_READ_LIMIT: Nanos = 1_000_000;
/// A reader that needs this time or longer for a portion gets one item at a time.
const SLOW_READ_LIMIT: Nanos = 4_000_000;
/// The portions stay at one item until a reader has read this many of them fast: a reader such as `head` may
/// not use all that it reads.
const FAST_READS_BEFORE_GROWTH: u32 = 32;
/// The limit of the doublings of a portion.
const MAX_DOUBLINGS: u32 = 12;

/// How many items to take at a time. A reader may hold the item that it works on and one portion, so a
/// portion is one item unless the reader is fast.
#[derive(Debug, Default)]
pub(super) struct ReaderPacing {
    /// How many portions in a row the reader has read fast, up to the number that gives the largest portion.
    fast_reads: u32,
    /// When the reader had read the last portion.
    last_read_at: Option<Nanos>,
}

impl ReaderPacing {
    pub(super) fn batch_size(&self) -> u64 {
        1 << self.fast_reads.saturating_sub(FAST_READS_BEFORE_GROWTH)
    }

    /// Records that the reader has read a portion of `items` items. `call_time` is the time of a call to a server for
    /// the portion: a server may be slower than the reader, which only waits then.
    pub(super) fn record_read(&mut self, items: u64, now: Nanos, call_time: Nanos) {
        // The time since the last portion includes the reader's wait for items: it is an upper limit.
        let before = self.last_read_at.replace(now);
        let since = before.map_or(Nanos::MAX, |before| now.saturating_sub(before));
        let duration = since.saturating_sub(call_time);
        if duration >= SLOW_READ_LIMIT {
            self.fast_reads = 0;
        // A portion of fewer items than allowed says nothing about larger portions.
        } else if duration < FAST_READ_LIMIT && items >= self.batch_size() {
            self.fast_reads = (self.fast_reads + 1).min(FAST_READS_BEFORE_GROWTH + MAX_DOUBLINGS);
        }
    }
}

/// Waits until the reader of `pipe` has read everything in it.
pub(super) fn wait_for_reader(client: &mut Client, pipe: &mut NarrowPipe) -> anyhow::Result<()> {
    loop {
        if !pipe.narrow().map_err(StdoutError)? {
            // The pipe has more bytes than a narrow pipe holds, from another writer. No event tells when
            // the reader has read them: poll.
            client.sleep(Duration::from_millis(10))?;
            continue;
        }
        // A narrow pipe has room only when it is empty.
        client.wait_for_output(pipe.pipe.as_fd())?;
        // Another process may have made the pipe wide in the meantime.
        if pipe.is_narrow().map_err(StdoutError)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next `count` portions of a reader that takes `each` nanoseconds for an item.
    fn portions(pacing: &mut ReaderPacing, now: &mut Nanos, each: Nanos, count: usize) -> Vec<u64> {
        let step = |_| {
            let items = pacing.batch_size();
            *now += each * items;
            pacing.record_read(items, *now, 0);
            items
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn a_slow_reader_gets_one_item_at_a_time() {
        let (mut pacing, mut now) = (ReaderPacing::default(), 0);
        assert_eq!(portions(&mut pacing, &mut now, 10_000_000, 100), [1; 100]);
        assert_eq!(portions(&mut pacing, &mut now, FAST_READ_LIMIT, 100), [1; 100]);
    }

    #[test]
    fn the_portions_of_a_fast_reader_double_after_a_while_up_to_a_limit() {
        let (mut pacing, mut now) = (ReaderPacing::default(), 0);
        // The first portion has no predecessor to measure from.
        let all = portions(&mut pacing, &mut now, 1, 60);
        assert_eq!(all[..33], [1; 33]);
        assert_eq!(all[33..37], [1, 2, 4, 8]);
        assert_eq!(all[59], 4096);
    }

    #[test]
    fn a_portion_lasts_about_a_millisecond_and_a_pause_resets_it_to_one_item() {
        let (mut pacing, mut now) = (ReaderPacing::default(), 0);
        let all = portions(&mut pacing, &mut now, 10_000, 100);
        assert_eq!(all[99], 128, "128 items take longer than a millisecond");
        portions(&mut pacing, &mut now, 1_000_000, 1);
        assert_eq!(pacing.batch_size(), 1);
    }

    #[test]
    fn small_portions_say_nothing_about_larger_ones() {
        let (mut pacing, mut now) = (ReaderPacing::default(), 0);
        portions(&mut pacing, &mut now, 1, 40);
        let before = pacing.batch_size();
        for _ in 0..100 {
            now += 1;
            pacing.record_read(1, now, 0);
        }
        assert_eq!(pacing.batch_size(), before);
    }

    #[test]
    fn the_time_of_a_slow_server_does_not_count() {
        let (mut pacing, mut now) = (ReaderPacing::default(), 0);
        for _ in 0..40 {
            now += 5_000_100;
            pacing.record_read(pacing.batch_size(), now, 5_000_000);
        }
        assert_eq!(pacing.batch_size(), 128);
        pacing.record_read(pacing.batch_size(), now + 9_000_000, 5_000_000);
        assert_eq!(pacing.batch_size(), 1, "the reader itself has taken four milliseconds");
    }
}
