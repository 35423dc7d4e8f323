//! The texts of a picture.

use super::axis::format_instant;
use super::lane::LaneState;
use crate::clock::Nanos;
use crate::report::figures::{format_number, format_seconds};
use crate::report::lang::{WorkerNames, english_count};
use crate::report::{english_item_count, to_seconds};
use crate::role::Role;

fn format_duration(nanos: Nanos) -> String {
    format_seconds(Some(to_seconds(nanos)))
}

/// The texts of one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub(super) names: WorkerNames,
    /// Whether the picture shows every event.
    pub(super) is_exact: bool,
    /// The end of the run, which sets the unit and the precision of times.
    pub(super) run_end: Nanos,
}

impl Labels {
    fn pick<T>(&self, ja: T, en: T) -> T {
        self.names.lang.pick(ja, en)
    }

    pub(super) fn instant(&self, at: Nanos) -> String {
        format_instant(at, self.run_end)
    }

    pub(super) fn state_name(&self, state: LaneState) -> &'static str {
        match state {
            LaneState::Working => self.pick("作業中", "working"),
            LaneState::Waiting => self.pick("待機中", "waiting"),
            LaneState::Blocked => self.pick("空き待ち", "blocked"),
            LaneState::Dead => self.pick("停止", "dead"),
        }
    }

    pub(super) fn put_label(&self) -> &'static str {
        self.pick("追加", "putting")
    }

    pub(super) fn delivery_label(&self) -> &'static str {
        self.pick("受け渡し", "hand-over")
    }

    pub(super) fn depth_label(&self) -> &'static str {
        self.pick("キューの深さ", "queue depth")
    }

    pub(super) fn capacity_label(&self, capacity: u64) -> String {
        format!("{} {capacity}", self.pick("容量", "capacity"))
    }

    pub(super) fn title(&self, [producers, consumers]: [usize; 2], items: u64) -> String {
        let end = self.instant(self.run_end);
        self.pick(
            format!("qdemo: 生産者 {producers}、消費者 {consumers}、アイテム {items} 個、{end}"),
            format!(
                "qdemo: {}, {}, {}, {end}",
                english_count(producers as u64, "producer"),
                english_count(consumers as u64, "consumer"),
                english_item_count(items)
            ),
        )
    }

    /// The note of a picture that does not show every event.
    pub(super) fn overview_note(&self, column: Nanos, shown: usize, delivered: u64) -> String {
        let column = format_duration(column);
        self.pick(
            format!("柱 1 本は {column}。矢印は受け渡し {delivered} 回のうち {shown} 回"),
            format!("one column is {column}; arrows for {shown} of {delivered} hand-overs"),
        )
    }

    pub(super) fn interval(&self, from: Nanos, to: Nanos) -> String {
        format!("{} – {} ({})", self.instant(from), self.instant(to), format_duration(to - from))
    }

    /// The mean depth of a column, and its range.
    pub(super) fn mean_depth(&self, mean: f64, (min, max): (u64, u64)) -> String {
        let (mean, depth) = (format_number(Some(mean)), self.depth_label());
        self.pick(
            format!("{depth} 平均 {mean}（{min}～{max}）"),
            format!("{depth} {mean} on average ({min} to {max})"),
        )
    }

    /// The tooltip of an arrow, whose ends are a worker and a time each.
    pub(super) fn delivery_tooltip(
        &self,
        item: &str,
        [(from, from_at), (to, to_at)]: [(&str, Nanos); 2],
        attempt: u32,
    ) -> String {
        let ready_time = format_duration(to_at - from_at);
        let (from_at, to_at) = (self.instant(from_at), self.instant(to_at));
        let attempt = if attempt == 1 {
            String::new()
        } else {
            self.pick(format!("、{attempt}回目"), format!(", attempt {attempt}"))
        };
        let arrow = format!("{item}: {from} {from_at} → {to} {to_at}");
        self.pick(
            format!("{arrow}（列で {ready_time}{attempt}）"),
            format!("{arrow} ({ready_time} in line{attempt})"),
        )
    }

    /// The number of items that a worker of this role put or got.
    pub(super) fn item_count(&self, role: Role, items: u64) -> String {
        let english = english_item_count(items);
        match role {
            Role::Producer => self.pick(format!("{items} 個を追加"), format!("{english} put")),
            _ => self.pick(format!("{items} 個を取得"), format!("{english} got")),
        }
    }

    /// The name of an item whose label was not kept.
    pub(super) fn unnamed_item(&self, id: u64) -> String {
        self.pick(format!("{id} 番目のアイテム"), format!("item number {id}"))
    }
}
