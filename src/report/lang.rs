//! The sentences and words of qdemo, in Japanese and English.

use std::borrow::Cow;

use clap::ValueEnum;

use crate::event::EventKind;
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

/// The names of workers. A name contains an index only if several workers have the role.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerNames {
    pub(super) lang: Lang,
    /// Whether there are several `[producers, consumers]`.
    pub(super) is_numbered: [bool; 2],
}

/// The result of a run with deaths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunSummary {
    /// Items that are done.
    pub(crate) done: u64,
    /// Items in all.
    pub(crate) items: u64,
    /// Deaths of workers.
    pub(crate) worker_deaths: u64,
    /// Respawns of workers.
    pub(crate) restarts: u64,
    /// Items that were delivered more than once.
    pub(crate) redelivered: u64,
}

impl WorkerNames {
    /// The name of a worker. A client outside a run has no index.
    pub(super) fn name(self, role: Role, index: Option<u32>) -> String {
        let name = self.lang.role_name(role);
        match index.filter(|_| self.is_numbered[(role as usize).min(1)]) {
            Some(index) => format!("{name}{}{index}", self.lang.pick("", " ")),
            None => name.to_owned(),
        }
    }

    pub(super) fn worker_name(self, worker: WorkerId) -> String {
        self.name(worker.role, Some(worker.index))
    }
}

impl Lang {
    pub(super) fn pick<T>(self, ja: T, en: T) -> T {
        match self {
            Self::Ja => ja,
            Self::En => en,
        }
    }

    /// The default name of items.
    pub(crate) fn item_name(self) -> &'static str {
        self.pick("アイテム", "item")
    }

    fn role_name(self, role: Role) -> &'static str {
        match role {
            Role::Producer => self.pick("生産者", "producer"),
            Role::Consumer | Role::Visitor => self.pick("消費者", "consumer"),
        }
    }

    /// The text after the subject of an event: all of it, or the text before and after an item. `None` for an
    /// event that the log leaves out.
    pub(super) fn event_phrase(self, kind: EventKind<'_>) -> Option<[Cow<'static, str>; 2]> {
        let (before, after) = match kind {
            EventKind::Put(_) => self.pick((": ", " を追加しました\n"), (": added ", "\n")),
            EventKind::Delivered(_) => self.pick((": ", " を取得しました\n"), (": got ", "\n")),
            EventKind::Requeued(batch) => {
                let attempt = batch.attempt;
                let after = self.pick(
                    format!(" がキューに戻りました（次は{attempt}回目）\n"),
                    format!(" is back in line (attempt {attempt} is next)\n"),
                );
                return Some([": ".into(), after.into()]);
            }
            EventKind::Died(cause) => return Some([self.death_phrase(cause).into(), "".into()]),
            EventKind::Restarted => (self.pick(": 再起動しました\n", ": restarted\n"), ""),
            EventKind::Finished => {
                let all = "すべてのプロセスが終了しました\n";
                (self.pick(all, "all processes have finished\n"), "")
            }
            EventKind::Done(_) | EventKind::Left | EventKind::Cleared => return None,
        };
        Some([before.into(), after.into()])
    }

    /// The text after the name of a dead worker.
    fn death_phrase(self, cause: Option<ExitCause>) -> String {
        match cause {
            Some(ExitCause::Signal(signal)) => self.pick(
                format!(": 異常終了しました（シグナル {signal}）\n"),
                format!(": was killed by signal {signal}\n"),
            ),
            Some(ExitCause::Exit(code)) => self.pick(
                format!(": 異常終了しました（終了コード {code}）\n"),
                format!(": failed with exit code {code}\n"),
            ),
            None => self.pick(": 異常終了しました\n", ": died\n").to_owned(),
        }
    }

    /// A producer's notice when it leaves before any consumer has connected.
    pub(crate) fn unconsumed_notice(self, items: u64, queue: &QueueName) -> String {
        let quoted = queue.shell_quoted();
        self.pick(
            format!(
                "生産者: 消費者がいないため {items} 個のアイテムをキュー「{queue}」に残しました。\
                 `qdemo consumer -q {quoted}` で受け取れます"
            ),
            format!(
                "producer: no consumer is there, and the queue `{queue}` has {} in line: \
                 `qdemo consumer -q {quoted}` gets them",
                english_item_count(items)
            ),
        )
    }

    /// The notice of a run that was interrupted before all items were done.
    pub(crate) fn interrupted_notice(self, not_done: u64) -> String {
        self.pick(
            format!("中断されました: {not_done} 個のアイテムは処理されていません"),
            format!("interrupted: {} not done", english_item_count(not_done)),
        )
    }

    /// The notice at the end of a run in which workers died.
    pub(crate) fn run_summary(self, summary: RunSummary) -> String {
        let RunSummary { done, items, worker_deaths, restarts, redelivered } = summary;
        self.pick(
            format!(
                "{items} 個中 {done} 個のアイテムを処理しました\
                 （異常終了 {worker_deaths} 回、再起動 {restarts} 回、\
                 配り直したアイテム {redelivered} 個）"
            ),
            format!(
                "{done} of {} done; {} died, {restarts} replaced; {} handed out again",
                english_item_count(items),
                english_count(worker_deaths, "worker"),
                english_item_count(redelivered)
            ),
        )
    }

    /// The notice of the seed that a run has drawn for its random delays.
    pub(crate) fn seed_notice(self, seed: u64) -> String {
        self.pick(
            format!("乱数の種: {seed}（--seed {seed} で同じ実行を繰り返せます）"),
            format!("seed {seed}: the same run again with --seed {seed}"),
        )
    }

    /// The notice of a run at the first Ctrl-C while consumers hold items.
    pub(crate) fn shutdown_notice(self) -> &'static str {
        self.pick(
            "消費者が手元のアイテムを終えるのを待っています（もう一度 Ctrl-C で直ちに終了）",
            "consumers finish what they hold (Ctrl-C again ends it at once)",
        )
    }
}

/// A number of items, in English.
pub(crate) fn english_item_count(items: u64) -> String {
    english_count(items, "item")
}

/// A count and its noun, in English.
pub(crate) fn english_count(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
