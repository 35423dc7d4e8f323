//! Draws the figures as bars: the throughput and the latency.

use svg::node::element::{Group, Rectangle};

use super::figures::{format_bytes, format_si};
use super::{BenchCase, BenchReport, CaseResult, Implementation};
use crate::catalogue::message;
use crate::report::picture::{
    FONT_SIZE, LegendLayout, MARGIN, line_element, new_document, rect_element, text_element,
    text_width,
};

const CSS: &str = include_str!("chart.css");
/// The width of the picture, in pixels.
const WIDTH: f64 = 1240.0;
/// The height of a panel's plot area, and its margins, in pixels.
const PANEL_HEIGHT: f64 = 220.0;
const PANEL_TOP_MARGIN: f64 = 46.0;
const PANEL_BOTTOM_MARGIN: f64 = 36.0;
/// The width of the axis labels, in pixels.
const AXIS_LABEL_WIDTH: f64 = 64.0;
/// The number of colors for one implementation.
const COLORS_PER_IMPLEMENTATION: usize = 4;
/// Scales the estimated width of a bar's figure, since the font is smaller and the estimate is high.
const VALUE_FONT_SCALE: f64 = 0.8;
/// The part of a group's width that its bars fill.
const GROUP_FILL: f64 = 0.82;

/// One kind of figure of all cases.
struct Panel<'a> {
    title: fn() -> String,
    unit: &'a str,
    value: fn(&CaseResult) -> f64,
    /// The value at which a paler bar above the bar ends.
    upper_value: Option<fn(&CaseResult) -> f64>,
}

const PANELS: [Panel<'_>; 2] = [
    Panel {
        title: || message!("bench-rate-title"),
        unit: "",
        value: |result| result.items_per_s.median,
        upper_value: None,
    },
    Panel {
        title: || message!("bench-latency-title"),
        unit: "s",
        value: |result| result.p50_s.median,
        upper_value: Some(|result| result.p99_s.median),
    },
];

impl BenchReport {
    /// The picture as an SVG document.
    pub(crate) fn to_svg(&self) -> String {
        let [machine, program] = self.title();
        let (legend, mut top) = self.draw_legend(MARGIN + 50.0);
        let height = top
            + PANELS.len() as f64 * (PANEL_TOP_MARGIN + PANEL_HEIGHT + PANEL_BOTTOM_MARGIN)
            + MARGIN;
        let mut chart = new_document("qdemo bench", WIDTH, height, CSS)
            .add(text_element("qdemo bench", MARGIN, MARGIN + 8.0, "title", "start"))
            .add(text_element(
                &format!("{machine}; {program}"),
                MARGIN,
                MARGIN + 28.0,
                "note",
                "start",
            ))
            .add(legend);
        for panel in &PANELS {
            chart = chart.add(self.draw_panel(panel, top));
            top += PANEL_TOP_MARGIN + PANEL_HEIGHT + PANEL_BOTTOM_MARGIN;
        }
        format!("{chart}\n")
    }

    /// The first case of each series. The cases of a series differ in their sizes only, and have bars of the
    /// same color.
    fn all_series(&self) -> Vec<BenchCase> {
        let mut all: Vec<BenchCase> = Vec::new();
        for implementation in [Implementation::Qdemo, Implementation::Python, Implementation::Relay]
        {
            for case in self.results_of(implementation).map(|result| result.case) {
                if !all.iter().any(|first| BenchCase { size: case.size, ..*first } == case) {
                    all.push(case);
                }
            }
        }
        all
    }

    fn sizes(&self) -> Vec<u64> {
        let mut sizes: Vec<_> = self.cases.iter().map(|result| result.case.size).collect();
        sizes.dedup();
        sizes
    }

    /// The legend, and the y coordinate of its lower end.
    fn draw_legend(&self, top: f64) -> (Group, f64) {
        let mut legend = Group::new();
        let mut layout = LegendLayout::new([MARGIN, WIDTH - MARGIN], top, 20.0);
        for (at, case) in self.all_series().into_iter().enumerate() {
            let BenchCase { implementation, producers, consumers, idle_clients, .. } = case;
            let name = match implementation {
                Implementation::Qdemo if idle_clients > 0 => message!(
                    "bench-idle-series",
                    producers = producers,
                    consumers = consumers,
                    idle = idle_clients
                ),
                Implementation::Qdemo => format!("qdemo {producers} × {consumers}"),
                Implementation::Python => {
                    format!("multiprocessing.Queue {producers} × {consumers}")
                }
                Implementation::Relay => message!("bench-relay-series"),
            };
            let [x, y] = layout.place(20.0, &name);
            let sample =
                bar_element(&css_class(implementation, at), [x, x + 14.0], [y - 7.0, y + 7.0]);
            legend = legend.add(sample).add(text_element(&name, x + 20.0, y, "label", "start"));
        }
        (legend, layout.row() + 12.0)
    }

