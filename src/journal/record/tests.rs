//! Each version of the format, whole, torn and damaged.

use super::*;

fn batch(first_id: u64, lines: &str) -> Batch {
    let items = Items { count: lines.lines().count() as u64, bytes: lines.to_owned().into() };
    Batch { first_id, attempt: 2, delivery_failures: 1, accepted_at: 5, items }
}

fn all() -> Vec<Record<'static>> {
    let put = Batch { attempt: 1, delivery_failures: 0, ..batch(1, "\"a\"\n\"b\"\n") };
    vec![
        Record::Queue("{\"capacity\":3}"),
        Record::Put { key: ClientKey(0xa1), seq: 2, batch: put },
        Record::Ready(batch(7, "[1, 2]\n")),
        Record::Client { key: ClientKey(0xc1), json: "{}" },
        Record::Delivered { key: ClientKey(0xc1), ids: 1..3, delivered_at: 9 },
        Record::Disconnected(ClientKey(0xc1)),
        Record::Attempt { id: 2, attempt: 3 },
        Record::Done { ids: 1..2 },
        Record::Requeued { ids: 2..3, attempt: 3, delivery_failures: 1 },
        Record::Failed { ids: 2..3, attempt: 3, delivery_failures: 5, reason: "exit code 1 ~x" },
        Record::Failed { ids: 3..4, attempt: 1, delivery_failures: 0, reason: "" },
        Record::Retry(NonZeroU64::new(2)),
        Record::Drop(None),
        Record::Clear,
    ]
}

/// The records of [`all`] as version 1 wrote them.
const VERSION_1: &str = r#"
queue {"capacity":3} ~6353af14

put 00000000000000a1 2 1 2 5 ~6c14765e
"a"
"b"

item 7 1 2 1 5 ~43d736a4
[1, 2]

client 00000000000000c1 {} ~852b9014

out 00000000000000c1 1 2 9 ~bd563517

left 00000000000000c1 ~a3b17ec6

attempt 2 3 ~70a35c6f

done 1 1 ~6e90df32

back 2 1 3 1 ~d5224f48

failed 2 1 3 5 exit code 1 ~x ~dc1e5c55

failed 3 1 1 0  ~276f4854

retry 2 ~75b58870

drop 0 ~255cc44b

clear ~e5b1f106
"#;

fn written(version: Version) -> Vec<u8> {
    match version {
        Version::One => VERSION_1.as_bytes().to_vec(),
        Version::Two => all().iter().flat_map(Record::to_bytes).collect(),
    }
}

/// The records in this text, the number of damaged places, and whether the end is torn.
fn read(text: &[u8], version: Version) -> (Vec<Record<'_>>, usize, bool) {
    let (places, read): (Vec<_>, Vec<_>) = records(text, version).unzip();
    let damaged = read.iter().filter(|record| record.is_none()).count();
    let end = places.last().map_or(0, |place| place.end);
    (read.into_iter().flatten().collect(), damaged, end < text.len())
}

#[test]
fn the_records_of_each_version_are_read_and_those_of_another_one_are_not() {
    for version in Version::ALL {
        assert_eq!(read(&written(version), version), (all(), 0, false));
        for other in Version::ALL.into_iter().filter(|other| *other != version) {
            assert_eq!(read(&written(version), other).0, []);
        }
    }
}

#[test]
fn a_record_with_the_mark_of_another_version_is_damaged() {
    for (version, mark, other) in
        [(Version::Two, " #", Version::One), (Version::One, " ~", Version::Two)]
    {
        let wrong = String::from_utf8(other.checksum_mark().to_vec()).unwrap();
        let text = String::from_utf8(written(version)).unwrap().replace(mark, &wrong);
        assert_eq!(read(text.as_bytes(), other).0, [], "{version:?}");
    }
}

#[test]
fn a_truncated_text_gives_all_complete_records() {
    for version in Version::ALL {
        let text = written(version);
        for end in 0..text.len() {
            let (records, damaged, _) = read(&text[..end], version);
            assert_eq!(records, all()[..records.len()], "{version:?} cut at {end}");
            assert_eq!(damaged, 0, "{version:?} cut at {end}");
        }
    }
}

/// A file system may lengthen a file before it loses the bytes.
#[test]
fn a_text_that_ends_in_zeros_is_torn() {
    for version in Version::ALL {
        let mut text = written(version);
        let items = memchr::memmem::find(&text, b"\"a\"").unwrap();
        text.truncate(items);
        text.extend_from_slice(&[0; 100]);
        assert_eq!(read(&text, version), (vec![all()[0].clone()], 0, true), "{version:?}");
    }
}

#[test]
fn a_wrong_byte_damages_at_most_its_record_and_a_neighbor() {
    for version in Version::ALL {
        let text = written(version);
        for at in 0..text.len() {
            for wrong in [b'\n', b' ', b'0', b'9', text[at] ^ 1] {
                let mut text = text.clone();
                if std::mem::replace(&mut text[at], wrong) == wrong {
                    continue;
                }
                let (records, ..) = read(&text, version);
                let is_missing = |record: &Record<'_>| !records.contains(record);
                let missing = all().into_iter().filter(is_missing).count();
                assert!(missing <= 2, "byte {at} as {wrong}: {missing} are missing");
                let is_known = records.iter().all(|record| all().contains(record));
                assert!(is_known, "byte {at} as {wrong}");
            }
        }
    }
}

#[test]
fn items_with_a_wrong_count_or_an_empty_line_are_damaged() {
    let record = |count: u64, items: &'static str| {
        let items = Items { count, bytes: items.into() };
        Record::Ready(Batch::new(1, 5, items)).to_bytes()
    };
    for (count, items) in
        [(1, "1\n2\n"), (3, "1\n2\n"), (0, ""), (1, ""), (0, "1\n"), (2, "\n1\n"), (3, "1\n\n2\n")]
    {
        let text = record(count, items);
        let (records, damaged, _) = read(&text, Version::Two);
        assert_eq!(records, [], "{count} items in {items:?}");
        assert!(damaged > 0, "{count} items in {items:?}");
    }
    let text = record(2, "1\n2\n");
    assert_eq!(read(&text, Version::Two).1, 0);
}

#[test]
fn the_bytes_for_the_file_are_the_records_and_share_large_items() {
    let mut out = WriteBuffer::default();
    let (mut expected, mut large) = (Vec::new(), Vec::new());
    for (first_id, length) in [3, 4096, 4095, 5000, 1 << 20, 2].into_iter().enumerate() {
        let bytes = Bytes::from([&vec![b'9'; length - 1][..], b"\n"].concat());
        large.extend((length >= 4096).then(|| bytes.clone()));
        let batch = Batch::new(first_id as u64, 5, Items { count: 1, bytes });
        for record in [Record::Put { key: ClientKey(1), seq: 1, batch }, Record::Clear] {
            expected.extend(record.to_bytes());
            record.write(&mut out);
        }
    }
    let slices = out.slices();
    assert_eq!(crate::journal::concat(&slices), expected);
    assert_eq!(out.unsent_bytes(), expected.len());
    assert_eq!(slices.len(), 2 * large.len() + 1);
    for items in &large {
        assert!(slices.iter().any(|slice| slice.as_ptr() == items.as_ptr()), "a copy");
    }
    drop(slices);
    out.clear();
    assert!(out.is_empty() && out.slices().is_empty());
}
