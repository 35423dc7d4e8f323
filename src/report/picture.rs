//! What pictures have in common: letters, lines, and their colours in light and dark.

use svg::Document;
use svg::node::element::{Rectangle, Style, Text, Title};

/// The size of all letters, in pixels.
pub(crate) const LETTERS: f64 = 12.0;
/// What is left free around a picture.
pub(crate) const MARGIN: f64 = 20.0;

const CSS: &str = include_str!("picture.css");

/// An empty picture.
pub(crate) fn paper(title: &str, width: f64, height: f64, css: &str) -> Document {
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
    console::measure_text_width(text) as f64 * 0.64 * LETTERS
}

/// A text that begins, or with another `anchor` ends or has its middle, at `x`; `y` is its middle.
pub(crate) fn text(content: &str, x: f64, y: f64, class: &str, anchor: &str) -> Text {
    Text::new(content)
        .set("class", class)
        .set("x", round(x))
        .set("y", round(y + LETTERS * 0.36))
        .set("text-anchor", anchor)
}

/// To a tenth of a pixel: more would only make the file larger.
pub(crate) fn round(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}
