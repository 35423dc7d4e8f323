//! Draws one metric over the parameter: the measured points with their confidence intervals, and the line of theory.

use svg::node::element::{Circle, ClipPath, Group, Path, Rectangle, Title};

use super::axis::Axis;
use super::estimate::{Estimate, TheoryValue};
use super::metric::{METRICS, Metric, Unit};
use super::parameter::spread_evenly;
use super::{PointReport, SweepReport};
use crate::catalogue::{lang, message};
use crate::report::PictureFormat;
use crate::report::picture::{
    FONT_SIZE, LegendLayout, MARGIN, line_element, new_document, rect_element, round_coordinate,
    text_element, text_width,
};
use crate::report::to_seconds;

const CSS: &str = include_str!("plot.css");
/// The size of the picture, in pixels.
const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 570.0;
/// The corners of the plot's area, in pixels.
const LEFT: f64 = 92.0;
const RIGHT: f64 = WIDTH - MARGIN - 10.0;
const TOP: f64 = 146.0;
const BOTTOM: f64 = HEIGHT - 64.0;
/// The room beside the first and the last value, as a part of the axis.
const SIDE_ROOM: f64 = 0.03;
/// The room above the largest value, as a part of it.
const TOP_ROOM: f64 = 0.06;
/// The half width of the ends of an interval, and the radius of a point, in pixels.
const CAP: f64 = 4.0;
const RADIUS: f64 = 3.0;
/// The line of theory has at most this many values.
const LINE_VALUES: u64 = 240;
/// Theory of a larger capacity takes too long for more than the points.
const LARGE_CAPACITY: u64 = 10_000;

/// The plot of one metric.
struct Plot<'a> {
    report: &'a SweepReport,
    metric: &'static Metric,
    index: usize,
    x: Axis,
    y: Axis,
    /// The values of the parameter, and those of theory.
    theory: Vec<(u64, Option<TheoryValue>)>,
}

impl SweepReport {
    /// The picture of the metric that `--metric` calls `option`.
    pub(crate) fn to_picture(&self, option: &str, format: PictureFormat) -> String {
        let index = METRICS.iter().position(|metric| metric.option == option).unwrap_or_default();
        format.file(&Plot::new(self, index).draw(), lang())
    }

    /// The values of theory along the axis.
    fn theory_line(&self, metric: &Metric) -> Vec<(u64, Option<TheoryValue>)> {
        let values: Vec<u64> = self.points.iter().map(|point| point.value).collect();
        let (first, last) = match values[..] {
            [first, .., last]
                if self.base.capacity.max(self.largest_capacity()) <= LARGE_CAPACITY =>
            {
                (first, last)
            }
            _ => (0, 0),
        };
        let count = LINE_VALUES.min((last - first).saturating_add(1));
        let mut all = spread_evenly(first, last, if last == 0 { 0 } else { count });
        all.extend(&values);
        all.sort_unstable();
        all.dedup();
        let theory = |value| {
            let config = self.parameter.apply(&self.base, value)?;
            TheoryValue::of(metric, &config.model_input(None).steady_state()?)
        };
        all.into_iter().map(|value| (value, theory(value))).collect()
    }

    fn largest_capacity(&self) -> u64 {
        let is_varied = self.parameter == super::Parameter::Capacity;
        self.points.last().map_or(0, |point| if is_varied { point.value } else { 0 })
    }
}

impl PointReport {
    /// The value of the metric depends on the number of items only: it has no place on the axis of the others.
    fn is_beyond(&self, metric: &Metric) -> bool {
        self.is_overloaded && metric.grows_in_overload
    }
}

impl<'a> Plot<'a> {
    fn new(report: &'a SweepReport, index: usize) -> Self {
        let metric = &const { &METRICS }[index];
        let is_delay = report.parameter.is_delay();
        let value = |point: Option<&PointReport>| {
            let value = point.map_or(0, |point| point.value);
            if is_delay { to_seconds(value) } else { value as f64 }
        };
        let (first, last) = (value(report.points.first()), value(report.points.last()));
        // A lone point is in the middle.
        let room = if first < last { (last - first) * SIDE_ROOM } else { last.max(1e-9) * 0.5 };
        let x = Axis {
            values: [first - room, last + room],
            pixels: [LEFT, RIGHT],
            unit: if is_delay { Unit::Seconds } else { Unit::Number },
            is_whole: !is_delay,
        };
        let theory = report.theory_line(metric);
        let mut plot = Self {
            report,
            metric,
            index,
            x,
            y: Axis {
                values: [0.0, 1.0],
                pixels: [BOTTOM, TOP],
                unit: metric.unit,
                is_whole: false,
            },
            theory,
        };
        plot.y.values[1] = plot.largest_value() * (1.0 + TOP_ROOM);
        plot
    }

