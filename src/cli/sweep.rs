//! `qdemo sweep`: simulates a run for several values of one parameter.

use std::io;
use std::thread;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::args::ProgressArg;
use super::delay;
use super::streams::require_stdout;
use super::sweep_values::{Vary, parse_replications, parse_vary};
use super::values;
use crate::catalogue::message;
use crate::clock::{Delay, random_seed};
use crate::exit::{ExitCode, ExitError};
use crate::os::signals::{self, LeaveSignals};
use crate::report::{Output, PictureFormat, PicturePath, Progress, StdoutError};
use crate::run::Config;
use crate::sweep::{Metric, Settings, Sweep, SweepFailure, SweepReport};

/// One item in this many is not counted, by default.
const WARMUP_PART: u64 = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo sweep --vary consumer-delay=100ms..950ms:10
qdemo sweep --consumer-delay exp:3s --vary consumers=4..8 --plot sojourn.svg
qdemo sweep --consumer-delay exp:900ms --vary capacity=1,2,4,8,16 \\
    --plot blocked.html --metric blocked --format csv > capacity.csv")]
pub(super) struct Args {
    #[arg(long, value_name = "NAME=RANGE", value_parser = parse_vary)]
    vary: Vary,

    #[arg(long, value_name = "N", default_value = "100000", value_parser = values::parse_nonzero_count)]
    items: u64,

    #[arg(long, value_name = "TIME", default_value = "exp:1s", value_parser = delay::parser())]
    producer_delay: Delay,

    #[arg(long, value_name = "TIME", default_value = "exp:500ms", value_parser = delay::parser())]
    consumer_delay: Delay,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    #[arg(hide_short_help = true)]
    seed: Option<u64>,

    #[arg(long, value_name = "P", default_value = "1", value_parser = values::parse_worker_count)]
    producers: u32,

    #[arg(long, value_name = "C", default_value = "1", value_parser = values::parse_worker_count)]
    consumers: u32,

    #[arg(long, value_name = "N", default_value = "0", value_parser = values::parse_count)]
    capacity: u64,

    #[arg(long, value_name = "R", default_value = "5", value_parser = parse_replications)]
    replications: u32,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    #[arg(hide_short_help = true)]
    warmup: Option<u64>,

    #[arg(long, default_value = "text", value_parser = format_parser())]
    format: Format,

    #[arg(long, value_name = "FILE", value_parser = values::picture_path(&[PictureFormat::Svg, PictureFormat::Html]))]
    plot: Option<PicturePath>,

    #[arg(long, default_value = "sojourn", value_parser = Metric::OPTIONS, requires = "plot")]
    #[arg(hide_short_help = true)]
    metric: String,

    #[command(flatten)]
    progress: ProgressArg,
}

/// The form of the results.
#[derive(Clone, Copy, Debug)]
enum Format {
    Text,
    Json,
    Csv,
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["text", "json", "csv"]).map(|name| match name.as_str() {
        "json" => Format::Json,
        "csv" => Format::Csv,
        _ => Format::Text,
    })
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        let sweep = self.plan()?;
        let mut picture = self.plot.as_ref().map(PicturePath::create).transpose()?;
        let interrupt = signals::install_handlers(LeaveSignals::NotIgnored)?;
        let has_bar = self.progress.is_enabled(Progress::is_visible());
        let progress = if has_bar { Progress::bar() } else { Progress::default() };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let is_cancelled = || signals::exit_signal().is_some();
        let report = sweep.run(threads, is_cancelled, |done, total| {
            progress.set_position_and_total(done, total, String::new());
        });
        progress.clear();
        let report = match report {
            Ok(report) => report,
            // A signal leaves no part of the results.
            Err(SweepFailure::Cancelled) => return Ok(signal_code()),
            Err(SweepFailure::OutOfTime(setting)) => {
                anyhow::bail!(message!("sweep-out-of-time", setting = setting))
            }
        };
        // The picture comes before the table: the reader of the table may leave at any line.
        if let Some(picture) = &mut picture {
            let drawing = report.to_picture(&self.metric, picture.path.format);
            picture.write(&drawing)?;
        }
        self.print_report(&report, Output::new(progress, Some(interrupt)))
    }

    fn plan(&self) -> anyhow::Result<Sweep> {
        let warmup = self.warmup.unwrap_or(self.items / WARMUP_PART);
        if warmup >= self.items {
            let items = self.items;
            let reason = message!("sweep-only-warmup", warmup = warmup, items = items);
            return Err(ExitError::usage(reason).into());
        }
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        let settings = Settings { replications: self.replications, warmup, seed };
        let Vary { parameter, values } = &self.vary;
        Ok(Sweep::new(self.config(), *parameter, values, settings)?)
    }

    fn config(&self) -> Config {
        let delays = [self.producer_delay.clone(), self.consumer_delay.clone()];
        let workers = [self.producers, self.consumers];
        Config::silent_simulation(self.items, workers, delays, self.capacity)
    }

    fn print_report(&self, report: &SweepReport, mut output: Output) -> anyhow::Result<ExitCode> {
        match self.format {
            Format::Text => output.push_lines(&report.to_text()),
            Format::Json => output.push_json(&report.to_json()?),
            Format::Csv => output.push_lines(&report.to_csv()),
        }
        match output.flush() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(signal_code()),
            other => other.map(|()| ExitCode::Done).map_err(|error| StdoutError(error).into()),
        }
    }
}

/// The exit code after a signal.
fn signal_code() -> ExitCode {
    signals::exit_signal().map_or(ExitCode::Failed, ExitCode::Signal)
}
