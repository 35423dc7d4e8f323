//! What is said, in the languages that it is said in.

use clap::ValueEnum;

use super::Kind;
use crate::name::QueueName;
use crate::queue::Role;

/// The language of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Japanese.
    #[default]
    Ja,
    /// English.
    En,
}

/// What stands around an item.
pub(super) struct Verb {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

impl Lang {
    /// What items are called when nothing else is said.
    pub(crate) fn item_name(self) -> &'static str {
        match self {
            Self::Ja => "アイテム",
            Self::En => "item",
        }
    }

    /// Who does what; nothing for what is not logged.
    pub(super) fn sentence(self, kind: Kind, role: Role) -> Option<(&'static str, Verb)> {
        let subject = match (self, role) {
            (Self::Ja, Role::Producer) => "生産者",
            (Self::Ja, Role::Consumer | Role::Visitor) => "消費者",
            (Self::En, Role::Producer) => "producer",
            (Self::En, Role::Consumer | Role::Visitor) => "consumer",
        };
        let (before, after) = match (self, kind) {
            (Self::Ja, Kind::Put) => (": ", " を追加しました\n"),
            (Self::Ja, Kind::Get) => (": ", " を取得しました\n"),
            (Self::En, Kind::Put) => (": added ", "\n"),
            (Self::En, Kind::Get) => (": got ", "\n"),
            (_, Kind::Done | Kind::End) => return None,
        };
        Some((subject, Verb { before, after }))
    }

    /// Which one of several it is.
    pub(super) fn number(self, number: u32) -> String {
        match self {
            Self::Ja => number.to_string(),
            Self::En => format!(" {number}"),
        }
    }

    /// The last line of a run.
    pub(super) fn all_finished(self) -> &'static str {
        match self {
            Self::Ja => "すべてのプロセスが終了しました\n",
            Self::En => "all processes have finished\n",
        }
    }

    /// The words beside the progress bar.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Ja => "完了",
            Self::En => "done",
        }
    }

    /// What a producer says that leaves before any consumer has come.
    pub(crate) fn left_behind(self, items: u64, queue: &QueueName) -> String {
        match self {
            Self::Ja => format!(
                "生産者: 消費者がいないため {items} 個のアイテムをキュー「{queue}」に残しました。\
                 `qdemo consumer -q {}` で受け取れます",
                queue.quoted()
            ),
            Self::En => format!(
                "producer: no consumer is there, and the queue `{queue}` has {} in line: \
                 `qdemo consumer -q {}` gets them",
                counted(items),
                queue.quoted()
            ),
        }
    }

    /// What a run says that was interrupted before everything was done.
    pub(crate) fn interrupted(self, not_done: u64) -> String {
        match self {
            Self::Ja => format!("中断されました: {not_done} 個のアイテムは処理されていません"),
            Self::En => format!("interrupted: {} not done", counted(not_done)),
        }
    }

    /// What a run says at the first Ctrl-C while consumers hold something.
    pub(crate) fn finishing(self) -> &'static str {
        match self {
            Self::Ja => {
                "消費者が手元のアイテムを終えるのを待っています（もう一度 Ctrl-C で直ちに終了）"
            }
            Self::En => "consumers finish what they hold (Ctrl-C again ends it at once)",
        }
    }
}

/// So many items, in English.
pub(crate) fn counted(items: u64) -> String {
    match items {
        1 => "1 item".to_owned(),
        items => format!("{items} items"),
    }
}
