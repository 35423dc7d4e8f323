//! The lessons that this user has completed: a file with the name of a lesson on each line. A file that cannot be read or
//! written only costs the marks in the list.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes: the names of the lessons are far shorter.
const MAX_LENGTH: u64 = 4096;

/// The file with the completed lessons.
pub(super) struct Completed {
    /// None if the environment names no directory.
    path: Option<PathBuf>,
}

impl Completed {
    /// `variable` looks up a variable of the environment.
    pub(super) fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let dir = |name| variable(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let state = dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state")));
        Self { path: state.map(|state| state.join("qdemo/lessons")) }
    }

    /// The names of the completed lessons.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let read = |path: &PathBuf| {
            // A named pipe would wait for its writer.
            let metadata = fs::metadata(path).ok()?;
            let is_expected = metadata.is_file() && metadata.len() <= MAX_LENGTH;
            is_expected.then(|| fs::read_to_string(path).ok()).flatten()
        };
        let text = self.path.as_ref().and_then(read).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Adds a lesson, if the file can be written.
    pub(super) fn add(&self, name: &str) {
        let mut names = self.names();
        if let Some(path) = &self.path
            && names.insert(name.to_owned())
        {
            let _ = replace(path, &names);
        }
    }
}

/// Replaces the file. A reader finds the old file or the new one.
fn replace(path: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let new_path = path.with_extension("new");
    // Two lessons that end at once write the same path: the later one wins.
    let _ = fs::remove_file(&new_path);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new_path)?;
    for name in names {
        writeln!(file, "{name}")?;
    }
    fs::rename(&new_path, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_comes_before_the_home_directory_and_none_is_no_error() {
        let path = |state: &str, home: &str| {
            let variable = |name: &str| match name {
                "XDG_STATE_HOME" => Some(OsString::from(state)),
                "HOME" => Some(OsString::from(home)),
                _ => None,
            };
            Completed::new(variable).path
        };
        assert_eq!(path("/state", "/home/a"), Some("/state/qdemo/lessons".into()));
        assert_eq!(path("", "/home/a"), Some("/home/a/.local/state/qdemo/lessons".into()));
        assert_eq!(path("relative", ""), None);
        let nowhere = Completed { path: None };
        nowhere.add("fifo");
        assert!(nowhere.names().is_empty());
    }

    #[test]
    fn completed_lessons_are_kept_once_each() {
        let dir = tempfile::tempdir().unwrap();
        let completed = Completed { path: Some(dir.path().join("state/qdemo/lessons")) };
        for name in ["join", "fifo", "join"] {
            completed.add(name);
        }
        assert_eq!(completed.names().into_iter().collect::<Vec<_>>(), ["fifo", "join"]);
        let text = fs::read_to_string(dir.path().join("state/qdemo/lessons")).unwrap();
        assert_eq!(text, "fifo\njoin\n");
        fs::create_dir(dir.path().join("in-the-way")).unwrap();
        let blocked = Completed { path: Some(dir.path().join("in-the-way")) };
        blocked.add("fifo");
        assert!(blocked.names().is_empty());
    }
}
