//! What goes wrong with a server, in one line with the remedy. No text holds a password: the texts have the address
//! as [`super::url::ServerUrl`] shows it, and what the server answered.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::facts::EvictionError;
use super::settings::ServerSettings;
use super::url::Place;

/// Why a server cannot keep the queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(
        "the server {server} cannot be reached ({cause}): start it, or give its address with --server"
    )]
    Unreachable { server: String, cause: String },
    #[error(
        "the server {server} does not answer ({cause}): what has no answer may have been done or not"
    )]
    Silent { server: String, cause: String },
    #[error(
        "the server {server} refuses the password or the user ({cause}): give the password in QDEMO_SERVER_PASSWORD"
    )]
    Credentials { server: String, cause: String },
    #[error(
        "the Sentinel {sentinel} refuses the password ({cause}): give the Sentinels' own password in QDEMO_SERVER_SENTINEL_PASSWORD"
    )]
    SentinelCredentials { sentinel: String, cause: String },
    #[error(
        "the Sentinels of {server} know no primary of that name: write the name of their `sentinel monitor` behind the hosts"
    )]
    UnknownPrimary { server: String },
    #[error(
        "the server {server} wants TLS at this port: write {scheme}:// in the URL, or give its port without TLS"
    )]
    OnlyTls { server: String, scheme: String },
    #[error(
        "the server {server} has no TLS at this port: write {scheme}:// in the URL, or give its tls-port"
    )]
    NoTls { server: String, scheme: String },
    #[error(
        "the user has no right to {rights} on the server {server}: `ACL SETUSER` grants it, docs/SERVER.md has the whole rule"
    )]
    Rights { server: String, rights: String },
    #[error(
        "the server {server} is not trusted ({cause}): give its certificate authority with --server-ca, and the host as its certificate names it"
    )]
    Certificate { server: String, cause: String },
    #[error("what answers at {server} is no Redis or Valkey server ({cause}): check the address")]
    OtherKind { server: String, cause: String },
    #[error(
        "the server {server} is too old: qdemo needs Redis 7.0 or Valkey 7.2, or later ({cause})"
    )]
    TooOld { server: String, cause: String },
    #[error(
        "the server {server} is a read-only replica: give the address of its primary, or of its Sentinels"
    )]
    ReadOnly { server: String },
    #[error("the server {server} has no memory left: `get` makes room, or raise its maxmemory")]
    OutOfMemory { server: String },
    #[error("the server {server} takes no writes, as it cannot save them ({cause}): mend its disk")]
    CannotSave { server: String, cause: String },
    #[error(
        "a newer qdemo has laid out the queue on the server {server} (layout {layout}): use that version"
    )]
    Layout { server: String, layout: String },
    #[error(
        "the key `{key}` on the server {server} is not qdemo's: take another queue name, or another ?prefix="
    )]
    ForeignKey { server: String, key: String },
    #[error("the server {server} does not know this client any more")]
    Forgotten { server: String },
    /// The server may drop items.
    #[error("{0}")]
    Evicts(String),
    #[error("the queue has been removed, or the server has lost it")]
    Removed,
    #[error(
        "this client has not read what the server has sent: more than 64 MiB wait, and it counts as dead"
    )]
    Unread,
    #[error("the certificate authorities in {file} cannot be used: {cause}")]
    CaFile { file: String, cause: String },
    #[error(
        "the server {server} cannot keep items over its own end ({cause}): --sync needs `appendonly yes`, and before Redis 7.2 `appendfsync always` too"
    )]
    NotDurable { server: String, cause: String },
    #[error("the connection to the server cannot be served: {cause}")]
    System { cause: String },
    #[error("the server {server} does not do what was asked: {cause}")]
    Unexpected { server: String, cause: String },
}

impl From<EvictionError> for ServerError {
    fn from(error: EvictionError) -> Self {
        Self::Evicts(error.to_string())
    }
}

impl ServerError {
    /// The server speaks TLS, and the scheme of the URL does not, or the other way round.
    pub(super) fn wrong_scheme(settings: &ServerSettings) -> Self {
        let server = settings.url.to_string();
        let is_tls = settings.url.is_tls;
        let scheme = settings.url.scheme_with_tls(!is_tls).to_owned();
        if is_tls { Self::NoTls { server, scheme } } else { Self::OnlyTls { server, scheme } }
    }
}

/// How a call or a connection failed.
#[derive(Clone, Debug)]
pub(super) enum CallError {
    /// Another connection may help.
    Lost(ServerError),
    /// The queue's slot is on another server.
    Moved { address: Place, error: ServerError },
    /// Nothing will help.
    Fatal(ServerError),
}

/// The cause of an error for a server that takes too long.
pub(super) const NO_ANSWER_YET: &str = "no answer in time";
/// In the answer of a server whose user may not run a command of the script.
const SCRIPT_LACKS_RIGHT: &str = "executing the script can't run this command";

/// The codes of answers that another attempt or another server may not give.
const TRANSIENT: [&str; 10] = [
    "LOADING",
    "NOREPLICAS",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "ASK",
    "BUSY",
    "UNBLOCKED",
    "NOSCRIPT",
    // The second time: the clock of the server has jumped, or the call took long.
    "QDEMO_ABSENT",
];

impl From<CallError> for ServerError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Lost(error) | CallError::Fatal(error) | CallError::Moved { error, .. } => {
                error
            }
        }
    }
}

