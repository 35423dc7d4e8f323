//! The layout of a picture.

use svg::Document;
use svg::node::element::Group;

use super::Timeline;
use super::axis::TimeAxis;
use super::lane::{Lane, LaneState};
use super::style::{
    CSS, LegendEntry, arrow_sample, death_sample, definitions, draw_legend, items_sample,
    line_sample, put_sample, state_sample,
};
use super::words::Labels;
use crate::catalogue::Lang;
use crate::report::picture::{
    FONT_SIZE, MARGIN, line_element, new_document, round_coordinate, text_element, text_width,
};
use crate::report::to_seconds;
use crate::report::worker_names::WorkerNames;
use crate::role::{Role, WorkerId};

/// The width of the picture, in pixels.
const WIDTH: f64 = 1200.0;
/// The gap between producers and consumers, which leaves room for arrows.
const ROLE_GAP: f64 = 40.0;
/// The height of all lanes together, as far as the range of the pitch allows.
const TOTAL_LANE_HEIGHT: f64 = 480.0;
const LANE_PITCH_RANGE: [f64; 2] = [20.0, 44.0];

/// A picture under construction.
pub(super) struct Chart<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) labels: Labels,
    pub(super) axis: TimeAxis,
    pub(super) lane_rows: Vec<LaneRow<'a>>,
    /// The distance from the top of a lane to the top of the next.
    lane_pitch: f64,
    /// The height of a lane without the gap below.
    pub(super) lane_height: f64,
    /// A page has its own header, and chooses the labels of items that fit.
    pub(super) is_page: bool,
}

/// The place of a lane.
pub(super) struct LaneRow<'a> {
    pub(super) worker: WorkerId,
    pub(super) name: String,
    pub(super) lane: &'a Lane,
    pub(super) top: f64,
}

impl Timeline {
    fn worker_counts(&self) -> [usize; 2] {
        let producers = self.lanes.keys().filter(|worker| worker.role == Role::Producer).count();
        [producers, self.lanes.len() - producers]
    }
}

impl<'a> Chart<'a> {
    /// A chart without rows.
    pub(super) fn new(timeline: &'a Timeline, lang: Lang, is_page: bool) -> Self {
        let Timeline { lanes, last_event_at: end, .. } = timeline;
        let is_numbered = timeline.worker_counts().map(|count| count > 1);
        let names = WorkerNames { lang, is_numbered };
        let labels = Labels { names, run_end: *end };
        let name_widths = lanes.keys().map(|&worker| text_width(&names.worker_name(worker)));
        let left = MARGIN + name_widths.fold(0.0, f64::max) + 12.0;
        let axis = TimeAxis { left, width: WIDTH - 2.0 * MARGIN - left, end: *end };
        let pitch = (TOTAL_LANE_HEIGHT / lanes.len().max(1) as f64)
            .clamp(LANE_PITCH_RANGE[0], LANE_PITCH_RANGE[1]);
        Self {
            timeline,
            labels,
            axis,
            lane_rows: Vec::new(),
            lane_pitch: pitch,
            lane_height: pitch * 0.55,
            is_page,
        }
    }

    pub(super) fn title(&self) -> String {
        self.labels.title(self.timeline.worker_counts(), self.timeline.put_total)
    }

    /// Draws the picture.
    pub(super) fn draw(&mut self) -> Document {
        let title = self.title();
        let (header, header_bottom) =
            if self.is_page { (Group::new(), 0.0) } else { self.draw_header(&title) };
        let bottom = self.place_lanes(header_bottom + 24.0);
        let (depth, bottom) = self.draw_depth(bottom + 12.0);
        let height = round_coordinate(bottom + 2.0 * FONT_SIZE + MARGIN);
        new_document(&title, WIDTH, height, CSS)
            .add(definitions())
            .add(header)
            .add(self.draw_grid(header_bottom + 14.0, bottom))
            .add(self.draw_lanes())
            .add(depth)
    }

