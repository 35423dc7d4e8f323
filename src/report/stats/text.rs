//! The statistics as text for people.

use console::{Alignment, pad_str};

use super::summary::{METRICS, MetricComparison, StatsSummary, TheoryComparison, TimeSummary};
use crate::catalogue::{Lang, message};
use crate::report::figures::{format_number, format_percent, format_seconds};

const COLUMN_WIDTH: usize = 12;
/// The width of the first column.
const HEAD_WIDTH: usize = 16;

impl StatsSummary {
    /// The lines of the summary, each with its newline.
    pub(crate) fn render(&self, lang: Lang) -> String {
        let (mean_depth, max_depth) = (format_number(self.depth.mean), self.depth.max.to_string());
        let mut rows = vec![
            format_row(
                &message!(lang, "stats-title"),
                [
                    &message!(lang, "stats-mean")[..],
                    "p50",
                    "p90",
                    "p99",
                    &message!(lang, "stats-max"),
                ],
            ),
            self.wait_s.format_row(&message!(lang, "stats-wait")),
            self.sojourn_s.format_row(&message!(lang, "stats-sojourn")),
            format_row(&message!(lang, "stats-depth"), [&mean_depth[..], "", "", "", &max_depth]),
            format_row(&message!(lang, "stats-in-system"), [format_number(self.in_system.mean)]),
        ];
        let mut add_row = |head: &str, text: String| rows.push(format_row(head, [text]));
        let rate = format_number(self.throughput_per_s);
        let (items, elapsed) = (self.items, format_seconds(Some(self.elapsed_s)));
        add_row(
            &message!(lang, "stats-done"),
            message!(lang, "stats-done-text", items = items, elapsed = elapsed, rate = rate),
        );
        add_row(&message!(lang, "stats-wait-probability"), format_percent(self.wait_probability));
        let blocked: Vec<_> = self.blocked_s.iter().map(|&s| format_seconds(Some(s))).collect();
        add_row(&message!(lang, "stats-blocked"), join_first(&blocked));
        let busy = |c: &super::summary::ConsumerSummary| format_percent(c.utilization);
        let busy: Vec<_> = self.consumers.iter().map(busy).collect();
        add_row(
            &message!(lang, "stats-utilization"),
            match busy.len() {
                1 => join_first(&busy),
                _ => format!("{} ({})", format_percent(self.utilization), join_first(&busy)),
            },
        );
        add_row(
            "L = λW",
            match self.little.difference {
                _ if !self.little.is_applicable => message!(lang, "stats-little-unfinished"),
                0 => message!(lang, "stats-little-exact"),
                difference => message!(lang, "stats-little-difference", difference = &difference),
            },
        );
        if let Some(seed) = self.seed {
            add_row(&message!(lang, "stats-seed"), seed.to_string());
        }
        if self.simulated {
            let text = message!(lang, "stats-simulated-text");
            add_row(&message!(lang, "stats-simulated"), text);
        }
        if let Some(theory) = &self.theory {
            rows.extend(theory.format_rows(lang));
        }
        rows.into_iter().map(|row| row.trim_end().to_owned() + "\n").collect()
    }
}

impl TimeSummary {
    fn format_row(&self, head: &str) -> String {
        format_row(head, [self.mean, self.p50, self.p90, self.p99, self.max].map(format_seconds))
    }
}

impl TheoryComparison {
    fn format_rows(&self, lang: Lang) -> Vec<String> {
        let heads = [
            message!(lang, "stats-formula"),
            message!(lang, "stats-measured"),
            message!(lang, "stats-interval"),
        ];
        let name = format!("{} (ρ = {})", self.model.text(lang), format_number(Some(self.rho)));
        if self.is_unstable {
            let unstable = message!(lang, "stats-unstable");
            return vec![format!("{name}: {unstable}")];
        }
        let rows = METRICS.iter().zip(self.metrics).filter_map(|(metric, comparison)| {
            Some(format_row(&(metric.name)(lang), comparison?.format_cells(metric.format)))
        });
        let rows = [name, format_row("", heads)].into_iter().chain(rows);
        rows.chain(self.format_notes(lang)).collect()
    }

    /// What a reader must know of the values.
    fn format_notes(&self, lang: Lang) -> Vec<String> {
        let mut notes = Vec::new();
        let compared =
            || METRICS.iter().zip(&self.metrics).filter_map(|(m, c)| Some((m, c.as_ref()?)));
        if compared().any(|(_, comparison)| comparison.bound.is_some()) {
            notes.push(message!(lang, "stats-bound"));
        }
        if self.assumes_independence {
            notes.push(message!(lang, "stats-file-order"));
        }
        if let Some(method) = &self.intervals {
            let interval = message!(lang, "stats-interval");
            notes.push(message!(
                lang,
                "stats-method",
                interval = interval,
                batches = method.batches
            ));
            let correlated = compared().filter(|(_, comparison)| comparison.is_correlated());
            let names: Vec<_> = correlated.map(|(metric, _)| (metric.name)(lang)).collect();
            if !names.is_empty() {
                let names = names.join(&message!(lang, "stats-comma"));
                notes.push(message!(lang, "stats-correlated", names = names));
            }
        }
        notes
    }
}

impl MetricComparison {
    fn format_cells(&self, format: fn(Option<f64>) -> String) -> [String; 3] {
        let interval = self.interval.map_or_else(String::new, |[low, high]| {
            format!("{} … {}", format(Some(low)), format(Some(high)))
        });
        let theory = match self.bound {
            Some(bound) => format!("≤ {}", format(Some(bound))),
            None => format(self.formula),
        };
        [theory, format(self.measured), interval]
    }
}

fn format_row<T: AsRef<str>>(head: &str, cells: impl IntoIterator<Item = T>) -> String {
    let cells = cells.into_iter().map(|cell| pad_cell(cell.as_ref(), COLUMN_WIDTH));
    pad_cell(head, HEAD_WIDTH) + &cells.collect::<String>()
}

/// Pads a text to the width. A longer text has one space after it.
fn pad_cell(text: &str, width: usize) -> String {
    if console::measure_text_width(text) < width {
        pad_str(text, width, Alignment::Left, None).into_owned()
    } else {
        format!("{text} ")
    }
}

/// The first texts, with a comma between two.
pub(super) fn join_first(texts: &[String]) -> String {
    const MAX_SHOWN: usize = 8;
    let shown = texts.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if texts.len() > MAX_SHOWN { shown + ", …" } else { shown }
}
