//! The picture as a whole: what stands where.

use svg::Document;
use svg::node::element::{Group, Line};

use super::axis::TimeAxis;
use super::lane::Lane;
use super::style::{CSS, definitions, draw_legend};
use super::words::{Labels, RunSize};
use super::{Timeline, depth};
use crate::clock::Nanos;
use crate::report::Lang;
use crate::report::picture::{
    FONT_SIZE, MARGIN, new_document, round_coordinate, text_element, text_width,
};
use crate::role::{Role, WorkerId};

/// The width of the picture, in pixels.
const WIDTH: f64 = 1200.0;
/// Producers and consumers stand so far apart, so that arrows can be followed.
const ROLE_GAP: f64 = 40.0;
/// Lanes are as high as suits this height for all of them, within limits.
const TOTAL_LANE_HEIGHT: f64 = 480.0;
const LANE_PITCH_RANGE: [f64; 2] = [20.0, 44.0];

/// A picture in the making.
pub(super) struct Chart<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) labels: Labels,
    pub(super) axis: TimeAxis,
    pub(super) lane_rows: Vec<LaneRow<'a>>,
    /// From the top of a lane to that of the next.
    lane_pitch: f64,
    /// The height of a lane without what is between it and the next.
    pub(super) lane_height: f64,
}

/// Where a lane is.
pub(super) struct LaneRow<'a> {
    pub(super) worker: WorkerId,
    pub(super) lane: &'a Lane,
    pub(super) top: f64,
}

impl Timeline {
    /// Draws what has been recorded, of a run that ended at `end`.
    pub(super) fn draw(&mut self, end: Nanos, lang: Lang) -> Document {
        self.finish(end);
        let mut chart = Chart::new(self, lang);
        let title =
            chart.labels.title(RunSize { workers: self.worker_counts(), items: self.put_total });
        let (head, below) = chart.draw_header(&title);
        let bottom = chart.place_lanes(below + 24.0);
        let (level, bottom) = depth::draw(&chart, bottom + 8.0);
        let height = round_coordinate(bottom + 2.0 * FONT_SIZE + MARGIN);
        new_document(&title, WIDTH, height, CSS)
            .add(definitions())
            .add(head)
            .add(chart.draw_grid(below + 14.0, bottom))
            .add(chart.draw_lanes())
            .add(level)
    }

    fn worker_counts(&self) -> [usize; 2] {
        let producers = self.lanes.keys().filter(|worker| worker.role == Role::Producer).count();
        [producers, self.lanes.len() - producers]
    }
}

impl<'a> Chart<'a> {
    /// Nothing is in its place yet.
    fn new(timeline: &'a Timeline, lang: Lang) -> Self {
        let Timeline { lanes, resolution: scale, capacity, last_event_at: end, .. } = timeline;
        let several = timeline.worker_counts().map(|count| count > 1);
        let words = Labels { lang, is_numbered: several, is_exact: scale.is_exact, run_end: *end };
        let names = lanes.keys().map(|&worker| text_width(&words.worker_name(worker)));
        let name = names.fold(text_width(words.depth_label()), f64::max);
        let left = MARGIN + name + 12.0;
        let behind = capacity.map_or(40.0, |most| text_width(&words.capacity_label(most)) + 8.0);
        let axis = TimeAxis { left, width: WIDTH - MARGIN - behind - left, end: *end };
        let pitch = (TOTAL_LANE_HEIGHT / lanes.len().max(1) as f64)
            .clamp(LANE_PITCH_RANGE[0], LANE_PITCH_RANGE[1]);
        Self {
            timeline,
            labels: words,
            axis,
            lane_rows: Vec::new(),
            lane_pitch: pitch,
            lane_height: pitch * 0.55,
        }
    }

    /// The title, what is left out, and what the signs mean; tells too where it ends.
    fn draw_header(&self, title: &str) -> (Group, f64) {
        let mut head =
            Group::new().add(text_element(title, MARGIN, MARGIN + 8.0, "title", "start"));
        let mut top = MARGIN + 32.0;
        if !self.timeline.resolution.is_exact {
            let Timeline { delivered_total: handed, resolution: scale, .. } = self.timeline;
            let column = scale.bin_width.saturating_mul(self.bins_per_column() as u64);
            let shown = self.shown_deliveries().count();
            let note = self.labels.overview_note(column, shown, *handed);
            head = head.add(text_element(&note, MARGIN, top, "note", "start"));
            top += 20.0;
        }
        let (legend, bottom) = draw_legend(&self.labels, [MARGIN, WIDTH - MARGIN], top);
        (head.add(legend), bottom)
    }

    /// Tells where they end.
    fn place_lanes(&mut self, top: f64) -> f64 {
        let mut top = top;
        let mut before = None;
        for (&worker, lane) in &self.timeline.lanes {
            if before.is_some_and(|role| role != worker.role) {
                top += ROLE_GAP;
            }
            before = Some(worker.role);
            self.lane_rows.push(LaneRow { worker, lane, top });
            top += self.lane_pitch;
        }
        top
    }

    /// Moments, from the lanes down to the depth.
    fn draw_grid(&self, top: f64, bottom: f64) -> Group {
        let mut grid = Group::new().set("class", "axis");
        for (at, label) in self.axis.ticks() {
            let x = round_coordinate(self.axis.x(at));
            let line = Line::new().set("class", "grid");
            let line = line
                .set("x1", x)
                .set("x2", x)
                .set("y1", round_coordinate(top))
                .set("y2", round_coordinate(bottom));
            grid =
                grid.add(line).add(text_element(&label, x, bottom + FONT_SIZE, "tick", "middle"));
        }
        grid
    }
}
