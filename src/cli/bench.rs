//! `qdemo bench`: how fast the queue is on this machine.

use super::picture_file::picture_path;
use super::{require_stdout, values};
use crate::bench::{BenchConfig, BenchReport, Interrupted, MIN_ITEM_SIZE, TrialTask};
use crate::exit::ExitCode;
use crate::os::raise_open_file_limit;
use crate::os::signals::{self, LeaveSignals};
use crate::report::StdoutError;
use crate::report::eprint_line;
use crate::report::{Output, PictureFormat, PicturePath, Progress};
use crate::run::PARENT_OPEN_FILES;
use crate::run::Workers;
use crate::run::private_dir::TempRunDir;
use crate::wire::DEFAULT_MAX_ITEM_BYTES;

/// Measure how fast queues are on this machine
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Takes under 20 seconds with the usual sizes and workers, unless --rounds says otherwise. Exit code 1 when nothing could be measured.

Examples:
  qdemo bench
  qdemo bench --against python --plot bench.svg
  qdemo bench --size 256 --workers 1x1 --workers 8x8 --rounds 20 --format json"
)]
pub(super) struct Args {
    /// How large the items are: 256, 4KiB, …; again for more sizes [default: 16 256 4KiB 64KiB]
    #[arg(long = "size", value_name = "SIZE", value_parser = parse_item_size, allow_hyphen_values = true)]
    sizes: Vec<u64>,

    /// How many producers x consumers; again for others [default: 1x1 4x4]
    #[arg(long, value_name = "PxC", value_parser = parse_worker_pair, allow_hyphen_values = true)]
    workers: Vec<[u32; 2]>,

    /// Compare with multiprocessing.Queue, if there is a python3
    #[arg(long, value_enum, value_name = "PEER", hide_possible_values = true)]
    against: Option<Baseline>,

    /// How often everything is measured [default: 5, or fewer on a slow machine]
    #[arg(long, value_name = "N", value_parser = parse_rounds, allow_hyphen_values = true)]
    rounds: Option<u32>,

    /// What the figures look like: a table for people, or an object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Draw the figures as bars into this file, which ends in .svg
    #[arg(long, value_name = "FILE", value_parser = picture_path(&[PictureFormat::Svg]))]
    plot: Option<PicturePath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Baseline {
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A process of a measurement
#[derive(Debug, clap::Args)]
pub(super) struct TaskArgs {
    task: String,
}

impl TaskArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let task: TrialTask = serde_json::from_str(&self.task)?;
        task.run()?;
        Ok(ExitCode::Done)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        // With next to none, the private directory could not even be removed.
        if let Some(most) = raise_open_file_limit()
            && most < PARENT_OPEN_FILES
        {
            anyhow::bail!(
                "{PARENT_OPEN_FILES} open files are needed, and only {most} are allowed: raise `ulimit -n`"
            );
        }
        let mut picture = self.plot.as_ref().map(PicturePath::create).transpose()?;
        let workers = Workers::default();
        let private = TempRunDir::create()?;
        let progress = Progress::for_commands();
        let dir = private.shared_dir();
        let (children, shared, view) = (workers.clone(), private.shared_dir(), progress.clone());
        let interrupt =
            signals::install_handlers_with_cleanup(LeaveSignals::NotIgnored, move || {
                children.shut_down();
                let _ = shared.remove();
                view.clear_with_timeout();
            })?;
        let measured = self.bench_plan().measure(&workers, &dir, &interrupt, |done, of, case| {
            progress.set_position_and_total(done, of, case.label());
        });
        progress.clear();
        workers.shut_down();
        let removed = private.remove();
        let report = match measured {
            Err(error) if error.is::<Interrupted>() => {
                return Ok(signals::exit_signal().map_or(ExitCode::Failed, ExitCode::Signal));
            }
            other => other?,
        };
        removed?;
        // Whoever reads the table may stop at any line of it.
        if let Some(picture) = &mut picture
            && !report.cases.is_empty()
        {
            picture.write(&report.to_svg())?;
        }
        self.print_report(&report, &mut Output::new(progress, Some(interrupt)))?;
        Ok(if report.cases.is_empty() { ExitCode::Failed } else { ExitCode::Done })
    }

    fn print_report(&self, report: &BenchReport, output: &mut Output) -> anyhow::Result<()> {
        for left_out in &report.skipped {
            output
                .print_notice(&format!("qdemo: left out: {}: {}", left_out.what, left_out.reason));
        }
        match self.format {
            Format::Text if report.cases.is_empty() => {}
            Format::Text => output.push_lines(&report.to_text()),
            Format::Json => {
                output.push_json(&format!("{}\n", serde_json::to_string_pretty(report)?));
            }
        }
        output.flush().map_err(StdoutError)?;
        if let Some(doubts) = report.spread_warning() {
            eprint_line(&doubts);
        }
        Ok(())
    }

    fn bench_plan(&self) -> BenchConfig {
        BenchConfig {
            sizes: dedup_or_default(&self.sizes, &[16, 256, 4 << 10, 64 << 10]),
            workers: dedup_or_default(&self.workers, &[[1, 1], [4, 4]]),
            rounds: self.rounds,
            has_python: self.against.is_some(),
        }
    }
}

/// What was given, each once, or what is usual.
fn dedup_or_default<T: Copy + PartialEq>(given: &[T], usual: &[T]) -> Vec<T> {
    let mut all = Vec::new();
    for &one in if given.is_empty() { usual } else { given } {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// Bytes of an item as JSON.
fn parse_item_size(text: &str) -> Result<u64, String> {
    match values::parse_bytes(text)? {
        size if size < MIN_ITEM_SIZE => {
            Err(format!("an item that is timed has {MIN_ITEM_SIZE} bytes or more"))
        }
        size if size > DEFAULT_MAX_ITEM_BYTES => {
            Err(format!("an item has {DEFAULT_MAX_ITEM_BYTES} bytes at the most"))
        }
        size => Ok(size),
    }
}

/// `4x2`: producers and consumers.
fn parse_worker_pair(text: &str) -> Result<[u32; 2], String> {
    let (producers, consumers) = text
        .split_once(['x', '×'])
        .ok_or("that is not so many by so many: write 4x4, for example")?;
    Ok([values::parse_worker_count(producers)?, values::parse_worker_count(consumers)?])
}

fn parse_rounds(text: &str) -> Result<u32, String> {
    match values::parse_u32(text)? {
        0 => Err("at least one is needed: write 1 or more".to_owned()),
        rounds => Ok(rounds),
    }
}
