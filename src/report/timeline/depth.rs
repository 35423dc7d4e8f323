//! The depth of the queue over time.

use svg::node::element::{Group, Path, Rectangle, Title};

use super::axis::DepthAxis;
use super::bins::{DepthBin, merge_all};
use super::chart::Chart;
use crate::clock::Nanos;
use crate::report::picture::{
    FONT_SIZE, line_element, rect_element, round_coordinate, text_element,
};

/// The height of the plot, in pixels.
const PLOT_HEIGHT: f64 = 130.0;

impl Chart<'_> {
    /// The largest depth that lasted for some time.
    pub(super) fn max_depth(&self) -> u64 {
        let bins = self.timeline.depth_bins.as_slice().iter();
        bins.filter_map(|bin| bin.range).map(|range| range.1).max().unwrap_or(0)
    }

    /// Draws the depth below `top`. Returns the bottom too.
    pub(super) fn draw_depth(&self, top: f64) -> (Group, f64) {
        let max_depth = self.max_depth();
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
        group = if self.timeline.resolution.is_exact {
            self.draw_steps(&axis, group)
        } else {
            self.draw_band(&axis, group)
        };
        if let Some(capacity) = capacity {
            let (label, y) = (self.labels.capacity_label(capacity), axis.y(capacity as f64));
            let label = text_element(&label, right - 4.0, y - 9.0, "note", "end");
            group = group.add(level("capacity", capacity)).add(label);
        }
        let label = text_element(&self.labels.depth_label(), left, top, "label", "start");
        (group.add(label), bottom)
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
        add_plot(group, "level", area, format!("{line}H{end}"), cells)
    }

    fn depth_tip(&self, mean: f64, range: (u64, u64), [from, to]: [Nanos; 2]) -> String {
        format!("{}, {}", self.labels.mean_depth(mean, range), self.labels.interval(from, to))
    }

    /// The columns of an overview, each with its span and its text. None if the picture shows every event.
    pub(super) fn column_texts(&self) -> Vec<([Nanos; 2], String)> {
        if self.timeline.resolution.is_exact {
            return Vec::new();
        }
        let per_column = self.bins_per_column();
        let columns = self.timeline.depth_bins.as_slice().chunks(per_column).enumerate();
        let text = |(n, bins): (usize, &[DepthBin])| {
            let column = merge_all(bins);
            let span = self.column_span(n * per_column, per_column);
            let tip = self.depth_tip(column.mean()?, column.range?, span);
            Some((span, tip))
        };
        columns.filter_map(text).collect()
    }

    /// Draws the range and the mean of the depth in each column.
    fn draw_band(&self, axis: &DepthAxis, group: Group) -> Group {
        let bins = self.timeline.depth_bins.as_slice();
        let (mut upper, mut lower, mut line) = (String::new(), String::new(), String::new());
        let mut cells = Group::new();
        let per_column = self.bins_per_column();
        for (n, bins) in bins.chunks(per_column).enumerate() {
            let column = merge_all(bins);
            let (Some(range @ (min, max)), Some(mean)) = (column.range, column.mean()) else {
                continue;
            };
            let [from, to] = self.column_span(n * per_column, per_column);
            let tip = self.depth_tip(mean, range, [from, to]);
            let ends @ [left, right] = [from, to].map(|at| round_coordinate(self.axis.x(at)));
            let [low, high] = [min, max].map(|depth| round_coordinate(axis.y(depth as f64)));
            // The upper edge leads to the right, the lower edge back to the left.
            upper += &format!("{left} {high}L{right} {high}L");
            lower.insert_str(0, &format!("{right} {low}L{left} {low}L"));
            let command = if line.is_empty() { 'M' } else { 'L' };
            let [x, y] = [(left + right) / 2.0, axis.y(mean)].map(round_coordinate);
            line += &format!("{command}{x} {y}");
            cells = cells.add(hover_cell(axis, ends, tip));
        }
        let band = format!("M{upper}{}Z", lower.trim_end_matches('L'));
        let band = if line.is_empty() { String::new() } else { band };
        add_plot(group, "level band", band, line, cells)
    }
}

/// Adds the filled area, the line, and the cells of the tooltips.
fn add_plot(group: Group, class: &str, area: String, line: String, cells: Group) -> Group {
    let plot = Group::new()
        .set("class", "stretch")
        .add(Path::new().set("class", class).set("d", area))
        .add(Path::new().set("class", "depth").set("d", line))
        .add(cells);
    group.add(plot)
}

/// An invisible rectangle with a tooltip.
fn hover_cell(axis: &DepthAxis, [left, right]: [f64; 2], tip: String) -> Rectangle {
    let size = [(right - left).max(0.5), axis.height];
    rect_element("cell", [left, axis.bottom - axis.height], size).add(Title::new(tip))
}
