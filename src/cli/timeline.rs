//! `qdemo timeline`: a picture of events that were recorded; and the file of any picture.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{LangArg, StdoutFailed, Usage, say};
use crate::clock::Nanos;
use crate::exit::ExitCode;
use crate::report::{Form, Lang, Recording, Timeline};

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
    #[arg(short, long, value_name = "FILE", value_parser = PicturePath::parser())]
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
        let name = self.events.display().to_string();
        let events: Box<dyn BufRead> = match name.as_str() {
            "-" => Box::new(io::stdin().lock()),
            _ => Box::new(BufReader::new(File::open(&self.events).map_err(|error| {
                Usage(format!("cannot read {name}: {error}: name a file of recorded events"))
            })?)),
        };
        let picture = self.output.as_ref().map(PicturePath::create).transpose()?;
        let mut recording =
            Recording::read(events).with_context(|| format!("cannot draw {name}"))?;
        if recording.is_torn {
            say(&format!("the last line of {name} is not whole: the picture ends before it"));
        }
        let (timeline, end) = (&mut recording.timeline, recording.end);
        match picture {
            Some(picture) => picture.draw(timeline, end, lang)?,
            None => {
                let picture = timeline.picture(end, lang, Form::Svg);
                io::stdout().write_all(picture.as_bytes()).map_err(StdoutFailed)?;
            }
        }
        Ok(ExitCode::Done)
    }
}

/// Where a picture is to go.
#[derive(Clone, Debug)]
pub(super) struct PicturePath {
    path: PathBuf,
    form: Form,
}

/// The file of a picture.
#[derive(Debug)]
pub(super) struct PictureFile {
    path: PicturePath,
    file: File,
}

impl PicturePath {
    /// As an option takes it.
    pub(super) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(|text: OsString| {
            let path = PathBuf::from(text);
            match Form::of(&path) {
                Some(form) => Ok(Self { path, form }),
                None => Err("which kind of picture? Let the name end in .svg or .html"),
            }
        })
    }

    /// Makes the file, so that nothing has been done yet if it cannot be made.
    pub(super) fn create(&self) -> anyhow::Result<PictureFile> {
        let file = File::create(&self.path).map_err(|error| {
            Usage(format!(
                "cannot write the picture {}: {error}: name a file in a folder that is there",
                self.path.display()
            ))
        })?;
        Ok(PictureFile { path: self.clone(), file })
    }
}

impl PictureFile {
    /// Draws what was recorded up to `end`.
    pub(super) fn draw(
        &self,
        timeline: &mut Timeline,
        end: Nanos,
        lang: Lang,
    ) -> anyhow::Result<()> {
        let picture = timeline.picture(end, lang, self.path.form);
        (&self.file)
            .write_all(picture.as_bytes())
            .with_context(|| format!("cannot write the picture {}", self.path.path.display()))
    }
}
