//! The figures as bars: items a second, and how long one is underway.

use svg::node::element::{Group, Line, Rectangle};

use super::figures::{bytes, si};
use super::{Outcome, Report, Subject};
use crate::report::picture::{LETTERS, MARGIN, paper, round, text, text_width};

const CSS: &str = include_str!("chart.css");
/// The width of the picture, in pixels.
const WIDTH: f64 = 1240.0;
/// The height of the bars of one panel, and what is above and below them.
const HEIGHT: f64 = 220.0;
const ABOVE: f64 = 46.0;
const BELOW: f64 = 36.0;
/// Room for the numbers of the axis.
const LEFT: f64 = 64.0;
/// How many colours there are for one of them.
const SHADES: usize = 4;
/// How much smaller the figures at the bars are than other letters, as their widths are overestimated.
const SMALL: f64 = 0.8;
/// The part of its group's place that its bars take up.
const TAKEN: f64 = 0.82;

/// Those whose bars look the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Series {
    subject: Subject,
    workers: [u32; 2],
}

/// One kind of figure of all of them.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    value: fn(&Outcome) -> f64,
    /// How far a paler bar goes on above the bar.
    beyond: Option<fn(&Outcome) -> f64>,
}

const PANELS: [Panel<'_>; 2] = [
    Panel {
        title: "Items a second (each line is ten times the one below it)",
        unit: "",
        value: |one| one.items_per_s.median,
        beyond: None,
    },
    Panel {
        title: "From one process to the other: median, and up to the 99th of a hundred",
        unit: "s",
        value: |one| one.p50_s.median,
        beyond: Some(|one| one.p99_s.median),
    },
];

impl Report {
    /// The picture as a file.
    pub(crate) fn chart(&self) -> String {
        let [machine, program] = self.title();
        let (legend, mut top) = self.legend(MARGIN + 50.0);
        let height = top + PANELS.len() as f64 * (ABOVE + HEIGHT + BELOW) + MARGIN;
        let mut chart = paper("qdemo bench", WIDTH, height, CSS)
            .add(text("qdemo bench", MARGIN, MARGIN + 8.0, "title", "start"))
            .add(text(&format!("{machine}; {program}"), MARGIN, MARGIN + 28.0, "note", "start"))
            .add(legend);
        for panel in &PANELS {
            chart = chart.add(self.panel(panel, top));
            top += ABOVE + HEIGHT + BELOW;
        }
        format!("{chart}\n")
    }

