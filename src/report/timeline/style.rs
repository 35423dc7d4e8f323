//! The shapes of a picture. The colors are those of Okabe and Ito, which color-blind people can tell apart,
//! and each shape differs from the others by its height or pattern too.

use svg::node::element::{Definitions, Group, Marker, Path, Pattern, Rectangle};

use super::lane::LaneState;
use super::words::Labels;
use crate::report::picture::{
    LegendLayout, line_element, rect_element, round_coordinate, text_element,
};

/// The colors for light and dark backgrounds.
pub(super) const CSS: &str = include_str!("style.css");
/// The size of a sample in the legend.
const SAMPLE_SIZE: (f64, f64) = (22.0, 14.0);

pub(super) fn css_class(state: LaneState) -> &'static str {
    match state {
        LaneState::Working => "working",
        LaneState::Waiting => "waiting",
        LaneState::Blocked => "blocked",
        LaneState::Dead => "dead",
    }
}

/// The fraction of a lane's height that a state fills.
fn height_fraction(state: LaneState) -> f64 {
    match state {
        LaneState::Working | LaneState::Dead => 1.0,
        LaneState::Blocked => 0.6,
        LaneState::Waiting => 0.2,
    }
}

/// The patterns, and the head of an arrow.
pub(super) fn definitions() -> Definitions {
    let pattern = |id: &str, strokes: &str| {
        let background = Rectangle::new().set("width", 6).set("height", 6).set("class", "ground");
        let strokes = Path::new().set("d", strokes).set("class", "strokes");
        Pattern::new()
            .set("id", id)
            .set("class", id)
            .set("width", 6)
            .set("height", 6)
            .set("patternUnits", "userSpaceOnUse")
            .add(background)
            .add(strokes)
    };
    let head = Marker::new()
        .set("id", "head")
        .set("viewBox", "0 0 8 8")
        .set("refX", 7)
        .set("refY", 4)
        .set("markerWidth", 7)
        .set("markerHeight", 7)
        .set("markerUnits", "userSpaceOnUse")
        .set("orient", "auto")
        .add(Path::new().set("d", "M0 1L8 4L0 7Z").set("class", "head"));
    Definitions::new()
        .add(pattern("blocked-pattern", "M-1 5L5 -1M1 7L7 1"))
        .add(pattern("dead-pattern", "M0 0L6 6M6 0L0 6"))
        .add(head)
}

/// The bar of a state, in a lane of this height.
pub(super) fn state_bar(
    state: LaneState,
    [left, right]: [f64; 2],
    top: f64,
    height: f64,
) -> Rectangle {
    let bar_height = height * height_fraction(state);
    let corner = [left, top + (height - bar_height) / 2.0];
    rect_element(css_class(state), corner, [(right - left).max(0.5), bar_height])
}

/// The mark of a put.
pub(super) fn put_mark(x: f64, top: f64, height: f64) -> Rectangle {
    rect_element("putting", [x - 1.5, top - 3.0], [3.0, height + 6.0])
}

/// The mark of a death.
pub(super) fn death_mark(x: f64, top: f64, height: f64) -> Path {
    let (y, arm) = (top + height / 2.0, 6.0);
    let [left, right, up, down] = [x - arm, x + arm, y - arm, y + arm].map(round_coordinate);
    Path::new()
        .set("class", "death")
        .set("d", format!("M{left} {up}L{right} {down}M{right} {up}L{left} {down}"))
}

/// Draws the legend between `left` and `right`. Returns the bottom too.
pub(super) fn draw_legend(labels: &Labels, [left, right]: [f64; 2], top: f64) -> (Group, f64) {
    let (width, height) = SAMPLE_SIZE;
    let mut entries = Vec::new();
    if labels.is_exact {
        entries.push((labels.put_label(), Group::new().add(put_mark(width / 2.0, 0.0, height))));
    }
    for state in LaneState::ALL {
        let sample = Group::new().add(state_bar(state, [0.0, width], 0.0, height));
        let sample = if state == LaneState::Dead {
            sample.add(death_mark(width / 2.0, 0.0, height))
        } else {
            sample
        };
        entries.push((labels.state_name(state), sample));
    }
    let line = line_element([0.0, width], [0.0, height]).set("marker-end", "url(#head)");
    entries.push((labels.delivery_label(), Group::new().set("class", "sample").add(line)));
    let mut legend = Group::new().set("class", "legend");
    let mut layout = LegendLayout::new([left, right], top, height + 10.0);
    for (name, sample) in entries {
        let [x, y] = layout.place(width + 6.0, &name);
        let place = format!("translate({} {})", round_coordinate(x), round_coordinate(y));
        let name = text_element(&name, x + width + 6.0, y + height / 2.0, "label", "start");
        legend = legend.add(sample.set("transform", place)).add(name);
    }
    (legend, layout.row() + height)
}