    /// The largest value that the plot has to show.
    fn largest_value(&self) -> f64 {
        let top = |estimate: &Estimate| {
            let ends = [estimate.mean, estimate.interval().map(|[_, high]| high)];
            let theory = estimate.theory.map(|theory| theory.value);
            ends.into_iter().chain([theory]).flatten().fold(0.0, f64::max)
        };
        let shown = self.report.points.iter().filter(|point| !point.is_beyond(self.metric));
        let largest = shown.map(|point| top(&point.estimates[self.index])).fold(0.0, f64::max);
        if largest > 0.0 { largest } else { 1.0 }
    }

    fn x(&self, value: u64) -> f64 {
        let value = if self.report.parameter.is_delay() { to_seconds(value) } else { value as f64 };
        self.x.place(value)
    }

    fn draw(&self) -> String {
        let name = self.report.parameter.name();
        let title = message!("sweep-title", metric = (self.metric.name)(), parameter = name);
        let area = rect_element("area", [LEFT, TOP], [RIGHT - LEFT, BOTTOM - TOP]);
        let area = ClipPath::new().set("id", "area").add(area);
        let document = new_document(&title, WIDTH, HEIGHT, CSS)
            .add(area)
            .add(text_element(&title, MARGIN, MARGIN + 8.0, "title", "start"))
            .add(text_element(&self.report.runs_text(), MARGIN, MARGIN + 30.0, "note", "start"))
            .add(text_element(&self.report.settings_text(), MARGIN, MARGIN + 50.0, "note", "start"))
            .add(self.draw_legend())
            .add(self.draw_axes())
            .add(self.draw_theory().set("clip-path", "url(#area)"))
            .add(self.draw_points());
        format!("{document}\n")
    }

    fn draw_axes(&self) -> Group {
        let mut group = Group::new();
        for (value, label) in self.y.ticks(|_| FONT_SIZE) {
            let y = self.y.place(value);
            group = group
                .add(line_element([LEFT, RIGHT], [y, y]).set("class", "grid"))
                .add(text_element(&label, LEFT - 8.0, y, "tick", "end"));
        }
        for (value, label) in self.x.ticks(text_width) {
            let x = self.x.place(value);
            group = group
                .add(line_element([x, x], [BOTTOM, BOTTOM + 5.0]).set("class", "axis"))
                .add(text_element(&label, x, BOTTOM + 8.0 + FONT_SIZE * 0.6, "tick", "middle"));
        }
        let parameter = self.report.parameter;
        let name = if parameter.is_delay() {
            message!("sweep-mean-of", parameter = parameter.name())
        } else {
            parameter.name().to_owned()
        };
        let middle = f64::midpoint(LEFT, RIGHT);
        group
            .add(line_element([LEFT, RIGHT], [BOTTOM, BOTTOM]).set("class", "axis"))
            .add(text_element(&name, middle, HEIGHT - 18.0, "label", "middle"))
            .add(text_element(&(self.metric.name)(), MARGIN, TOP - 20.0, "label", "start"))
    }

    /// The line of theory, with gaps where theory says nothing.
    fn draw_theory(&self) -> Group {
        let mut group = Group::new();
        let parts = self.theory.split(|(_, theory)| theory.is_none());
        for part in parts.filter(|part| !part.is_empty()) {
            let mut path = String::new();
            let mut class = "theory";
            for (value, theory) in part {
                let Some(theory) = theory else { continue };
                if theory.is_bound {
                    class = "theory bound";
                }
                path.push_str(&step(&path, self.x(*value), self.y.place(theory.value)));
            }
            // A line needs two ends: without a length it is a dot.
            if part.len() == 1 {
                path.push_str("h0.1");
            }
            group = group.add(Path::new().set("class", class).set("d", path));
        }
        group
    }

    fn draw_points(&self) -> Group {
        let (mut path, mut marks) = (String::new(), Group::new());
        for point in &self.report.points {
            let estimate = &point.estimates[self.index];
            let x = self.x(point.value);
            let Some(mean) = estimate.mean else { continue };
            let tip = Title::new(self.tip(point, estimate));
            if point.is_beyond(self.metric) {
                marks = marks.add(overload_mark(x, TOP + CAP).add(tip));
                continue;
            }
            let y = self.y.place(mean);
            path.push_str(&step(&path, x, y));
            let mut mark = Group::new().add(tip);
            if let Some(ends) = estimate.interval() {
                mark = mark.add(interval_mark(x, ends.map(|end| self.y.place(end.max(0.0)))));
            }
            marks = marks.add(mark.add(dot(x, y)));
        }
        Group::new().add(Path::new().set("class", "measured").set("d", path)).add(marks)
    }

