//! The live view of a run: a row for each worker, the queue as a bar, and all items as a bar.

use console::{Alignment, measure_text_width, pad_str};

use super::colors::worker_style;
use super::terminal::{TerminalSize, truncate_to_width};
use super::worker_names::WorkerNames;
use crate::catalogue::{Lang, message};
use crate::item::escape_for_terminal;
use crate::role::{Role, WorkerId};

/// The widest bar, in columns.
const MAX_BAR_WIDTH: usize = 30;
/// The text between two columns.
const COLUMN_GAP: &str = "  ";

/// The activity of a worker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerActivity {
    /// Its process has not connected yet.
    Starting,
    /// A producer waits for room.
    WaitingForRoom,
    /// A consumer waits for an item.
    WaitingForItem,
    /// It works. A consumer has this many items in flight, and this is the first of them.
    Working(u64, Option<String>),
    /// Its process died, and no respawn has connected yet.
    Dead,
    /// It disconnected.
    Finished,
}

/// A worker at one moment.
#[derive(Debug)]
pub(crate) struct WorkerRow {
    pub(crate) worker: WorkerId,
    pub(crate) activity: WorkerActivity,
    /// Items that the worker has put or done, with those of its earlier processes.
    pub(crate) items: u64,
}

/// The depth of a queue, and its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueDepth {
    pub(crate) ready: u64,
    pub(crate) capacity: Option<u64>,
    /// The largest number of ready items so far.
    pub(crate) peak: u64,
}

/// A run at one moment.
#[derive(Debug)]
pub(crate) struct LiveView {
    pub(crate) workers: Vec<WorkerRow>,
    pub(crate) depth: QueueDepth,
    pub(crate) done: u64,
    pub(crate) items: u64,
}

impl WorkerActivity {
    fn label(&self, lang: Lang, role: Role) -> String {
        match self {
            Self::Starting => message!(lang, "run-starting"),
            Self::WaitingForRoom => message!(lang, "run-blocked"),
            Self::WaitingForItem => message!(lang, "run-waiting"),
            Self::Working(..) if role == Role::Producer => message!(lang, "run-producing"),
            Self::Working(..) => message!(lang, "run-processing"),
            Self::Dead => message!(lang, "run-dead"),
            Self::Finished => message!(lang, "run-ended"),
        }
    }
}

impl WorkerRow {
    /// The number of items that the worker has put or done, `digits` wide.
    fn items_so_far(&self, lang: Lang, digits: usize) -> String {
        let items = format!("{:digits$}", self.items);
        match self.worker.role {
            Role::Producer => message!(lang, "run-items-put", items = items),
            Role::Consumer | Role::Visitor => {
                message!(lang, "run-items-done", items = items)
            }
        }
    }
}

impl QueueDepth {
    /// A bar that is full at the capacity, or at the peak if the queue is unbounded. `columns` is the
    /// width of the whole line.
    pub(crate) fn bar(self, lang: Lang, columns: usize) -> String {
        let Self { ready, capacity, peak } = self;
        let bar = progress_bar(ready, capacity.unwrap_or(peak), columns);
        match capacity {
            Some(capacity) => format!("{bar} {ready}/{capacity}"),
            None => message!(lang, "run-depth-peak", bar = bar, ready = ready, peak = peak),
        }
    }
}

impl LiveView {
    /// The rows that fit into `size`, safe on a terminal. If there are too many workers, the first ones have rows.
    pub(super) fn render_rows(&self, names: WorkerNames, size: TerminalSize) -> Vec<String> {
        let lang = names.lang;
        // The queue and the total need a row each, and hidden workers need one together.
        let max_workers = size.rows.saturating_sub(2);
        let shown = if self.workers.len() > max_workers {
            max_workers.saturating_sub(1)
        } else {
            self.workers.len()
        };
        let names: Vec<_> = self.workers.iter().map(|row| names.worker_name(row.worker)).collect();
        let labels = [message!(lang, "run-queue"), message!(lang, "run-total")];
        let widths = names.iter().chain(&labels).map(|text| measure_text_width(text));
        let name_width = widths.max().unwrap_or(0);
        let pad = |text: &str, columns| pad_str(text, columns, Alignment::Left, None).into_owned();

        let mut rows = Vec::new();
        let widest_activity = WorkerActivity::WaitingForRoom.label(lang, Role::Producer);
        let activity_width = measure_text_width(&widest_activity);
        let digits = self.items.to_string().len();
        for (row, name) in self.workers.iter().zip(&names).take(shown) {
            let activity = pad(&row.activity.label(lang, row.worker.role), activity_width);
            let items = match &row.activity {
                WorkerActivity::Working(1, Some(item)) => escape_for_terminal(item).into_owned(),
                WorkerActivity::Working(items @ 2.., _) => {
                    message!(lang, "run-items", items = *items)
                }
                _ => String::new(),
            };
            let so_far = row.items_so_far(lang, digits);
            let WorkerId { role, index } = row.worker;
            let style = worker_style(role, Some(index)).for_stderr();
            let name = style.apply_to(pad(name, name_width)).to_string();
            rows.push([name, activity, so_far, items].join(COLUMN_GAP));
        }
        if shown < self.workers.len() {
            let hidden = self.workers.len() - shown;
            rows.push(message!(lang, "run-hidden-workers", workers = hidden));
        }
        let &Self { done, items, .. } = self;
        let bar = progress_bar(done, items, size.columns);
        let total = format!("{bar} {done}/{items} {}", message!(lang, "run-total-done"));
        for (label, bar) in labels.iter().zip([self.depth.bar(lang, size.columns), total]) {
            rows.push([pad(label, name_width), bar].join(COLUMN_GAP));
        }

        // On a very small terminal the last rows say most.
        rows.drain(..rows.len().saturating_sub(size.rows));
        rows.iter().map(|row| truncate_to_width(row.trim_end(), size.columns)).collect()
    }
}

