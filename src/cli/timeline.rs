//! `qdemo timeline`: a picture of events that were recorded.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;

use super::picture_file::picture_path;
use super::{LangArg, print_stdout, require_stdin, require_stdout};
use crate::exit::ExitCode;
use crate::exit::UsageError;
use crate::os::Blocking;
use crate::report::eprint_line;
use crate::report::{PictureFormat, PicturePath, Recording};

/// Draw the picture of a run from its recorded events
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo run --format json > run.jsonl; qdemo timeline run.jsonl --output run.svg
  qdemo run --speed max --format json | qdemo timeline - --output run.html --lang en")]
pub(super) struct Args {
    /// The events, as --format json printed them; - for standard input
    #[arg(value_name = "FILE")]
    events: PathBuf,

    /// Where the picture goes, .svg or .html [default: standard output, as SVG]
    #[arg(short, long, value_name = "FILE", value_parser = picture_path(&[PictureFormat::Svg, PictureFormat::Html]))]
    output: Option<PicturePath>,

    #[command(flatten)]
    lang: LangArg,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.lang()?;
        if self.output.is_none() && io::stdout().is_terminal() {
            let reason = "a picture is nothing for a terminal: name a file with --output";
            return Err(UsageError(reason.to_owned()).into());
        }
        if self.output.is_none() {
            require_stdout()?;
        }
        if self.is_stdin() {
            require_stdin()?;
        }
        let name = self.events.display().to_string();
        let events = self.open_recording()?;
        let picture = self.output.as_ref().map(PicturePath::create).transpose()?;
        if let (Some(picture), Some(events)) = (&picture, &events) {
            picture.ensure_distinct_from(events, "the recording")?;
        }
        let events: Box<dyn BufRead> = match events {
            Some(file) => Box::new(BufReader::new(file)),
            None => Box::new(BufReader::new(Blocking(io::stdin()))),
        };
        let mut recording =
            Recording::read(events).with_context(|| format!("cannot draw {name}"))?;
        if recording.is_truncated {
            eprint_line(&format!(
                "the last line of {name} is not whole: the picture ends before it"
            ));
        }
        let (timeline, end) = (&mut recording.timeline, recording.end);
        match picture {
            Some(mut picture) => {
                let drawn = timeline.render(end, lang, picture.format());
                picture.write(&drawn)?;
            }
            None => {
                let picture = timeline.render(end, lang, PictureFormat::Svg);
                print_stdout(picture.as_bytes())?;
            }
        }
        Ok(ExitCode::Done)
    }
}

impl Args {
    fn is_stdin(&self) -> bool {
        self.events.as_os_str() == "-"
    }

    /// The recording; none for standard input.
    fn open_recording(&self) -> Result<Option<File>, UsageError> {
        let name = self.events.display();
        let refused = |reason: &dyn Display| {
            UsageError(format!("cannot read {name}: {reason}: name a file of recorded events"))
        };
        if self.is_stdin() {
            return Ok(None);
        }
        let file = File::open(&self.events).map_err(|error| refused(&error))?;
        match file.metadata().is_ok_and(|is| is.is_dir()) {
            true => Err(refused(&"it is a folder")),
            false => Ok(Some(file)),
        }
    }
}
