//! The shapes of a picture. Each shape differs from the others by its height or pattern too, so that no meaning
//! depends on a color alone.
//!
//! The colors of items have the hues of Okabe and Ito. Each theme has its own shades, with a contrast of at least 3 to the
//! background, and apart from each other for people with any of the three color blindnesses (simulated after Machado,
//! Oliveira and Fernandes, IEEE TVCG 15, 2009). Red is for deaths alone.

use svg::node::element::{Circle, Definitions, Group, Line, Marker, Path, Pattern, Rectangle};

use super::lane::{ItemRange, LaneState};
use crate::report::picture::{
    LegendLayout, line_element, rect_element, round_coordinate, text_element,
};

/// The colors for light and dark backgrounds.
pub(super) const CSS: &str = include_str!("style.css");
/// The number of colors for items: an item with the same id has the same color in all pictures.
const ITEM_COLORS: u64 = 6;
/// The size of a sample in the legend.
const SAMPLE_SIZE: (f64, f64) = (22.0, 14.0);

/// An entry of the legend: a name and a sample.
pub(super) struct LegendEntry {
    pub(super) name: String,
    pub(super) sample: Group,
}

pub(super) fn css_class(state: LaneState) -> &'static str {
    match state {
        LaneState::Working => "working",
        LaneState::Waiting => "waiting",
        LaneState::Blocked => "blocked",
        LaneState::Dead => "dead",
    }
}

/// The class of an item's color.
fn color_class(id: u64) -> String {
    format!("i{}", id % ITEM_COLORS)
}

/// The fraction of a lane's height that a state fills.
fn height_fraction(state: LaneState) -> f64 {
    match state {
        LaneState::Working | LaneState::Dead => 1.0,
        LaneState::Blocked => 0.6,
        LaneState::Waiting => 0.2,
    }
}

/// The patterns, and the heads of arrows.
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
    // Not every viewer can give a head the color of its line.
    let head = |id: u64| {
        Marker::new()
            .set("id", format!("head{id}"))
            .set("viewBox", "0 0 8 8")
            .set("refX", 7)
            .set("refY", 4)
            .set("markerWidth", 8)
            .set("markerHeight", 8)
            .set("markerUnits", "userSpaceOnUse")
            .set("orient", "auto")
            .add(Path::new().set("d", "M0 1L8 4L0 7Z").set("class", color_class(id)))
    };
    let patterns = Definitions::new()
        .add(pattern("blocked-pattern", "M-1 5L5 -1M1 7L7 1"))
        .add(pattern("dead-pattern", "M0 0L6 6M6 0L0 6"));
    (0..ITEM_COLORS).map(head).fold(patterns, Definitions::add)
}

/// The bar of a state, in a lane of this height. The bar of items has the color of the first one.
pub(super) fn state_bar(
    state: LaneState,
    items: Option<ItemRange>,
    [left, right]: [f64; 2],
    top: f64,
    height: f64,
) -> Rectangle {
    let bar_height = height * height_fraction(state);
    let corner = [left, top + (height - bar_height) / 2.0];
    let size = [(right - left).max(0.5), bar_height];
    match items.filter(|_| state == LaneState::Working) {
        Some(items) => {
            let class = format!("{} {}", css_class(state), color_class(items.first));
            let bar = rect_element(&class, corner, size).set("data-id", items.first);
            if items.last > items.first { bar.set("data-last", items.last) } else { bar }
        }
        None => rect_element(css_class(state), corner, size),
    }
}

/// A group for a mark of fixed size at this place.
pub(super) fn place_at(x: f64, y: f64) -> Group {
    let place = format!("translate({} {})", round_coordinate(x), round_coordinate(y));
    Group::new().set("transform", place)
}

/// The mark of a put, from its upper end on. A picture of many puts has thin marks.
pub(super) fn put_mark(height: f64, is_thin: bool) -> Rectangle {
    let (class, width) = if is_thin { ("putting thin", 1.2) } else { ("putting", 3.0) };
    rect_element(class, [-width / 2.0, -3.0], [width, height + 6.0])
}

