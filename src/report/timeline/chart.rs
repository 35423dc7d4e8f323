//! The layout of a picture.

use svg::Document;
use svg::node::element::Group;

use super::Timeline;
use super::axis::TimeAxis;
use super::lane::Lane;
use super::style::{CSS, definitions, draw_legend};
use super::words::Labels;
use crate::catalogue::Lang;
use crate::clock::Nanos;
use crate::report::picture::{
    FONT_SIZE, MARGIN, line_element, new_document, round_coordinate, text_element, text_width,
};
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
}

/// The place of a lane.
pub(super) struct LaneRow<'a> {
    pub(super) worker: WorkerId,
    pub(super) name: String,
    pub(super) lane: &'a Lane,
    pub(super) top: f64,
}

impl Timeline {
    /// Draws the picture of a run that ended at `end`.
    pub(super) fn draw(&mut self, end: Nanos, lang: Lang) -> Document {
        self.finish(end);
        let mut chart = Chart::new(self, lang);
        let title = chart.labels.title(self.worker_counts(), self.put_total);
        let (header, header_bottom) = chart.draw_header(&title);
        let bottom = chart.place_lanes(header_bottom + 24.0);
        let (depth, bottom) = chart.draw_depth(bottom + 8.0);
        let height = round_coordinate(bottom + 2.0 * FONT_SIZE + MARGIN);
        new_document(&title, WIDTH, height, CSS)
            .add(definitions())
            .add(header)
            .add(chart.draw_grid(header_bottom + 14.0, bottom))
            .add(chart.draw_lanes())
            .add(depth)
    }

    fn worker_counts(&self) -> [usize; 2] {
        let producers = self.lanes.keys().filter(|worker| worker.role == Role::Producer).count();
        [producers, self.lanes.len() - producers]
    }
}

impl<'a> Chart<'a> {
    /// A chart without rows.
    fn new(timeline: &'a Timeline, lang: Lang) -> Self {
        let Timeline { lanes, capacity, last_event_at: end, .. } = timeline;
        let is_numbered = timeline.worker_counts().map(|count| count > 1);
        let names = WorkerNames { lang, is_numbered };
        let labels = Labels { names, is_exact: timeline.resolution.is_exact, run_end: *end };
        let name_widths = lanes.keys().map(|&worker| text_width(&names.worker_name(worker)));
        let name_width = name_widths.fold(text_width(&labels.depth_label()), f64::max);
        let left = MARGIN + name_width + 12.0;
        let capacity_width =
            capacity.map_or(40.0, |capacity| text_width(&labels.capacity_label(capacity)) + 8.0);
        let axis = TimeAxis { left, width: WIDTH - MARGIN - capacity_width - left, end: *end };
        let pitch = (TOTAL_LANE_HEIGHT / lanes.len().max(1) as f64)
            .clamp(LANE_PITCH_RANGE[0], LANE_PITCH_RANGE[1]);
        Self {
            timeline,
            labels,
            axis,
            lane_rows: Vec::new(),
            lane_pitch: pitch,
            lane_height: pitch * 0.55,
        }
    }

    /// Draws the title, the note of an overview, and the legend. Returns the bottom too.
    fn draw_header(&self, title: &str) -> (Group, f64) {
        let mut header =
            Group::new().add(text_element(title, MARGIN, MARGIN + 8.0, "title", "start"));
        let mut top = MARGIN + 32.0;
        if !self.timeline.resolution.is_exact {
            let Timeline { delivered_total, resolution, .. } = self.timeline;
            let column = resolution.bin_width.saturating_mul(self.bins_per_column() as u64);
            let shown = self.shown_deliveries().count();
            let note = self.labels.overview_note(column, shown, *delivered_total);
            header = header.add(text_element(&note, MARGIN, top, "note", "start"));
            top += 20.0;
        }
        let (legend, bottom) = draw_legend(&self.labels, [MARGIN, WIDTH - MARGIN], top);
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
        for (at, label) in self.axis.ticks() {
            let x = self.axis.x(at);
            let line = line_element([x, x], [top, bottom]).set("class", "grid");
            grid =
                grid.add(line).add(text_element(&label, x, bottom + FONT_SIZE, "tick", "middle"));
        }
        grid
    }
}