    /// What a reader has to know of the picture.
    pub(super) fn notes(&self) -> Vec<String> {
        let Timeline { delivered_total, resolution, .. } = self.timeline;
        let overview = (!resolution.is_exact).then(|| {
            let column = resolution.bin_width.saturating_mul(self.bins_per_column() as u64);
            let shown = self.shown_deliveries().len();
            self.labels.overview_note(column, shown, *delivered_total)
        });
        let unpaced = (!self.timeline.is_paced()).then(|| self.labels.unpaced_note());
        unpaced.into_iter().chain(overview).collect()
    }

    /// The legend lists what occurs in the picture.
    pub(super) fn legend(&self) -> Vec<LegendEntry> {
        let Timeline { lanes, resolution, .. } = self.timeline;
        let has_time = |state: LaneState| {
            let mut bins = lanes.values().flat_map(|lane| lane.time_bins.as_slice());
            bins.any(|bin| bin.times[state as usize] > 0)
        };
        let intervals = || lanes.values().flat_map(|lane| &lane.intervals);
        let works = |with_item: bool| {
            intervals().any(|interval| {
                interval.state == LaneState::Working && interval.items.is_some() == with_item
            })
        };
        let has_arrow = |is_again: bool| {
            self.shown_deliveries().iter().any(|delivery| (delivery.attempt > 1) == is_again)
        };
        let is_plain =
            if resolution.is_exact { works(false) } else { has_time(LaneState::Working) };
        let labels = &self.labels;
        let state = |state| (labels.state_name(state), state_sample(state));
        let has_deaths = lanes.values().any(|lane| !lane.deaths.is_empty());
        [
            (works(true), (labels.items_label(), items_sample())),
            (is_plain, state(LaneState::Working)),
            (has_time(LaneState::Waiting), state(LaneState::Waiting)),
            (has_time(LaneState::Blocked), state(LaneState::Blocked)),
            (has_deaths, (labels.state_name(LaneState::Dead), death_sample())),
            (lanes.values().any(|lane| !lane.puts.is_empty()), (labels.put_label(), put_sample())),
            (has_arrow(false), (labels.delivery_label(), arrow_sample(1))),
            (has_arrow(true), (labels.redelivery_label(), arrow_sample(2))),
            (self.max_depth() > 0, (labels.depth_label(), line_sample("depth"))),
        ]
        .into_iter()
        .filter_map(|(occurs, (name, sample))| occurs.then_some(LegendEntry { name, sample }))
        .collect()
    }

    /// Draws the title, the note of an overview, and the legend. Returns the bottom too.
    fn draw_header(&self, title: &str) -> (Group, f64) {
        let mut header =
            Group::new().add(text_element(title, MARGIN, MARGIN + 8.0, "title", "start"));
        let mut top = MARGIN + 32.0;
        for note in self.notes() {
            header = header.add(text_element(&note, MARGIN, top, "note", "start"));
            top += 20.0;
        }
        let (legend, bottom) = draw_legend(self.legend(), [MARGIN, WIDTH - MARGIN], top);
        (header.add(legend), bottom)
    }

    /// Gives each lane its place. Returns the bottom.
    fn place_lanes(&mut self, mut top: f64) -> f64 {
        let mut last_role = None;
        for (&worker, lane) in &self.timeline.lanes {
            if last_role.is_some_and(|role| role != worker.role) {
                top += ROLE_GAP;
            }
            last_role = Some(worker.role);
            let name = self.labels.names.worker_name(worker);
            self.lane_rows.push(LaneRow { worker, name, lane, top });
            top += self.lane_pitch;
        }
        top
    }

    /// Draws the lines of the time axis, from the lanes down to the depth.
    fn draw_grid(&self, top: f64, bottom: f64) -> Group {
        let mut grid = Group::new().set("class", "axis");
        if self.is_page {
            // A page draws the ticks anew when a reader zooms.
            let span = format!("{} {}", round_coordinate(top), round_coordinate(bottom));
            grid = grid.set("data-end", to_seconds(self.axis.end)).set("data-span", span);
        }
        for (at, label) in self.axis.ticks() {
            let x = self.axis.x(at);
            let line = line_element([x, x], [top, bottom]).set("class", "grid");
            grid =
                grid.add(line).add(text_element(&label, x, bottom + FONT_SIZE, "tick", "middle"));
        }
        grid
    }
}
