//! The English text of another process, shown in the language of people.

use super::*;

fn in_japanese(text: &str) -> Option<String> {
    in_language(Lang::Ja, || recompose(text))
}

#[test]
fn a_refusal_is_shown_in_japanese_with_its_parameters() {
    for (english, japanese) in [
        ("the queue has been removed", "キューは削除されました"),
        (
            "the queue has capacity 0 (unbounded), not 4: leave --capacity out, or give the same one; \
             `qdemo rm` begins anew",
            "キューの容量は 0 (無制限) で、4 ではありません。--capacity を外すか、同じ値を指定してください（`qdemo rm` で作り直せます）",
        ),
        (
            "the queue has 1 item (1 ready, 0 in flight, 0 failed) and 2 processes that use it: \
             give --force to remove it all the same",
            "キューに 1 個のアイテムがあり（待機中 1、処理中 0、失敗 0）、2 個のプロセスがキューを使っています。それでも削除するには --force を指定してください",
        ),
        (
            "cannot write the queue's journal: No space left on device: make room there (for bytes, or for \
             files), or choose another place with QDEMO_DIR; every item accepted before is still there",
            "キューのジャーナルに書き込めません: ディスクに空きがありません。容量やファイル数の空きを作るか、QDEMO_DIR で別の場所を指定してください（受け付け済みのアイテムはすべて残っています）",
        ),
        ("exit code 3, at the last of 2 tries", "終了コード 3（2 回試行）"),
    ] {
        assert_eq!(in_japanese(english).as_deref(), Some(japanese));
        assert_eq!(in_language(Lang::En, || recompose(english)), None);
    }
}

#[test]
fn a_text_of_another_version_stays_as_it_is() {
    for text in ["", "a new reason: of a later version", "the queue has", "exit code"] {
        assert_eq!(in_japanese(text), None, "{text}");
    }
}

#[test]
fn the_texts_of_the_script_of_a_server_are_found() {
    let script = fs::read_to_string("src/server/script/hello.lua").unwrap()
        + &fs::read_to_string("src/server/script/queries.lua").unwrap()
        + &fs::read_to_string("src/server/script/changes.lua").unwrap()
        + &fs::read_to_string("src/server/script/requests.lua").unwrap();
    let calls = script.split("reply_error(").skip(1);
    // The third argument, where it is a text and nothing else.
    let texts = calls.filter_map(|call| {
        let (arguments, _) = call.split_once(')')?;
        let (_, text) = arguments.split_once(", '")?.1.split_once("', '")?;
        text.strip_suffix('\'').filter(|text| text.contains(' '))
    });
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() > 3, "{texts:?}");
    for text in texts.iter().filter(|text| !text.starts_with("the items of a put are")) {
        assert!(in_japanese(text).is_some(), "{text}");
    }
}

#[test]
fn every_refusal_of_the_rules_is_recomposed() {
    use crate::queue::{BatchRef, Refusal};
    for refusal in [
        Refusal::Capacity { have: 3.into(), asked: 0.into() },
        Refusal::TooManyBlocked { seq: 70_000 },
        Refusal::GetPending,
        Refusal::NotInFlight(BatchRef { first_id: 1, count: 2, attempt: None }),
        Refusal::NotFailed { id: 7 },
    ] {
        let [ja, en] = [Lang::Ja, Lang::En].map(|lang| in_language(lang, || refusal.to_string()));
        assert_eq!(in_japanese(&en), Some(ja));
        assert_in_both_languages(&refusal);
    }
}
