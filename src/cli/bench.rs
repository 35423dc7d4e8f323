//! `qdemo bench`: how fast the queue is on this machine.

use super::picture_file::picture_path;
use super::{need_output, values};
use crate::bench::{Interrupted, Plan, Report, SMALLEST, Task};
use crate::exit::ExitCode;
use crate::os::raise_open_files;
use crate::os::signals::{self, Leave};
use crate::report::StdoutFailed;
use crate::report::say;
use crate::report::{Form, Output, PicturePath, Progress};
use crate::run::Crew;
use crate::run::OWN_FILES;
use crate::run::private_dir::Private;
use crate::wire::LARGEST_ITEM;

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
    #[arg(long = "size", value_name = "SIZE", value_parser = item_size, allow_hyphen_values = true)]
    sizes: Vec<u64>,

    /// How many producers x consumers; again for others [default: 1x1 4x4]
    #[arg(long, value_name = "PxC", value_parser = pairs, allow_hyphen_values = true)]
    workers: Vec<[u32; 2]>,

    /// Compare with multiprocessing.Queue, if there is a python3
    #[arg(long, value_enum, value_name = "PEER", hide_possible_values = true)]
    against: Option<Peer>,

    /// How often everything is measured [default: 5, or fewer on a slow machine]
    #[arg(long, value_name = "N", value_parser = rounds, allow_hyphen_values = true)]
    rounds: Option<u32>,

    /// What the figures look like: a table for people, or an object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Draw the figures as bars into this file, which ends in .svg
    #[arg(long, value_name = "FILE", value_parser = picture_path(&[Form::Svg]))]
    plot: Option<PicturePath>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Peer {
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
        let task: Task = serde_json::from_str(&self.task)?;
        task.perform()?;
        Ok(ExitCode::Done)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        need_output()?;
        // With next to none, the private directory could not even be removed.
        if let Some(most) = raise_open_files()
            && most < OWN_FILES
        {
            anyhow::bail!(
                "{OWN_FILES} open files are needed, and only {most} are allowed: raise `ulimit -n`"
            );
        }
        let mut picture = self.plot.as_ref().map(PicturePath::create).transpose()?;
        let crew = Crew::default();
        let private = Private::make()?;
        let progress = Progress::of_commands();
        let dir = private.share();
        let (hands, shared, view) = (crew.clone(), private.share(), progress.clone());
        let interrupt = signals::catch_and_clear(Leave::Unignored, move || {
            hands.kill();
            let _ = shared.remove();
            view.clear_if_possible();
        })?;
        let measured = self.plan().measure(&crew, &dir, &interrupt, |done, of, case| {
            progress.stands_at(done, of, case.name());
        });
        progress.clear();
        crew.kill();
        let removed = private.remove();
        let report = match measured {
            Err(error) if error.is::<Interrupted>() => {
                return Ok(signals::caught().map_or(ExitCode::Failed, ExitCode::Signal));
            }
            other => other?,
        };
        removed?;
        // Whoever reads the table may stop at any line of it.
        if let Some(picture) = &mut picture
            && !report.cases.is_empty()
        {
            picture.write(&report.chart())?;
        }
        self.tell(&report, &mut Output::new(progress, Some(interrupt)))?;
        Ok(if report.cases.is_empty() { ExitCode::Failed } else { ExitCode::Done })
    }

    fn tell(&self, report: &Report, output: &mut Output) -> anyhow::Result<()> {
        for left_out in &report.left_out {
            output.notice(&format!("qdemo: left out: {}: {}", left_out.what, left_out.why));
        }
        match self.format {
            Format::Text if report.cases.is_empty() => {}
            Format::Text => output.lines(&report.table()),
            Format::Json => {
                output.json(&format!("{}\n", serde_json::to_string_pretty(report)?));
            }
        }
        output.flush().map_err(StdoutFailed)?;
        if let Some(doubts) = report.doubts() {
            say(&doubts);
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        Plan {
            sizes: given_or(&self.sizes, &[16, 256, 4 << 10, 64 << 10]),
            workers: given_or(&self.workers, &[[1, 1], [4, 4]]),
            rounds: self.rounds,
            python: self.against.is_some(),
        }
    }
}

/// What was given, each once, or what is usual.
fn given_or<T: Copy + PartialEq>(given: &[T], usual: &[T]) -> Vec<T> {
    let mut all = Vec::new();
    for &one in if given.is_empty() { usual } else { given } {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// Bytes of an item as JSON.
fn item_size(text: &str) -> Result<u64, String> {
    match values::size(text)? {
        size if size < SMALLEST => {
            Err(format!("an item that is timed has {SMALLEST} bytes or more"))
        }
        size if size > LARGEST_ITEM => Err(format!("an item has {LARGEST_ITEM} bytes at the most")),
        size => Ok(size),
    }
}

/// `4x2`: producers and consumers.
fn pairs(text: &str) -> Result<[u32; 2], String> {
    let (producers, consumers) = text
        .split_once(['x', '×'])
        .ok_or("that is not so many by so many: write 4x4, for example")?;
    Ok([values::workers(producers)?, values::workers(consumers)?])
}

fn rounds(text: &str) -> Result<u32, String> {
    match values::times(text)? {
        0 => Err("at least one is needed: write 1 or more".to_owned()),
        rounds => Ok(rounds),
    }
}
