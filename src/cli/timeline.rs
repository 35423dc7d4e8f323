//! `qdemo timeline`: draws a picture of recorded events.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;

use super::streams::{print_stdout, require_stdin, require_stdout};
use super::values;
use crate::catalogue::{lang, message};
use crate::exit::{ExitCode, ExitError};
use crate::os::Blocking;
use crate::report::{PictureFormat, PicturePath, Recording, eprint_line};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo run --format json > run.jsonl; qdemo timeline run.jsonl --output run.svg
qdemo run --speed max --format json | qdemo timeline - -o run.html --lang en")]
pub(super) struct Args {
    #[arg(value_name = "FILE")]
    events: PathBuf,

    #[arg(short, long, value_name = "FILE", value_parser = values::picture_path(&[PictureFormat::Svg, PictureFormat::Html]))]
    output: Option<PicturePath>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.output.is_none() && io::stdout().is_terminal() {
            anyhow::bail!(ExitError::usage(message!("output-terminal-picture")));
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
            picture.ensure_distinct_from(events, &message!("output-recording"))?;
        }
        let events: Box<dyn BufRead> = match events {
            Some(file) => Box::new(BufReader::new(file)),
            None => Box::new(BufReader::new(Blocking(io::stdin()))),
        };
        let mut recording = Recording::read(events)
            .with_context(|| message!("output-cannot-draw", file = &name))?;
        if recording.is_truncated {
            eprint_line(&message!("output-incomplete-line", file = &name));
        }
        let format = picture.as_ref().map_or(PictureFormat::Svg, |picture| picture.path.format);
        let drawing = recording.timeline.render(recording.end, lang(), format);
        match picture {
            Some(mut picture) => picture.write(&drawing)?,
            None => print_stdout(drawing.as_bytes())?,
        }
        Ok(ExitCode::Done)
    }

    fn is_stdin(&self) -> bool {
        self.events.as_os_str() == "-"
    }

    /// The file of the recording. `None` for standard input.
    fn open_recording(&self) -> Result<Option<File>, ExitError> {
        if self.is_stdin() {
            return Ok(None);
        }
        let refuse = |error| {
            let remedy = message!("output-name-recording");
            ExitError::unreadable(self.events.display(), error, remedy)
        };
        let file = File::open(&self.events).map_err(refuse)?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(refuse(io::Error::other(message!("output-is-folder"))));
        }
        Ok(Some(file))
    }
}
