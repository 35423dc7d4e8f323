//! Files, pipes and directories that belong to the user alone: others neither made them nor have access.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// The mode of every new file and pipe: for the user alone.
pub(crate) const FILE_MODE: u32 = 0o600;
/// The mode of every new directory: for the user alone.
pub(crate) const DIR_MODE: u32 = 0o700;
/// Others must not have any of these permissions.
const OTHERS_ACCESS_BITS: u32 = 0o077;

/// Why a file is not opened. The text calls the file "it".
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsafeFile {
    #[error("it is a symbolic link: remove it")]
    Symlink,
    #[error("it is a directory: move it away")]
    Directory,
    #[error("it is not a file: move it away")]
    NotAFile,
    #[error("it is not a named pipe: remove it")]
    NotAPipe,
    #[error("it is owned by user {0}, not by you: move it away")]
    WrongOwner(u32),
    #[error("others have access to it (mode {0:03o}): run `chmod 600` on it")]
    AccessibleToOthers(u32),
}

/// Opens a regular file that belongs to the user alone. The call follows no symbolic link, and does not wait
/// for any other kind of file at this path. If `options` permit creation, a new file is for the user alone
/// under any umask. `options` must not truncate: the caller truncates the file after this check.
///
/// # Errors
/// The system's error with a remedy, or an [`UnsafeFile`].
pub(crate) fn open_private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = open_no_follow(path, options).map_err(with_remedy)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(UnsafeFile::NotAFile));
    }
    check_private(&metadata).map_err(io::Error::other)?;
    if metadata.len() == 0 && metadata.mode() & FILE_MODE != FILE_MODE {
        // The file may be new, and the umask may have removed the user's own permissions.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Opens a file of any kind. The call follows no symbolic link, and does not wait.
pub(crate) fn open_no_follow(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let opened = options.mode(FILE_MODE).custom_flags(flags.bits().cast_signed()).open(path);
    opened.map_err(|error| match errno(&error) {
        Some(Errno::LOOP) => io::Error::other(UnsafeFile::Symlink),
        Some(Errno::ISDIR) => io::Error::other(UnsafeFile::Directory),
        _ => error,
    })
}

/// Checks that the file belongs to the user, and that others have no access.
pub(crate) fn check_private(metadata: &Metadata) -> Result<(), UnsafeFile> {
    if metadata.uid() != geteuid().as_raw() {
        return Err(UnsafeFile::WrongOwner(metadata.uid()));
    }
    if is_accessible_to_others(metadata) {
        return Err(UnsafeFile::AccessibleToOthers(metadata.mode() & 0o777));
    }
    Ok(())
}

/// Whether others have any access.
pub(crate) fn is_accessible_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS_ACCESS_BITS != 0
}

/// Whether `path` still leads to `file`.
pub(crate) fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    let found = none_if_not_found(fs::symlink_metadata(path))?;
    Ok(found.is_some_and(|found| found.ino() == own.ino() && found.dev() == own.dev()))
}

/// Turns "not found" from an error into a value.
pub(crate) fn none_if_not_found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file. A missing file is no error.
pub(crate) fn remove_file_if_exists(path: &Path) -> io::Result<()> {
    none_if_not_found(fs::remove_file(path)).map(drop)
}

/// Adds a remedy to the error, if one remedy fits every file in a queue's directory.
pub(crate) fn with_remedy(error: io::Error) -> io::Error {
    let remedy = resource_remedy(&error).or_else(|| match errno(&error)? {
        Errno::NOSPC | Errno::DQUOT => Some(
            "make room there (for bytes, or for files), or choose another place with QDEMO_DIR",
        ),
        Errno::FBIG => Some("raise `ulimit -f`"),
        Errno::ROFS => Some("choose another place with QDEMO_DIR"),
        Errno::ACCESS | Errno::PERM => {
            Some("give yourself the right to it, or choose another place with QDEMO_DIR")
        }
        _ => None,
    });
    match remedy {
        Some(remedy) => io::Error::new(error.kind(), format!("{error}: {remedy}")),
        None => error,
    }
}

/// The remedy for a lack of system resources, independent of the action that failed.
pub(crate) fn resource_remedy(error: &io::Error) -> Option<&'static str> {
    Some(match errno(error)? {
        Errno::MFILE => "raise `ulimit -n`",
        Errno::NFILE => "end other programs, or raise the system's limit of open files",
        Errno::NOMEM | Errno::NOBUFS => "end other programs, and try again",
        // The error is about a process or a thread: qdemo waits for files that are not ready.
        Errno::AGAIN => "raise `ulimit -u`, or end other processes",
        _ => return None,
    })
}

/// Adds the failed action, its path and a remedy to the error.
pub(crate) fn with_action(action: &str, path: &Path, error: io::Error) -> io::Error {
    let error = with_remedy(error);
    io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Whether the system reported this error. False for an error with a remedy.
pub(crate) fn is_errno(error: &io::Error, expected: Errno) -> bool {
    errno(error) == Some(expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    use interprocess::os::unix::fifo_file::create_fifo;

    fn refusal(path: &Path) -> String {
        let mut options = OpenOptions::new();
        open_private_file(path, options.read(true).append(true).create(true))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn only_a_private_file_of_the_user_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut options = OpenOptions::new();
        let file = open_private_file(&path("new"), options.append(true).create(true)).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(open_private_file(&path("new"), OpenOptions::new().read(true)).is_ok());
        symlink(path("new"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("dir")).unwrap();
        create_fifo(path("pipe"), FILE_MODE as _).unwrap();
        for (name, reason) in [
            ("link", "it is a symbolic link: remove it"),
            ("dangling", "it is a symbolic link: remove it"),
            ("dir", "it is a directory: move it away"),
            ("pipe", "it is not a file: move it away"),
        ] {
            assert_eq!(refusal(&path(name)), reason, "{name}");
        }
        assert!(!path("nowhere").exists(), "no file is created behind a symbolic link");
        for mode in [0o644, 0o640, 0o601, 0o620] {
            fs::set_permissions(path("new"), Permissions::from_mode(mode)).unwrap();
            let reason = format!("others have access to it (mode {mode:o}): run `chmod 600` on it");
            assert_eq!(refusal(&path("new")), reason);
        }
    }

    #[test]
    fn a_missing_file_gives_the_error_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            open_private_file(&dir.path().join("x"), OpenOptions::new().read(true)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_error_with_a_remedy_keeps_its_kind() {
        let error = with_remedy(Errno::NOSPC.into());
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let text = error.to_string();
        assert!(text.starts_with("No space left on device"), "{text}");
        assert!(text.contains("make room"), "{text}");
    }
}
