//! The figures as a table for people.

use std::fmt::Write;

use super::figures::{bytes, si};
use super::{Case, Outcome, Report, Subject};

impl Report {
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
    pub(crate) fn table(&self) -> String {
        let mut text = self.title().join("\n") + "\n\n";
        let _ = writeln!(
            text,
            "{:>8} {:>7} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "items", "workers", "items/s", "spread", "bytes/s", "of limit", "p50", "p99", "limit"
        );
        let of = |subject| self.cases.iter().filter(move |one| one.case.subject == subject);
        for one in of(Subject::Qdemo) {
            let limit = self.limit(one.case.size);
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
                who(&one.case),
                si(one.items_per_s.median),
                self.spread(one),
                si(one.bytes_per_s) + "B",
                times(limit.map(|limit| one.items_per_s.median / limit.items_per_s.median)),
                si(one.p50_s.median) + "s",
                si(one.p99_s.median) + "s",
                limit.map_or("–".to_owned(), |limit| si(limit.p50_s.median) + "s"),
            );
        }
        text += "\np50, p99: from the put in one process until the get in another, one item at a time a pair.\n\
                 limit: the same bytes through two named pipes, one writer, a bare relay, one reader.\n";
        if of(Subject::Python).next().is_some() {
            let _ = writeln!(
                text,
                "\n{:>8} {:>7} {:>9} {:>7} {:>8} {:>8} {:>8}",
                "mp.Queue", "workers", "items/s", "spread", "qdemo", "p50", "qdemo"
            );
        }
        for one in of(Subject::Python) {
            let ours = self.find(Case { subject: Subject::Qdemo, ..one.case });
            let _ = writeln!(
                text,
                "{} {:>9} {:>7} {:>8} {:>8} {:>8}",
                who(&one.case),
                si(one.items_per_s.median),
                self.spread(one),
                times(ours.map(|ours| ours.items_per_s.median / one.items_per_s.median)),
                si(one.p50_s.median) + "s",
                times(ours.map(|ours| ours.p50_s.median / one.p50_s.median)),
            );
        }
        text
    }

    /// Of one round nobody knows.
    fn spread(&self, one: &Outcome) -> String {
        match self.rounds {
            1 => "–".to_owned(),
            _ => format!("± {:.0} %", one.items_per_s.half() * 100.0),
        }
    }

    /// Cases whose rounds differ too much, as a line for people; none if there are none.
    pub(crate) fn doubts(&self) -> Option<String> {
        let wide = |one: &&Outcome| one.items_per_s.is_too_wide() || one.p50_s.is_too_wide();
        let names: Vec<_> = self.cases.iter().filter(wide).map(|one| one.case.name()).collect();
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

fn who(case: &Case) -> String {
    format!("{:>8} {:>7}", bytes(case.size), format!("{} × {}", case.producers, case.consumers))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| match ratio {
        100.0.. => format!("{ratio:.0} ×"),
        10.0.. => format!("{ratio:.1} ×"),
        _ => format!("{ratio:.2} ×"),
    })
}