impl CallError {
    /// What this answer of the server means. `was_connected`: the server has taken a call of this client before, so a
    /// replica in its place is a failover that is underway.
    pub(super) fn new(error: &RedisError, settings: &ServerSettings, was_connected: bool) -> Self {
        let server = settings.url.to_string();
        // A server may repeat what it was sent.
        let text =
            |text: &str| settings.redact(without_script_place(text)).replace(['\n', '\r'], " ");
        let cause =
            if error.is_timeout() { NO_ANSWER_YET.to_owned() } else { text(&error.to_string()) };
        let moved = error.redirect_node().filter(|_| error.code() == Some("MOVED"));
        if let Some((host, port)) = moved.and_then(|(address, _)| address.rsplit_once(':'))
            && let Ok(port) = port.parse()
        {
            let address = (host.to_owned(), port);
            return Self::Moved { address, error: ServerError::Silent { server, cause } };
        }
        let detail = || text(error.detail().unwrap_or_default());
        match error.code() {
            Some(code) if TRANSIENT.contains(&code) => {
                Self::Lost(ServerError::Silent { server, cause })
            }
            Some("QDEMO_UNKNOWN") => Self::Lost(ServerError::Forgotten { server }),
            // A Sentinel may name the old primary for a moment.
            Some("READONLY") if was_connected || settings.url.service.is_some() => {
                Self::Lost(ServerError::ReadOnly { server })
            }
            Some("READONLY") => Self::Fatal(ServerError::ReadOnly { server }),
            Some("OOM") => Self::Fatal(ServerError::OutOfMemory { server }),
            Some("MISCONF") => Self::Fatal(ServerError::CannotSave { server, cause: detail() }),
            Some("NOAUTH" | "WRONGPASS") => {
                Self::Fatal(ServerError::Credentials { server, cause: detail() })
            }
            Some("NOPERM") => {
                Self::Fatal(ServerError::Rights { server, rights: missing_right(&detail()) })
            }
            Some("QDEMO_RIGHTS") => Self::Fatal(ServerError::Rights { server, rights: detail() }),
            Some("QDEMO_LAYOUT") => Self::Fatal(ServerError::Layout { server, layout: detail() }),
            Some("QDEMO_FOREIGN") => Self::Fatal(ServerError::ForeignKey { server, key: detail() }),
            Some("QDEMO_GONE") => Self::Fatal(ServerError::Removed),
            _ => match &settings.ca_file {
                Some(file) if error.kind() == ErrorKind::InvalidClientConfig => {
                    let file = file.display().to_string();
                    Self::Fatal(ServerError::CaFile { file, cause })
                }
                _ => Self::from_kind(error, server, cause, was_connected),
            },
        }
    }

    fn from_kind(error: &RedisError, server: String, cause: String, was_connected: bool) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => {
                Self::Fatal(ServerError::Credentials { server, cause })
            }
            ErrorKind::RESP3NotSupported => Self::Fatal(ServerError::TooOld { server, cause }),
            ErrorKind::Parse if !was_connected => {
                Self::Fatal(ServerError::OtherKind { server, cause })
            }
            ErrorKind::InvalidClientConfig => {
                Self::Fatal(ServerError::Unexpected { server, cause })
            }
            ErrorKind::Server(ServerErrorKind::ResponseError)
                if cause.contains("unknown command") =>
            {
                Self::Fatal(ServerError::TooOld { server, cause })
            }
            ErrorKind::Io if cause.contains("invalid peer certificate") && !was_connected => {
                Self::Fatal(ServerError::Certificate { server, cause })
            }
            ErrorKind::Server(_) if cause.contains("max number of clients") => {
                Self::Lost(ServerError::Unreachable { server, cause })
            }
            ErrorKind::Server(_) if cause.contains(SCRIPT_LACKS_RIGHT) => {
                let rights = "`time`, or another command of its script".to_owned();
                Self::Fatal(ServerError::Rights { server, rights })
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                Self::Fatal(ServerError::Unexpected { server, cause })
            }
            _ if was_connected => Self::Lost(ServerError::Silent { server, cause }),
            _ => Self::Lost(ServerError::Unreachable { server, cause }),
        }
    }
}

/// Whether a server says that this user gets no answer to a question, or that it does not know the question: a service
/// may have removed the command.
pub(super) fn is_no_answer_for_user(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
        || error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
            && error.to_string().contains("unknown command")
}

/// The text of an error without the place in the script, which is of no use to a person.
fn without_script_place(text: &str) -> &str {
    text.split_once(" script: ").map_or(text, |(start, _)| start).trim_end_matches(['.', ','])
}

/// What a user may not do, from the server's sentence about it.
fn missing_right(detail: &str) -> String {
    if let Some(command) = detail.split('\'').nth(1) {
        format!("`{command}`")
    } else if detail.contains("channel") {
        "the channels of the queue".to_owned()
    } else {
        "the keys of the queue".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for what a server has answered.
    fn told(answer: &str) -> String {
        let settings = ServerSettings::from_url("redis://h").unwrap();
        let value = redis::parse_redis_value(answer.as_bytes()).unwrap();
        let error = value.extract_error().unwrap_err();
        ServerError::from(CallError::new(&error, &settings, true)).to_string()
    }

    #[test]
    fn no_error_names_a_place_in_the_script() {
        let place = "script: 0a1b, on @user_script:123.";
        for answer in [
            "ERR wrong number of arguments",
            "BUSY a script is busy.",
            "LOADING the data",
            "WRONGTYPE against a key",
            "MISCONF cannot save",
            "QDEMO_FOREIGN a key",
        ] {
            let text = told(&format!("-{answer} {place}\r\n"));
            assert!(!text.contains("script:") && !text.contains("user_script"), "{text}");
            assert!(text.contains(answer.rsplit(' ').next().unwrap().trim_matches('.')), "{text}");
        }
    }
}
