//! How many items a consumer takes at a time for the reader of a pipe, and the waiting for that reader.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::StdoutError;
use crate::client::Client;
use crate::clock::Nanos;
use crate::os::NarrowPipe;

/// A reader that takes a portion in less time than this can have larger ones.
const FAST_READ_LIMIT: Nanos = 1_000_000;
/// A reader that needs longer than this for a portion gets one item at a time.
const SLOW_READ_LIMIT: Nanos = 4_000_000;
/// So many portions in a row must have been quick before there is more than one item in one: of a reader
/// such as `head` nobody knows how much of what it has read it will use.
const FAST_READS_BEFORE_GROWTH: u32 = 32;
/// How often a portion may double.
const MAX_DOUBLINGS: u32 = 12;

/// How many items to take at a time. A reader may hold what it works on and one portion, so this is one
/// item unless the reader is fast.
#[derive(Debug, Default)]
pub(super) struct ReaderPacing {
    /// How many portions in a row were quick, as far as that matters.
    fast_reads: u32,
    /// When the reader had read the last one.
    last_read_at: Option<Nanos>,
}

impl ReaderPacing {
    pub(super) fn batch_size(&self) -> u64 {
        1 << self.fast_reads.saturating_sub(FAST_READS_BEFORE_GROWTH)
    }

    /// The reader has read a portion of so many items.
    pub(super) fn record_read(&mut self, items: u64, now: Nanos) {
        // The reader has dealt with as many items since it had read the portion before. It may have waited for
        // them too, so this is the longest that it can have taken.
        let before = self.last_read_at.replace(now);
        let took = before.map_or(Nanos::MAX, |before| now.saturating_sub(before));
        match took {
            // A smaller portion than was asked for says nothing of larger ones.
            ..FAST_READ_LIMIT if items < self.batch_size() => {}
            ..FAST_READ_LIMIT => {
                self.fast_reads =
                    (self.fast_reads + 1).min(FAST_READS_BEFORE_GROWTH + MAX_DOUBLINGS)
            }
            FAST_READ_LIMIT..SLOW_READ_LIMIT => {}
            SLOW_READ_LIMIT.. => self.fast_reads = 0,
        }
    }
}

/// Waits until the reader of this pipe has read all that is in it.
pub(super) fn wait_for_reader(
    client: &mut Client,
    pipe: &mut NarrowPipe<io::Stdout>,
) -> anyhow::Result<()> {
    loop {
        if !pipe.narrow().map_err(StdoutError)? {
            // There is more in it than a narrow pipe holds, from another writer, and nothing tells when
            // that has been read: look again.
            client.sleep(Duration::from_millis(10))?;
            continue;
        }
        // There is room in a narrow pipe when it is empty.
        client.wait_for_output(pipe.as_fd())?;
        // Unless somebody has made it wide meanwhile.
        if pipe.is_narrow().map_err(StdoutError)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the portions are of a reader that takes `each` nanoseconds for an item.
    fn portions(
        portion: &mut ReaderPacing,
        now: &mut Nanos,
        each: Nanos,
        count: usize,
    ) -> Vec<u64> {
        let step = |_| {
            let items = portion.batch_size();
            *now += each * items;
            portion.record_read(items, *now);
            items
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn a_slow_reader_gets_one_item_at_a_time() {
        let (mut portion, mut now) = (ReaderPacing::default(), 0);
        assert_eq!(portions(&mut portion, &mut now, 10_000_000, 100), [1; 100]);
        assert_eq!(portions(&mut portion, &mut now, FAST_READ_LIMIT, 100), [1; 100]);
    }

    #[test]
    fn a_fast_reader_gets_twice_as_many_each_time_but_not_at_once_and_not_without_end() {
        let (mut portion, mut now) = (ReaderPacing::default(), 0);
        // The first one tells nothing: there is none before it.
        let all = portions(&mut portion, &mut now, 1, 60);
        assert_eq!(all[..33], [1; 33]);
        assert_eq!(all[33..37], [1, 2, 4, 8]);
        assert_eq!(all[59], 4096);
    }

    #[test]
    fn a_portion_is_worth_a_few_milliseconds_and_one_item_again_when_the_reader_has_stopped() {
        let (mut portion, mut now) = (ReaderPacing::default(), 0);
        let all = portions(&mut portion, &mut now, 10_000, 100);
        assert_eq!(all[99], 128, "128 of them take longer than a millisecond");
        portions(&mut portion, &mut now, 1_000_000, 1);
        assert_eq!(portion.batch_size(), 1);
    }

    #[test]
    fn a_reader_that_gets_few_items_is_not_known_to_be_fast_with_many() {
        let (mut portion, mut now) = (ReaderPacing::default(), 0);
        portions(&mut portion, &mut now, 1, 40);
        let most = portion.batch_size();
        for _ in 0..100 {
            now += 1;
            portion.record_read(1, now);
        }
        assert_eq!(portion.batch_size(), most);
    }
}
