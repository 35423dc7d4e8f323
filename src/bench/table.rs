//! Formats the figures as a table.

use super::figures::{format_bytes, format_si};
use super::{BenchCase, BenchReport, CaseResult, Implementation};
use crate::catalogue::message;
use crate::report::Table;

impl BenchReport {
    /// The machine, and the program.
    pub(super) fn title(&self) -> [String; 2] {
        let machine = &self.machine;
        let cpu = machine.cpu.as_deref().map_or(String::new(), |cpu| format!("{cpu}, "));
        let cores = message!("bench-cores", cores = machine.cores);
        let commit = self.commit.map_or(String::new(), |commit| format!(" ({commit})"));
        let rounds = message!("bench-rounds", rounds = self.rounds);
        [
            format!("{cpu}{cores}, {}", machine.system),
            format!("qdemo {}{commit}, {rounds}", self.version),
        ]
    }

    /// The complete table.
    pub(crate) fn to_text(&self) -> String {
        let mut parts = vec![
            self.title().join("\n") + "\n",
            self.queue_table().to_text(),
            format!("{}\n{}\n", message!("bench-latency-note"), message!("bench-limit-note")),
        ];
        if self.results_of(Implementation::Python).next().is_some() {
            parts.push(self.python_table().to_text());
        }
        parts.join("\n")
    }

    fn queue_table(&self) -> Table<9> {
        let labels = [
            message!("bench-size"),
            message!("bench-workers"),
            message!("bench-rate"),
            message!("bench-spread"),
            message!("bench-bytes"),
            message!("bench-of-limit"),
            "p50".to_owned(),
            "p99".to_owned(),
            message!("bench-limit"),
        ];
        let mut table = Table::new([8, 7, 9, 7, 9, 8, 8, 8, 8], " ", labels);
        for result in self.results_of(Implementation::Qdemo) {
            let limit = self.relay_limit(result.case.size);
            let of_limit = limit.map(|limit| result.items_per_s.median / limit.items_per_s.median);
            table.push([
                format_bytes(result.case.size),
                workers_cell(&result.case),
                format_si(result.items_per_s.median),
                self.format_spread(result),
                format_si(result.bytes_per_s) + "B",
                format_ratio(of_limit),
                format_si(result.p50_s.median) + "s",
                format_si(result.p99_s.median) + "s",
                limit.map_or("–".to_owned(), |limit| format_si(limit.p50_s.median) + "s"),
            ]);
        }
        table
    }

    fn python_table(&self) -> Table<7> {
        let labels = [
            "mp.Queue".to_owned(),
            message!("bench-workers"),
            message!("bench-rate"),
            message!("bench-spread"),
            "qdemo".to_owned(),
            "p50".to_owned(),
            "qdemo".to_owned(),
        ];
        let mut table = Table::new([8, 7, 9, 7, 8, 8, 8], " ", labels);
        for python in self.results_of(Implementation::Python) {
            let qdemo = self
                .find_result(BenchCase { implementation: Implementation::Qdemo, ..python.case });
            let faster = qdemo.map(|qdemo| qdemo.items_per_s.median / python.items_per_s.median);
            let slower = qdemo.map(|qdemo| qdemo.p50_s.median / python.p50_s.median);
            table.push([
                format_bytes(python.case.size),
                workers_cell(&python.case),
                format_si(python.items_per_s.median),
                self.format_spread(python),
                format_ratio(faster),
                format_si(python.p50_s.median) + "s",
                format_ratio(slower),
            ]);
        }
        table
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
        let cases = match others.len() {
            0 => first.clone(),
            more => message!("bench-more-cases", case = first, more = more),
        };
        Some(message!("bench-wide-spread", cases = cases))
    }
}

/// `4 × 2`, and the number of idle clients if there are any.
fn workers_cell(case: &BenchCase) -> String {
    let BenchCase { producers, consumers, idle_clients, .. } = case;
    let idle = match idle_clients {
        0 => String::new(),
        idle => format!(" + {idle}"),
    };
    format!("{producers} × {consumers}{idle}")
}

fn format_ratio(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| match ratio {
        100.0.. => format!("{ratio:.0} ×"),
        10.0.. => format!("{ratio:.1} ×"),
        _ => format!("{ratio:.2} ×"),
    })
}
