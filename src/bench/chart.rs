//! The figures as bars: items a second, and how long one is underway.

use svg::node::element::{Group, Line, Rectangle};

use super::figures::{format_bytes, format_si};
use super::{BenchReport, CaseResult, Implementation};
use crate::report::picture::{
    FONT_SIZE, LegendLayout, MARGIN, new_document, round_coordinate, text_element, text_width,
};

const CSS: &str = include_str!("chart.css");
/// The width of the picture, in pixels.
const WIDTH: f64 = 1240.0;
/// The height of the bars of one panel, and what is above and below them.
const PANEL_HEIGHT: f64 = 220.0;
const PANEL_TOP_MARGIN: f64 = 46.0;
const PANEL_BOTTOM_MARGIN: f64 = 36.0;
/// Room for the numbers of the axis.
const AXIS_LABEL_WIDTH: f64 = 64.0;
/// How many colours there are for one of them.
const COLORS_PER_SUBJECT: usize = 4;
/// How much smaller the figures at the bars are than other letters, as their widths are overestimated.
const VALUE_FONT_SCALE: f64 = 0.8;
/// The part of its group's place that its bars take up.
const GROUP_FILL: f64 = 0.82;

/// Those whose bars look the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Series {
    subject: Implementation,
    workers: [u32; 2],
}

/// One kind of figure of all of them.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    value: fn(&CaseResult) -> f64,
    /// How far a paler bar goes on above the bar.
    upper_value: Option<fn(&CaseResult) -> f64>,
}

const PANELS: [Panel<'_>; 2] = [
    Panel {
        title: "Items a second (each line is ten times the one below it)",
        unit: "",
        value: |one| one.items_per_s.median,
        upper_value: None,
    },
    Panel {
        title: "From one process to the other: median, and up to the 99th of a hundred",
        unit: "s",
        value: |one| one.p50_s.median,
        upper_value: Some(|one| one.p99_s.median),
    },
];

impl BenchReport {
    /// The picture as a file.
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

