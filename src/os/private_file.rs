//! What is the user's own: nobody else has put it there, and nobody else gets in.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// The mode of every file and pipe that is made: for the user alone.
pub(crate) const FILE_MODE: u32 = 0o600;
/// What others may not have of it.
const OTHERS_ACCESS_BITS: u32 = 0o077;

/// Opens a regular file that is the user's own and closed to everybody else, without following a
/// symbolic link, and without waiting for whatever else may stand in its place. If `options` let it
/// be made, it is made for the user alone, whatever the umask says. Let them not truncate: that is
/// to be done when this has found it to be the right file.
///
/// # Errors
/// What the system says, with a remedy; and one that says in one line, in which the file is "it",
/// what is wrong with the file, and what to do.
pub(crate) fn open_private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = open_no_follow(path, options).map_err(with_remedy)?;
    let is = file.metadata()?;
    if !is.is_file() {
        return Err(io::Error::other("it is not a file: move it away"));
    }
    check_private(&is)?;
    if is.len() == 0 && is.mode() & FILE_MODE != FILE_MODE {
        // It may be new, and the umask was stricter than it can be.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Opens whatever stands there, but not behind a symbolic link, and without waiting.
pub(crate) fn open_no_follow(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let opened = options.mode(FILE_MODE).custom_flags(flags.bits().cast_signed()).open(path);
    opened.map_err(|error| match errno(&error) {
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link: remove it"),
        Some(Errno::ISDIR) => io::Error::other("it is a directory: move it away"),
        _ => error,
    })
}

/// Whether this belongs to the user, and nobody else has any right to it.
pub(crate) fn check_private(is: &Metadata) -> io::Result<()> {
    if is.uid() != geteuid().as_raw() {
        let text = format!("it is owned by user {}, not by you: move it away", is.uid());
        return Err(io::Error::other(text));
    }
    if is_accessible_to_others(is) {
        let mode = is.mode() & 0o777;
        let text = format!("others have access to it (mode {mode:03o}): run `chmod 600` on it");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Whether anybody else has any right to it.
pub(crate) fn is_accessible_to_others(is: &Metadata) -> bool {
    is.mode() & OTHERS_ACCESS_BITS != 0
}

/// Whether this name leads to this file.
pub(crate) fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.ino() == ours.ino() && found.dev() == ours.dev()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same error with a remedy, where there is one that is the same for all that lies in a queue's
/// directory.
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
        Some(remedy) => io::Error::new(error.kind(), ErrorWithRemedy { error, remedy }),
        None => error,
    }
}

/// What to do when it is the process, or the system, that lacks something, whatever it was for.
pub(crate) fn resource_remedy(error: &io::Error) -> Option<&'static str> {
    Some(match errno(error)? {
        Errno::MFILE => "raise `ulimit -n`",
        Errno::NFILE => "end other programs, or raise the system's limit of open files",
        Errno::NOMEM | Errno::NOBUFS => "end other programs, and try again",
        // Files that would have to be waited for are waited for: it is a process or a thread.
        Errno::AGAIN => "raise `ulimit -u`, or end other processes",
        _ => return None,
    })
}

/// The same error, saying what could not be done.
pub(crate) fn with_action(what: &str, path: &Path, error: io::Error) -> io::Error {
    let error = with_remedy(error);
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// An error of the system, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{error}: {remedy}")]
struct ErrorWithRemedy {
    error: io::Error,
    remedy: &'static str,
}

/// Whether the system has said so, with a remedy added or without.
pub(crate) fn is_errno(error: &io::Error, what: Errno) -> bool {
    errno(error) == Some(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    use interprocess::os::unix::fifo_file::create_fifo;

    fn refused(path: &Path) -> String {
        let mut options = OpenOptions::new();
        open_private_file(path, options.read(true).append(true).create(true))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn only_a_closed_file_of_the_user_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut options = OpenOptions::new();
        let made = open_private_file(&at("new"), options.append(true).create(true)).unwrap();
        assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(open_private_file(&at("new"), OpenOptions::new().read(true)).is_ok());
        symlink(at("new"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        create_fifo(at("pipe"), FILE_MODE as _).unwrap();
        for (name, why) in [
            ("link", "it is a symbolic link: remove it"),
            ("dangling", "it is a symbolic link: remove it"),
            ("dir", "it is a directory: move it away"),
            ("pipe", "it is not a file: move it away"),
        ] {
            assert_eq!(refused(&at(name)), why, "{name}");
        }
        assert!(!at("nowhere").exists(), "nothing is made through a link");
        for mode in [0o644, 0o640, 0o601, 0o620] {
            fs::set_permissions(at("new"), Permissions::from_mode(mode)).unwrap();
            let why = format!("others have access to it (mode {mode:o}): run `chmod 600` on it");
            assert_eq!(refused(&at("new")), why);
        }
    }

    #[test]
    fn what_is_not_there_is_known_to_be_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            open_private_file(&dir.path().join("x"), OpenOptions::new().read(true)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_explained_error_is_still_of_its_kind() {
        let error = with_remedy(Errno::NOSPC.into());
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let text = error.to_string();
        assert!(text.starts_with("No space left on device"), "{text}");
        assert!(text.contains("make room"), "{text}");
    }
}
