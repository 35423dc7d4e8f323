//! The statistics as text for people.

use console::{Alignment, pad_str};

use super::summary::{METRICS, MetricComparison, StatsSummary, TheoryComparison, TimeSummary};
use crate::report::figures::{format_number, format_percent, format_seconds};
use crate::report::{Lang, english_item_count};

const COLUMN_WIDTH: usize = 12;
/// The width of the first column.
const HEAD_WIDTH: usize = 16;

impl StatsSummary {
    /// The lines of the summary, each with its newline.
    pub(crate) fn render(&self, lang: Lang) -> String {
        let say = |ja: &'static str, en: &'static str| lang.pick(ja, en);
        let (mean_depth, max_depth) = (format_number(self.depth.mean), self.depth.max.to_string());
        let mut rows = vec![
            format_row(
                say("統計", "statistics"),
                [say("平均", "mean"), "p50", "p90", "p99", say("最大", "max")],
            ),
            self.wait_s.format_row(say("待ち時間", "wait")),
            self.sojourn_s.format_row(say("滞在時間", "sojourn")),
            format_row(say("列の長さ", "depth"), [&mean_depth[..], "", "", "", &max_depth]),
            format_row(say("系内の個数", "in system"), [format_number(self.in_system.mean)]),
        ];
        let mut add_row = |head: &str, text: String| rows.push(format_row(head, [text]));
        let rate = format_number(self.throughput_per_s);
        let (items, elapsed) = (self.items, format_seconds(Some(self.elapsed_s)));
        add_row(
            say("処理", "done"),
            lang.pick(
                format!("{items} 個、{elapsed}（毎秒 {rate} 個）"),
                format!("{} in {elapsed} ({rate}/s)", english_item_count(items)),
            ),
        );
        add_row(say("待った割合", "had to wait"), format_percent(self.wait_probability));
        let blocked: Vec<_> = self.blocked_s.iter().map(|&s| format_seconds(Some(s))).collect();
        add_row(say("満杯で停止", "blocked"), join_first(&blocked));
        let busy = |c: &super::summary::ConsumerSummary| format_percent(c.utilization);
        let busy: Vec<_> = self.consumers.iter().map(busy).collect();
        add_row(
            say("稼働率", "utilization"),
            match busy.len() {
                1 => join_first(&busy),
                _ => format!("{} ({})", format_percent(self.utilization), join_first(&busy)),
            },
        );
        add_row(
            "L = λW",
            match self.little.difference {
                0 => say("差はちょうど 0 ns", "holds exactly: the difference is 0 ns").to_owned(),
                difference => say("差 {} ns", "the difference is {} ns")
                    .replace("{}", &difference.to_string()),
            },
        );
        if let Some(seed) = self.seed {
            add_row(say("乱数の種", "seed"), seed.to_string());
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
        let heads = lang
            .pick(["理論値", "実測値", "95% 信頼区間"], ["formula", "measured", "95 % interval"]);
        let name = format!("{} (ρ = {})", self.model, format_number(Some(self.rho)));
        if self.is_unstable {
            let unstable = lang.pick(
                "不安定: 列は限りなく伸びるため、比べる平均はありません",
                "unstable: the queue grows without limit, and has no average",
            );
            return vec![format!("{name}: {unstable}")];
        }
        let rows = METRICS.iter().zip(self.metrics).filter_map(|(metric, comparison)| {
            let [ja, en] = metric.names;
            Some(format_row(lang.pick(ja, en), comparison?.format_cells(metric.format)))
        });
        [name, format_row("", heads)].into_iter().chain(rows).collect()
    }
}

impl MetricComparison {
    fn format_cells(&self, format: fn(Option<f64>) -> String) -> [String; 3] {
        let interval = self.interval.map_or_else(String::new, |[low, high]| {
            format!("{} … {}", format(Some(low)), format(Some(high)))
        });
        [format(Some(self.formula)), format(self.measured), interval]
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
fn join_first(texts: &[String]) -> String {
    const MAX_SHOWN: usize = 8;
    let shown = texts.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if texts.len() > MAX_SHOWN { shown + ", …" } else { shown }
}
