//! Lanes, and the arrows between them.

use svg::node::element::{Group, Line, Path, Rectangle, Title};

use super::Handover;
use super::bins::{MOST_BINS, Shares, sum};
use super::chart::{Chart, Row};
use super::lane::{Doing, Stretch};
use super::style::{arrow, bar, class, death, put};
use crate::clock::Nanos;
use crate::report::picture::{round, text, text_width};
use crate::role::Worker;

/// So many arrows at most, when not all of them are shown.
const MOST_ARROWS: usize = 60;
/// Beyond this they are drawn so that one sees through them.
const MANY_ARROWS: usize = 50;
/// So many columns at most in all lanes together, so that a picture of many workers stays small.
const MOST_COLUMNS: usize = 4000;

impl Chart<'_> {
    pub(super) fn draw_lanes(&self) -> Group {
        let mut all = Group::new().set("class", "lanes");
        for row in &self.lanes {
            let name = self.words.who(row.worker);
            let middle = row.top + self.tall / 2.0;
            let label = text(&name, self.axis.left - 10.0, middle, "label", "end");
            let [left, right] = [self.axis.left, self.axis.left + self.axis.width].map(round);
            let rail = Line::new().set("class", "rail").set("x1", left).set("x2", right);
            let rail = rail.set("y1", round(middle)).set("y2", round(middle));
            let lane =
                Group::new().set("class", "lane").set("data-worker", name).add(rail).add(label);
            all = all.add(match self.timeline.scale.exact {
                true => self.stretches(row, lane),
                false => self.columns(row, lane),
            });
        }
        let mut marks = Group::new().set("class", "marks");
        for row in &self.lanes {
            marks = self.marks(row, marks);
        }
        all.add(self.handovers()).add(marks)
    }

    /// Everything that a worker was about, one after another.
    fn stretches(&self, row: &Row<'_>, mut lane: Group) -> Group {
        for stretch in &row.lane.stretches {
            let Stretch { doing, from, to, item } = stretch;
            let ends = [self.axis.x(*from), self.axis.x(*to)];
            let mut tip = format!("{}: {}", self.words.who(row.worker), self.words.doing(*doing));
            if let Some(id) = item {
                tip = format!("{tip} {}", self.item(*id));
            }
            let tip = format!("{tip}, {}", self.words.span(*from, *to));
            lane = lane.add(bar(*doing, ends, row.top, self.tall).add(Title::new(tip)));
        }
        lane
    }

    /// What is written or marked on top of a lane.
    fn marks(&self, row: &Row<'_>, mut marks: Group) -> Group {
        for stretch in &row.lane.stretches {
            let [from, to] = [stretch.from, stretch.to].map(|at| self.axis.x(at));
            if let (Doing::Working, Some(id)) = (stretch.doing, stretch.item) {
                let name = self.item(id);
                let room = to - from - 8.0;
                if text_width(&name) <= room {
                    let middle = row.top + self.tall / 2.0;
                    marks = marks.add(text(&name, from + 5.0, middle, "item", "start"));
                }
            }
        }
        let who = self.words.who(row.worker);
        for &(at, id) in &row.lane.puts {
            let tip =
                format!("{who}: {} {}, {}", self.words.put(), self.item(id), self.words.at(at));
            let mark = put(self.axis.x(at), row.top, self.tall);
            marks = marks.add(mark.add(Title::new(tip)));
        }
        let deaths = row.lane.deaths.iter();
        for &at in deaths.step_by(1 + row.lane.deaths.len() / MOST_ARROWS) {
            let tip = format!("{who}: {}, {}", self.words.doing(Doing::Dead), self.words.at(at));
            let mark = death(self.axis.x(at), row.top, self.tall);
            marks = marks.add(mark.add(Title::new(tip)));
        }
        marks
    }

    /// What a worker was about in each part of the time, as columns that are as high as their shares.
    fn columns(&self, row: &Row<'_>, mut lane: Group) -> Group {
        let several = self.parts_in_a_column();
        let all = row.lane.shares.all().chunks(several).enumerate();
        let all: Vec<_> =
            all.map(|(n, parts)| (self.ends(n * several, several), sum(parts))).collect();
        for doing in Doing::ALL {
            let mut path = String::new();
            for (ends @ [from, to], shares) in &all {
                let share = |doing: Doing| {
                    shares.times[doing as usize] as f64 / to.saturating_sub(*from).max(1) as f64
                };
                if share(doing) > 0.0 {
                    let below: f64 = Doing::ALL[..doing as usize].iter().map(|&d| share(d)).sum();
                    let [left, right] = ends.map(|at| self.axis.x(at));
                    let bottom = round(row.top + self.tall * (1.0 - below));
                    let tall = round(self.tall * share(doing));
                    let wide = round(right - left);
                    path += &format!("M{} {bottom}v-{tall}h{wide}v{tall}z", round(left));
                }
            }
            if !path.is_empty() {
                lane = lane.add(Path::new().set("class", class(doing)).set("d", path));
            }
        }
        all.iter().map(|(ends, shares)| self.cell(row, *ends, shares)).fold(lane, Group::add)
    }

    /// Where the pointer finds what was there.
    fn cell(&self, row: &Row<'_>, [from, to]: [Nanos; 2], shares: &Shares) -> Rectangle {
        let whole: Nanos = shares.times.iter().sum();
        let percent = |doing: Doing| {
            let time = shares.times[doing as usize];
            let share = 100.0 * time as f64 / whole.max(1) as f64;
            (time > 0).then(|| format!("{} {share:.0} %", self.words.doing(doing)))
        };
        let items = (shares.items > 0).then(|| self.words.items(row.worker.role, shares.items));
        let what = Doing::ALL.into_iter().filter_map(percent).chain(items);
        let what = what.collect::<Vec<_>>().join(", ");
        let tip = format!("{}, {}: {what}", self.words.who(row.worker), self.words.span(from, to));
        let [left, right] = [from, to].map(|at| self.axis.x(at));
        Rectangle::new()
            .set("class", "cell")
            .set("x", round(left))
            .set("y", round(row.top))
            .set("width", round(right - left))
            .set("height", round(self.tall))
            .add(Title::new(tip))
    }

    /// How many parts of the time are drawn as one.
    pub(super) fn parts_in_a_column(&self) -> usize {
        (self.timeline.lanes.len() * MOST_BINS).div_ceil(MOST_COLUMNS).max(1)
    }

    /// When `several` parts of the time begin and end, from number `n` on.
    pub(super) fn ends(&self, n: usize, several: usize) -> [Nanos; 2] {
        let width = self.timeline.scale.width;
        [n, n + several].map(|n| width.saturating_mul(n as u64).min(self.axis.end))
    }

    /// All of them, or some.
    pub(super) fn shown_handovers(&self) -> impl Iterator<Item = &Handover> {
        let all = &self.timeline.handovers;
        let step = match self.timeline.scale.exact {
            true => 1,
            false => 1 + all.len() / MOST_ARROWS,
        };
        all.iter().step_by(step)
    }

    /// An arrow each.
    fn handovers(&self) -> Group {
        let class = match self.shown_handovers().count() > MANY_ARROWS {
            true => "handovers many",
            false => "handovers",
        };
        let mut all = Group::new().set("class", class);
        for handover in self.shown_handovers() {
            let Handover { id, attempt, from, to } = handover;
            let [Some(source), Some(target)] = [from, to].map(|end| self.row(end.worker)) else {
                continue;
            };
            // It leaves on the side where the other one is.
            let down = source.top <= target.top;
            let [from_y, to_y] = match down {
                true => [source.top + self.tall, target.top],
                false => [source.top, target.top + self.tall],
            };
            let line = arrow((self.axis.x(from.at), from_y), (self.axis.x(to.at), to_y));
            let ends = [(from, source), (to, target)]
                .map(|(end, row)| (self.words.who(row.worker), end.at));
            let ends = [(ends[0].0.as_str(), ends[0].1), (ends[1].0.as_str(), ends[1].1)];
            let tip = self.words.went(&self.item(*id), ends, *attempt);
            let reach = line.clone().set("class", "reach");
            let line = line.set("marker-end", "url(#head)");
            let arrow = Group::new().set("class", "arrow").set("data-id", *id);
            all = all.add(arrow.add(Title::new(tip)).add(reach).add(line));
        }
        all
    }

    fn row(&self, worker: Worker) -> Option<&Row<'_>> {
        self.lanes.iter().find(|row| row.worker == worker)
    }

    /// What an item is called.
    fn item(&self, id: u64) -> String {
        self.timeline.names.get(&id).cloned().unwrap_or_else(|| self.words.item(id))
    }
}
