//! How deep the queue was.

use svg::node::element::{Group, Line, Path, Rectangle, Title};

use super::axis::Height;
use super::bins::sum;
use super::chart::Chart;
use crate::report::picture::{LETTERS, round, text};

/// In pixels.
const HEIGHT: f64 = 130.0;

/// Draws it below `top`; tells too where it ends.
pub(super) fn draw(chart: &Chart<'_>, top: f64) -> (Group, f64) {
    let timeline = chart.timeline;
    let levels = timeline.levels.all();
    let deepest = levels.iter().filter_map(|level| level.range).map(|range| range.1).max();
    let deepest = deepest.unwrap_or(0);
    // A capacity that is far away would leave nothing to be seen.
    let capacity = timeline.capacity.filter(|&most| most <= deepest.saturating_mul(4).max(1));
    let most = deepest.max(capacity.unwrap_or(0)).max(1);
    let head = top + LETTERS * 1.5;
    let height = Height { bottom: head + HEIGHT, height: HEIGHT, most };
    let mut all = Group::new().set("class", "queue");
    let [left, right] = [chart.axis.left, chart.axis.left + chart.axis.width];
    for depth in height.ticks() {
        let y = height.y(depth as f64);
        let line = Line::new().set("class", "grid").set("x1", round(left)).set("x2", round(right));
        all = all.add(line.set("y1", round(y)).set("y2", round(y)));
        all = all.add(text(&depth.to_string(), left - 8.0, y, "tick", "end"));
    }
    all = all.add(text(chart.words.depth(), left - 10.0, top, "label", "end"));
    all = match timeline.scale.exact {
        true => steps(chart, &height, all),
        false => band(chart, &height, all),
    };
    if let Some(capacity) = capacity {
        let y = height.y(capacity as f64);
        let line = Line::new().set("class", "capacity").set("x1", round(left));
        let line = line.set("x2", round(right)).set("y1", round(y)).set("y2", round(y));
        let label = text(&chart.words.capacity(capacity), right + 8.0, y, "note", "start");
        all = all.add(line).add(label);
    }
    (all, head + HEIGHT)
}

/// Every change.
fn steps(chart: &Chart<'_>, height: &Height, all: Group) -> Group {
    let steps = &chart.timeline.steps;
    let mut line = String::new();
    let mut cells = Group::new();
    for (n, &(at, depth)) in steps.iter().enumerate() {
        let (x, y) = (round(chart.axis.x(at)), round(height.y(depth as f64)));
        line += &match n {
            0 => format!("M{x} {y}"),
            _ => format!("H{x}V{y}"),
        };
        let until = steps.get(n + 1).map_or(chart.axis.end, |next| next.0);
        if at < until {
            let words = &chart.words;
            let tip = format!("{} {depth}, {}", words.depth(), words.span(at, until));
            cells = cells.add(cell(height, [chart.axis.x(at), chart.axis.x(until)], tip));
        }
    }
    let end = round(chart.axis.x(chart.axis.end));
    let bottom = round(height.bottom);
    let area = format!("{line}H{end}V{bottom}H{}Z", round(chart.axis.left));
    all.add(Path::new().set("class", "level").set("d", area))
        .add(Path::new().set("class", "depth").set("d", format!("{line}H{end}")))
        .add(cells)
}

/// From the least to the most of each part of the time, and the mean.
fn band(chart: &Chart<'_>, height: &Height, all: Group) -> Group {
    let levels = chart.timeline.levels.all();
    let (mut band, mut line) = (String::new(), String::new());
    let mut cells = Group::new();
    let several = chart.parts_in_a_column();
    for (n, parts) in levels.chunks(several).enumerate() {
        let level = sum(parts);
        let (Some(range @ (least, most)), Some(mean)) = (level.range, level.mean()) else {
            continue;
        };
        let [from, to] = chart.ends(n * several, several);
        let ends @ [left, right] = [from, to].map(|at| round(chart.axis.x(at)));
        let [low, high] = [least, most].map(|depth| round(height.y(depth as f64)));
        band += &format!("M{left} {low}V{high}H{right}V{low}z");
        let begin = if line.is_empty() { 'M' } else { 'L' };
        line += &format!("{begin}{} {}", round((left + right) / 2.0), round(height.y(mean)));
        let words = &chart.words;
        let tip = format!("{}, {}", words.mean_depth(mean, range), words.span(from, to));
        cells = cells.add(cell(height, ends, tip));
    }
    all.add(Path::new().set("class", "level").set("d", band))
        .add(Path::new().set("class", "depth").set("d", line))
        .add(cells)
}

/// Where the pointer finds how deep it was.
fn cell(height: &Height, [left, right]: [f64; 2], tip: String) -> Rectangle {
    Rectangle::new()
        .set("class", "cell")
        .set("x", round(left))
        .set("y", round(height.bottom - height.height))
        .set("width", round((right - left).max(0.5)))
        .set("height", height.height)
        .add(Title::new(tip))
}