    fn all_series(&self) -> Vec<Series> {
        let mut all = Vec::new();
        for subject in [Implementation::Qdemo, Implementation::Python, Implementation::Relay] {
            for case in
                self.cases.iter().map(|one| one.case).filter(|c| c.implementation == subject)
            {
                let one = Series { subject, workers: [case.producers, case.consumers] };
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all
    }

    fn sizes(&self) -> Vec<u64> {
        let mut sizes: Vec<_> = self.cases.iter().map(|one| one.case.size).collect();
        sizes.dedup();
        sizes
    }

    fn find_in_series(&self, series: Series, size: u64) -> Option<&CaseResult> {
        self.cases.iter().find(|one| {
            let case = one.case;
            let workers = [case.producers, case.consumers];
            (case.implementation, workers, case.size) == (series.subject, series.workers, size)
        })
    }

    /// What is whose, and where that ends.
    fn draw_legend(&self, top: f64) -> (Group, f64) {
        let mut legend = Group::new();
        let mut layout = LegendLayout::new([MARGIN, WIDTH - MARGIN], top, 20.0);
        for (at, one) in self.all_series().into_iter().enumerate() {
            let [producers, consumers] = one.workers;
            let name = match one.subject {
                Implementation::Qdemo => format!("qdemo {producers} × {consumers}"),
                Implementation::Python => {
                    format!("multiprocessing.Queue {producers} × {consumers}")
                }
                Implementation::Relay => "the limit: a bare relay on two named pipes".to_owned(),
            };
            let [x, y] = layout.place(20.0, &name);
            let sample = bar_element(&css_class(&one, at), [x, x + 14.0], [y - 7.0, y + 7.0]);
            legend = legend.add(sample).add(text_element(&name, x + 20.0, y, "label", "start"));
        }
        (legend, layout.row() + 12.0)
    }

    fn draw_panel(&self, panel: &Panel<'_>, top: f64) -> Group {
        let ends =
            |one| [(panel.value)(one), panel.upper_value.map_or((panel.value)(one), |f| f(one))];
        let axis = LogAxis::for_values(
            self.cases.iter().flat_map(ends),
            top + PANEL_TOP_MARGIN + PANEL_HEIGHT,
        );
        let mut group =
            Group::new().add(text_element(panel.title, MARGIN, top + 24.0, "label", "start"));
        for (value, y) in axis.gridlines() {
            let line = Line::new()
                .set("class", "grid")
                .set("x1", AXIS_LABEL_WIDTH)
                .set("x2", WIDTH - MARGIN);
            let label = power_of_ten_label(value) + panel.unit;
            group = group
                .add(line.set("y1", round_coordinate(y)).set("y2", round_coordinate(y)))
                .add(text_element(&label, AXIS_LABEL_WIDTH - 8.0, y, "tick", "end"));
        }
        let (series, sizes) = (self.all_series(), self.sizes());
        let place = (WIDTH - MARGIN - AXIS_LABEL_WIDTH) / sizes.len().max(1) as f64;
        let wide = place * GROUP_FILL / series.len().max(1) as f64;
        for (at, &size) in sizes.iter().enumerate() {
            let middle = AXIS_LABEL_WIDTH + place * (at as f64 + 0.5);
            let left = middle - place * GROUP_FILL / 2.0;
            group = group.add(text_element(
                &format_bytes(size),
                middle,
                axis.bottom + FONT_SIZE + 4.0,
                "label",
                "middle",
            ));
            for (at, &one) in series.iter().enumerate() {
                let Some(outcome) = self.find_in_series(one, size) else { continue };
                let x = [left + wide * at as f64 + 1.0, left + wide * (at + 1) as f64 - 1.0];
                let value = (panel.value)(outcome);
                let (y, class) = (axis.y(value), css_class(&one, at));
                if let Some(beyond) = panel.upper_value {
                    let paler = format!("{class} beyond");
                    group = group.add(bar_element(&paler, x, [axis.y(beyond(outcome)), y]));
                }
                group = group.add(bar_element(&class, x, [y, axis.bottom]));
                let label = format_si(value) + panel.unit;
                if text_width(&label) * VALUE_FONT_SCALE < wide {
                    let middle = f64::midpoint(x[0], x[1]);
                    group = group.add(text_element(&label, middle, y - 8.0, "value", "middle"));
                }
            }
        }
        group
    }
}

/// A power of ten.
fn power_of_ten_label(value: f64) -> String {
    let text = format_si(value);
    let (digits, prefix) = text.split_once(' ').unwrap_or((&text, ""));
    let whole = digits.split('.').next().unwrap_or(digits);
    format!("{whole} {prefix}")
}

/// Whoever is compared to has colours of its own; those of one subject take turns.
fn css_class(series: &Series, at: usize) -> String {
    match series.subject {
        Implementation::Qdemo => format!("bar qdemo-{}", at % COLORS_PER_SUBJECT),
        Implementation::Python => format!("bar python-{}", at % COLORS_PER_SUBJECT),
        Implementation::Relay => "bar relay".to_owned(),
    }
}

fn bar_element(class: &str, [left, right]: [f64; 2], [top, bottom]: [f64; 2]) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", round_coordinate(left))
        .set("y", round_coordinate(top))
        .set("width", round_coordinate(right - left))
        .set("height", round_coordinate(bottom - top))
}

/// A scale on which ten times as much is always as much higher.
struct LogAxis {
    /// The power of ten at the bottom, and at the top.
    min_power: i32,
    max_power: i32,
    bottom: f64,
}

impl LogAxis {
    /// With room for these values, of which there is one; each of them has a bar that can be seen.
    fn for_values(values: impl Iterator<Item = f64>, bottom: f64) -> Self {
        let (least, most) =
            values.fold((f64::MAX, 0.0), |(least, most), v: f64| (v.min(least), v.max(most)));
        // In range, as a float has no more than 308 digits.
        let power = |value: f64| value.log10().floor() as i32;
        let from = power(least / 1.5);
        Self { min_power: from, max_power: power(most).max(from) + 1, bottom }
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
    fn ten_times_as_much_is_as_much_higher_everywhere() {
        let axis = LogAxis::for_values([20.0, 3000.0].into_iter(), 500.0);
        assert_eq!((axis.min_power, axis.max_power), (1, 4));
        let lines: Vec<_> = axis.gridlines().map(|(value, y)| (value.round(), y.round())).collect();
        assert_eq!(lines, [(10.0, 500.0), (100.0, 427.0), (1000.0, 353.0), (10000.0, 280.0)]);
    }

    #[test]
    fn the_least_still_has_a_bar() {
        let axis = LogAxis::for_values([100.0, 100.0].into_iter(), 500.0);
        assert!(axis.y(100.0) < 500.0);
        assert_eq!((axis.min_power, axis.max_power), (1, 3));
    }
}
