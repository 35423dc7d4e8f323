//! Failures as reasons, and the limits of what they keep.

use super::*;
use crate::clock::Nanos;

const AT: Nanos = 1_767_323_045_000_000_000;

fn failure(cause: Cause) -> Failure {
    Failure::new(cause, WallTime::from_nanos(AT))
}

#[test]
fn a_failure_is_one_line_and_comes_back_whole() {
    let long = Failure {
        timed_out: true,
        tries: Some(3),
        stderr: "one \"line\"\nand\ttwo: é\u{1b}".to_owned(),
        ..failure(Cause::Exit(-3))
    };
    for (failure, reason) in [
        (failure(Cause::Exit(3)), r#"{"exit":3,"at":1767323045}"#),
        (failure(Cause::Signal(9)), r#"{"signal":9,"at":1767323045}"#),
        (
            Failure::of_deliveries(5, WallTime::from_nanos(AT)),
            r#"{"delivery_failures":5,"at":1767323045}"#,
        ),
        (
            failure(Cause::Message("it is odd".to_owned())),
            r#"{"message":"it is odd","at":1767323045}"#,
        ),
        (
            long,
            r#"{"exit":-3,"timed_out":true,"tries":3,"at":1767323045,"stderr":"one \"line\"\nand\ttwo: é\u001b"}"#,
        ),
    ] {
        assert_eq!(failure.to_reason(), reason);
        assert_eq!(Failure::from_reason(reason), failure);
    }
}

#[test]
fn a_field_of_a_later_version_is_no_obstacle() {
    let reason = r#"{"exit":3,"host":"h","at":1767323045}"#;
    assert_eq!(Failure::from_reason(reason), failure(Cause::Exit(3)));
}

#[test]
fn any_other_reason_is_the_text_that_it_is() {
    for reason in [
        "exit code 3, at the last of 2 tries",
        "",
        "{",
        "{}",
        r#"{"error":"odd"}"#,
        r#"{"exit":3}"#,
        r#"{"at":1767323045}"#,
        r#"{"exit":3,"at":null}"#,
        r#"{"exit":"three","at":1767323045}"#,
        "3",
    ] {
        let failure = Failure::from_reason(reason);
        assert_eq!((failure.why(Lang::En).as_str(), failure.at), (reason, None));
    }
}

#[test]
fn the_reason_in_a_sentence_is_that_of_earlier_versions() {
    let timed_out = |cause| Failure { timed_out: true, tries: Some(1), ..failure(cause) };
    let last_try = Failure { tries: Some(2), ..failure(Cause::Exit(3)) };
    for (failure, en, ja) in [
        (failure(Cause::Exit(3)), "exit code 3", "終了コード 3"),
        (
            timed_out(Cause::Signal(15)),
            "took longer than --timeout-each (killed by signal 15)",
            "--timeout-each で時間切れ（シグナル 15 で異常終了）",
        ),
        (last_try, "exit code 3, at the last of 2 tries", "終了コード 3（2 回試行）"),
        (
            failure(Cause::DeliveryFailures(1)),
            "its consumer died, or held it for longer than its lease",
            "消費者が異常終了したか、リースの時間を超過",
        ),
        (
            failure(Cause::DeliveryFailures(3)),
            "3 consumers died of it, or held it for longer than their lease",
            "3 個の消費者が異常終了したか、リースの時間を超過",
        ),
        (failure(Cause::Message("odd".to_owned())), "odd", "odd"),
    ] {
        assert_eq!([failure.why(Lang::En), failure.why(Lang::Ja)], [en, ja]);
    }
}

#[test]
fn the_words_of_a_consumer_are_one_line_of_limited_length() {
    let words = |text: &str| match Failure::of_message(text, WallTime::from_nanos(AT)).cause {
        Cause::Message(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(words("two\r\nlines"), "two  lines");
    assert_eq!(words(""), "");
    assert_eq!(words(&"é".repeat(9999)), "é".repeat(1022));
    assert_eq!(words(&"\"".repeat(9999)), "\"".repeat(1022));
}

#[test]
fn the_last_ten_lines_are_kept_without_colours_and_progress() {
    let printed: Vec<_> = (1..=12).map(|n| format!("line {n}\n")).collect();
    let kept = (3..=12).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    for is_cut in [false, true] {
        assert_eq!(last_lines(printed.concat().as_bytes(), is_cut), kept);
    }
    for (printed, kept) in [
        (&b""[..], ""),
        (b"\n \n\r\n", ""),
        (b"  one\r\n\ntwo", "  one\ntwo"),
        (b" 10 %\r 99 %\rbroken \r\n", "broken"),
        (b"\x1b[1;31merror\x1b[0m: \x1b]0;title\x07no", "error: no"),
        (b"a \xff b", "a \u{fffd} b"),
    ] {
        assert_eq!(last_lines(printed, false), kept, "{}", printed.escape_ascii());
    }
}

#[test]
fn a_cut_line_begins_with_a_mark() {
    assert_eq!(last_lines(b"\xa9 end\n", true), "… end");
    assert_eq!(last_lines(b"\xa9 end\n", false), "\u{fffd} end");
}

#[test]
fn what_is_kept_fits_into_a_request_whatever_a_command_prints() {
    for printed in ["x", "\"", "é", "\u{1}", "ア", "line\n", "\u{fffd}", "\\\n"] {
        let printed = printed.repeat(100_000);
        let stderr = last_lines(printed.as_bytes(), true);
        let json = serde_json::to_string(&stderr).unwrap();
        assert!(json.len() <= MAX_TEXT_BYTES + 2, "{} {stderr}", json.len());
        let is_short = stderr.starts_with("line") || stderr.starts_with('\\');
        assert!(json.len() > MAX_TEXT_BYTES - 10 || is_short, "{} {stderr}", json.len());
        let failure = Failure {
            timed_out: true,
            tries: Some(u32::MAX),
            stderr,
            ..Failure::new(Cause::Signal(i32::MIN), WallTime::from_nanos(u64::MAX))
        };
        assert!(failure.to_reason().len() < 3000);
    }
}
