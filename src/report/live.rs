//! The live view of a run: a line for each worker, the queue as a bar, and how much is done.

use console::{Alignment, measure_text_width, pad_str};

use super::lang::Lang;
use super::terminal::{Size, fit};
use crate::item::printable;
use crate::role::Worker;

/// How many columns a bar has at most.
const WIDEST: usize = 30;
/// What stands between two columns.
const GAP: &str = "  ";

/// What a worker does at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Its process has not come yet.
    Starts,
    /// A producer waits for room.
    WaitsForRoom,
    /// A consumer waits for an item.
    WaitsForItem,
    /// It is at work, a consumer with so many items, of which this is the first.
    Works(u64, Option<String>),
    /// Its process has died, and no other has come in its place yet.
    Dead,
    /// It has left.
    Finished,
}

/// A worker at one moment.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) worker: Worker,
    pub(crate) does: Activity,
    /// How many items it has put, or done, and those before it in its place.
    pub(crate) items: u64,
}

/// How full a queue is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    pub(crate) in_line: u64,
    pub(crate) capacity: Option<u64>,
    /// The most that have been seen in line.
    pub(crate) most: u64,
}

/// A run at one moment.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) actors: Vec<Actor>,
    pub(crate) depth: Depth,
    pub(crate) done: u64,
    pub(crate) items: u64,
}

impl Depth {
    /// As a bar against the capacity; where there is none, against the most so far. `columns` is for
    /// the whole line that it stands in.
    pub(crate) fn bar(self, lang: Lang, columns: usize) -> String {
        let Self { in_line, capacity, most } = self;
        match capacity {
            Some(capacity) => format!("{} {in_line}/{capacity}", bar(in_line, capacity, columns)),
            None => format!("{} {}", bar(in_line, most, columns), lang.at_most(in_line, most)),
        }
    }
}

impl Scene {
    /// As rows that fit into this room: of too many workers the first ones. `several` tells of each
    /// role whether there are several, so that their number is said.
    pub(super) fn rows(&self, lang: Lang, several: [bool; 2], room: Size) -> Vec<String> {
        // Two more rows are needed, and one for those workers that have none.
        let most = room.rows.saturating_sub(2);
        let shown = match self.actors.len() > most {
            true => most.saturating_sub(1),
            false => self.actors.len(),
        };
        let names: Vec<_> = self
            .actors
            .iter()
            .map(|a| lang.name(a.worker, several[a.worker.role as usize]))
            .collect();
        let labels = [lang.queue(), lang.total()];
        let wide = names.iter().map(String::as_str).chain(labels).map(measure_text_width);
        let wide = wide.max().unwrap_or(0);
        let left = |text: &str, columns| pad_str(text, columns, Alignment::Left, None).into_owned();

        let mut rows = Vec::new();
        for (actor, name) in self.actors.iter().zip(&names).take(shown) {
            let digits = self.items.to_string().len();
            let so_far = lang.so_far(actor.worker.role, &format!("{:digits$}", actor.items));
            let does = left(lang.activity(&actor.does, actor.worker.role), lang.widest_activity());
            let with = match &actor.does {
                Activity::Works(1, Some(item)) => printable(item).into_owned(),
                Activity::Works(items @ 2.., _) => lang.items(*items),
                _ => String::new(),
            };
            rows.push([left(name, wide), does, so_far, with].join(GAP));
        }
        if shown < self.actors.len() {
            rows.push(lang.and_more(self.actors.len() - shown));
        }
        let queue = self.depth.bar(lang, room.columns);
        rows.push([left(lang.queue(), wide), queue].join(GAP));
        let &Self { done, items, .. } = self;
        let done = format!("{} {done}/{items} {}", bar(done, items, room.columns), lang.done());
        rows.push([left(lang.total(), wide), done].join(GAP));

        // On a terminal of next to no rows, the last ones say most.
        rows.drain(..rows.len().saturating_sub(room.rows));
        rows.iter().map(|row| fit(row.trim_end(), room.columns)).collect()
    }
}

/// So much of so much, as a bar in a line of so many columns.
fn bar(part: u64, of: u64, columns: usize) -> String {
    let width = WIDEST.min(columns / 3);
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

    fn scene() -> Scene {
        let actor =
            |role, number, does, items| Actor { worker: Worker { role, number }, does, items };
        let item = |name: &str| Some(name.to_owned());
        Scene {
            actors: vec![
                actor(Role::Producer, 1, Activity::WaitsForRoom, 7),
                actor(Role::Consumer, 1, Activity::Works(1, item("アイテム3\n")), 1),
                actor(Role::Consumer, 2, Activity::Works(12, item("アイテム4")), 0),
                actor(Role::Consumer, 3, Activity::Dead, 0),
            ],
            depth: Depth { in_line: 3, capacity: Some(5), most: 5 },
            done: 1,
            items: 20,
        }
    }

    fn rows(scene: &Scene, lang: Lang, rows: usize, columns: usize) -> Vec<String> {
        scene.rows(lang, [false, true], Size { rows, columns })
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
        let depth = Depth { in_line: 2, capacity: None, most: 4 };
        assert_eq!(depth.bar(Lang::En, 24), "[====>   ] 2 (at most 4 so far)");
        assert_eq!(depth.bar(Lang::Ja, 24), "[====>   ] 2（これまでの最大 4）");
        let empty = Depth { in_line: 0, capacity: None, most: 0 };
        assert_eq!(empty.bar(Lang::En, 24), "[        ] 0 (at most 0 so far)");
    }

    #[test]
    fn a_bar_is_full_when_all_of_it_is_there_or_more() {
        assert_eq!(bar(5, 5, 15), "[=====]");
        assert_eq!(bar(6, 5, 15), "[=====]", "items that came back");
        assert_eq!(bar(1, u64::MAX, 15), "[>    ]");
        assert_eq!(bar(u64::MAX, u64::MAX, 15), "[=====]");
        assert_eq!(bar(1, 2, 2), "[]");
    }
}