    /// The text of a point's tooltip.
    fn tip(&self, point: &PointReport, estimate: &Estimate) -> String {
        let format = |value| self.metric.unit.format(Some(value));
        let setting = self.report.parameter.format_setting(point.value);
        let mut tip = format!("{setting}: {}", self.metric.unit.format(estimate.mean));
        if let Some([low, high]) = estimate.interval() {
            tip += &format!(" ({} … {})", format(low), format(high));
        }
        if let Some(theory) = &estimate.theory {
            let sign = if theory.is_bound { "≤ " } else { "" };
            tip += &format!("; {} {sign}{}", message!("sweep-theory"), format(theory.value));
        }
        tip
    }

    fn draw_legend(&self) -> Group {
        let mut layout = LegendLayout::new([MARGIN, WIDTH - MARGIN], MARGIN + 76.0, 20.0);
        let mut group = Group::new();
        let mut add = |sample: fn(f64, f64) -> Group, name: String| {
            let [x, y] = layout.place(26.0, &name);
            let text = text_element(&name, x + 26.0, y, "label", "start");
            group = std::mem::take(&mut group).add(sample(x + 10.0, y)).add(text);
        };
        let shown = self.report.points.iter().filter(|point| !point.is_beyond(self.metric));
        let shown: Vec<_> = shown.map(|point| &point.estimates[self.index]).collect();
        if shown.iter().any(|estimate| estimate.half_width.is_some()) {
            let sample =
                |x, y| Group::new().add(interval_mark(x, [y + 7.0, y - 7.0])).add(dot(x, y));
            add(sample, message!("sweep-measured"));
        } else if !shown.is_empty() {
            add(|x, y| Group::new().add(dot(x, y)), message!("sweep-measured-alone"));
        }
        let theory = || self.theory.iter().filter_map(|(_, theory)| *theory);
        if theory().any(|theory| !theory.is_bound) {
            add(|x, y| theory_sample("theory", x, y), message!("sweep-theory"));
        }
        if theory().any(|theory| theory.is_bound) {
            add(|x, y| theory_sample("theory bound", x, y), message!("sweep-theory-bound"));
        }
        if self.report.points.iter().any(|point| point.is_beyond(self.metric)) {
            add(overload_mark, message!("sweep-overloaded"));
        }
        group
    }
}

/// The next part of a path through points.
fn step(path: &str, x: f64, y: f64) -> String {
    let command = if path.is_empty() { 'M' } else { 'L' };
    format!("{command}{} {}", round_coordinate(x), round_coordinate(y))
}

fn dot(x: f64, y: f64) -> Circle {
    Circle::new()
        .set("class", "dot")
        .set("cx", round_coordinate(x))
        .set("cy", round_coordinate(y))
        .set("r", RADIUS)
}

/// An interval: a line with a cap at each end. The rectangle makes the tooltip easy to hit.
fn interval_mark(x: f64, [low, high]: [f64; 2]) -> Group {
    let line = |x: [f64; 2], y: [f64; 2]| line_element(x, y).set("class", "whisker");
    let target = Rectangle::new()
        .set("x", round_coordinate(x - 2.0 * CAP))
        .set("y", round_coordinate(high - 2.0 * CAP))
        .set("width", 4.0 * CAP)
        .set("height", round_coordinate(low - high + 4.0 * CAP))
        .set("fill", "transparent");
    Group::new()
        .add(target)
        .add(line([x, x], [low, high]))
        .add(line([x - CAP, x + CAP], [low, low]))
        .add(line([x - CAP, x + CAP], [high, high]))
}

/// An arrow upwards.
fn overload_mark(x: f64, y: f64) -> Group {
    let [x, y] = [x, y].map(round_coordinate);
    let path = format!("M{} {}L{x} {}L{} {}Z", x - 5.0, y + 5.0, y - 4.0, x + 5.0, y + 5.0);
    Group::new().add(Path::new().set("class", "overload").set("d", path))
}

fn theory_sample(class: &str, x: f64, y: f64) -> Group {
    let path = format!("M{} {}h20", round_coordinate(x - 10.0), round_coordinate(y));
    Group::new().add(Path::new().set("class", class).set("d", path))
}
