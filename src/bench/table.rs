//! The figures as a table for people.

use std::fmt::Write;

use super::figures::{format_bytes, format_si};
use super::{BenchCase, BenchReport, CaseResult, Implementation};

impl BenchReport {
    /// Who was measured, on what.
    pub(super) fn title(&self) -> [String; 2] {
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().map_or(String::new(), |cpu| format!("{cpu}, "));
        let cores = match machine.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
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

    /// All of it.
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.title().join("\n") + "\n\n";
        let _ = writeln!(
            text,
            "{:>8} {:>7} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "items", "workers", "items/s", "spread", "bytes/s", "of limit", "p50", "p99", "limit"
        );
        let of = |subject| self.cases.iter().filter(move |one| one.case.implementation == subject);
        for one in of(Implementation::Qdemo) {
            let limit = self.relay_limit(one.case.size);
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
                case_columns(&one.case),
                format_si(one.items_per_s.median),
                self.format_spread(one),
                format_si(one.bytes_per_s) + "B",
                format_ratio(limit.map(|limit| one.items_per_s.median / limit.items_per_s.median)),
                format_si(one.p50_s.median) + "s",
                format_si(one.p99_s.median) + "s",
                limit.map_or("–".to_owned(), |limit| format_si(limit.p50_s.median) + "s"),
            );
        }
        text += "\np50, p99: from the put in one process until the get in another, one item at a time a pair.\n\
                 limit: the same bytes through two named pipes, one writer, a bare relay, one reader.\n";
        if of(Implementation::Python).next().is_some() {
            let _ = writeln!(
                text,
                "\n{:>8} {:>7} {:>9} {:>7} {:>8} {:>8} {:>8}",
                "mp.Queue", "workers", "items/s", "spread", "qdemo", "p50", "qdemo"
            );
        }
        for one in of(Implementation::Python) {
            let ours =
                self.find_result(BenchCase { implementation: Implementation::Qdemo, ..one.case });
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>8} {:>8} {:>8}",
                case_columns(&one.case),
                format_si(one.items_per_s.median),
                self.format_spread(one),
                format_ratio(ours.map(|ours| ours.items_per_s.median / one.items_per_s.median)),
                format_si(one.p50_s.median) + "s",
                format_ratio(ours.map(|ours| ours.p50_s.median / one.p50_s.median)),
            );
        }
        text
    }

    /// Of one round nobody knows.
    fn format_spread(&self, one: &CaseResult) -> String {
        match self.rounds {
            1 => "–".to_owned(),
            _ => format!("± {:.0} %", one.items_per_s.relative_half_range() * 100.0),
        }
    }

    /// Cases whose rounds differ too much, as a line for people; none if there are none.
    pub(crate) fn spread_warning(&self) -> Option<String> {
        let wide = |one: &&CaseResult| one.items_per_s.is_too_wide() || one.p50_s.is_too_wide();
        let names: Vec<_> = self.cases.iter().filter(wide).map(|one| one.case.label()).collect();
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
    format!(
        "{:>8} {:>7}",
        format_bytes(case.size),
        format!("{} × {}", case.producers, case.consumers)
    )
}

fn format_ratio(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| match ratio {
        100.0.. => format!("{ratio:.0} ×"),
        10.0.. => format!("{ratio:.1} ×"),
        _ => format!("{ratio:.2} ×"),
    })
}
