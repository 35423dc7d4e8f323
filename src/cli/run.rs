//! `qdemo run`: runs producers and consumers on a private queue.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{ProgressArg, default_item_name};
use super::delay;
use super::streams::require_stdout;
use super::values;
use crate::catalogue::message;
use crate::clock::Delay;
use crate::exit::{ExitCode, ExitError};
use crate::keeper::Speed;
use crate::report::{
    OutputFormat, PictureFormat, PicturePath, Progress, is_named_pipe, open_output_file,
};
use crate::run::{self, Config, Outputs};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo run
qdemo run --items 5 --producer-delay 1s --consumer-delay 2s --speed max
qdemo run --items 4 --capacity 1 --consumers 2 --format trace
qdemo run --items 1000 --producers 2 --consumers 3 --capacity 4 \\
    --producer-delay 10ms --consumer-delay 30ms --format json
qdemo run --producers 2 --consumers 3 --items 20 --chaos 1s
qdemo run --items 1000 --producer-delay exp:1s --consumer-delay exp:800ms \\
    --seed 7 --speed max --stats text")]
pub(super) struct Args {
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::parse_count)]
    items: u64,

    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = delay::parser())]
    producer_delay: Delay,

    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = delay::parser())]
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

    #[arg(long, value_name = "TEXT")]
    #[arg(hide_short_help = true)]
    item_name: Option<String>,

    #[arg(long, default_value = "log", value_parser = values::output_format(&["log", "trace", "json"]))]
    format: OutputFormat,

    #[arg(long, value_name = "X|max", default_value = "1", value_parser = values::parse_speed)]
    #[arg(default_value_if("simulate", "true", "max"))]
    speed: Speed,

    #[arg(long, value_name = "N", default_value = "3", value_parser = values::parse_u32)]
    #[arg(hide_short_help = true)]
    respawn: u32,

    #[arg(long, value_name = "TIME", value_parser = values::parse_nonzero_duration)]
    chaos: Option<Duration>,

    #[arg(long, value_name = "FORM", num_args = 0..=1, default_missing_value = "text")]
    #[arg(value_parser = values::output_format(&["text", "json", "off"]))]
    stats: Option<OutputFormat>,

    #[arg(long, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    stats_file: Option<PathBuf>,

    #[arg(long, value_name = "N", default_value = "0", value_parser = values::parse_count)]
    #[arg(hide_short_help = true)]
    warmup: u64,

    #[arg(long, value_name = "FILE", value_parser = values::picture_path(&[PictureFormat::Svg, PictureFormat::Html]))]
    timeline: Option<PicturePath>,

    #[arg(long)]
    simulate: bool,

    #[command(flatten)]
    progress: ProgressArg,

    #[arg(long)]
    quiet: bool,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if !self.quiet {
            require_stdout()?;
        }
        if self.simulate && self.speed != Speed::Max {
            anyhow::bail!(ExitError::usage(message!("value-simulated-speed")));
        }
        run::run(&self.config(), || self.open_outputs())
    }

    fn config(&self) -> Config {
        let item_name = self.item_name.clone();
        let has_statistics =
            self.stats.map_or(self.stats_file.is_some(), |format| format != OutputFormat::Silent);
        Config {
            items: self.items,
            item_name: item_name.unwrap_or_else(default_item_name),
            producers: self.producers,
            consumers: self.consumers,
            producer_delay: self.producer_delay.clone(),
            consumer_delay: self.consumer_delay.clone(),
            seed: self.seed,
            capacity: self.capacity,
            speed: self.speed,
            respawn: self.respawn,
            chaos: self.chaos,
            is_simulated: self.simulate,
            style: if self.quiet { OutputFormat::Silent } else { self.format },
            is_viewed: self
                .progress
                .is_enabled(Progress::is_visible() && !self.quiet && !self.simulate),
            warmup: has_statistics.then_some(self.warmup),
            has_json_statistics: self
                .stats
                .map_or(self.stats_file.is_some(), |format| format == OutputFormat::Json),
        }
    }

    /// Opens a named pipe first: a signal during the wait for its reader must not leave an empty picture.
    fn open_outputs(&self) -> anyhow::Result<Outputs> {
        let open_picture = || self.timeline.as_ref().map(PicturePath::create).transpose();
        let (statistics, picture) = if self.stats_file.as_deref().is_some_and(is_named_pipe) {
            (self.open_statistics()?, open_picture()?)
        } else {
            let picture = open_picture()?;
            (self.open_statistics()?, picture)
        };
        if let (Some(file), Some(picture)) = (&statistics, &picture) {
            picture.ensure_distinct_from(file, "--stats-file")?;
        }
        Ok(Outputs { statistics, picture })
    }

    /// Makes the file before the run starts.
    fn open_statistics(&self) -> anyhow::Result<Option<File>> {
        let path = self.stats_file.as_ref().filter(|_| self.stats != Some(OutputFormat::Silent));
        let Some(path) = path else {
            return Ok(None);
        };
        let file = open_output_file(path, true);
        let name = format!("--stats-file {}", path.display());
        Ok(Some(file.map_err(|error| ExitError::unwritable(name, error))?))
    }
}
