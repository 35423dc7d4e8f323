//! The statistics as a table of few columns, for a page.

use super::summary::{StatsSummary, TimeSummary};
use super::text::join_first;
use crate::catalogue::{Lang, message};
use crate::report::figures::{format_number, format_percent, format_seconds};

impl StatsSummary {
    /// Rows of a name and its values. The values of the first four rows are a mean and a maximum; every further row has
    /// one value.
    pub(crate) fn figures(&self, lang: Lang) -> Vec<(String, Vec<String>)> {
        let times = |times: &TimeSummary| [times.mean, times.max].map(format_seconds).to_vec();
        let blocked: Vec<_> = self.blocked_s.iter().map(|&s| format_seconds(Some(s))).collect();
        let busy = self.consumers.iter().map(|consumer| format_percent(consumer.utilization));
        let (items, elapsed) = (self.items, format_seconds(Some(self.elapsed_s)));
        let rate = format_number(self.throughput_per_s);
        let little = match self.little.difference {
            _ if !self.little.is_applicable => message!(lang, "stats-little-unfinished"),
            0 => message!(lang, "stats-little-exact"),
            difference => message!(lang, "stats-little-difference", difference = &difference),
        };
        let mut rows = vec![
            (
                message!(lang, "stats-title"),
                vec![message!(lang, "stats-mean"), message!(lang, "stats-max")],
            ),
            (message!(lang, "stats-wait"), times(&self.wait_s)),
            (message!(lang, "stats-sojourn"), times(&self.sojourn_s)),
            (
                message!(lang, "stats-depth"),
                vec![format_number(self.depth.mean), self.depth.max.to_string()],
            ),
            (message!(lang, "stats-in-system"), vec![format_number(self.in_system.mean)]),
            (
                message!(lang, "stats-done"),
                vec![message!(
                    lang,
                    "stats-done-text",
                    items = items,
                    elapsed = elapsed,
                    rate = rate
                )],
            ),
            (message!(lang, "stats-wait-probability"), vec![format_percent(self.wait_probability)]),
            (message!(lang, "stats-blocked"), vec![join_first(&blocked)]),
            (message!(lang, "stats-utilization"), vec![join_first(&busy.collect::<Vec<_>>())]),
            ("L = λW".to_owned(), vec![little]),
        ];
        if self.simulated {
            let text = message!(lang, "stats-simulated-text");
            rows.push((message!(lang, "stats-simulated"), vec![text]));
        }
        rows
    }
}
