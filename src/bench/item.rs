//! Items of a given size that contain the time of their put.

use crate::clock::Nanos;

/// The digits of a time in nanoseconds. 14 digits cover more than a day.
const TIMESTAMP_DIGITS: usize = 14;
/// The size of the smallest item in bytes: the digits as a JSON string.
pub(crate) const MIN_ITEM_SIZE: u64 = TIMESTAMP_DIGITS as u64 + 2;

/// A line with a JSON string of `size` bytes, and the newline.
pub(super) fn item_line(size: u64) -> Vec<u8> {
    let filler = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(2);
    format!("\"{}\"\n", "0".repeat(filler)).into_bytes()
}

/// Writes the time into an item, or into the item's line.
pub(super) fn write_timestamp(item: &mut [u8], now: Nanos) {
    let digits = format!("{now:0TIMESTAMP_DIGITS$}");
    item[1..=TIMESTAMP_DIGITS]
        .copy_from_slice(&digits.as_bytes()[digits.len() - TIMESTAMP_DIGITS..]);
}

/// Reads the time from an item.
pub(super) fn read_timestamp(item: &[u8]) -> Option<Nanos> {
    std::str::from_utf8(item.get(1..=TIMESTAMP_DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_its_size_and_contains_its_time() {
        for size in [MIN_ITEM_SIZE, 17, 256, 65536] {
            let mut line = item_line(size);
            assert_eq!(line.len() as u64, size + 1);
            write_timestamp(&mut line, 123_456_789);
            assert_eq!(read_timestamp(&line), Some(123_456_789));
            assert!(serde_json::from_slice::<String>(&line).is_ok());
        }
        assert_eq!(read_timestamp(b"\"1\""), None);
    }
}
