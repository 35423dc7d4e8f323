//! `qdemo bench`: measures how fast queues are on this machine.

use std::sync::Arc;

use super::streams::require_stdout;
use super::values;
use crate::bench::{BenchConfig, BenchReport, MIN_ITEM_SIZE};
use crate::catalogue::message;
use crate::exit::ExitCode;
use crate::os::raise_open_file_limit;
use crate::report::{
    Output, OutputFormat, PictureFormat, PicturePath, Progress, StdoutError, eprint_line,
};
use crate::run::{PARENT_OPEN_FILES, Workplace};
use crate::wire::DEFAULT_MAX_ITEM_BYTES;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo bench
qdemo bench --against python --plot bench.svg
qdemo bench --size 256 --workers 1x1 --workers 8x8 --rounds 20 --format json")]
pub(super) struct Args {
    #[arg(long = "size", value_name = "SIZE", value_parser = parse_item_size)]
    sizes: Vec<u64>,

    #[arg(long, value_name = "PxC", value_parser = parse_worker_pair)]
    workers: Vec<[u32; 2]>,

    #[arg(long, value_parser = ["python"], value_name = "PEER", hide_possible_values = true)]
    against: Option<String>,

    #[arg(long, value_name = "N", value_parser = values::parse_worker_count, hide = true)]
    idle: Option<u32>,

    #[arg(long, value_name = "N", value_parser = values::parse_nonzero_u32)]
    rounds: Option<u32>,

    #[arg(long, default_value = "text", value_parser = values::output_format(&["text", "json"]))]
    format: OutputFormat,

    #[arg(long, value_name = "FILE", value_parser = values::picture_path(&[PictureFormat::Svg]))]
    plot: Option<PicturePath>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        // With very few open files, even the removal of the private directory fails.
        if let Some(limit) = raise_open_file_limit()
            && limit < PARENT_OPEN_FILES
        {
            anyhow::bail!(message!("bench-open-files", needed = PARENT_OPEN_FILES, limit = limit));
        }
        let mut picture = self.plot.as_ref().map(PicturePath::create).transpose()?;
        let workplace = Workplace::open(Progress::for_commands())?;
        let Workplace { workers, dir, progress, interrupt } = &workplace;
        let plan = BenchConfig {
            sizes: dedup_or_default(&self.sizes, &[16, 256, 4 << 10, 64 << 10, 1 << 20]),
            workers: dedup_or_default(&self.workers, &[[1, 1], [4, 4]]),
            rounds: self.rounds,
            has_python: self.against.is_some(),
            idle_clients: self.idle.unwrap_or(0),
        };
        let measured = plan.measure(workers, dir, interrupt, |done, total, case| {
            progress.set_position_and_total(done, total, case.label());
        });
        let removed = workplace.close();
        let report = measured?;
        removed?;
        // The picture comes before the table: the reader of the table may leave at any line.
        if let Some(picture) = &mut picture
            && !report.cases.is_empty()
        {
            picture.write(&report.to_svg())?;
        }
        let output = Output::new(progress.clone(), Some(Arc::clone(interrupt)));
        self.print_report(&report, output)?;
        Ok(if report.cases.is_empty() { ExitCode::Failed } else { ExitCode::Done })
    }

    fn print_report(&self, report: &BenchReport, mut output: Output) -> anyhow::Result<()> {
        for skipped in &report.skipped {
            let (what, reason) = (&skipped.what, &skipped.reason);
            output.print_notice(&message!("bench-left-out", what = what, reason = reason));
        }
        match self.format {
            OutputFormat::Json => {
                output.push_json(&format!("{}\n", serde_json::to_string_pretty(report)?));
            }
            _ if report.cases.is_empty() => {}
            _ => output.push_lines(&report.to_text()),
        }
        output.flush().map_err(StdoutError)?;
        if let Some(warning) = report.spread_warning() {
            eprint_line(&warning);
        }
        Ok(())
    }
}

/// The given values without duplicates, or the defaults.
fn dedup_or_default<T: Copy + PartialEq>(given: &[T], defaults: &[T]) -> Vec<T> {
    let mut all = Vec::new();
    for &value in if given.is_empty() { defaults } else { given } {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// The size of an item in bytes of JSON.
fn parse_item_size(text: &str) -> Result<u64, String> {
    match values::parse_bytes(text)? {
        size if size < MIN_ITEM_SIZE => Err(message!("value-small-item", min = MIN_ITEM_SIZE)),
        size if size > DEFAULT_MAX_ITEM_BYTES => {
            Err(message!("value-large-item", max = DEFAULT_MAX_ITEM_BYTES))
        }
        size => Ok(size),
    }
}

/// `4x2`: 4 producers and 2 consumers.
fn parse_worker_pair(text: &str) -> Result<[u32; 2], String> {
    let (producers, consumers) =
        text.split_once(['x', '×']).ok_or_else(|| message!("value-not-pair"))?;
    Ok([values::parse_worker_count(producers)?, values::parse_worker_count(consumers)?])
}
