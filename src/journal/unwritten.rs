//! Records on their way to the file.

use std::io::IoSlice;

use bytes::Bytes;

use super::Record;
use super::version::Version;

/// Fewer bytes of items are copied; a copy costs less than another part of the write.
const MIN_SHARED_BYTES: usize = 4 * 1024;

/// Records that are not in the store yet. Large items are shared, and not copied.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// The heads of the records, and small items.
    text: Vec<u8>,
    /// Large items, each with the length of the text before them.
    large_items: Vec<(usize, Bytes)>,
    large_bytes: usize,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> u64 {
        (self.text.len() + self.large_bytes) as u64
    }

    pub(super) fn push_header(&mut self) {
        self.text.extend_from_slice(Version::PRESENT.header());
    }

    pub(super) fn push(&mut self, record: &Record<'_>) {
        record.write_head(&mut self.text);
        let Some(items) = record.items() else {
            return;
        };
        if items.len() < MIN_SHARED_BYTES {
            return self.text.extend_from_slice(items);
        }
        self.large_items.push((self.text.len(), items.clone()));
        self.large_bytes += items.len();
    }

    /// The bytes in their order.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * self.large_items.len() + 1);
        let mut start = 0;
        for (end, items) in &self.large_items {
            slices.push(IoSlice::new(&self.text[start..*end]));
            slices.push(IoSlice::new(items));
            start = *end;
        }
        if start < self.text.len() {
            slices.push(IoSlice::new(&self.text[start..]));
        }
        slices
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.large_items.clear();
        self.large_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::concat;
    use crate::queue::{Batch, Items};
    use crate::wire::ClientKey;

    #[test]
    fn the_slices_are_the_records_and_share_large_items() {
        let mut unwritten = Unwritten::default();
        let mut expected = Version::PRESENT.header().to_vec();
        unwritten.push_header();
        let mut large = Vec::new();
        for (first_id, length) in [3, 4096, 4095, 5000, 1 << 20, 2].into_iter().enumerate() {
            let bytes = Bytes::from([&vec![b'9'; length - 1][..], b"\n"].concat());
            large.extend((length >= 4096).then(|| bytes.clone()));
            let batch = Batch::new(first_id as u64, 5, Items { count: 1, bytes });
            for record in [Record::Put { key: ClientKey(1), seq: 1, batch }, Record::Clear] {
                record.write(&mut expected);
                unwritten.push(&record);
            }
        }
        let slices = unwritten.slices();
        assert_eq!(concat(&slices), expected);
        assert_eq!(unwritten.len(), expected.len() as u64);
        assert_eq!(slices.len(), 2 * large.len() + 1);
        for items in &large {
            assert!(slices.iter().any(|slice| slice.as_ptr() == items.as_ptr()), "a copy");
        }
        drop(slices);
        unwritten.clear();
        assert!(unwritten.is_empty() && unwritten.slices().is_empty());
        assert_eq!(unwritten.len(), 0);
    }
}
