//! The lanes of workers, and the arrows between lanes.

use svg::node::element::{Group, Path, Rectangle, Title};

use super::DeliveryArrow;
use super::bins::{MAX_BINS, StateTimes, merge_all};
use super::chart::{Chart, LaneRow};
use super::lane::{LaneState, StateInterval};
use super::style::{css_class, death_mark, put_mark, state_bar};
use crate::clock::Nanos;
use crate::report::picture::{
    line_element, rect_element, round_coordinate, text_element, text_width,
};
use crate::role::WorkerId;

/// The largest number of arrows in an overview.
const MAX_ARROWS: usize = 60;
/// More arrows than this are translucent.
const MAX_OPAQUE_ARROWS: usize = 50;
/// The largest number of columns in all lanes together, which bounds the size of a picture.
const MAX_COLUMNS: usize = 4000;

impl Chart<'_> {
    pub(super) fn draw_lanes(&self) -> Group {
        let mut all = Group::new().set("class", "lanes");
        for row in &self.lane_rows {
            let middle = row.top + self.lane_height / 2.0;
            let label = text_element(&row.name, self.axis.left - 10.0, middle, "label", "end");
            let ends = [self.axis.left, self.axis.left + self.axis.width];
            let rail = line_element(ends, [middle, middle]).set("class", "rail");
            let lane = Group::new()
                .set("class", "lane")
                .set("data-worker", &row.name[..])
                .add(rail)
                .add(label);
            all = all.add(if self.timeline.resolution.is_exact {
                self.draw_intervals(row, lane)
            } else {
                self.draw_columns(row, lane)
            });
        }
        let mut marks = Group::new().set("class", "marks");
        for row in &self.lane_rows {
            marks = self.draw_marks(row, marks);
        }
        all.add(self.draw_deliveries()).add(marks)
    }

    /// Draws every interval of a worker.
    fn draw_intervals(&self, row: &LaneRow<'_>, mut lane: Group) -> Group {
        for &StateInterval { state, start, end, item_id } in &row.lane.intervals {
            let ends = [start, end].map(|at| self.axis.x(at));
            let item = item_id.map_or_else(String::new, |id| format!(" {}", self.item_label(id)));
            let state_name = self.labels.state_of(row.worker.role, state);
            let interval = self.labels.interval(start, end);
            let tip = format!("{}: {state_name}{item}, {interval}", row.name);
            lane = lane.add(state_bar(state, ends, row.top, self.lane_height).add(Title::new(tip)));
        }
        lane
    }

    /// Draws the labels and marks over a lane: items, puts and deaths.
    fn draw_marks(&self, row: &LaneRow<'_>, mut marks: Group) -> Group {
        for interval in &row.lane.intervals {
            let [from, to] = [interval.start, interval.end].map(|at| self.axis.x(at));
            if let (LaneState::Working, Some(id)) = (interval.state, interval.item_id) {
                let name = self.item_label(id);
                let room = to - from - 8.0;
                if text_width(&name) <= room {
                    let middle = row.top + self.lane_height / 2.0;
                    marks = marks.add(text_element(&name, from + 5.0, middle, "item", "start"));
                }
            }
        }
        let worker = &row.name;
        for &(at, id) in &row.lane.puts {
            let tip = format!(
                "{worker}: {} {}, {}",
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
                "{worker}: {}, {}",
                self.labels.state_name(LaneState::Dead),
                self.labels.instant(at)
            );
            let mark = death_mark(self.axis.x(at), row.top, self.lane_height);
            marks = marks.add(mark.add(Title::new(tip)));
        }
        marks
    }

    /// Draws the states of a worker as columns. The height of a state is its share of the column's time.
    fn draw_columns(&self, row: &LaneRow<'_>, mut lane: Group) -> Group {
        let per_column = self.bins_per_column();
        let columns = row.lane.time_bins.as_slice().chunks(per_column).enumerate();
        let columns: Vec<_> = columns
            .map(|(n, bins)| (self.column_span(n * per_column, per_column), merge_all(bins)))
            .collect();
        for state in LaneState::ALL {
            let mut path = String::new();
            for (ends @ [from, to], column) in &columns {
                let share = |state: LaneState| {
                    column.times[state as usize] as f64 / to.saturating_sub(*from).max(1) as f64
                };
                if share(state) > 0.0 {
                    let below: f64 =
                        LaneState::ALL[..state as usize].iter().map(|&state| share(state)).sum();
                    let [left, right] = ends.map(|at| self.axis.x(at));
                    let bottom = round_coordinate(row.top + self.lane_height * (1.0 - below));
                    let height = round_coordinate(self.lane_height * share(state));
                    let width = round_coordinate(right - left);
                    let left = round_coordinate(left);
                    path += &format!("M{left} {bottom}v-{height}h{width}v{height}z");
                }
            }
            if !path.is_empty() {
                lane = lane.add(Path::new().set("class", css_class(state)).set("d", path));
            }
        }
        columns
            .iter()
            .map(|(ends, column)| self.hover_cell(row, *ends, column))
            .fold(lane, Group::add)
    }

    /// An invisible rectangle with the tooltip of a column.
    fn hover_cell(
        &self,
        row: &LaneRow<'_>,
        [from, to]: [Nanos; 2],
        column: &StateTimes,
    ) -> Rectangle {
        let total: Nanos = column.times.iter().sum();
        let percent = |state: LaneState| {
            let time = column.times[state as usize];
            let share = 100.0 * time as f64 / total.max(1) as f64;
            (time > 0)
                .then(|| format!("{} {share:.0} %", self.labels.state_of(row.worker.role, state)))
        };
        let items =
            (column.items > 0).then(|| self.labels.item_count(row.worker.role, column.items));
        let parts: Vec<_> = LaneState::ALL.into_iter().filter_map(percent).chain(items).collect();
        let interval = self.labels.interval(from, to);
        let tip = format!("{}, {interval}: {}", row.name, parts.join(", "));
        let [left, right] = [from, to].map(|at| self.axis.x(at));
        rect_element("cell", [left, row.top], [right - left, self.lane_height]).add(Title::new(tip))
    }

    /// The number of bins in a column.
    pub(super) fn bins_per_column(&self) -> usize {
        (self.timeline.lanes.len() * MAX_BINS).div_ceil(MAX_COLUMNS).max(1)
    }

    /// The start and the end of `count` bins, from bin `n` on.
    pub(super) fn column_span(&self, n: usize, count: usize) -> [Nanos; 2] {
        let width = self.timeline.resolution.bin_width;
        [n, n + count].map(|n| width.saturating_mul(n as u64).min(self.axis.end))
    }

    /// All deliveries, or some of them in an overview.
    pub(super) fn shown_deliveries(&self) -> impl Iterator<Item = &DeliveryArrow> {
        let all = &self.timeline.deliveries;
        let is_exact = self.timeline.resolution.is_exact;
        all.iter().step_by(if is_exact { 1 } else { 1 + all.len() / MAX_ARROWS })
    }

    fn draw_deliveries(&self) -> Group {
        let has_many = self.shown_deliveries().count() > MAX_OPAQUE_ARROWS;
        let class = if has_many { "handovers many" } else { "handovers" };
        let mut all = Group::new().set("class", class);
        for DeliveryArrow { id, attempt, from, to } in self.shown_deliveries() {
            let [Some(source), Some(target)] = [from, to].map(|end| self.find_row(end.worker))
            else {
                continue;
            };
            // An arrow connects the sides of the two lanes that face each other.
            let [from_y, to_y] = if source.top <= target.top {
                [source.top + self.lane_height, target.top]
            } else {
                [source.top, target.top + self.lane_height]
            };
            let line = line_element([from, to].map(|end| self.axis.x(end.at)), [from_y, to_y]);
            let ends = [(&source.name[..], from.at), (&target.name[..], to.at)];
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

    fn item_label(&self, id: u64) -> String {
        self.timeline.item_labels.get(&id).cloned().unwrap_or_else(|| self.labels.unnamed_item(id))
    }
}
