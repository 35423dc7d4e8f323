//! Lanes, and the arrows between them.

use svg::node::element::{Group, Line, Path, Rectangle, Title};

use super::DeliveryArrow;
use super::bins::{MAX_BINS, StateTimes, merge_all};
use super::chart::{Chart, LaneRow};
use super::lane::{LaneState, StateInterval};
use super::style::{arrow_line, css_class, death_mark, put_mark, state_bar};
use crate::clock::Nanos;
use crate::report::picture::{round_coordinate, text_element, text_width};
use crate::role::WorkerId;

/// So many arrows at most, when not all of them are shown.
const MAX_ARROWS: usize = 60;
/// Beyond this they are drawn so that one sees through them.
const MAX_OPAQUE_ARROWS: usize = 50;
/// So many columns at most in all lanes together, so that a picture of many workers stays small.
const MAX_COLUMNS: usize = 4000;

impl Chart<'_> {
    pub(super) fn draw_lanes(&self) -> Group {
        let mut all = Group::new().set("class", "lanes");
        for row in &self.lane_rows {
            let name = self.labels.worker_name(row.worker);
            let middle = row.top + self.lane_height / 2.0;
            let label = text_element(&name, self.axis.left - 10.0, middle, "label", "end");
            let [left, right] =
                [self.axis.left, self.axis.left + self.axis.width].map(round_coordinate);
            let rail = Line::new().set("class", "rail").set("x1", left).set("x2", right);
            let rail = rail.set("y1", round_coordinate(middle)).set("y2", round_coordinate(middle));
            let lane =
                Group::new().set("class", "lane").set("data-worker", name).add(rail).add(label);
            all = all.add(match self.timeline.resolution.is_exact {
                true => self.draw_intervals(row, lane),
                false => self.draw_columns(row, lane),
            });
        }
        let mut marks = Group::new().set("class", "marks");
        for row in &self.lane_rows {
            marks = self.draw_marks(row, marks);
        }
        all.add(self.draw_deliveries()).add(marks)
    }

    /// Everything that a worker was about, one after another.
    fn draw_intervals(&self, row: &LaneRow<'_>, mut lane: Group) -> Group {
        for stretch in &row.lane.intervals {
            let StateInterval { state: doing, start: from, end: to, item_id: item } = stretch;
            let ends = [self.axis.x(*from), self.axis.x(*to)];
            let mut tip = format!(
                "{}: {}",
                self.labels.worker_name(row.worker),
                self.labels.state_name(*doing)
            );
            if let Some(id) = item {
                tip = format!("{tip} {}", self.item_label(*id));
            }
            let tip = format!("{tip}, {}", self.labels.interval(*from, *to));
            lane =
                lane.add(state_bar(*doing, ends, row.top, self.lane_height).add(Title::new(tip)));
        }
        lane
    }

    /// What is written or marked on top of a lane.
    fn draw_marks(&self, row: &LaneRow<'_>, mut marks: Group) -> Group {
        for stretch in &row.lane.intervals {
            let [from, to] = [stretch.start, stretch.end].map(|at| self.axis.x(at));
            if let (LaneState::Working, Some(id)) = (stretch.state, stretch.item_id) {
                let name = self.item_label(id);
                let room = to - from - 8.0;
                if text_width(&name) <= room {
                    let middle = row.top + self.lane_height / 2.0;
                    marks = marks.add(text_element(&name, from + 5.0, middle, "item", "start"));
                }
            }
        }
        let who = self.labels.worker_name(row.worker);
        for &(at, id) in &row.lane.puts {
            let tip = format!(
                "{who}: {} {}, {}",
                self.labels.put_label(),
                self.item_label(id),
                self.labels.instant(at)
            );
            let mark = put_mark(self.axis.x(at), row.top, self.lane_height);
            marks = marks.add(mark.add(Title::new(tip)));
        }
        let deaths = row.lane.deaths.iter();
        for &at in deaths.step_by(1 + row.lane.deaths.len() / MAX_ARROWS) {
            let tip = format!(
                "{who}: {}, {}",
                self.labels.state_name(LaneState::Dead),
                self.labels.instant(at)
            );
            let mark = death_mark(self.axis.x(at), row.top, self.lane_height);
            marks = marks.add(mark.add(Title::new(tip)));
        }
        marks
    }

    /// What a worker was about in each part of the time, as columns that are as high as their shares.
    fn draw_columns(&self, row: &LaneRow<'_>, mut lane: Group) -> Group {
        let several = self.bins_per_column();
        let all = row.lane.time_bins.as_slice().chunks(several).enumerate();
        let all: Vec<_> = all
            .map(|(n, parts)| (self.column_span(n * several, several), merge_all(parts)))
            .collect();
        for doing in LaneState::ALL {
            let mut path = String::new();
            for (ends @ [from, to], shares) in &all {
                let share = |doing: LaneState| {
                    shares.times[doing as usize] as f64 / to.saturating_sub(*from).max(1) as f64
                };
                if share(doing) > 0.0 {
                    let below: f64 =
                        LaneState::ALL[..doing as usize].iter().map(|&d| share(d)).sum();
                    let [left, right] = ends.map(|at| self.axis.x(at));
                    let bottom = round_coordinate(row.top + self.lane_height * (1.0 - below));
                    let tall = round_coordinate(self.lane_height * share(doing));
                    let wide = round_coordinate(right - left);
                    path += &format!("M{} {bottom}v-{tall}h{wide}v{tall}z", round_coordinate(left));
                }
            }
            if !path.is_empty() {
                lane = lane.add(Path::new().set("class", css_class(doing)).set("d", path));
            }
        }
        all.iter().map(|(ends, shares)| self.hover_cell(row, *ends, shares)).fold(lane, Group::add)
    }

    /// Where the pointer finds what was there.
    fn hover_cell(
        &self,
        row: &LaneRow<'_>,
        [from, to]: [Nanos; 2],
        shares: &StateTimes,
    ) -> Rectangle {
        let whole: Nanos = shares.times.iter().sum();
        let percent = |doing: LaneState| {
            let time = shares.times[doing as usize];
            let share = 100.0 * time as f64 / whole.max(1) as f64;
            (time > 0).then(|| format!("{} {share:.0} %", self.labels.state_name(doing)))
        };
        let items =
            (shares.items > 0).then(|| self.labels.item_count(row.worker.role, shares.items));
        let what = LaneState::ALL.into_iter().filter_map(percent).chain(items);
        let what = what.collect::<Vec<_>>().join(", ");
        let tip = format!(
            "{}, {}: {what}",
            self.labels.worker_name(row.worker),
            self.labels.interval(from, to)
        );
        let [left, right] = [from, to].map(|at| self.axis.x(at));
        Rectangle::new()
            .set("class", "cell")
            .set("x", round_coordinate(left))
            .set("y", round_coordinate(row.top))
            .set("width", round_coordinate(right - left))
            .set("height", round_coordinate(self.lane_height))
            .add(Title::new(tip))
    }

    /// How many parts of the time are drawn as one.
    pub(super) fn bins_per_column(&self) -> usize {
        (self.timeline.lanes.len() * MAX_BINS).div_ceil(MAX_COLUMNS).max(1)
    }

    /// When `several` parts of the time begin and end, from number `n` on.
    pub(super) fn column_span(&self, n: usize, several: usize) -> [Nanos; 2] {
        let width = self.timeline.resolution.bin_width;
        [n, n + several].map(|n| width.saturating_mul(n as u64).min(self.axis.end))
    }

    /// All of them, or some.
    pub(super) fn shown_deliveries(&self) -> impl Iterator<Item = &DeliveryArrow> {
        let all = &self.timeline.deliveries;
        let step = match self.timeline.resolution.is_exact {
            true => 1,
            false => 1 + all.len() / MAX_ARROWS,
        };
        all.iter().step_by(step)
    }

    /// An arrow each.
    fn draw_deliveries(&self) -> Group {
        let class = match self.shown_deliveries().count() > MAX_OPAQUE_ARROWS {
            true => "handovers many",
            false => "handovers",
        };
        let mut all = Group::new().set("class", class);
        for handover in self.shown_deliveries() {
            let DeliveryArrow { id, attempt, from, to } = handover;
            let [Some(source), Some(target)] = [from, to].map(|end| self.find_row(end.worker))
            else {
                continue;
            };
            // It leaves on the side where the other one is.
            let down = source.top <= target.top;
            let [from_y, to_y] = match down {
                true => [source.top + self.lane_height, target.top],
                false => [source.top, target.top + self.lane_height],
            };
            let line = arrow_line((self.axis.x(from.at), from_y), (self.axis.x(to.at), to_y));
            let ends = [(from, source), (to, target)]
                .map(|(end, row)| (self.labels.worker_name(row.worker), end.at));
            let ends = [(ends[0].0.as_str(), ends[0].1), (ends[1].0.as_str(), ends[1].1)];
            let tip = self.labels.delivery_tooltip(&self.item_label(*id), ends, *attempt);
            let reach = line.clone().set("class", "reach");
            let line = line.set("marker-end", "url(#head)");
            let arrow = Group::new().set("class", "arrow").set("data-id", *id);
            all = all.add(arrow.add(Title::new(tip)).add(reach).add(line));
        }
        all
    }

    fn find_row(&self, worker: WorkerId) -> Option<&LaneRow<'_>> {
        self.lane_rows.iter().find(|row| row.worker == worker)
    }

    /// What an item is called.
    fn item_label(&self, id: u64) -> String {
        self.timeline.item_labels.get(&id).cloned().unwrap_or_else(|| self.labels.unnamed_item(id))
    }
}