    fn draw_panel(&self, panel: &Panel<'_>, top: f64) -> Group {
        let values = |result| {
            let value = (panel.value)(result);
            [value, panel.upper_value.map_or(value, |upper_value| upper_value(result))]
        };
        let axis = LogAxis::for_values(
            self.cases.iter().flat_map(values),
            top + PANEL_TOP_MARGIN + PANEL_HEIGHT,
        );
        let mut group =
            Group::new().add(text_element(&(panel.title)(), MARGIN, top + 24.0, "label", "start"));
        for (value, y) in axis.gridlines() {
            let line =
                line_element([AXIS_LABEL_WIDTH, WIDTH - MARGIN], [y, y]).set("class", "grid");
            let label = power_of_ten_label(value) + panel.unit;
            group =
                group.add(line).add(text_element(&label, AXIS_LABEL_WIDTH - 8.0, y, "tick", "end"));
        }
        let (all_series, sizes) = (self.all_series(), self.sizes());
        let group_width = (WIDTH - MARGIN - AXIS_LABEL_WIDTH) / sizes.len().max(1) as f64;
        let bar_width = group_width * GROUP_FILL / all_series.len().max(1) as f64;
        for (at, &size) in sizes.iter().enumerate() {
            let middle = AXIS_LABEL_WIDTH + group_width * (at as f64 + 0.5);
            let left = middle - group_width * GROUP_FILL / 2.0;
            group = group.add(text_element(
                &format_bytes(size),
                middle,
                axis.bottom + FONT_SIZE + 4.0,
                "label",
                "middle",
            ));
            for (at, &series) in all_series.iter().enumerate() {
                let Some(result) = self.find_result(BenchCase { size, ..series }) else { continue };
                let bar_left = left + bar_width * at as f64;
                let x = [bar_left + 1.0, left + bar_width * (at + 1) as f64 - 1.0];
                let value = (panel.value)(result);
                let (y, class) = (axis.y(value), css_class(series.implementation, at));
                if let Some(upper_value) = panel.upper_value {
                    let paler = format!("{class} beyond");
                    group = group.add(bar_element(&paler, x, [axis.y(upper_value(result)), y]));
                }
                group = group.add(bar_element(&class, x, [y, axis.bottom]));
                let label = format_si(value) + panel.unit;
                if text_width(&label) * VALUE_FONT_SCALE < bar_width {
                    let middle = f64::midpoint(x[0], x[1]);
                    group = group.add(text_element(&label, middle, y - 8.0, "value", "middle"));
                }
            }
        }
        group
    }
}

/// Formats a power of ten without decimals.
fn power_of_ten_label(value: f64) -> String {
    let text = format_si(value);
    let (digits, prefix) = text.split_once(' ').unwrap_or((&text, ""));
    let whole = digits.split('.').next().unwrap_or(digits);
    format!("{whole} {prefix}")
}

/// Each implementation has its own colors. The series of an implementation rotate through its colors.
fn css_class(implementation: Implementation, at: usize) -> String {
    match implementation {
        Implementation::Qdemo => format!("bar qdemo-{}", at % COLORS_PER_IMPLEMENTATION),
        Implementation::Python => format!("bar python-{}", at % COLORS_PER_IMPLEMENTATION),
        Implementation::Relay => "bar relay".to_owned(),
    }
}

fn bar_element(class: &str, [left, right]: [f64; 2], [top, bottom]: [f64; 2]) -> Rectangle {
    rect_element(class, [left, top], [right - left, bottom - top])
}

/// A logarithmic axis.
struct LogAxis {
    /// The powers of ten at the bottom and at the top.
    min_power: i32,
    max_power: i32,
    bottom: f64,
}

impl LogAxis {
    /// An axis for at least one value. Each value gets a visible bar.
    fn for_values(values: impl Iterator<Item = f64>, bottom: f64) -> Self {
        let (min, max) =
            values.fold((f64::MAX, 0.0), |(min, max), value: f64| (value.min(min), value.max(max)));
        // A float has at most 309 digits, so the cast is exact.
        let power = |value: f64| value.log10().floor() as i32;
        let min_power = power(min / 1.5);
        Self { min_power, max_power: power(max).max(min_power) + 1, bottom }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.min_power))
            / f64::from(self.max_power - self.min_power);
        self.bottom - PANEL_HEIGHT * part
    }

    fn gridlines(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.min_power..=self.max_power)
            .map(|power| 10f64.powi(power))
            .map(|value| (value, self.y(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratios_have_equal_distances() {
        let axis = LogAxis::for_values([20.0, 3000.0].into_iter(), 500.0);
        assert_eq!((axis.min_power, axis.max_power), (1, 4));
        let lines: Vec<_> = axis.gridlines().map(|(value, y)| (value.round(), y.round())).collect();
        assert_eq!(lines, [(10.0, 500.0), (100.0, 427.0), (1000.0, 353.0), (10000.0, 280.0)]);
    }

    #[test]
    fn the_smallest_value_has_a_visible_bar() {
        let axis = LogAxis::for_values([100.0, 100.0].into_iter(), 500.0);
        assert!(axis.y(100.0) < 500.0);
        assert_eq!((axis.min_power, axis.max_power), (1, 3));
    }
}
