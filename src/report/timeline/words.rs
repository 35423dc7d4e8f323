//! What is written in a picture.

use super::axis::format_instant;
use super::lane::LaneState;
use crate::clock::Nanos;
use crate::report::figures::{format_number, format_seconds};
use crate::report::{Lang, english_item_count, to_seconds};
use crate::role::{Role, WorkerId};

/// For how long.
fn format_duration(nanos: Nanos) -> String {
    format_seconds(Some(to_seconds(nanos)))
}

/// The words of a language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub(super) lang: Lang,
    /// Whether there are several of a role, so that their number is said.
    pub(super) is_numbered: [bool; 2],
    /// Whether everything is in the picture.
    pub(super) is_exact: bool,
    /// When everything is over.
    pub(super) run_end: Nanos,
}

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunSize {
    pub(super) workers: [usize; 2],
    pub(super) items: u64,
}

impl Labels {
    fn pick<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        match self.lang {
            Lang::Ja => ja,
            Lang::En => en,
        }
    }

    /// When.
    pub(super) fn instant(&self, at: Nanos) -> String {
        format_instant(at, self.run_end)
    }

    /// Who.
    pub(super) fn worker_name(&self, worker: WorkerId) -> String {
        self.lang.worker_name(worker, self.is_numbered[(worker.role as usize).min(1)])
    }

    pub(super) fn state_name(&self, doing: LaneState) -> &'static str {
        match (self.lang, doing) {
            (Lang::Ja, LaneState::Working) => "作業中",
            (Lang::Ja, LaneState::Waiting) => "待機中",
            (Lang::Ja, LaneState::Blocked) => "空き待ち",
            (Lang::Ja, LaneState::Dead) => "停止",
            (Lang::En, LaneState::Working) => "working",
            (Lang::En, LaneState::Waiting) => "waiting",
            (Lang::En, LaneState::Blocked) => "blocked",
            (Lang::En, LaneState::Dead) => "dead",
        }
    }

    pub(super) fn put_label(&self) -> &'static str {
        match self.lang {
            Lang::Ja => "追加",
            Lang::En => "putting",
        }
    }

    pub(super) fn delivery_label(&self) -> &str {
        self.pick("受け渡し", "hand-over")
    }

    pub(super) fn depth_label(&self) -> &str {
        self.pick("キューの深さ", "queue depth")
    }

    pub(super) fn capacity_label(&self, capacity: u64) -> String {
        format!("{} {capacity}", self.pick("容量", "capacity"))
    }

    pub(super) fn title(&self, size: RunSize) -> String {
        let RunSize { workers: [producers, consumers], items } = size;
        let end = self.instant(self.run_end);
        match self.lang {
            Lang::Ja => {
                format!("qdemo: 生産者 {producers}、消費者 {consumers}、アイテム {items} 個、{end}")
            }
            Lang::En => {
                let plural = |count: u64, what| match count {
                    1 => format!("1 {what}"),
                    count => format!("{count} {what}s"),
                };
                let producers = plural(producers as u64, "producer");
                let consumers = plural(consumers as u64, "consumer");
                let items = plural(items, "item");
                format!("qdemo: {producers}, {consumers}, {items}, {end}")
            }
        }
    }

    /// What an overview leaves out.
    pub(super) fn overview_note(&self, column: Nanos, shown: usize, handed: u64) -> String {
        let column = format_duration(column);
        match self.lang {
            Lang::Ja => {
                format!("柱 1 本は {column}。矢印は受け渡し {handed} 回のうち {shown} 回")
            }
            Lang::En => {
                format!("one column is {column}; arrows for {shown} of {handed} hand-overs")
            }
        }
    }

    /// From when to when.
    pub(super) fn interval(&self, from: Nanos, to: Nanos) -> String {
        format!("{} – {} ({})", self.instant(from), self.instant(to), format_duration(to - from))
    }

    /// A depth that may be none whole number.
    pub(super) fn mean_depth(&self, mean: f64, range: (u64, u64)) -> String {
        let (least, most) = range;
        let (mean, depth) = (format_number(Some(mean)), self.depth_label());
        match self.lang {
            Lang::Ja => format!("{depth} 平均 {mean}（{least}～{most}）"),
            Lang::En => format!("{depth} {mean} on average ({least} to {most})"),
        }
    }

    /// An item went from one to another.
    pub(super) fn delivery_tooltip(
        &self,
        name: &str,
        ends: [(&str, Nanos); 2],
        attempt: u32,
    ) -> String {
        let [(from, put), (to, got)] = ends;
        let waited = format_duration(got - put);
        let (put, got) = (self.instant(put), self.instant(got));
        let again = match (self.lang, attempt) {
            (_, 1) => String::new(),
            (Lang::Ja, attempt) => format!("、{attempt}回目"),
            (Lang::En, attempt) => format!(", attempt {attempt}"),
        };
        match self.lang {
            Lang::Ja => {
                format!("{name}: {from} {put} → {to} {got}（列で {waited}{again}）")
            }
            Lang::En => format!("{name}: {from} {put} → {to} {got} ({waited} in line{again})"),
        }
    }

    /// So many were put, or got.
    pub(super) fn item_count(&self, role: Role, items: u64) -> String {
        match (self.lang, role) {
            (Lang::Ja, Role::Producer) => format!("{items} 個を追加"),
            (Lang::Ja, _) => format!("{items} 個を取得"),
            (Lang::En, Role::Producer) => format!("{} put", english_item_count(items)),
            (Lang::En, _) => format!("{} got", english_item_count(items)),
        }
    }

    /// What an item is called whose name has not been kept.
    pub(super) fn unnamed_item(&self, id: u64) -> String {
        match self.lang {
            Lang::Ja => format!("{id} 番目のアイテム"),
            Lang::En => format!("item number {id}"),
        }
    }
}
