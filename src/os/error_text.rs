//! Errors of the operating system as texts for people. `strerror` knows one language only.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

use crate::catalogue::message;

/// The text of an error: what the system says, in the language of people, or the own text of an error that is
/// not the system's.
pub(crate) fn os_text(error: &io::Error) -> String {
    if let Some(inner) = error.get_ref() {
        return link_text(inner);
    }
    let text = error.raw_os_error().and_then(|code| errno_text(Errno::from_raw_os_error(code)));
    text.or_else(|| kind_text(error.kind())).unwrap_or_else(|| match error.raw_os_error() {
        Some(code) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            message!("os-other", text = text, code = code)
        }
        None => error.to_string(),
    })
}

/// An error and its causes in one line, as `{:#}` of [`anyhow::Error`] has it.
pub(crate) fn chain_text(error: &(dyn Error + 'static)) -> String {
    let links = std::iter::successors(Some(error), |&error| error.source());
    links.map(link_text).collect::<Vec<_>>().join(": ")
}

/// The text of an error without its causes.
fn link_text(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        os_text(error)
    } else if let Some(error) = error.downcast_ref::<Errno>() {
        os_text(&(*error).into())
    } else if let Some(error) = error.downcast_ref::<nix::Error>() {
        os_text(&(*error).into())
    } else {
        error.to_string()
    }
}

/// The errors that share a kind with others, or have none.
fn errno_text(errno: Errno) -> Option<String> {
    Some(match errno {
        Errno::PERM => message!("os-not-permitted"),
        Errno::DQUOT => message!("os-quota"),
        Errno::MFILE => message!("os-too-many-files"),
        Errno::NFILE => message!("os-too-many-files-in-system"),
        Errno::NOBUFS => message!("os-no-memory"),
        Errno::IO => message!("os-input-output"),
        Errno::NXIO | Errno::NODEV => message!("os-no-device"),
        Errno::NOTTY => message!("os-not-a-terminal"),
        Errno::NAMETOOLONG => message!("os-name-too-long"),
        Errno::LOOP => message!("os-links"),
        Errno::NOEXEC => message!("os-not-executable"),
        _ => return None,
    })
}

fn kind_text(kind: ErrorKind) -> Option<String> {
    Some(match kind {
        ErrorKind::NotFound => message!("os-not-found"),
        ErrorKind::PermissionDenied => message!("os-permission-denied"),
        ErrorKind::AlreadyExists => message!("os-exists"),
        ErrorKind::IsADirectory => message!("os-is-a-directory"),
        ErrorKind::NotADirectory => message!("os-not-a-directory"),
        ErrorKind::DirectoryNotEmpty => message!("os-directory-not-empty"),
        ErrorKind::StorageFull => message!("os-no-space"),
        ErrorKind::QuotaExceeded => message!("os-quota"),
        ErrorKind::FileTooLarge => message!("os-too-large"),
        ErrorKind::ReadOnlyFilesystem => message!("os-read-only"),
        ErrorKind::OutOfMemory => message!("os-no-memory"),
        ErrorKind::WouldBlock => message!("os-no-resource"),
        ErrorKind::BrokenPipe => message!("os-broken-pipe"),
        ErrorKind::Interrupted => message!("os-interrupted"),
        ErrorKind::InvalidInput => message!("os-invalid"),
        ErrorKind::InvalidData => message!("os-not-utf8"),
        ErrorKind::ArgumentListTooLong => message!("os-arguments-too-long"),
        ErrorKind::ResourceBusy => message!("os-busy"),
        ErrorKind::ExecutableFileBusy => message!("os-text-busy"),
        ErrorKind::Unsupported => message!("os-not-supported"),
        ErrorKind::ConnectionRefused => message!("os-refused"),
        ErrorKind::ConnectionReset => message!("os-reset"),
        ErrorKind::ConnectionAborted => message!("os-aborted"),
        ErrorKind::NotConnected => message!("os-not-connected"),
        ErrorKind::TimedOut => message!("os-timed-out"),
        ErrorKind::AddrInUse => message!("os-address-in-use"),
        ErrorKind::AddrNotAvailable => message!("os-no-such-address"),
        ErrorKind::HostUnreachable => message!("os-host-unreachable"),
        ErrorKind::NetworkUnreachable => message!("os-network-unreachable"),
        ErrorKind::UnexpectedEof => message!("os-unexpected-end"),
        ErrorKind::WriteZero => message!("os-no-zero-write"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Lang, in_language};

    #[test]
    fn the_usual_errors_of_the_system_have_a_text_in_each_language() {
        let text = |lang, errno: Errno| in_language(lang, || os_text(&errno.into()));
        for (errno, en, ja) in [
            (Errno::NOENT, "No such file or directory", "ファイルまたはフォルダーがありません"),
            (Errno::NOSPC, "No space left on device", "ディスクに空きがありません"),
            (Errno::MFILE, "Too many open files", "開いているファイルが多すぎます"),
            (Errno::CONNREFUSED, "Connection refused", "接続を拒否されました"),
            (Errno::PERM, "Operation not permitted", "許可されていない操作です"),
        ] {
            assert_eq!([text(Lang::En, errno), text(Lang::Ja, errno)], [en, ja]);
        }
        assert_eq!(text(Lang::Ja, Errno::PROTO), "Protocol error（errno 71）");
    }

    #[test]
    fn a_chain_of_errors_is_one_line_in_one_language() {
        let error = anyhow::Error::from(io::Error::from(Errno::NOENT)).context("a file");
        let text = |lang| in_language(lang, || chain_text(error.as_ref()));
        assert_eq!(text(Lang::En), "a file: No such file or directory");
        assert_eq!(text(Lang::Ja), "a file: ファイルまたはフォルダーがありません");
        let wrapped = io::Error::other(io::Error::from(Errno::NOENT));
        assert_eq!(in_language(Lang::En, || os_text(&wrapped)), "No such file or directory");
    }
}
