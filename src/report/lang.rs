//! What is said, in the languages that it is said in.

use std::borrow::Cow;

use clap::ValueEnum;

use super::{EventName, WorkerActivity};
use crate::os::ExitCause;
use crate::queue_name::QueueName;
use crate::role::{Role, WorkerId};

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
pub(super) struct ItemPhrase {
    pub(super) prefix: &'static str,
    pub(super) suffix: Cow<'static, str>,
}

/// How a run with deaths has gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunSummary {
    /// Items that are done.
    pub(crate) done: u64,
    /// Items in all.
    pub(crate) items: u64,
    /// Workers that have died.
    pub(crate) worker_deaths: u64,
    /// Workers that have taken their places.
    pub(crate) restarts: u64,
    /// Items that were handed out more than once.
    pub(crate) redelivered: u64,
}

impl Lang {
    /// What items are called when nothing else is said.
    pub(crate) fn item_name(self) -> &'static str {
        match self {
            Self::Ja => "アイテム",
            Self::En => "item",
        }
    }

    /// Who does what; nothing for what is not logged. `attempt` is the one that an item is in.
    pub(super) fn item_phrase(
        self,
        kind: EventName,
        role: Role,
        attempt: u32,
    ) -> Option<(&'static str, ItemPhrase)> {
        let (before, after) = match (self, kind) {
            (Self::Ja, EventName::Put) => (": ", " を追加しました\n".into()),
            (Self::Ja, EventName::Delivered) => (": ", " を取得しました\n".into()),
            (Self::Ja, EventName::Requeued) => {
                (": ", format!(" がキューに戻りました（次は{attempt}回目）\n").into())
            }
            (Self::En, EventName::Put) => (": added ", "\n".into()),
            (Self::En, EventName::Delivered) => (": got ", "\n".into()),
            (Self::En, EventName::Requeued) => {
                (": ", format!(" is back in line (attempt {attempt} is next)\n").into())
            }
            (
                _,
                EventName::Done
                | EventName::Died
                | EventName::Restart
                | EventName::Exited
                | EventName::Clear
                | EventName::End,
            ) => {
                return None;
            }
        };
        Some((self.role_name(role), ItemPhrase { prefix: before, suffix: after }))
    }

    /// Who.
    pub(super) fn role_name(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::Ja, Role::Producer) => "生産者",
            (Self::Ja, Role::Consumer | Role::Visitor) => "消費者",
            (Self::En, Role::Producer) => "producer",
            (Self::En, Role::Consumer | Role::Visitor) => "consumer",
        }
    }

    /// What a dead worker has died of.
    pub(super) fn worker_died(self, death: ExitCause) -> String {
        match (self, death) {
            (Self::Ja, ExitCause::Signal(signal)) => {
                format!(": 異常終了しました（シグナル {signal}）\n")
            }
            (Self::Ja, ExitCause::Exit(code)) => {
                format!(": 異常終了しました（終了コード {code}）\n")
            }
            (Self::En, ExitCause::Signal(signal)) => format!(": was killed by signal {signal}\n"),
            (Self::En, ExitCause::Exit(code)) => format!(": failed with exit code {code}\n"),
        }
    }

    /// Another takes a dead worker's place.
    pub(super) fn worker_restarted(self) -> &'static str {
        match self {
            Self::Ja => ": 再起動しました\n",
            Self::En => ": restarted\n",
        }
    }

    /// Which one of several it is.
    pub(super) fn index_suffix(self, number: u32) -> String {
        match self {
            Self::Ja => number.to_string(),
            Self::En => format!(" {number}"),
        }
    }

    /// Who it is; its number is said if there are several.
    pub(super) fn worker_name(
        self,
        WorkerId { role, index: number }: WorkerId,
        several: bool,
    ) -> String {
        let number = if several { self.index_suffix(number) } else { String::new() };
        format!("{}{number}", self.role_name(role))
    }

    /// What a worker does.
    pub(super) fn activity_name(self, does: &WorkerActivity, role: Role) -> &'static str {
        match (self, does) {
            (Self::Ja, WorkerActivity::Starting) => "起動中",
            (Self::Ja, WorkerActivity::WaitingForRoom) => "空き待ち",
            (Self::Ja, WorkerActivity::WaitingForItem) => "待機中",
            (Self::Ja, WorkerActivity::Working(..)) if role == Role::Producer => "生産中",
            (Self::Ja, WorkerActivity::Working(..)) => "処理中",
            (Self::Ja, WorkerActivity::Dead) => "停止",
            (Self::Ja, WorkerActivity::Finished) => "終了",
            (Self::En, WorkerActivity::Starting) => "starting",
            (Self::En, WorkerActivity::WaitingForRoom) => "waiting for room",
            (Self::En, WorkerActivity::WaitingForItem) => "waiting",
            (Self::En, WorkerActivity::Working(..)) => "working",
            (Self::En, WorkerActivity::Dead) => "dead",
            (Self::En, WorkerActivity::Finished) => "finished",
        }
    }

    /// How many columns [`Lang::activity`] takes at most.
    pub(super) fn max_activity_width(self) -> usize {
        console::measure_text_width(
            self.activity_name(&WorkerActivity::WaitingForRoom, Role::Producer),
        )
    }

    /// How many items a worker has put, or done.
    pub(super) fn items_so_far(self, role: Role, items: &str) -> String {
        match (self, role) {
            (Self::Ja, Role::Producer) => format!("追加 {items}"),
            (Self::Ja, Role::Consumer | Role::Visitor) => format!("完了 {items}"),
            (Self::En, Role::Producer) => format!("{items} put"),
            (Self::En, Role::Consumer | Role::Visitor) => format!("{items} done"),
        }
    }

    /// So many items.
    pub(super) fn item_count(self, items: u64) -> String {
        match self {
            Self::Ja => format!("{items} 個"),
            Self::En => english_item_count(items),
        }
    }

    /// Workers for which there is no room.
    pub(super) fn more_workers(self, workers: usize) -> String {
        match self {
            Self::Ja => format!("… ほか {workers}"),
            Self::En => format!("… and {workers} more"),
        }
    }

    /// What stands before the queue's bar.
    pub(super) fn queue_label(self) -> &'static str {
        match self {
            Self::Ja => "キュー",
            Self::En => "queue",
        }
    }

    /// So many are in line, and were at most.
    pub(super) fn depth_with_peak(self, in_line: u64, most: u64) -> String {
        match self {
            Self::Ja => format!("{in_line}（これまでの最大 {most}）"),
            Self::En => format!("{in_line} (at most {most} so far)"),
        }
    }

    /// What stands before the bar of all items.
    pub(super) fn total_label(self) -> &'static str {
        match self {
            Self::Ja => "全体",
            Self::En => "total",
        }
    }

    /// The last line of a run.
    pub(super) fn all_finished(self) -> &'static str {
        match self {
            Self::Ja => "すべてのプロセスが終了しました\n",
            Self::En => "all processes have finished\n",
        }
    }

    /// What stands behind how many items are done.
    pub(super) fn done_label(self) -> &'static str {
        match self {
            Self::Ja => "完了",
            Self::En => "done",
        }
    }

    /// What a producer says that leaves before any consumer has come.
    pub(crate) fn unconsumed_notice(self, items: u64, queue: &QueueName) -> String {
        match self {
            Self::Ja => format!(
                "生産者: 消費者がいないため {items} 個のアイテムをキュー「{queue}」に残しました。\
                 `qdemo consumer -q {}` で受け取れます",
                queue.shell_quoted()
            ),
            Self::En => format!(
                "producer: no consumer is there, and the queue `{queue}` has {} in line: \
                 `qdemo consumer -q {}` gets them",
                english_item_count(items),
                queue.shell_quoted()
            ),
        }
    }

    /// What a run says that was interrupted before everything was done.
    pub(crate) fn interrupted_notice(self, not_done: u64) -> String {
        match self {
            Self::Ja => format!("中断されました: {not_done} 個のアイテムは処理されていません"),
            Self::En => format!("interrupted: {} not done", english_item_count(not_done)),
        }
    }

    /// What a run says in the end if workers have died.
    pub(crate) fn run_summary(self, summary: RunSummary) -> String {
        let RunSummary { done, items, worker_deaths: died, restarts: replaced, redelivered: again } =
            summary;
        match self {
            Self::Ja => format!(
                "{items} 個中 {done} 個のアイテムを処理しました\
                 （異常終了 {died} 回、再起動 {replaced} 回、配り直したアイテム {again} 個）"
            ),
            Self::En => {
                let died = match died {
                    1 => "1 worker".to_owned(),
                    died => format!("{died} workers"),
                };
                let again = english_item_count(again);
                format!(
                    "{done} of {} done; {died} died, {replaced} replaced; {again} handed out again",
                    english_item_count(items)
                )
            }
        }
    }

    /// What random pauses are drawn from, when nobody has said.
    pub(crate) fn seed_notice(self, seed: u64) -> String {
        match self {
            Self::Ja => format!("乱数の種: {seed}（--seed {seed} で同じ実行を繰り返せます）"),
            Self::En => format!("seed {seed}: the same run again with --seed {seed}"),
        }
    }

    /// What a run says at the first Ctrl-C while consumers hold something.
    pub(crate) fn shutdown_notice(self) -> &'static str {
        match self {
            Self::Ja => {
                "消費者が手元のアイテムを終えるのを待っています（もう一度 Ctrl-C で直ちに終了）"
            }
            Self::En => "consumers finish what they hold (Ctrl-C again ends it at once)",
        }
    }
}

/// So many items, in English.
pub(crate) fn english_item_count(items: u64) -> String {
    match items {
        1 => "1 item".to_owned(),
        items => format!("{items} items"),
    }
}
