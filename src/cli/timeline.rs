//! `qdemo timeline`: a picture of events that were recorded; and the file of any picture.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
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
        let events = self.open()?;
        let picture = self.output.as_ref().map(PicturePath::create).transpose()?;
        if let (Some(picture), Some(events)) = (&picture, &events) {
            picture.must_not_be(events, "the recording")?;
        }
        let events: Box<dyn BufRead> = match events {
            Some(file) => Box::new(BufReader::new(file)),
            None => Box::new(io::stdin().lock()),
        };
        let mut recording =
            Recording::read(events).with_context(|| format!("cannot draw {name}"))?;
        if recording.is_torn {
            say(&format!("the last line of {name} is not whole: the picture ends before it"));
        }
        let (timeline, end) = (&mut recording.timeline, recording.end);
        match picture {
            Some(mut picture) => picture.draw(timeline, end, lang)?,
            None => {
                let picture = timeline.picture(end, lang, Form::Svg);
                io::stdout().write_all(picture.as_bytes()).map_err(StdoutFailed)?;
            }
        }
        Ok(ExitCode::Done)
    }
}

impl Args {
    /// The recording; none for standard input.
    fn open(&self) -> Result<Option<File>, Usage> {
        let name = self.events.display();
        let refused = |why: &dyn Display| {
            Usage(format!("cannot read {name}: {why}: name a file of recorded events"))
        };
        if self.events.as_os_str() == "-" {
            return Ok(None);
        }
        let file = File::open(&self.events).map_err(|error| refused(&error))?;
        match file.metadata().is_ok_and(|is| is.is_dir()) {
            true => Err(refused(&"it is a folder")),
            false => Ok(Some(file)),
        }
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
    /// It was made for the picture, and has none yet.
    is_to_go: bool,
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

    /// Makes the file, so that nothing has been done yet if it cannot be made. What is in it stays there
    /// until there is a picture.
    pub(super) fn create(&self) -> anyhow::Result<PictureFile> {
        let is_new = fs::symlink_metadata(&self.path).is_err();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path);
        let file = file.map_err(|error| {
            Usage(format!(
                "cannot write the picture {}: {error}: name a file in a folder that is there",
                self.path.display()
            ))
        })?;
        Ok(PictureFile { path: self.clone(), file, is_to_go: is_new })
    }
}

impl PictureFile {
    /// Fails if the picture would be drawn over that, which is `what`.
    pub(super) fn must_not_be(&self, other: &File, what: &str) -> anyhow::Result<()> {
        let (ours, theirs) = (self.file.metadata()?, other.metadata()?);
        if ours.is_file() && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
            let why = format!("the picture and {what} are the same file: name two");
            return Err(Usage(why).into());
        }
        Ok(())
    }

    /// Draws what was recorded up to `end`.
    pub(super) fn draw(
        &mut self,
        timeline: &mut Timeline,
        end: Nanos,
        lang: Lang,
    ) -> anyhow::Result<()> {
        let picture = timeline.picture(end, lang, self.path.form);
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(picture.as_bytes()))
            .with_context(|| format!("cannot write the picture {}", self.path.path.display()))?;
        self.is_to_go = false;
        Ok(())
    }
}

impl Drop for PictureFile {
    /// Nobody wants an empty file that was made for a picture.
    fn drop(&mut self) {
        if self.is_to_go {
            let _ = fs::remove_file(&self.path.path);
        }
    }
}
