//! `--results DIR`: a folder for each item, with the output and the record of its command.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::FileType;

use super::record::record_json;
use crate::catalogue::message;
use crate::exec::{CommandOutcome, KeptOutput};
use crate::exit::ExitError;
use crate::os::private_file::none_if_not_found;
use crate::os::{PrivateDir, os_text};

/// The file that names the queue whose results are in the folder.
const MARKER: &str = ".qdemo-queue";
/// The name of the folder in which results are prepared starts with this; the rest is random.
const STAGING_PREFIX: &str = ".qdemo-new.";
/// A result that a newer one replaces, on its way out.
const REPLACED: &str = "replaced";
const FILES: [&str; 3] = ["stdout", "stderr", "record.json"];
/// Another consumer may save a result of the same item this many times in between.
const MAX_REPLACE_TRIES: usize = 100;

/// The folder of the results. Each item's folder appears whole: it is prepared under another name.
#[derive(Debug)]
pub(crate) struct ResultsDir {
    path: PathBuf,
    /// In `path`. A consumer that comes later removes the folder of a killed one.
    staging: PrivateDir,
}

impl ResultsDir {
    /// Makes the folder, or checks that it has results of the same queue. `queue` names the queue.
    pub(crate) fn open(path: &Path, queue: &str) -> Result<Self, ExitError> {
        let dir = path.display();
        let refused = |error: io::Error| {
            ExitError::usage(message!(
                "command-results-unusable",
                dir = &dir,
                error = os_text(&error)
            ))
        };
        fs::create_dir_all(path).map_err(refused)?;
        if !is_of_queue(path, queue)? {
            for entry in fs::read_dir(path).map_err(refused)? {
                let name = entry.map_err(refused)?.file_name();
                if !name.to_string_lossy().starts_with(STAGING_PREFIX) && name != MARKER {
                    return Err(ExitError::usage(message!(
                        "command-results-not-empty",
                        dir = &dir
                    )));
                }
            }
        }
        let staging = PrivateDir::create(path, STAGING_PREFIX, is_result_file).map_err(refused)?;
        let results = Self { path: path.to_owned(), staging };
        results.write_marker(queue).map_err(refused)?;
        // Another consumer may have been faster.
        is_of_queue(path, queue)?;
        Ok(results)
    }

    /// Writes the marker, unless there is one.
    fn write_marker(&self, queue: &str) -> io::Result<()> {
        let prepared = self.staging.path().join(MARKER);
        fs::write(&prepared, format!("{queue}\n"))?;
        match fs::hard_link(&prepared, self.path.join(MARKER)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_file(prepared),
        }
    }

    /// Saves the result of a command. The result of an earlier try gives way.
    pub(super) fn save(&self, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
        let record = record_json(outcome)?;
        self.save_record(outcome, &record).with_context(|| {
            message!(
                "command-results-unwritable",
                dir = &self.path.display(),
                id = outcome.task.id()
            )
        })
    }

    fn save_record(&self, outcome: &mut CommandOutcome, record: &str) -> io::Result<()> {
        // A cleaner may have removed the folder.
        self.staging.recreate_if_gone()?;
        let id = outcome.task.id().to_string();
        let prepared = self.staging.path().join(&id);
        let saved = write_result(&prepared, outcome, record)
            .and_then(|()| self.publish(&prepared, &self.path.join(&id)));
        saved.inspect_err(|_| {
            // What cannot be removed now goes with the folder above.
            let _ = fs::remove_dir_all(&prepared);
        })
    }

    fn publish(&self, prepared: &Path, target: &Path) -> io::Result<()> {
        let replaced = self.staging.path().join(REPLACED);
        for _ in 0..MAX_REPLACE_TRIES {
            match fs::rename(prepared, target) {
                Err(error) if is_occupied(&error) => {}
                other => return other,
            }
            none_if_not_found(fs::rename(target, &replaced))?;
            none_if_not_found(fs::remove_dir_all(&replaced))?;
        }
        Err(ErrorKind::DirectoryNotEmpty.into())
    }
}

impl Drop for ResultsDir {
    fn drop(&mut self) {
        // The next consumer removes what is left.
        let _ = self.staging.remove();
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
}

/// Whether the folder has results of this queue. False for a folder without a marker.
fn is_of_queue(path: &Path, queue: &str) -> Result<bool, ExitError> {
    let dir = path.display();
    match none_if_not_found(fs::read_to_string(path.join(MARKER))) {
        Ok(None) => Ok(false),
        Ok(Some(words)) if words.trim_end() == queue => Ok(true),
        Ok(Some(words)) => Err(ExitError::usage(message!(
            "command-results-other-queue",
            dir = &dir,
            queue = words.trim_end()
        ))),
        Err(error) => Err(ExitError::usage(message!(
            "command-results-unusable",
            dir = &dir,
            error = os_text(&error)
        ))),
    }
}

fn write_result(dir: &Path, outcome: &mut CommandOutcome, record: &str) -> io::Result<()> {
    fs::create_dir(dir)?;
    let [stdout, stderr, record_file] = FILES.map(|name| dir.join(name));
    write_output(&stdout, &mut outcome.stdout)?;
    write_output(&stderr, &mut outcome.stderr)?;
    File::create(record_file)?.write_all(format!("{record}\n").as_bytes())
}

fn write_output(path: &Path, output: &mut KeptOutput) -> io::Result<()> {
    output.rewind()?;
    io::copy(output, &mut File::create(path)?).map(drop)
}

/// Whether a consumer may have left a file of this name and type when it was killed.
fn is_result_file(name: &str, kind: FileType) -> bool {
    match kind {
        FileType::Directory => name == REPLACED || name.bytes().all(|byte| byte.is_ascii_digit()),
        FileType::RegularFile => name == MARKER || FILES.contains(&name),
        _ => false,
    }
}
