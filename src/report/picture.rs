//! The common parts of all pictures: text, coordinates, legends, and colors for light and dark backgrounds.

use svg::Document;
use svg::node::element::{Line, Rectangle, Style, Text, Title};

/// The size of all letters, in pixels.
pub(crate) const FONT_SIZE: f64 = 12.0;
/// The margin of a picture, in pixels.
pub(crate) const MARGIN: f64 = 20.0;

/// The width of a letter, and of a Japanese character, in font sizes.
const HALF_WIDTH: f64 = 0.64;
const FULL_WIDTH: f64 = 1.02;

const CSS: &str = include_str!("picture.css");

/// An empty picture.
pub(crate) fn new_document(title: &str, width: f64, height: f64, css: &str) -> Document {
    let background =
        Rectangle::new().set("class", "paper").set("width", width).set("height", height);
    Document::new()
        .set("viewBox", format!("0 0 {width} {height}"))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(format!("{CSS}{css}")))
        .add(background)
}

/// The largest width of a text, in pixels: the font of the viewer is unknown.
pub(crate) fn text_width(text: &str) -> f64 {
    let mut buffer = [0; 4];
    let width = |c: char| match console::measure_text_width(c.encode_utf8(&mut buffer)) {
        2 => FULL_WIDTH,
        columns => columns as f64 * HALF_WIDTH,
    };
    text.chars().map(width).sum::<f64>() * FONT_SIZE
}

/// A text whose start, middle or end, by `anchor`, is at `x`. `y` is its vertical middle.
pub(crate) fn text_element(content: &str, x: f64, y: f64, class: &str, anchor: &str) -> Text {
    Text::new(content)
        .set("class", class)
        .set("x", round_coordinate(x))
        .set("y", round_coordinate(y + FONT_SIZE * 0.36))
        .set("text-anchor", anchor)
}

/// A rectangle from its upper left corner on.
pub(crate) fn rect_element(class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", round_coordinate(x))
        .set("y", round_coordinate(y))
        .set("width", round_coordinate(width))
        .set("height", round_coordinate(height))
}

/// A line between two points.
pub(crate) fn line_element([x1, x2]: [f64; 2], [y1, y2]: [f64; 2]) -> Line {
    Line::new()
        .set("x1", round_coordinate(x1))
        .set("x2", round_coordinate(x2))
        .set("y1", round_coordinate(y1))
        .set("y2", round_coordinate(y2))
}

/// Rounds to a tenth of a pixel: more digits would only enlarge the file.
pub(crate) fn round_coordinate(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}

/// The gap between two entries of a legend, in pixels.
const ENTRY_GAP: f64 = 22.0;

/// Places the entries of a legend in rows, from left to right.
pub(crate) struct LegendLayout {
    ends: [f64; 2],
    row_height: f64,
    x: f64,
    y: f64,
}

impl LegendLayout {
    /// A legend between the two `ends`, from `top` on.
    pub(crate) fn new(ends: [f64; 2], top: f64, row_height: f64) -> Self {
        Self { ends, row_height, x: ends[0], y: top }
    }

    /// The place of the next entry: a sample of this width, with its gap, and a name.
    pub(crate) fn place(&mut self, sample_width: f64, name: &str) -> [f64; 2] {
        let [left, right] = self.ends;
        let width = sample_width + text_width(name);
        if self.x > left && self.x + width > right {
            (self.x, self.y) = (left, self.y + self.row_height);
        }
        let place = [self.x, self.y];
        self.x += width + ENTRY_GAP;
        place
    }

    /// The top of the last row.
    pub(crate) fn row(&self) -> f64 {
        self.y
    }
}
