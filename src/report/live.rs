//! The live view of a run: a line for each worker, the queue as a bar, and how much is done.

use console::{Alignment, measure_text_width, pad_str};

use super::lang::Lang;
use super::terminal::{TerminalSize, truncate_to_width};
use crate::item::escape_for_terminal;
use crate::role::WorkerId;

/// How many columns a bar has at most.
const MAX_BAR_WIDTH: usize = 30;
/// What stands between two columns.
const COLUMN_GAP: &str = "  ";

/// What a worker does at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerActivity {
    /// Its process has not come yet.
    Starting,
    /// A producer waits for room.
    WaitingForRoom,
    /// A consumer waits for an item.
    WaitingForItem,
    /// It is at work, a consumer with so many items, of which this is the first.
    Working(u64, Option<String>),
    /// Its process has died, and no other has come in its place yet.
    Dead,
    /// It has left.
    Finished,
}

/// A worker at one moment.
#[derive(Debug)]
pub(crate) struct WorkerRow {
    pub(crate) worker: WorkerId,
    pub(crate) activity: WorkerActivity,
    /// How many items it has put, or done, and those before it in its place.
    pub(crate) items: u64,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueDepth {
    pub(crate) ready: u64,
    pub(crate) capacity: Option<u64>,
    /// The most that have been seen in line.
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

impl QueueDepth {
    /// As a bar against the capacity; where there is none, against the most so far. `columns` is for
    /// the whole line that it stands in.
    pub(crate) fn bar(self, lang: Lang, columns: usize) -> String {
        let Self { ready: in_line, capacity, peak: most } = self;
        match capacity {
            Some(capacity) => {
                format!("{} {in_line}/{capacity}", progress_bar(in_line, capacity, columns))
            }
            None => format!(
                "{} {}",
                progress_bar(in_line, most, columns),
                lang.depth_with_peak(in_line, most)
            ),
        }
    }
}

impl LiveView {
    /// As rows that fit into this room: of too many workers the first ones. `several` tells of each
    /// role whether there are several, so that their number is said.
    pub(super) fn render_rows(
        &self,
        lang: Lang,
        several: [bool; 2],
        room: TerminalSize,
    ) -> Vec<String> {
        // Two more rows are needed, and one for those workers that have none.
        let most = room.rows.saturating_sub(2);
        let shown = match self.workers.len() > most {
            true => most.saturating_sub(1),
            false => self.workers.len(),
        };
        let names: Vec<_> = self
            .workers
            .iter()
            .map(|a| lang.worker_name(a.worker, several[a.worker.role as usize]))
            .collect();
        let labels = [lang.queue_label(), lang.total_label()];
        let wide = names.iter().map(String::as_str).chain(labels).map(measure_text_width);
        let wide = wide.max().unwrap_or(0);
        let left = |text: &str, columns| pad_str(text, columns, Alignment::Left, None).into_owned();

        let mut rows = Vec::new();
        for (actor, name) in self.workers.iter().zip(&names).take(shown) {
            let digits = self.items.to_string().len();
            let so_far = lang.items_so_far(actor.worker.role, &format!("{:digits$}", actor.items));
            let does = left(
                lang.activity_name(&actor.activity, actor.worker.role),
                lang.max_activity_width(),
            );
            let with = match &actor.activity {
                WorkerActivity::Working(1, Some(item)) => escape_for_terminal(item).into_owned(),
                WorkerActivity::Working(items @ 2.., _) => lang.item_count(*items),
                _ => String::new(),
            };
            rows.push([left(name, wide), does, so_far, with].join(COLUMN_GAP));
        }
        if shown < self.workers.len() {
            rows.push(lang.more_workers(self.workers.len() - shown));
        }
        let queue = self.depth.bar(lang, room.columns);
        rows.push([left(lang.queue_label(), wide), queue].join(COLUMN_GAP));
        let &Self { done, items, .. } = self;
        let done = format!(
            "{} {done}/{items} {}",
            progress_bar(done, items, room.columns),
            lang.done_label()
        );
        rows.push([left(lang.total_label(), wide), done].join(COLUMN_GAP));

        // On a terminal of next to no rows, the last ones say most.
        rows.drain(..rows.len().saturating_sub(room.rows));
        rows.iter().map(|row| truncate_to_width(row.trim_end(), room.columns)).collect()
    }
}

/// So much of so much, as a bar in a line of so many columns.
fn progress_bar(part: u64, of: u64, columns: usize) -> String {
    let width = MAX_BAR_WIDTH.min(columns / 3);
    let part = part.min(of);
    // At most the width.
    let full = (u128::from(part) * width as u128).checked_div(of.into()).unwrap_or(0) as usize;
    let tip = usize::from(part > 0 && full < width);
    format!("[{}{}{}]", "=".repeat(full), ">".repeat(tip), " ".repeat(width - full - tip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    fn scene() -> LiveView {
        let actor = |role, number, does, items| WorkerRow {
            worker: WorkerId { role, index: number },
            activity: does,
            items,
        };
        let item = |name: &str| Some(name.to_owned());
        LiveView {
            workers: vec![
                actor(Role::Producer, 1, WorkerActivity::WaitingForRoom, 7),
                actor(Role::Consumer, 1, WorkerActivity::Working(1, item("アイテム3\n")), 1),
                actor(Role::Consumer, 2, WorkerActivity::Working(12, item("アイテム4")), 0),
                actor(Role::Consumer, 3, WorkerActivity::Dead, 0),
            ],
            depth: QueueDepth { ready: 3, capacity: Some(5), peak: 5 },
            done: 1,
            items: 20,
        }
    }

    fn rows(scene: &LiveView, lang: Lang, rows: usize, columns: usize) -> Vec<String> {
        scene.render_rows(lang, [false, true], TerminalSize { rows, columns })
    }

    #[test]
    fn each_worker_has_a_line_and_the_columns_are_straight() {
        let expected = [
            "生産者   空き待ち  追加  7",
            "消費者1  処理中    完了  1  アイテム3\\n",
            "消費者2  処理中    完了  0  12 個",
            "消費者3  停止      完了  0",
            "キュー   [==================>           ] 3/5",
            "全体     [=>                            ] 1/20 完了",
        ];
        assert_eq!(rows(&scene(), Lang::Ja, 22, 90), expected);
        let expected = [
            "producer    waiting for room   7 put",
            "consumer 1  working            1 done  アイテム3\\n",
            "consumer 2  working            0 done  12 items",
            "consumer 3  dead               0 done",
            "queue       [==================>           ] 3/5",
            "total       [=>                            ] 1/20 done",
        ];
        assert_eq!(rows(&scene(), Lang::En, 22, 90), expected);
    }

    #[test]
    fn a_small_terminal_shows_what_it_has_room_for() {
        let expected =
            ["生産者   空き待ち  …", "… ほか 3", "キュー   [===>  ] 3…", "全体     [>     ] 1…"];
        assert_eq!(rows(&scene(), Lang::Ja, 4, 20), expected);
        assert_eq!(rows(&scene(), Lang::Ja, 1, 20), expected[3..]);
        assert_eq!(rows(&scene(), Lang::En, 5, 10)[2], "… and 2 m…");
        assert_eq!(rows(&scene(), Lang::En, 6, 80).len(), 6, "all, where they just fit");
    }

    #[test]
    fn without_a_capacity_the_bar_is_against_the_most_so_far() {
        let depth = QueueDepth { ready: 2, capacity: None, peak: 4 };
        assert_eq!(depth.bar(Lang::En, 24), "[====>   ] 2 (at most 4 so far)");
        assert_eq!(depth.bar(Lang::Ja, 24), "[====>   ] 2（これまでの最大 4）");
        let empty = QueueDepth { ready: 0, capacity: None, peak: 0 };
        assert_eq!(empty.bar(Lang::En, 24), "[        ] 0 (at most 0 so far)");
    }

    #[test]
    fn a_bar_is_full_when_all_of_it_is_there_or_more() {
        assert_eq!(progress_bar(5, 5, 15), "[=====]");
        assert_eq!(progress_bar(6, 5, 15), "[=====]", "items that came back");
        assert_eq!(progress_bar(1, u64::MAX, 15), "[>    ]");
        assert_eq!(progress_bar(u64::MAX, u64::MAX, 15), "[=====]");
        assert_eq!(progress_bar(1, 2, 2), "[]");
    }
}
