//! The file of a picture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use anyhow::Context;

use super::{PictureFormat, output_file};
use crate::exit::UsageError;
use crate::os::Blocking;

/// Where a picture is to go.
#[derive(Clone, Debug)]
pub(crate) struct PicturePath {
    pub(crate) path: PathBuf,
    pub(crate) format: PictureFormat,
}

/// The file of a picture.
#[derive(Debug)]
pub(crate) struct PictureFile {
    path: PicturePath,
    file: File,
    /// It was made for the picture, and has none yet.
    is_unwritten: bool,
}

impl PicturePath {
    /// Makes the file, so that nothing has been done yet if it cannot be made. What is in it stays there
    /// until there is a picture.
    pub(crate) fn create(&self) -> anyhow::Result<PictureFile> {
        let is_new = fs::symlink_metadata(&self.path).is_err();
        let file = output_file::open(&self.path, false).map_err(|error| {
            UsageError::unwritable(format_args!("the picture {}", self.path.display()), error)
        })?;
        Ok(PictureFile { path: self.clone(), file, is_unwritten: is_new })
    }
}

impl PictureFile {
    /// Fails if the picture would be drawn over that, which is `what`.
    pub(crate) fn ensure_distinct_from(&self, other: &File, what: &str) -> anyhow::Result<()> {
        let (ours, theirs) = (self.file.metadata()?, other.metadata()?);
        let keeps = ours.is_file() || ours.file_type().is_fifo();
        if keeps && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
            let reason = format!("the picture and {what} are the same file: name two");
            return Err(UsageError::new(reason).into());
        }
        Ok(())
    }

    /// What kind of picture it is to be.
    pub(crate) fn format(&self) -> PictureFormat {
        self.path.format
    }

    /// Only what is a file, and not a pipe or a device, can have had something in it.
    fn replace(&self, picture: &str) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        Blocking(&self.file).write_all(picture.as_bytes())
    }

    /// Writes the picture.
    pub(crate) fn write(&mut self, picture: &str) -> anyhow::Result<()> {
        self.replace(picture)
            .with_context(|| format!("cannot write the picture {}", self.path.path.display()))?;
        self.is_unwritten = false;
        Ok(())
    }
}

impl Drop for PictureFile {
    /// Nobody wants an empty file that was made for a picture.
    fn drop(&mut self) {
        if self.is_unwritten {
            let _ = fs::remove_file(&self.path.path);
        }
    }
}
