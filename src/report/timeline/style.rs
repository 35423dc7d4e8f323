//! What things look like. The colours are those of Okabe and Ito, which people who are colour-blind can
//! tell apart; and each thing differs from the others by its height or pattern too.

use svg::node::element::{Definitions, Group, Line, Marker, Path, Pattern, Rectangle};

use super::lane::Doing;
use super::words::Words;
use crate::report::picture::{round, text, text_width};

/// Colours for light and dark.
pub(super) const CSS: &str = include_str!("style.css");
/// The size of a sample in the legend.
const SAMPLE: (f64, f64) = (22.0, 14.0);
/// Room between two entries of the legend.
const APART: f64 = 22.0;

/// The name of its class.
pub(super) fn class(doing: Doing) -> &'static str {
    match doing {
        Doing::Working => "working",
        Doing::Waiting => "waiting",
        Doing::Blocked => "blocked",
        Doing::Dead => "dead",
    }
}

/// Which part of a lane's height it takes up.
pub(super) fn part(doing: Doing) -> f64 {
    match doing {
        Doing::Working | Doing::Dead => 1.0,
        Doing::Blocked => 0.6,
        Doing::Waiting => 0.2,
    }
}

/// Patterns, and the head of an arrow.
pub(super) fn definitions() -> Definitions {
    let pattern = |id: &str, strokes: &str| {
        let ground = Rectangle::new().set("width", 6).set("height", 6).set("class", "ground");
        let strokes = Path::new().set("d", strokes).set("class", "strokes");
        Pattern::new()
            .set("id", id)
            .set("class", id)
            .set("width", 6)
            .set("height", 6)
            .set("patternUnits", "userSpaceOnUse")
            .add(ground)
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

/// A rectangle of what a worker is about, in a lane of this height.
pub(super) fn bar(doing: Doing, [left, right]: [f64; 2], top: f64, height: f64) -> Rectangle {
    let tall = height * part(doing);
    Rectangle::new()
        .set("class", class(doing))
        .set("x", round(left))
        .set("y", round(top + (height - tall) / 2.0))
        .set("width", round((right - left).max(0.5)))
        .set("height", round(tall))
}

/// Something was put here.
pub(super) fn put(x: f64, top: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("class", "putting")
        .set("x", round(x - 1.5))
        .set("y", round(top - 3.0))
        .set("width", 3)
        .set("height", round(height + 6.0))
}

/// Somebody has died here.
pub(super) fn death(x: f64, top: f64, height: f64) -> Path {
    let (y, arm) = (top + height / 2.0, 6.0);
    let [left, right, up, down] = [x - arm, x + arm, y - arm, y + arm].map(round);
    Path::new()
        .set("class", "death")
        .set("d", format!("M{left} {up}L{right} {down}M{right} {up}L{left} {down}"))
}

/// A line with an arrow's head.
pub(super) fn arrow(from: (f64, f64), to: (f64, f64)) -> Line {
    Line::new()
        .set("x1", round(from.0))
        .set("y1", round(from.1))
        .set("x2", round(to.0))
        .set("y2", round(to.1))
}

/// Tells what the signs mean, from `left` up to `right`; tells too where it ends.
pub(super) fn legend(words: &Words, [left, right]: [f64; 2], top: f64) -> (Group, f64) {
    let (width, height) = SAMPLE;
    let mut entries = Vec::new();
    if words.exact {
        entries.push((words.put(), Group::new().add(put(width / 2.0, 0.0, height))));
    }
    for doing in Doing::ALL {
        let sample = Group::new().add(bar(doing, [0.0, width], 0.0, height));
        let sample = match doing {
            Doing::Dead => sample.add(death(width / 2.0, 0.0, height)),
            _ => sample,
        };
        entries.push((words.doing(doing), sample));
    }
    let line = arrow((0.0, 0.0), (width, height)).set("marker-end", "url(#head)");
    entries.push((words.handover(), Group::new().set("class", "sample").add(line)));
    let mut legend = Group::new().set("class", "legend");
    let (mut x, mut y) = (left, top);
    for (name, sample) in entries {
        let whole = width + 6.0 + text_width(name);
        if x > left && x + whole > right {
            (x, y) = (left, y + height + 10.0);
        }
        let place = format!("translate({} {})", round(x), round(y));
        let name = text(name, x + width + 6.0, y + height / 2.0, "label", "start");
        legend = legend.add(sample.set("transform", place)).add(name);
        x += whole + APART;
    }
    (legend, y + height)
}
