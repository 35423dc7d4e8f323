//! Formats the figures as a table.

use std::fmt::Write;

use super::figures::{format_bytes, format_si};
use super::{BenchCase, BenchReport, CaseResult, Implementation};
use crate::report::english_count;

impl BenchReport {
    /// The machine, and the program.
    pub(super) fn title(&self) -> [String; 2] {
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().map_or(String::new(), |cpu| format!("{cpu}, "));
        let cores = english_count(machine.cores as u64, "core");
        let commit = self.commit.map_or(String::new(), |commit| format!(" ({commit})"));
        let rounds = match self.rounds {
            1 => "1 round".to_owned(),
            rounds => format!("medians of {rounds} rounds"),
        };
        [
            format!("{cpu}{cores}, {}", machine.system),
            format!("qdemo {}{commit}, {rounds}", self.version),
        ]
    }

    /// The complete table.
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.title().join("\n") + "\n\n";
        let _ = writeln!(
            text,
            "{:>8} {:>7} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "items", "workers", "items/s", "spread", "bytes/s", "of limit", "p50", "p99", "limit"
        );
        for result in self.results_of(Implementation::Qdemo) {
            let limit = self.relay_limit(result.case.size);
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
                case_columns(&result.case),
                format_si(result.items_per_s.median),
                self.format_spread(result),
                format_si(result.bytes_per_s) + "B",
                format_ratio(
                    limit.map(|limit| result.items_per_s.median / limit.items_per_s.median)
                ),
                format_si(result.p50_s.median) + "s",
                format_si(result.p99_s.median) + "s",
                limit.map_or("–".to_owned(), |limit| format_si(limit.p50_s.median) + "s"),
            );
        }
        text += "\np50, p99: from the put in one process until the get in another, one item at a time a pair.\n\
                 limit: the same bytes through two named pipes, one writer, a bare relay, one reader.\n";
        if self.results_of(Implementation::Python).next().is_some() {
            let _ = writeln!(
                text,
                "\n{:>8} {:>7} {:>9} {:>7} {:>8} {:>8} {:>8}",
                "mp.Queue", "workers", "items/s", "spread", "qdemo", "p50", "qdemo"
            );
        }
        for python in self.results_of(Implementation::Python) {
            let qdemo = self
                .find_result(BenchCase { implementation: Implementation::Qdemo, ..python.case });
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>8} {:>8} {:>8}",
                case_columns(&python.case),
                format_si(python.items_per_s.median),
                self.format_spread(python),
                format_ratio(
                    qdemo.map(|qdemo| qdemo.items_per_s.median / python.items_per_s.median)
                ),
                format_si(python.p50_s.median) + "s",
                format_ratio(qdemo.map(|qdemo| qdemo.p50_s.median / python.p50_s.median)),
            );
        }
        text
    }

    pub(super) fn results_of(
        &self,
        implementation: Implementation,
    ) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(move |result| result.case.implementation == implementation)
    }

    /// A single round has no spread.
    fn format_spread(&self, result: &CaseResult) -> String {
        match self.rounds {
            1 => "–".to_owned(),
            _ => format!("± {:.0} %", result.items_per_s.relative_half_range() * 100.0),
        }
    }

    /// A warning about cases whose rounds differ too much. None if all cases are reliable.
    pub(crate) fn spread_warning(&self) -> Option<String> {
        let is_wide =
            |result: &&CaseResult| result.items_per_s.is_too_wide() || result.p50_s.is_too_wide();
        let wide = self.cases.iter().filter(is_wide);
        let names: Vec<_> = wide.map(|result| result.case.label()).collect();
        let (first, others) = names.split_first()?;
        let others = match others.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(format!(
            "the rounds differ by more than 25 % up or down ({first}{others}): something else keeps the \
             machine busy; measure again when it is idle, or with more --rounds"
        ))
    }
}

fn case_columns(case: &BenchCase) -> String {
    let BenchCase { size, producers, consumers, idle_clients, .. } = case;
    let idle = match idle_clients {
        0 => String::new(),
        idle => format!(" + {idle}"),
    };
    format!("{:>8} {:>7}", format_bytes(*size), format!("{producers} × {consumers}{idle}"))
}

fn format_ratio(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| match ratio {
        100.0.. => format!("{ratio:.0} ×"),
        10.0.. => format!("{ratio:.1} ×"),
        _ => format!("{ratio:.2} ×"),
    })
}