/// The mark of a death, around its center.
pub(super) fn death_mark() -> Group {
    Group::new()
        .set("class", "death")
        .add(Circle::new().set("r", 7.5))
        .add(Path::new().set("d", "M-3.2 -3.2L3.2 3.2M3.2 -3.2L-3.2 3.2"))
}

/// An arrow for the delivery of an item, without its tooltip. A wider line below it is easier to point at.
pub(super) fn delivery_arrow(id: u64, attempt: u32, line: Line) -> [Line; 2] {
    let color = color_class(id);
    let class = if attempt > 1 { format!("{color} again") } else { color };
    let head = format!("url(#head{})", id % ITEM_COLORS);
    [line.clone().set("class", "reach"), line.set("class", class).set("marker-end", head)]
}

/// Samples of the legend.
pub(super) fn state_sample(state: LaneState) -> Group {
    let (width, height) = SAMPLE_SIZE;
    Group::new().add(state_bar(state, None, [0.0, width], 0.0, height))
}

/// The sample of items: each has its color.
pub(super) fn items_sample() -> Group {
    let (width, height) = SAMPLE_SIZE;
    let bar = |n: u64| {
        let ends = [n, n + 1].map(|n| width * n as f64 / 3.0);
        rect_element(&format!("working {}", color_class(n)), [ends[0], 0.0], [width / 3.0, height])
    };
    (0..3).map(bar).fold(Group::new(), Group::add)
}

pub(super) fn put_sample() -> Group {
    let (width, height) = SAMPLE_SIZE;
    Group::new().add(place_at(width / 2.0, 0.0).add(put_mark(height, false)))
}

pub(super) fn death_sample() -> Group {
    let (width, height) = SAMPLE_SIZE;
    state_sample(LaneState::Dead).add(place_at(width / 2.0, height / 2.0).add(death_mark()))
}

pub(super) fn arrow_sample(attempt: u32) -> Group {
    let (width, height) = SAMPLE_SIZE;
    let [_, arrow] = delivery_arrow(0, attempt, line_element([0.0, width], [0.0, height]));
    Group::new().set("class", "sample").add(arrow)
}

/// The sample of a line over the whole width.
pub(super) fn line_sample(class: &str) -> Group {
    let (width, height) = SAMPLE_SIZE;
    let line = line_element([0.0, width], [height / 2.0, height / 2.0]);
    Group::new().add(line.set("class", class))
}

/// Draws the legend between `left` and `right`. Returns the bottom too.
pub(super) fn draw_legend(
    entries: Vec<LegendEntry>,
    [left, right]: [f64; 2],
    top: f64,
) -> (Group, f64) {
    let (width, height) = SAMPLE_SIZE;
    let mut legend = Group::new().set("class", "legend");
    let mut layout = LegendLayout::new([left, right], top, height + 10.0);
    for LegendEntry { name, sample } in entries {
        let [x, y] = layout.place(width + 6.0, &name);
        let name = text_element(&name, x + width + 6.0, y + height / 2.0, "label", "start");
        legend = legend.add(place_at(x, y).add(sample)).add(name);
    }
    (legend, layout.row() + height)
}

/// The legend as the items of a list in a page.
pub(super) fn legend_list(entries: Vec<LegendEntry>) -> String {
    let (width, height) = SAMPLE_SIZE;
    let item = |LegendEntry { name, sample }| {
        let sample = svg::Document::new()
            .set("viewBox", format!("-1 -4 {} {}", width + 2.0, height + 8.0))
            .set("width", width + 2.0)
            .set("height", height + 8.0)
            .set("aria-hidden", "true")
            .add(sample);
        format!("<li>{sample}{name}</li>\n")
    };
    entries.into_iter().map(item).collect()
}
