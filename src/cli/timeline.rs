//! `qdemo timeline`: a picture of events that were recorded.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;

use super::picture_file::picture_path;
use super::{LangArg, need_input, need_output, print};
use crate::exit::ExitCode;
use crate::exit::Usage;
use crate::os::Blocking;
use crate::report::say;
use crate::report::{Form, PicturePath, Recording};

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
    #[arg(short, long, value_name = "FILE", value_parser = picture_path(&[Form::Svg, Form::Html]))]
    output: Option<PicturePath>,

    #[command(flatten)]
    lang: LangArg,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.lang()?;
        if self.output.is_none() && io::stdout().is_terminal() {
            let why = "a picture is nothing for a terminal: name a file with --output";
            return Err(Usage(why.to_owned()).into());
        }
        if self.output.is_none() {
            need_output()?;
        }
        if self.reads_stdin() {
            need_input()?;
        }
        let name = self.events.display().to_string();
        let events = self.open()?;
        let picture = self.output.as_ref().map(PicturePath::create).transpose()?;
        if let (Some(picture), Some(events)) = (&picture, &events) {
            picture.must_not_be(events, "the recording")?;
        }
        let events: Box<dyn BufRead> = match events {
            Some(file) => Box::new(BufReader::new(file)),
            None => Box::new(BufReader::new(Blocking(io::stdin()))),
        };
        let mut recording =
            Recording::read(events).with_context(|| format!("cannot draw {name}"))?;
        if recording.is_torn {
            say(&format!("the last line of {name} is not whole: the picture ends before it"));
        }
        let (timeline, end) = (&mut recording.timeline, recording.end);
        match picture {
            Some(mut picture) => {
                let drawn = timeline.picture(end, lang, picture.form());
                picture.write(&drawn)?;
            }
            None => {
                let picture = timeline.picture(end, lang, Form::Svg);
                print(picture.as_bytes())?;
            }
        }
        Ok(ExitCode::Done)
    }
}

impl Args {
    fn reads_stdin(&self) -> bool {
        self.events.as_os_str() == "-"
    }

    /// The recording; none for standard input.
    fn open(&self) -> Result<Option<File>, Usage> {
        let name = self.events.display();
        let refused = |why: &dyn Display| {
            Usage(format!("cannot read {name}: {why}: name a file of recorded events"))
        };
        if self.reads_stdin() {
            return Ok(None);
        }
        let file = File::open(&self.events).map_err(|error| refused(&error))?;
        match file.metadata().is_ok_and(|is| is.is_dir()) {
            true => Err(refused(&"it is a folder")),
            false => Ok(Some(file)),
        }
    }
}
