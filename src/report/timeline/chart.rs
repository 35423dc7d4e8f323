//! The picture as a whole: what stands where.

use svg::Document;
use svg::node::element::{Group, Line};

use super::axis::Axis;
use super::lane::Lane;
use super::style::{CSS, definitions, legend};
use super::words::{Size, Words};
use super::{Timeline, depth};
use crate::clock::Nanos;
use crate::report::Lang;
use crate::report::picture::{LETTERS, MARGIN, paper, round, text, text_width};
use crate::role::{Role, Worker};

/// The width of the picture, in pixels.
const WIDTH: f64 = 1200.0;
/// Producers and consumers stand so far apart, so that arrows can be followed.
const BETWEEN: f64 = 40.0;
/// Lanes are as high as suits this height for all of them, within limits.
const LANES: f64 = 480.0;
const PITCH: [f64; 2] = [20.0, 44.0];

/// A picture in the making.
pub(super) struct Chart<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) words: Words,
    pub(super) axis: Axis,
    pub(super) lanes: Vec<Row<'a>>,
    /// From the top of a lane to that of the next.
    pitch: f64,
    /// The height of a lane without what is between it and the next.
    pub(super) tall: f64,
}

/// Where a lane is.
pub(super) struct Row<'a> {
    pub(super) worker: Worker,
    pub(super) lane: &'a Lane,
    pub(super) top: f64,
}

impl Timeline {
    /// Draws what has been recorded, of a run that ended at `end`.
    pub(super) fn draw(&mut self, end: Nanos, lang: Lang) -> Document {
        self.finish(end);
        let mut chart = Chart::of(self, lang);
        let title = chart.words.title(Size { workers: self.workers(), items: self.items });
        let (head, below) = chart.head(&title);
        let bottom = chart.place_lanes(below + 24.0);
        let (level, bottom) = depth::draw(&chart, bottom + 8.0);
        let height = round(bottom + 2.0 * LETTERS + MARGIN);
        paper(&title, WIDTH, height, CSS)
            .add(definitions())
            .add(head)
            .add(chart.grid(below + 14.0, bottom))
            .add(chart.draw_lanes())
            .add(level)
    }

    fn workers(&self) -> [usize; 2] {
        let producers = self.lanes.keys().filter(|worker| worker.role == Role::Producer).count();
        [producers, self.lanes.len() - producers]
    }
}

impl<'a> Chart<'a> {
    /// Nothing is in its place yet.
    fn of(timeline: &'a Timeline, lang: Lang) -> Self {
        let Timeline { lanes, scale, capacity, now: end, .. } = timeline;
        let several = timeline.workers().map(|count| count > 1);
        let words = Words { lang, several, exact: scale.exact, end: *end };
        let names = lanes.keys().map(|&worker| text_width(&words.who(worker)));
        let name = names.fold(text_width(words.depth()), f64::max);
        let left = MARGIN + name + 12.0;
        let behind = capacity.map_or(40.0, |most| text_width(&words.capacity(most)) + 8.0);
        let axis = Axis { left, width: WIDTH - MARGIN - behind - left, end: *end };
        let pitch = (LANES / lanes.len().max(1) as f64).clamp(PITCH[0], PITCH[1]);
        Self { timeline, words, axis, lanes: Vec::new(), pitch, tall: pitch * 0.55 }
    }

    /// The title, what is left out, and what the signs mean; tells too where it ends.
    fn head(&self, title: &str) -> (Group, f64) {
        let mut head = Group::new().add(text(title, MARGIN, MARGIN + 8.0, "title", "start"));
        let mut top = MARGIN + 32.0;
        if !self.timeline.scale.exact {
            let Timeline { handed, scale, .. } = self.timeline;
            let column = scale.width.saturating_mul(self.parts_in_a_column() as u64);
            let shown = self.shown_handovers().count();
            let note = self.words.overview(column, shown, *handed);
            head = head.add(text(&note, MARGIN, top, "note", "start"));
            top += 20.0;
        }
        let (legend, bottom) = legend(&self.words, [MARGIN, WIDTH - MARGIN], top);
        (head.add(legend), bottom)
    }

    /// Tells where they end.
    fn place_lanes(&mut self, top: f64) -> f64 {
        let mut top = top;
        let mut before = None;
        for (&worker, lane) in &self.timeline.lanes {
            if before.is_some_and(|role| role != worker.role) {
                top += BETWEEN;
            }
            before = Some(worker.role);
            self.lanes.push(Row { worker, lane, top });
            top += self.pitch;
        }
        top
    }

    /// Moments, from the lanes down to the depth.
    fn grid(&self, top: f64, bottom: f64) -> Group {
        let mut grid = Group::new().set("class", "axis");
        for (at, label) in self.axis.ticks() {
            let x = round(self.axis.x(at));
            let line = Line::new().set("class", "grid");
            let line =
                line.set("x1", x).set("x2", x).set("y1", round(top)).set("y2", round(bottom));
            grid = grid.add(line).add(text(&label, x, bottom + LETTERS, "tick", "middle"));
        }
        grid
    }
}
