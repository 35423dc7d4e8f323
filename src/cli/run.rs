//! `qdemo run`: the demonstration.

use std::time::Duration;

use super::picture_file::picture_path;
use super::progress::ProgressArg;
use super::run_stats::StatsArgs;
use super::{LangArg, require_stdout, values};
use crate::clock::Delay;
use crate::exit::ExitCode;
use crate::keeper::Speed;
use crate::report::{Lang, OutputFormat, PictureFormat, PicturePath, Progress};
use crate::run::{self, Config, Outputs};

/// Watch producer and consumer processes share a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo run
  qdemo run --items 5 --producer-delay 1s --consumer-delay 2s --speed max
  qdemo run --items 1000 --producers 2 --consumers 3 --capacity 4 --producer-delay 10ms \\
      --consumer-delay 30ms --format json
  qdemo run --producers 2 --consumers 3 --items 20 --chaos 1s
  qdemo run --items 1000 --producer-delay exp:1s --consumer-delay exp:800ms --seed 7 --speed max \\
      --stats text")]
pub(super) struct Args {
    /// How many items, shared out evenly over the producers
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    items: u64,

    /// Pause of a producer after each item: 1s, exp:1s (random, this mean), uniform:500ms..1.5s
    #[arg(long, value_name = "TIME", default_value = "1s")]
    #[arg(value_parser = values::parse_delay, allow_hyphen_values = true)]
    producer_delay: Delay,

    /// Pause of a consumer after each item, in the same words
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = values::parse_delay, allow_hyphen_values = true)]
    consumer_delay: Delay,

    /// Draw random pauses from this number: the same ones each time [default: drawn, and told]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    seed: Option<u64>,

    /// How many producers
    #[arg(long, value_name = "P", default_value = "1")]
    #[arg(value_parser = values::parse_worker_count, allow_hyphen_values = true)]
    producers: u32,

    /// How many consumers
    #[arg(long, value_name = "C", default_value = "1")]
    #[arg(value_parser = values::parse_worker_count, allow_hyphen_values = true)]
    consumers: u32,

    /// How many items may wait in the queue; 0 for any number
    #[arg(long, value_name = "N", default_value = "0")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    capacity: u64,

    /// What the items are called [default: アイテム, or item with --lang en]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    item_name: Option<String>,

    #[command(flatten)]
    lang: LangArg,

    /// What a line looks like
    #[arg(long, value_enum, default_value = "log")]
    format: Format,

    /// How many times as fast as the clock on the wall; max for no waiting at all
    #[arg(long, value_name = "X|max", default_value = "1")]
    #[arg(value_parser = values::parse_speed, allow_hyphen_values = true)]
    speed: Speed,

    /// How often each worker that has died is replaced; 0 for never
    #[arg(long, value_name = "N", default_value = "3")]
    #[arg(value_parser = values::parse_u32, allow_hyphen_values = true)]
    respawn: u32,

    /// Kill a worker, whichever, about every so often; such a one is always replaced
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::parse_nonzero_duration, allow_hyphen_values = true)]
    chaos: Option<Duration>,

    #[command(flatten)]
    stats: StatsArgs,

    /// Draw who did what when into this file, which ends in .svg or .html
    #[arg(long, value_name = "FILE", value_parser = picture_path(&[PictureFormat::Svg, PictureFormat::Html]))]
    timeline: Option<PicturePath>,

    #[command(flatten)]
    progress: ProgressArg,

    /// Print no lines
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.lang()?;
        if !self.quiet {
            require_stdout()?;
        }
        run::run(&self.config(lang), || self.open_outputs())
    }

    fn config(&self, lang: Lang) -> Config {
        let style = match (self.quiet, self.format) {
            (true, _) => OutputFormat::Silent,
            (false, Format::Log) => OutputFormat::Log,
            (false, Format::Json) => OutputFormat::Json,
        };
        let item_name = self.item_name.as_deref().unwrap_or_else(|| lang.item_name());
        Config {
            items: self.items,
            item_name: item_name.to_owned(),
            producers: self.producers,
            consumers: self.consumers,
            producer_delay: self.producer_delay,
            consumer_delay: self.consumer_delay,
            seed: self.seed,
            capacity: self.capacity,
            speed: self.speed,
            respawn: self.respawn,
            chaos: self.chaos,
            lang,
            style,
            is_viewed: self.progress.is_enabled(Progress::is_visible() && !self.quiet),
            warmup: self.stats.is_enabled(self.quiet).then_some(self.stats.warmup),
        }
    }

    /// A signal that comes while the reader of a pipe is waited for must leave no empty picture behind.
    fn open_outputs(&self) -> anyhow::Result<Outputs> {
        let open_picture = || self.timeline.as_ref().map(PicturePath::create).transpose();
        let (statistics, picture);
        if self.stats.is_named_pipe() {
            statistics = self.stats.open_output()?;
            picture = open_picture()?;
        } else {
            picture = open_picture()?;
            statistics = self.stats.open_output()?;
        }
        if let (Some(file), Some(picture)) = (&statistics.file, &picture) {
            picture.ensure_distinct_from(file, "--stats-file")?;
        }
        Ok(Outputs { statistics, picture })
    }
}
