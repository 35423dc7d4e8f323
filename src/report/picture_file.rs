//! The file of a picture. A command creates the file before it starts, and removes a new file that gets no
//! picture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use anyhow::Context;

use super::{PictureFormat, output_file};
use crate::catalogue::message;
use crate::exit::ExitError;
use crate::os::Blocking;

/// The path of a picture, and its file type.
#[derive(Clone, Debug)]
pub(crate) struct PicturePath {
    pub(crate) path: PathBuf,
    pub(crate) format: PictureFormat,
}

/// The file of a picture.
#[derive(Debug)]
pub(crate) struct PictureFile {
    pub(crate) path: PicturePath,
    file: File,
    /// The file is new and has no picture yet.
    is_unwritten: bool,
}

impl PicturePath {
    /// Opens or creates the file before the command starts. The old content stays until the picture is
    /// written.
    pub(crate) fn create(&self) -> anyhow::Result<PictureFile> {
        let is_new = fs::symlink_metadata(&self.path).is_err();
        let file = output_file::open(&self.path, false).map_err(|error| {
            let name = message!("output-picture", path = &self.path.display());
            ExitError::unwritable(name, error)
        })?;
        Ok(PictureFile { path: self.clone(), file, is_unwritten: is_new })
    }
}

impl PictureFile {
    /// Fails if the picture and `other` are the same file. `name` is the name of `other` in the error.
    pub(crate) fn ensure_distinct_from(&self, other: &File, name: &str) -> anyhow::Result<()> {
        let (ours, theirs) = (self.file.metadata()?, other.metadata()?);
        let holds_data = ours.is_file() || ours.file_type().is_fifo();
        if holds_data && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
            let reason = message!("output-same-file", other = name);
            return Err(ExitError::usage(reason).into());
        }
        Ok(())
    }

    /// Replaces the content. Only a regular file has old content, a pipe or a device has none.
    fn replace(&self, picture: &str) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        Blocking(&self.file).write_all(picture.as_bytes())
    }

    pub(crate) fn write(&mut self, picture: &str) -> anyhow::Result<()> {
        self.replace(picture).with_context(|| {
            message!("output-cannot-write-picture", path = &self.path.path.display())
        })?;
        self.is_unwritten = false;
        Ok(())
    }
}

impl Drop for PictureFile {
    /// Removes a file that was created for a picture and is still empty.
    fn drop(&mut self) {
        if self.is_unwritten {
            let _ = fs::remove_file(&self.path.path);
        }
    }
}
