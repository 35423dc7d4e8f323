//! Statistics for people.

use console::{Alignment, pad_str};

use super::summary::{Compared, Summary, Theory, Times};
use crate::report::Lang;
use crate::report::figures::{number, time};

/// The width of a column.
const COLUMN: usize = 12;
/// And of the first one.
const HEAD: usize = 16;

impl Summary {
    /// Lines, each with its newline.
    pub(crate) fn text(&self, lang: Lang) -> String {
        let say = |ja: &'static str, en: &'static str| match lang {
            Lang::Ja => ja,
            Lang::En => en,
        };
        let mut rows = vec![
            row(
                say("統計", "statistics"),
                [say("平均", "mean"), "p50", "p90", "p99", say("最大", "max")],
            ),
            self.wait_s.row(say("待ち時間", "wait")),
            self.sojourn_s.row(say("滞在時間", "sojourn")),
            row(
                say("列の長さ", "depth"),
                [
                    number(self.depth.mean),
                    String::new(),
                    String::new(),
                    String::new(),
                    self.depth.max.to_string(),
                ],
            ),
            row(say("系内の個数", "in system"), [number(self.in_system.mean)]),
        ];
        let mut fact = |head: &str, text: String| rows.push(row(head, [text]));
        let rate = number(self.throughput_per_s);
        let (items, elapsed) = (self.items, time(Some(self.elapsed_s)));
        fact(
            say("処理", "done"),
            match lang {
                Lang::Ja => format!("{items} 個、{elapsed}（毎秒 {rate} 個）"),
                Lang::En => format!("{items} items in {elapsed} ({rate}/s)"),
            },
        );
        fact(say("待った割合", "had to wait"), percent(self.wait_probability));
        let blocked: Vec<_> = self.blocked_s.iter().map(|&s| time(Some(s))).collect();
        fact(say("満杯で停止", "blocked"), some(&blocked));
        let busy = |c: &super::summary::Consumer| percent(c.utilization);
        let busy: Vec<_> = self.consumers.iter().map(busy).collect();
        fact(
            say("稼働率", "utilization"),
            match busy.len() {
                1 => some(&busy),
                _ => format!("{} ({})", percent(self.utilization), some(&busy)),
            },
        );
        fact(
            "L = λW",
            match self.little.difference {
                0 => say("差はちょうど 0 ns", "holds exactly: the difference is 0 ns").to_owned(),
                difference => say("差 {} ns", "the difference is {} ns")
                    .replace("{}", &difference.to_string()),
            },
        );
        if let Some(seed) = self.seed {
            fact(say("乱数の種", "seed"), seed.to_string());
        }
        if let Some(theory) = &self.theory {
            rows.extend(theory.rows(lang));
        }
        rows.into_iter().map(|row| row.trim_end().to_owned() + "\n").collect()
    }
}

impl Times {
    fn row(&self, head: &str) -> String {
        row(head, [self.mean, self.p50, self.p90, self.p99, self.max].map(time))
    }
}

impl Theory {
    fn rows(&self, lang: Lang) -> Vec<String> {
        let heads = match lang {
            Lang::Ja => ["理論値", "実測値", "95% 信頼区間"],
            Lang::En => ["formula", "measured", "95 % interval"],
        };
        let name = format!("{} (ρ = {})", self.model, number(Some(self.rho)));
        if self.unstable {
            let unstable = match lang {
                Lang::Ja => "不安定: 列は限りなく伸びるため、比べる平均はありません",
                Lang::En => "unstable: what waits grows for ever, and has no average",
            };
            return vec![format!("{name}: {unstable}")];
        }
        let seconds: Shown = time;
        let rows: [(_, _, _, Shown); 8] = [
            ("毎秒の個数", "throughput", self.throughput_per_s, number),
            ("列の長さ", "depth", self.depth, number),
            ("系内の個数", "in system", self.in_system, number),
            ("待ち時間", "wait", self.wait_s, seconds),
            ("滞在時間", "sojourn", self.sojourn_s, seconds),
            ("稼働率", "utilization", self.utilization, percent),
            ("待った割合", "had to wait", self.wait_probability, percent),
            ("満杯で停止", "blocked", self.blocked, percent),
        ];
        let rows = rows.into_iter().filter_map(|(ja, en, compared, shown)| {
            let head = match lang {
                Lang::Ja => ja,
                Lang::En => en,
            };
            Some(row(head, compared?.cells(shown)))
        });
        [name, row("", heads)].into_iter().chain(rows).collect()
    }
}

type Shown = fn(Option<f64>) -> String;

impl Compared {
    fn cells(&self, shown: Shown) -> [String; 3] {
        let interval = self.interval.map_or_else(String::new, |[low, high]| {
            format!("{} … {}", shown(Some(low)), shown(Some(high)))
        });
        [shown(Some(self.formula)), shown(self.measured), interval]
    }
}

fn row<T: AsRef<str>>(head: &str, cells: impl IntoIterator<Item = T>) -> String {
    let cells = cells.into_iter().map(|cell| pad(cell.as_ref(), COLUMN));
    pad(head, HEAD) + &cells.collect::<String>()
}

/// A text that is too long stands with its neighbour apart all the same.
fn pad(text: &str, width: usize) -> String {
    match console::measure_text_width(text) < width {
        true => pad_str(text, width, Alignment::Left, None).into_owned(),
        false => format!("{text} "),
    }
}

/// The first of them.
fn some(texts: &[String]) -> String {
    const MOST: usize = 8;
    let shown = texts.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if texts.len() > MOST { shown + ", …" } else { shown }
}

fn percent(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) => format!("{:.1} %", value * 100.0),
    }
}
