//! How deep the queue was.

use svg::node::element::{Group, Line, Path, Rectangle, Title};

use super::axis::DepthAxis;
use super::bins::merge_all;
use super::chart::Chart;
use crate::report::picture::{FONT_SIZE, round_coordinate, text_element};

/// In pixels.
const PLOT_HEIGHT: f64 = 130.0;

/// Draws it below `top`; tells too where it ends.
pub(super) fn draw(chart: &Chart<'_>, top: f64) -> (Group, f64) {
    let timeline = chart.timeline;
    let levels = timeline.depth_bins.as_slice();
    let deepest = levels.iter().filter_map(|level| level.range).map(|range| range.1).max();
    let deepest = deepest.unwrap_or(0);
    // A capacity that is far away would leave nothing to be seen.
    let capacity = timeline.capacity.filter(|&most| most <= deepest.saturating_mul(4).max(1));
    let most = deepest.max(capacity.unwrap_or(0)).max(1);
    let head = top + FONT_SIZE * 1.5;
    let height = DepthAxis { bottom: head + PLOT_HEIGHT, height: PLOT_HEIGHT, max: most };
    let mut all = Group::new().set("class", "queue");
    let [left, right] = [chart.axis.left, chart.axis.left + chart.axis.width];
    for depth in height.ticks() {
        let y = height.y(depth as f64);
        let line = Line::new()
            .set("class", "grid")
            .set("x1", round_coordinate(left))
            .set("x2", round_coordinate(right));
        all = all.add(line.set("y1", round_coordinate(y)).set("y2", round_coordinate(y)));
        all = all.add(text_element(&depth.to_string(), left - 8.0, y, "tick", "end"));
    }
    all = all.add(text_element(chart.labels.depth_label(), left - 10.0, top, "label", "end"));
    all = match timeline.resolution.is_exact {
        true => draw_steps(chart, &height, all),
        false => draw_band(chart, &height, all),
    };
    if let Some(capacity) = capacity {
        let y = height.y(capacity as f64);
        let line = Line::new().set("class", "capacity").set("x1", round_coordinate(left));
        let line = line
            .set("x2", round_coordinate(right))
            .set("y1", round_coordinate(y))
            .set("y2", round_coordinate(y));
        let label =
            text_element(&chart.labels.capacity_label(capacity), right + 8.0, y, "note", "start");
        all = all.add(line).add(label);
    }
    (all, head + PLOT_HEIGHT)
}

/// Every change.
fn draw_steps(chart: &Chart<'_>, height: &DepthAxis, all: Group) -> Group {
    let steps = &chart.timeline.depth_changes;
    let mut line = String::new();
    let mut cells = Group::new();
    for (n, &(at, depth)) in steps.iter().enumerate() {
        let (x, y) = (round_coordinate(chart.axis.x(at)), round_coordinate(height.y(depth as f64)));
        line += &match n {
            0 => format!("M{x} {y}"),
            _ => format!("H{x}V{y}"),
        };
        let until = steps.get(n + 1).map_or(chart.axis.end, |next| next.0);
        if at < until {
            let words = &chart.labels;
            let tip = format!("{} {depth}, {}", words.depth_label(), words.interval(at, until));
            cells = cells.add(hover_cell(height, [chart.axis.x(at), chart.axis.x(until)], tip));
        }
    }
    let end = round_coordinate(chart.axis.x(chart.axis.end));
    let bottom = round_coordinate(height.bottom);
    let area = format!("{line}H{end}V{bottom}H{}Z", round_coordinate(chart.axis.left));
    all.add(Path::new().set("class", "level").set("d", area))
        .add(Path::new().set("class", "depth").set("d", format!("{line}H{end}")))
        .add(cells)
}

/// From the least to the most of each part of the time, and the mean.
fn draw_band(chart: &Chart<'_>, height: &DepthAxis, all: Group) -> Group {
    let levels = chart.timeline.depth_bins.as_slice();
    let (mut band, mut line) = (String::new(), String::new());
    let mut cells = Group::new();
    let several = chart.bins_per_column();
    for (n, parts) in levels.chunks(several).enumerate() {
        let level = merge_all(parts);
        let (Some(range @ (least, most)), Some(mean)) = (level.range, level.mean()) else {
            continue;
        };
        let [from, to] = chart.column_span(n * several, several);
        let ends @ [left, right] = [from, to].map(|at| round_coordinate(chart.axis.x(at)));
        let [low, high] = [least, most].map(|depth| round_coordinate(height.y(depth as f64)));
        band += &format!("M{left} {low}V{high}H{right}V{low}z");
        let begin = if line.is_empty() { 'M' } else { 'L' };
        line += &format!(
            "{begin}{} {}",
            round_coordinate((left + right) / 2.0),
            round_coordinate(height.y(mean))
        );
        let words = &chart.labels;
        let tip = format!("{}, {}", words.mean_depth(mean, range), words.interval(from, to));
        cells = cells.add(hover_cell(height, ends, tip));
    }
    all.add(Path::new().set("class", "level").set("d", band))
        .add(Path::new().set("class", "depth").set("d", line))
        .add(cells)
}

/// Where the pointer finds how deep it was.
fn hover_cell(height: &DepthAxis, [left, right]: [f64; 2], tip: String) -> Rectangle {
    Rectangle::new()
        .set("class", "cell")
        .set("x", round_coordinate(left))
        .set("y", round_coordinate(height.bottom - height.height))
        .set("width", round_coordinate((right - left).max(0.5)))
        .set("height", height.height)
        .add(Title::new(tip))
}
