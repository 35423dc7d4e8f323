//! Files, pipes and directories that belong to the user alone: others neither made them nor have access.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error_text::os_text;
use crate::catalogue::message;

/// The mode of every new file and pipe: for the user alone.
pub(crate) const FILE_MODE: u32 = 0o600;
/// The mode of every new directory: for the user alone.
pub(crate) const DIR_MODE: u32 = 0o700;
/// Others must not have any of these permissions.
const OTHERS_ACCESS_BITS: u32 = 0o077;

/// Why a file is not opened. The text calls the file "it".
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsafeFile {
    #[error("{}", message!("os-symlink"))]
    Symlink,
    #[error("{}", message!("os-directory"))]
    Directory,
    #[error("{}", message!("os-not-a-file"))]
    NotAFile,
    #[error("{}", message!("os-not-a-pipe"))]
    NotAPipe,
    #[error("{}", message!("os-wrong-owner", user = .0))]
    WrongOwner(u32),
    #[error("{}", message!("os-accessible", mode = format!("{:03o}", .0)))]
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

/// An error of the system and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}", message!("os-with-remedy", error = os_text(.error), remedy = remedy_text(*.remedy)))]
struct ErrorWithRemedy {
    error: io::Error,
    remedy: Remedy,
}

/// An error of the system and the action that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", .describe(.path, os_text(.error)))]
struct FailedAction {
    describe: fn(&Path, String) -> String,
    path: PathBuf,
    error: io::Error,
}

/// What a user can do about an error of the system.
#[derive(Clone, Copy, Debug)]
enum Remedy {
    MakeRoom,
    RaiseFileSize,
    ChoosePlace,
    GetRight,
    RaiseFiles,
    RaiseSystemFiles,
    FreeMemory,
    RaiseProcesses,
}

fn remedy_text(remedy: Remedy) -> String {
    match remedy {
        Remedy::MakeRoom => message!("os-make-room"),
        Remedy::RaiseFileSize => message!("os-raise-file-size"),
        Remedy::ChoosePlace => message!("os-choose-place"),
        Remedy::GetRight => message!("os-get-right"),
        Remedy::RaiseFiles => message!("os-raise-files"),
        Remedy::RaiseSystemFiles => message!("os-raise-system-files"),
        Remedy::FreeMemory => message!("os-free-memory"),
        Remedy::RaiseProcesses => message!("os-raise-processes"),
    }
}

/// Adds a remedy to the error, if one remedy fits every file in a queue's directory.
pub(crate) fn with_remedy(error: io::Error) -> io::Error {
    let remedy = shortage_remedy(&error).or_else(|| match errno(&error)? {
        Errno::NOSPC | Errno::DQUOT => Some(Remedy::MakeRoom),
        Errno::FBIG => Some(Remedy::RaiseFileSize),
        Errno::ROFS => Some(Remedy::ChoosePlace),
        Errno::ACCESS | Errno::PERM => Some(Remedy::GetRight),
        _ => None,
    });
    match remedy {
        Some(remedy) => io::Error::new(error.kind(), ErrorWithRemedy { error, remedy }),
        None => error,
    }
}

/// The remedy for a lack of system resources, independent of the action that failed.
pub(crate) fn resource_remedy(error: &io::Error) -> Option<String> {
    shortage_remedy(error).map(remedy_text)
}

fn shortage_remedy(error: &io::Error) -> Option<Remedy> {
    Some(match errno(error)? {
        Errno::MFILE => Remedy::RaiseFiles,
        Errno::NFILE => Remedy::RaiseSystemFiles,
        Errno::NOMEM | Errno::NOBUFS => Remedy::FreeMemory,
        // The error is about a process or a thread: qdemo waits for files that are not ready.
        Errno::AGAIN => Remedy::RaiseProcesses,
        _ => return None,
    })
}

/// Adds a remedy and the failed action to the error. `describe` makes the text from the path and the error.
pub(crate) fn with_action(
    describe: fn(&Path, String) -> String,
    path: &Path,
    error: io::Error,
) -> io::Error {
    let error = with_remedy(error);
    io::Error::new(error.kind(), FailedAction { describe, path: path.to_owned(), error })
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
    fn every_error_of_a_file_is_there_in_both_languages() {
        let errors = [
            UnsafeFile::Symlink,
            UnsafeFile::Directory,
            UnsafeFile::NotAFile,
            UnsafeFile::NotAPipe,
            UnsafeFile::WrongOwner(7),
            UnsafeFile::AccessibleToOthers(0o644),
        ];
        errors.iter().for_each(|error| crate::catalogue::assert_in_both_languages(error));
        let codes =
            [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::ROFS, Errno::ACCESS, Errno::MFILE];
        for errno in codes.into_iter().chain([Errno::NFILE, Errno::NOMEM, Errno::AGAIN]) {
            crate::catalogue::assert_in_both_languages(&with_remedy(errno.into()));
        }
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