    fn series(&self) -> Vec<Series> {
        let mut all = Vec::new();
        for subject in [Subject::Qdemo, Subject::Python, Subject::Relay] {
            for case in self.cases.iter().map(|one| one.case).filter(|c| c.subject == subject) {
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

    fn outcome_of(&self, series: Series, size: u64) -> Option<&Outcome> {
        self.cases.iter().find(|one| {
            let case = one.case;
            let workers = [case.producers, case.consumers];
            (case.subject, workers, case.size) == (series.subject, series.workers, size)
        })
    }

    /// What is whose, and where that ends.
    fn legend(&self, top: f64) -> (Group, f64) {
        let mut legend = Group::new();
        let (mut x, mut y) = (MARGIN, top);
        for (at, one) in self.series().into_iter().enumerate() {
            let [producers, consumers] = one.workers;
            let name = match one.subject {
                Subject::Qdemo => format!("qdemo {producers} × {consumers}"),
                Subject::Python => format!("multiprocessing.Queue {producers} × {consumers}"),
                Subject::Relay => "the limit: a bare relay on two named pipes".to_owned(),
            };
            let whole = 20.0 + text_width(&name);
            if x > MARGIN && x + whole > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + 20.0);
            }
            let sample = bar(&class(&one, at), [x, x + 14.0], [y - 7.0, y + 7.0]);
            legend = legend.add(sample).add(text(&name, x + 20.0, y, "label", "start"));
            x += whole + 22.0;
        }
        (legend, y + 12.0)
    }

    fn panel(&self, panel: &Panel<'_>, top: f64) -> Group {
        let ends = |one| [(panel.value)(one), panel.beyond.map_or((panel.value)(one), |f| f(one))];
        let axis = Decades::of(self.cases.iter().flat_map(ends), top + ABOVE + HEIGHT);
        let mut group = Group::new().add(text(panel.title, MARGIN, top + 24.0, "label", "start"));
        for (value, y) in axis.lines() {
            let line = Line::new().set("class", "grid").set("x1", LEFT).set("x2", WIDTH - MARGIN);
            let label = round_number(value) + panel.unit;
            group = group.add(line.set("y1", round(y)).set("y2", round(y))).add(text(
                &label,
                LEFT - 8.0,
                y,
                "tick",
                "end",
            ));
        }
        let (series, sizes) = (self.series(), self.sizes());
        let place = (WIDTH - MARGIN - LEFT) / sizes.len().max(1) as f64;
        let wide = place * TAKEN / series.len().max(1) as f64;
        for (at, &size) in sizes.iter().enumerate() {
            let middle = LEFT + place * (at as f64 + 0.5);
            let left = middle - place * TAKEN / 2.0;
            group = group.add(text(
                &bytes(size),
                middle,
                axis.bottom + LETTERS + 4.0,
                "label",
                "middle",
            ));
            for (at, &one) in series.iter().enumerate() {
                let Some(outcome) = self.outcome_of(one, size) else { continue };
                let x = [left + wide * at as f64 + 1.0, left + wide * (at + 1) as f64 - 1.0];
                let value = (panel.value)(outcome);
                let (y, class) = (axis.y(value), class(&one, at));
                if let Some(beyond) = panel.beyond {
                    let paler = format!("{class} beyond");
                    group = group.add(bar(&paler, x, [axis.y(beyond(outcome)), y]));
                }
                group = group.add(bar(&class, x, [y, axis.bottom]));
                let label = si(value) + panel.unit;
                if text_width(&label) * SMALL < wide {
                    let middle = f64::midpoint(x[0], x[1]);
                    group = group.add(text(&label, middle, y - 8.0, "value", "middle"));
                }
            }
        }
        group
    }
}

/// A power of ten.
fn round_number(value: f64) -> String {
    let text = si(value);
    let (digits, prefix) = text.split_once(' ').unwrap_or((&text, ""));
    let whole = digits.split('.').next().unwrap_or(digits);
    format!("{whole} {prefix}")
}

/// Whoever is compared to has colours of its own; those of one subject take turns.
fn class(series: &Series, at: usize) -> String {
    match series.subject {
        Subject::Qdemo => format!("bar qdemo-{}", at % SHADES),
        Subject::Python => format!("bar python-{}", at % SHADES),
        Subject::Relay => "bar relay".to_owned(),
    }
}

fn bar(class: &str, [left, right]: [f64; 2], [top, bottom]: [f64; 2]) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", round(left))
        .set("y", round(top))
        .set("width", round(right - left))
        .set("height", round(bottom - top))
}

/// A scale on which ten times as much is always as much higher.
struct Decades {
    /// The power of ten at the bottom, and at the top.
    from: i32,
    to: i32,
    bottom: f64,
}

impl Decades {
    /// With room for these values, of which there is one; each of them has a bar that can be seen.
    fn of(values: impl Iterator<Item = f64>, bottom: f64) -> Self {
        let (least, most) =
            values.fold((f64::MAX, 0.0), |(least, most), v: f64| (v.min(least), v.max(most)));
        // In range, as a float has no more than 308 digits.
        let power = |value: f64| value.log10().floor() as i32;
        let from = power(least / 1.5);
        Self { from, to: power(most).max(from) + 1, bottom }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        self.bottom - HEIGHT * part
    }

    fn lines(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.from..=self.to).map(|power| 10f64.powi(power)).map(|value| (value, self.y(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_as_much_is_as_much_higher_everywhere() {
        let axis = Decades::of([20.0, 3000.0].into_iter(), 500.0);
        assert_eq!((axis.from, axis.to), (1, 4));
        let lines: Vec<_> = axis.lines().map(|(value, y)| (value.round(), y.round())).collect();
        assert_eq!(lines, [(10.0, 500.0), (100.0, 427.0), (1000.0, 353.0), (10000.0, 280.0)]);
    }

    #[test]
    fn the_least_still_has_a_bar() {
        let axis = Decades::of([100.0, 100.0].into_iter(), 500.0);
        assert!(axis.y(100.0) < 500.0);
        assert_eq!((axis.from, axis.to), (1, 3));
    }
}
