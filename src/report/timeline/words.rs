//! The texts of a picture.

use super::axis::format_instant;
use super::lane::LaneState;
use super::steps::{Step, StepKind};
use crate::catalogue::{Lang, message};
use crate::clock::Nanos;
use crate::report::figures::{format_number, format_seconds};
use crate::report::to_seconds;
use crate::report::worker_names::WorkerNames;
use crate::role::Role;

fn format_duration(nanos: Nanos) -> String {
    format_seconds(Some(to_seconds(nanos)))
}

/// The texts of one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub(super) names: WorkerNames,
    /// The end of the run, which sets the unit and the precision of times.
    pub(super) run_end: Nanos,
}

impl Labels {
    pub(super) fn lang(&self) -> Lang {
        self.names.lang
    }

    pub(super) fn instant(&self, at: Nanos) -> String {
        format_instant(at, self.run_end)
    }

    /// The state of a worker of this role.
    pub(super) fn state_of(&self, role: Role, state: LaneState) -> String {
        match (state, role) {
            (LaneState::Working, Role::Producer) => message!(self.lang(), "picture-producing"),
            (LaneState::Working, _) => message!(self.lang(), "picture-processing"),
            _ => self.state_name(state),
        }
    }

    /// The state, for workers of both roles.
    pub(super) fn state_name(&self, state: LaneState) -> String {
        match state {
            LaneState::Working => message!(self.lang(), "picture-working"),
            LaneState::Waiting => message!(self.lang(), "picture-waiting"),
            LaneState::Blocked => message!(self.lang(), "picture-blocked"),
            LaneState::Dead => message!(self.lang(), "picture-dead"),
        }
    }

    pub(super) fn put_label(&self) -> String {
        message!(self.lang(), "picture-put")
    }

    pub(super) fn items_label(&self) -> String {
        message!(self.lang(), "picture-items")
    }

    pub(super) fn redelivery_label(&self) -> String {
        message!(self.lang(), "picture-redelivery")
    }

    /// The note of a run without delays.
    pub(super) fn unpaced_note(&self) -> String {
        message!(self.lang(), "picture-unpaced")
    }

    pub(super) fn delivery_label(&self) -> String {
        message!(self.lang(), "picture-delivery")
    }

    pub(super) fn depth_label(&self) -> String {
        message!(self.lang(), "picture-depth")
    }

    pub(super) fn capacity_label(&self, capacity: u64) -> String {
        message!(self.lang(), "picture-capacity", capacity = capacity)
    }

    pub(super) fn title(&self, [producers, consumers]: [usize; 2], items: u64) -> String {
        message!(
            self.lang(),
            "picture-title",
            producers = producers,
            consumers = consumers,
            items = items,
            end = self.instant(self.run_end)
        )
    }

    /// The note of a picture that does not show every event.
    pub(super) fn overview_note(&self, column: Nanos, shown: usize, delivered: u64) -> String {
        let column = format_duration(column);
        message!(
            self.lang(),
            "picture-overview",
            column = column,
            shown = shown,
            delivered = delivered
        )
    }

    pub(super) fn interval(&self, from: Nanos, to: Nanos) -> String {
        format!("{} – {} ({})", self.instant(from), self.instant(to), format_duration(to - from))
    }

    /// The mean depth of a column, and its range.
    pub(super) fn mean_depth(&self, mean: f64, (min, max): (u64, u64)) -> String {
        let mean = format_number(Some(mean));
        message!(self.lang(), "picture-mean-depth", mean = mean, min = min, max = max)
    }

    /// The tooltip of an arrow, whose ends are a worker and a time each.
    pub(super) fn delivery_tooltip(
        &self,
        item: &str,
        [(from, from_at), (to, to_at)]: [(&str, Nanos); 2],
        attempt: u32,
    ) -> String {
        let time = format_duration(to_at - from_at);
        let (from_at, to_at) = (self.instant(from_at), self.instant(to_at));
        let arrow = format!("{item}: {from} {from_at} → {to} {to_at}");
        if attempt == 1 {
            message!(self.lang(), "picture-delivery-tip", arrow = arrow, time = time)
        } else {
            message!(
                self.lang(),
                "picture-redelivery-tip",
                arrow = arrow,
                time = time,
                attempt = attempt
            )
        }
    }

    /// The number of items that a worker of this role put or got.
    pub(super) fn item_count(&self, role: Role, items: u64) -> String {
        match role {
            Role::Producer => message!(self.lang(), "picture-items-put", items = items),
            _ => message!(self.lang(), "picture-items-got", items = items),
        }
    }

    /// A text of the page, by its name in the template.
    pub(super) fn page_text(&self, name: &str) -> String {
        let lang = self.lang();
        match name {
            "view" => message!(lang, "picture-page-view"),
            "first" => message!(lang, "picture-page-first"),
            "previous" => message!(lang, "picture-page-previous"),
            "next" => message!(lang, "picture-page-next"),
            "last" => message!(lang, "picture-page-last"),
            "closer" => message!(lang, "picture-page-closer"),
            "wider" => message!(lang, "picture-page-wider"),
            "whole" => message!(lang, "picture-page-whole"),
            "ready" => message!(lang, "picture-page-ready"),
            "in-flight" => message!(lang, "picture-page-in-flight"),
            "done" => message!(lang, "picture-page-done"),
            "none" => message!(lang, "picture-page-none"),
            "start" => message!(lang, "picture-page-start"),
            "help" => message!(lang, "picture-page-help"),
            "help-touch" => message!(lang, "picture-page-help-touch"),
            _ => String::new(),
        }
    }

    /// An event of a worker, perhaps with an item.
    pub(super) fn event(&self, step: &Step, worker: &str, item: &str) -> String {
        let lang = self.lang();
        let waited = step.waited.filter(|&waited| waited > 0).map(format_duration);
        match (step.kind, waited) {
            (StepKind::Put(_), Some(time)) => {
                let (worker, item) = (worker, item);
                message!(lang, "picture-event-late-put", worker = worker, item = item, time = time)
            }
            (StepKind::Put(_), None) => {
                message!(lang, "picture-event-put", worker = worker, item = item)
            }
            (StepKind::Delivered(of), _) if of.attempt > 1 => message!(
                lang,
                "picture-event-get-again",
                worker = worker,
                item = item,
                attempt = of.attempt
            ),
            (StepKind::Delivered(_), _) => {
                message!(lang, "picture-event-get", worker = worker, item = item)
            }
            (StepKind::Done(_), _) => {
                message!(lang, "picture-event-done", worker = worker, item = item)
            }
            (StepKind::Requeued(_), _) => message!(lang, "picture-event-back", item = item),
            (StepKind::Died, _) => message!(lang, "picture-event-died", worker = worker),
            (StepKind::Restarted, _) => message!(lang, "picture-event-restart", worker = worker),
            (StepKind::Left, _) => message!(lang, "picture-event-left", worker = worker),
            (StepKind::Cleared, _) => message!(lang, "picture-event-clear"),
            (StepKind::Finished, _) => message!(lang, "picture-event-end"),
        }
    }

    /// The name of an item whose label was not kept.
    pub(super) fn unnamed_item(&self, id: u64) -> String {
        message!(self.lang(), "picture-item", id = id)
    }
}
