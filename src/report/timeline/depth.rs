//! The depth of the queue over time.

use svg::node::element::{Group, Path, Rectangle, Title};

use super::axis::DepthAxis;
use super::bins::merge_all;
use super::chart::Chart;
use crate::report::picture::{
    FONT_SIZE, line_element, rect_element, round_coordinate, text_element,
};

/// The height of the plot, in pixels.
const PLOT_HEIGHT: f64 = 130.0;

impl Chart<'_> {
    /// Draws the depth below `top`. Returns the bottom too.
    pub(super) fn draw_depth(&self, top: f64) -> (Group, f64) {
        let bins = self.timeline.depth_bins.as_slice();
        let max_depth = bins.iter().filter_map(|bin| bin.range).map(|range| range.1).max();
        let max_depth = max_depth.unwrap_or(0);
        // A much larger capacity would make the plot flat.
        let capacity =
            self.timeline.capacity.filter(|&limit| limit <= max_depth.saturating_mul(4).max(1));
        let max = max_depth.max(capacity.unwrap_or(0)).max(1);
        let bottom = top + FONT_SIZE * 1.5 + PLOT_HEIGHT;
        let axis = DepthAxis { bottom, height: PLOT_HEIGHT, max };
        let [left, right] = [self.axis.left, self.axis.left + self.axis.width];
        let level = |class: &str, depth: u64| {
            let y = axis.y(depth as f64);
            line_element([left, right], [y, y]).set("class", class)
        };
        let mut group = Group::new().set("class", "queue");
        for depth in axis.ticks() {
            let y = axis.y(depth as f64);
            let label = text_element(&depth.to_string(), left - 8.0, y, "tick", "end");
            group = group.add(level("grid", depth)).add(label);
        }
        group =
            group.add(text_element(&self.labels.depth_label(), left - 10.0, top, "label", "end"));
        group = if self.timeline.resolution.is_exact {
            self.draw_steps(&axis, group)
        } else {
            self.draw_band(&axis, group)
        };
        if let Some(capacity) = capacity {
            let (label, y) = (self.labels.capacity_label(capacity), axis.y(capacity as f64));
            let label = text_element(&label, right + 8.0, y, "note", "start");
            group = group.add(level("capacity", capacity)).add(label);
        }
        (group, bottom)
    }

    /// Draws every change of the depth.
    fn draw_steps(&self, axis: &DepthAxis, group: Group) -> Group {
        let steps = &self.timeline.depth_changes;
        let mut line = String::new();
        let mut cells = Group::new();
        for (n, &(at, depth)) in steps.iter().enumerate() {
            let (x, y) =
                (round_coordinate(self.axis.x(at)), round_coordinate(axis.y(depth as f64)));
            line += &match n {
                0 => format!("M{x} {y}"),
                _ => format!("H{x}V{y}"),
            };
            let until = steps.get(n + 1).map_or(self.axis.end, |next| next.0);
            if at < until {
                let labels = &self.labels;
                let tip =
                    format!("{} {depth}, {}", labels.depth_label(), labels.interval(at, until));
                cells = cells.add(hover_cell(axis, [at, until].map(|at| self.axis.x(at)), tip));
            }
        }
        let end = round_coordinate(self.axis.x(self.axis.end));
        let bottom = round_coordinate(axis.bottom);
        let area = format!("{line}H{end}V{bottom}H{}Z", round_coordinate(self.axis.left));
        add_plot(group, area, format!("{line}H{end}"), cells)
    }

    /// Draws the range and the mean of the depth in each column.
    fn draw_band(&self, axis: &DepthAxis, group: Group) -> Group {
        let bins = self.timeline.depth_bins.as_slice();
        let (mut band, mut line) = (String::new(), String::new());
        let mut cells = Group::new();
        let per_column = self.bins_per_column();
        for (n, bins) in bins.chunks(per_column).enumerate() {
            let column = merge_all(bins);
            let (Some(range @ (min, max)), Some(mean)) = (column.range, column.mean()) else {
                continue;
            };
            let [from, to] = self.column_span(n * per_column, per_column);
            let ends @ [left, right] = [from, to].map(|at| round_coordinate(self.axis.x(at)));
            let [low, high] = [min, max].map(|depth| round_coordinate(axis.y(depth as f64)));
            band += &format!("M{left} {low}V{high}H{right}V{low}z");
            let command = if line.is_empty() { 'M' } else { 'L' };
            let [x, y] = [(left + right) / 2.0, axis.y(mean)].map(round_coordinate);
            line += &format!("{command}{x} {y}");
            let labels = &self.labels;
            let tip = format!("{}, {}", labels.mean_depth(mean, range), labels.interval(from, to));
            cells = cells.add(hover_cell(axis, ends, tip));
        }
        add_plot(group, band, line, cells)
    }
}

/// Adds the filled area, the line, and the cells of the tooltips.
fn add_plot(group: Group, area: String, line: String, cells: Group) -> Group {
    group
        .add(Path::new().set("class", "level").set("d", area))
        .add(Path::new().set("class", "depth").set("d", line))
        .add(cells)
}

/// An invisible rectangle with a tooltip.
fn hover_cell(axis: &DepthAxis, [left, right]: [f64; 2], tip: String) -> Rectangle {
    let size = [(right - left).max(0.5), axis.height];
    rect_element("cell", [left, axis.bottom - axis.height], size).add(Title::new(tip))
}