/// A bar that shows `part` of `total`, in a line of `columns` columns.
fn progress_bar(part: u64, total: u64, columns: usize) -> String {
    let width = MAX_BAR_WIDTH.min(columns / 3);
    let part = part.min(total);
    // The quotient is at most the width.
    let full = (u128::from(part) * width as u128).checked_div(total.into()).unwrap_or(0) as usize;
    let tip = usize::from(part > 0 && full < width);
    format!("[{}{}{}]", "=".repeat(full), ">".repeat(tip), " ".repeat(width - full - tip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> LiveView {
        let row = |role, index, activity, items| WorkerRow {
            worker: WorkerId { role, index },
            activity,
            items,
        };
        let item = |name: &str| Some(name.to_owned());
        LiveView {
            workers: vec![
                row(Role::Producer, 1, WorkerActivity::WaitingForRoom, 7),
                row(Role::Consumer, 1, WorkerActivity::Working(1, item("アイテム3\n")), 1),
                row(Role::Consumer, 2, WorkerActivity::Working(12, item("アイテム4")), 0),
                row(Role::Consumer, 3, WorkerActivity::Dead, 0),
            ],
            depth: QueueDepth { ready: 3, capacity: Some(5), peak: 5 },
            done: 1,
            items: 20,
        }
    }

    fn rows(view: &LiveView, lang: Lang, rows: usize, columns: usize) -> Vec<String> {
        let names = WorkerNames { lang, is_numbered: [false, true] };
        view.render_rows(names, TerminalSize { rows, columns })
    }

    #[test]
    fn each_worker_has_a_row_and_the_columns_are_aligned() {
        let expected = [
            "生産者   空き待ち  追加  7",
            "消費者1  処理中    完了  1  アイテム3\\n",
            "消費者2  処理中    完了  0  12 個",
            "消費者3  異常終了  完了  0",
            "キュー   [==================>           ] 3/5",
            "全体     [=>                            ] 1/20 完了",
        ];
        assert_eq!(rows(&view(), Lang::Ja, 22, 90), expected);
        let expected = [
            "producer    waiting for room   7 put",
            "consumer 1  working            1 done  アイテム3\\n",
            "consumer 2  working            0 done  12 items",
            "consumer 3  dead               0 done",
            "queue       [==================>           ] 3/5",
            "total       [=>                            ] 1/20 done",
        ];
        assert_eq!(rows(&view(), Lang::En, 22, 90), expected);
    }

    #[test]
    fn a_small_terminal_shows_the_rows_that_fit() {
        let expected =
            ["生産者   空き待ち  …", "… ほか 3", "キュー   [===>  ] 3…", "全体     [>     ] 1…"];
        assert_eq!(rows(&view(), Lang::Ja, 4, 20), expected);
        assert_eq!(rows(&view(), Lang::Ja, 1, 20), expected[3..]);
        assert_eq!(rows(&view(), Lang::En, 5, 10)[2], "… and 2 m…");
        assert_eq!(rows(&view(), Lang::En, 6, 80).len(), 6, "all rows fit");
    }

    #[test]
    fn the_bar_of_an_unbounded_queue_is_full_at_its_peak() {
        let depth = QueueDepth { ready: 2, capacity: None, peak: 4 };
        assert_eq!(depth.bar(Lang::En, 24), "[====>   ] 2 (at most 4 so far)");
        assert_eq!(depth.bar(Lang::Ja, 24), "[====>   ] 2（これまでの最大 4）");
        let empty = QueueDepth { ready: 0, capacity: None, peak: 0 };
        assert_eq!(empty.bar(Lang::En, 24), "[        ] 0 (at most 0 so far)");
    }

    #[test]
    fn a_bar_is_full_at_its_total_and_beyond() {
        assert_eq!(progress_bar(5, 5, 15), "[=====]");
        assert_eq!(progress_bar(6, 5, 15), "[=====]", "requeued items exceed the capacity");
        assert_eq!(progress_bar(1, u64::MAX, 15), "[>    ]");
        assert_eq!(progress_bar(u64::MAX, u64::MAX, 15), "[=====]");
        assert_eq!(progress_bar(1, 2, 2), "[]");
    }
}
