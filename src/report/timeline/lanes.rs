//! The lanes of workers, and the arrows between lanes.

use std::collections::BTreeMap;

use svg::node::element::{Group, Path, Rectangle, Title};

use super::bins::{MAX_BINS, StateTimes, merge_all};
use super::chart::{Chart, LaneRow};
use super::lane::{ItemRange, LaneState, StateInterval};
use super::style::{css_class, death_mark, delivery_arrow, place_at, put_mark, state_bar};
use super::words::Labels;
use super::{DeliveryArrow, Timeline};
use crate::clock::Nanos;
use crate::report::picture::{
    line_element, rect_element, round_coordinate, text_element, text_width,
};
use crate::role::WorkerId;

/// An overview has at most this many deaths per lane.
const MAX_DEATHS: usize = 60;
/// An overview has this many parts. In each part the item that waited longest has an arrow.
const PARTS: u64 = 24;
/// More arrows or puts than this are thin, and upright arrows tell nothing.
const MANY_ARROWS: usize = 60;
/// An arrow is upright if its ends are closer than this, in pixels.
const UPRIGHT_WIDTH: f64 = 4.0;
/// The distance of an item's label from the ends of its bar, in pixels.
const LABEL_INSET: f64 = 4.0;
/// The same at an end with the mark of a death.
const DEATH_INSET: f64 = 11.0;
const DEATH_RADIUS: f64 = 9.0;
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
            let lane =
                Group::new().set("class", "lane").set("data-worker", &row.name[..]).add(rail);
            let bars = Group::new().set("class", "stretch");
            let bars = if self.timeline.resolution.is_exact {
                self.draw_intervals(row, bars)
            } else {
                self.draw_columns(row, bars)
            };
            all = all.add(lane.add(bars).add(label));
        }
        let mut marks = Group::new().set("class", "marks");
        for row in &self.lane_rows {
            marks = self.draw_marks(row, marks);
        }
        for row in &self.lane_rows {
            marks = self.draw_item_labels(row, marks);
        }
        all.add(self.draw_deliveries()).add(marks)
    }

    /// Draws the label of each item into its bar: the name, or its number alone, or nothing. A page chooses anew
    /// when a reader zooms.
    fn draw_item_labels(&self, row: &LaneRow<'_>, mut marks: Group) -> Group {
        let middle = row.top + self.lane_height / 2.0;
        for interval in &row.lane.intervals {
            let (LaneState::Working, Some(items)) = (interval.state, interval.items) else {
                continue;
            };
            let ends @ [from, to] = [interval.start, interval.end].map(|at| self.axis.x(at));
            // A label does not run into the mark of a death.
            let is_near_death = |x: f64| {
                let mut deaths = row.lane.deaths.iter();
                deaths.any(|&at| (self.axis.x(at) - x).abs() < DEATH_RADIUS)
            };
            let insets = ends.map(|x| if is_near_death(x) { DEATH_INSET } else { LABEL_INSET });
            let texts @ [name, number] = &self.items_label(items);
            let room = to - from - insets[0] - insets[1];
            let shown = texts.iter().find(|text| text_width(text) <= room);
            let label = |text: &str| text_element(text, insets[0], middle, "item", "start");
            if self.is_page {
                let text = label(shown.map_or("", String::as_str));
                let place = place_at(from, 0.0)
                    .set("class", "at")
                    .set("data-id", items.first)
                    .set("data-last", items.last)
                    .set("data-name", &name[..])
                    .set("data-number", &number[..])
                    .set("data-width", round_coordinate(to - from))
                    .set("data-worker", &row.name[..]);
                marks = marks.add(place.add(text));
            } else if let Some(shown) = shown {
                marks = marks.add(place_at(from, 0.0).add(label(shown)));
            }
        }
        marks
    }

    /// Draws every interval of a worker.
    fn draw_intervals(&self, row: &LaneRow<'_>, mut lane: Group) -> Group {
        for &StateInterval { state, start, end, items } in &row.lane.intervals {
            let ends = [start, end].map(|at| self.axis.x(at));
            let item =
                items.map_or_else(String::new, |items| format!(" {}", self.items_label(items)[0]));
            let state_name = self.labels.state_of(row.worker.role, state);
            let interval = self.labels.interval(start, end);
            let tip = format!("{}: {state_name}{item}, {interval}", row.name);
            let bar = state_bar(state, items, ends, row.top, self.lane_height);
            lane = lane.add(bar.add(Title::new(tip)));
        }
        lane
    }

    /// Draws the marks over a lane: puts and deaths.
    fn draw_marks(&self, row: &LaneRow<'_>, mut marks: Group) -> Group {
        let worker = &row.name;
        let is_thin = self.timeline.put_total > MANY_ARROWS as u64;
        for &(at, id) in &row.lane.puts {
            let tip = format!(
                "{worker}: {} {}, {}",
                self.labels.put_label(),
                self.item_label(id),
                self.labels.instant(at)
            );
            let mark = put_mark(self.lane_height, is_thin).add(Title::new(tip));
            let place = place_at(self.axis.x(at), row.top).set("class", "at");
            marks = marks.add(place.set("data-id", id).add(mark));
        }
        let deaths = row.lane.deaths.iter();
        for &at in deaths.step_by(1 + row.lane.deaths.len() / MAX_DEATHS) {
            let tip = format!(
                "{worker}: {}, {}",
                self.labels.state_name(LaneState::Dead),
                self.labels.instant(at)
            );
            let place = place_at(self.axis.x(at), row.top + self.lane_height / 2.0);
            let place = place.set("class", "at").add(death_mark().add(Title::new(tip)));
            marks =
                marks.add(if self.is_page { place.set("data-worker", &worker[..]) } else { place });
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

    /// The deliveries with an arrow. In an overview an arrow for one item of many would tell nothing by itself, so each
    /// part of the run shows the item that waited longest: one in its first attempt, one in a further attempt. A
    /// wait that is shorter than a column tells nothing.
    pub(super) fn shown_deliveries(&self) -> Vec<&DeliveryArrow> {
        let Timeline { deliveries, resolution, last_event_at: end, .. } = self.timeline;
        if resolution.is_exact {
            return deliveries.iter().collect();
        }
        let shortest = resolution.bin_width.saturating_mul(self.bins_per_column() as u64);
        let wait = |delivery: &DeliveryArrow| delivery.to.at - delivery.from.at;
        let mut longest: BTreeMap<(u64, bool), &DeliveryArrow> = BTreeMap::new();
        for delivery in deliveries.iter().filter(|delivery| wait(delivery) > shortest) {
            let part = (delivery.to.at / (end / PARTS).max(1)).min(PARTS - 1);
            let shown = longest.entry((part, delivery.attempt > 1)).or_insert(delivery);
            if wait(delivery) > wait(shown) {
                *shown = delivery;
            }
        }
        longest.into_values().collect()
    }

    fn draw_deliveries(&self) -> Group {
        let shown = self.shown_deliveries();
        let has_many = shown.len() > MANY_ARROWS;
        let class = if has_many { "handovers many" } else { "handovers" };
        let mut all = Group::new().set("class", class);
        for DeliveryArrow { id, attempt, from, to } in shown {
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
            let ends = [from, to].map(|end| self.axis.x(end.at));
            let is_upright = has_many && *attempt == 1 && ends[1] - ends[0] < UPRIGHT_WIDTH;
            if is_upright && !self.is_page {
                continue;
            }
            let line = line_element(ends, [from_y, to_y]);
            let ends = [(&source.name[..], from.at), (&target.name[..], to.at)];
            let tip = self.labels.delivery_tooltip(&self.item_label(*id), ends, *attempt);
            let [reach, line] = delivery_arrow(*id, *attempt, line);
            let class = if is_upright { "arrow upright" } else { "arrow" };
            let arrow = Group::new().set("class", class).set("data-id", *id);
            all = all.add(arrow.add(Title::new(tip)).add(reach).add(line));
        }
        all
    }

    fn find_row(&self, worker: WorkerId) -> Option<&LaneRow<'_>> {
        self.lane_rows.iter().find(|row| row.worker == worker)
    }

    /// The name of the items, and their numbers alone.
    fn items_label(&self, ItemRange { first, last }: ItemRange) -> [String; 2] {
        let name = self.item_label(first);
        let number = trailing_number(&name).to_owned();
        if first == last {
            return [name, number];
        }
        let last = self.item_label(last);
        match trailing_number(&last) {
            "" => [format!("{name}…{last}"), String::new()],
            last => [format!("{name}…{last}"), format!("{number}…{last}")],
        }
    }

    fn item_label(&self, id: u64) -> String {
        self.timeline.item_label(&self.labels, id)
    }
}

impl Timeline {
    pub(super) fn item_label(&self, labels: &Labels, id: u64) -> String {
        self.item_labels.get(&id).cloned().unwrap_or_else(|| labels.unnamed_item(id))
    }
}

/// The number at the end of a name. Empty if the name ends in no digit.
fn trailing_number(name: &str) -> &str {
    &name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]
}
