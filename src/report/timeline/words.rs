//! What is written in a picture.

use super::axis::moment;
use super::lane::Doing;
use crate::clock::Nanos;
use crate::report::figures::{number, time};
use crate::report::{Lang, counted, seconds};
use crate::role::{Role, Worker};

/// For how long.
fn lasting(nanos: Nanos) -> String {
    time(Some(seconds(nanos)))
}

/// The words of a language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) lang: Lang,
    /// Whether there are several of a role, so that their number is said.
    pub(super) several: [bool; 2],
    /// Whether everything is in the picture.
    pub(super) exact: bool,
    /// When everything is over.
    pub(super) end: Nanos,
}

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) workers: [usize; 2],
    pub(super) items: u64,
}

impl Words {
    fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        match self.lang {
            Lang::Ja => ja,
            Lang::En => en,
        }
    }

    /// When.
    pub(super) fn at(&self, at: Nanos) -> String {
        moment(at, self.end)
    }

    /// Who.
    pub(super) fn who(&self, worker: Worker) -> String {
        self.lang.name(worker, self.several[(worker.role as usize).min(1)])
    }

    pub(super) fn doing(&self, doing: Doing) -> &'static str {
        match (self.lang, doing) {
            (Lang::Ja, Doing::Working) => "作業中",
            (Lang::Ja, Doing::Waiting) => "待機中",
            (Lang::Ja, Doing::Blocked) => "空き待ち",
            (Lang::Ja, Doing::Dead) => "停止",
            (Lang::En, Doing::Working) => "working",
            (Lang::En, Doing::Waiting) => "waiting",
            (Lang::En, Doing::Blocked) => "blocked",
            (Lang::En, Doing::Dead) => "dead",
        }
    }

    pub(super) fn put(&self) -> &'static str {
        match self.lang {
            Lang::Ja => "追加",
            Lang::En => "putting",
        }
    }

    pub(super) fn handover(&self) -> &str {
        self.say("受け渡し", "hand-over")
    }

    pub(super) fn depth(&self) -> &str {
        self.say("キューの深さ", "queue depth")
    }

    pub(super) fn capacity(&self, capacity: u64) -> String {
        format!("{} {capacity}", self.say("容量", "capacity"))
    }

    pub(super) fn title(&self, size: Size) -> String {
        let Size { workers: [producers, consumers], items } = size;
        let end = self.at(self.end);
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
    pub(super) fn overview(&self, column: Nanos, shown: usize, handed: u64) -> String {
        let column = lasting(column);
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
    pub(super) fn span(&self, from: Nanos, to: Nanos) -> String {
        format!("{} – {} ({})", self.at(from), self.at(to), lasting(to - from))
    }

    /// A depth that may be none whole number.
    pub(super) fn mean_depth(&self, mean: f64, range: (u64, u64)) -> String {
        let (least, most) = range;
        let (mean, depth) = (number(Some(mean)), self.depth());
        match self.lang {
            Lang::Ja => format!("{depth} 平均 {mean}（{least}～{most}）"),
            Lang::En => format!("{depth} {mean} on average ({least} to {most})"),
        }
    }

    /// An item went from one to another.
    pub(super) fn went(&self, name: &str, ends: [(&str, Nanos); 2], attempt: u32) -> String {
        let [(from, put), (to, got)] = ends;
        let waited = lasting(got - put);
        let (put, got) = (self.at(put), self.at(got));
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
    pub(super) fn items(&self, role: Role, items: u64) -> String {
        match (self.lang, role) {
            (Lang::Ja, Role::Producer) => format!("{items} 個を追加"),
            (Lang::Ja, _) => format!("{items} 個を取得"),
            (Lang::En, Role::Producer) => format!("{} put", counted(items)),
            (Lang::En, _) => format!("{} got", counted(items)),
        }
    }

    /// What an item is called whose name has not been kept.
    pub(super) fn item(&self, id: u64) -> String {
        match self.lang {
            Lang::Ja => format!("{id} 番目のアイテム"),
            Lang::En => format!("item number {id}"),
        }
    }
}
