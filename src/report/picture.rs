//! What pictures have in common: letters, lines, and their colours in light and dark.

use svg::Document;
use svg::node::element::{Rectangle, Style, Text, Title};

/// The size of all letters, in pixels.
pub(crate) const FONT_SIZE: f64 = 12.0;
/// What is left free around a picture.
pub(crate) const MARGIN: f64 = 20.0;

const CSS: &str = include_str!("picture.css");

/// An empty picture.
pub(crate) fn new_document(title: &str, width: f64, height: f64, css: &str) -> Document {
    let ground = Rectangle::new().set("class", "paper").set("width", width).set("height", height);
    Document::new()
        .set("viewBox", format!("0 0 {width} {height}"))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(title))
        .add(Style::new(format!("{CSS}{css}")))
        .add(ground)
}

/// How wide a text is at most, in pixels: fonts differ, and which one there will be is not known.
pub(crate) fn text_width(text: &str) -> f64 {
    console::measure_text_width(text) as f64 * 0.64 * FONT_SIZE
}

/// A text that begins, or with another `anchor` ends or has its middle, at `x`; `y` is its middle.
pub(crate) fn text_element(content: &str, x: f64, y: f64, class: &str, anchor: &str) -> Text {
    Text::new(content)
        .set("class", class)
        .set("x", round_coordinate(x))
        .set("y", round_coordinate(y + FONT_SIZE * 0.36))
        .set("text-anchor", anchor)
}

/// To a tenth of a pixel: more would only make the file larger.
pub(crate) fn round_coordinate(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}
