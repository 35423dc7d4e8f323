//! What goes wrong with a server, in one line with the remedy. No text holds a password: the texts have the address
//! as [`super::url::ServerUrl`] shows it, and what the server answered.

use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::facts::EvictionError;
use super::settings::ServerSettings;
use super::url::Place;
use crate::catalogue::message;
use crate::os::os_text;

/// Why a server cannot keep the queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("{}", message!("server-unreachable", server = .server, cause = .cause))]
    Unreachable { server: String, cause: String },
    #[error("{}", message!("server-silent", server = .server, cause = .cause))]
    Silent { server: String, cause: String },
    #[error("{}", message!("server-credentials", server = .server, cause = .cause))]
    Credentials { server: String, cause: String },
    #[error("{}", message!("server-sentinel-credentials", sentinel = .sentinel, cause = .cause))]
    SentinelCredentials { sentinel: String, cause: String },
    #[error("{}", message!("server-unknown-primary", server = .server))]
    UnknownPrimary { server: String },
    #[error("{}", message!("server-only-tls", server = .server, scheme = .scheme))]
    OnlyTls { server: String, scheme: String },
    #[error("{}", message!("server-no-tls", server = .server, scheme = .scheme))]
    NoTls { server: String, scheme: String },
    #[error("{}", message!("server-rights", rights = .rights, server = .server))]
    Rights { server: String, rights: String },
    #[error("{}", message!("server-certificate", server = .server, cause = .cause))]
    Certificate { server: String, cause: String },
    #[error("{}", message!("server-other-kind", server = .server, cause = .cause))]
    OtherKind { server: String, cause: String },
    #[error("{}", message!("server-too-old", server = .server, cause = .cause))]
    TooOld { server: String, cause: String },
    #[error("{}", message!("server-read-only", server = .server))]
    ReadOnly { server: String },
    #[error("{}", message!("server-out-of-memory", server = .server))]
    OutOfMemory { server: String },
    #[error("{}", message!("server-cannot-save", server = .server, cause = .cause))]
    CannotSave { server: String, cause: String },
    #[error("{}", message!("server-layout", server = .server, layout = .layout))]
    Layout { server: String, layout: String },
    #[error("{}", message!("server-foreign-key", key = .key, server = .server))]
    ForeignKey { server: String, key: String },
    #[error("{}", message!("server-forgotten", server = .server))]
    Forgotten { server: String },
    /// The server may drop items.
    #[error(transparent)]
    Evicts(EvictionError),
    #[error("{}", message!("refusal-removed-or-lost"))]
    Removed,
    #[error("{}", message!("server-unread"))]
    Unread,
    #[error("{}", message!("server-ca-file", file = .file, cause = .cause))]
    CaFile { file: String, cause: String },
    #[error("{}", message!("server-not-durable", server = .server, cause = .cause))]
    NotDurable { server: String, cause: String },
    #[error("{}", message!("server-system", cause = .cause))]
    System { cause: String },
    #[error("{}", message!("server-unexpected", server = .server, cause = .cause))]
    Unexpected { server: String, cause: String },
}

impl From<EvictionError> for ServerError {
    fn from(error: EvictionError) -> Self {
        Self::Evicts(error)
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
pub(super) fn no_answer_yet() -> String {
    message!("server-no-answer-yet")
}

/// In the error of the TLS library for a certificate.
const INVALID_CERTIFICATE: &str = "invalid peer certificate";
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
        let cause = if error.is_timeout() { no_answer_yet() } else { text(&system_text(error)) };
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
                    // Without the words of the library around it.
                    let cause =
                        error.detail().map_or(cause, |detail| certificate_text(&text(detail)));
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
            ErrorKind::Io if cause.contains(INVALID_CERTIFICATE) && !was_connected => {
                let cause = certificate_text(&cause);
                Self::Fatal(ServerError::Certificate { server, cause })
            }
            ErrorKind::Server(_) if cause.contains("max number of clients") => {
                Self::Lost(ServerError::Unreachable { server, cause })
            }
            ErrorKind::Server(_) if cause.contains(SCRIPT_LACKS_RIGHT) => {
                let rights = message!("server-right-script");
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

/// What is wrong with a certificate, in the language of people.
fn certificate_text(cause: &str) -> String {
    match cause.split_once(INVALID_CERTIFICATE) {
        Some((_, detail)) => {
            let detail = detail.trim_start_matches([':', ' ']);
            message!("server-invalid-certificate", detail = detail)
        }
        None => cause.to_owned(),
    }
}

/// The text of an error. The text of an error of the system is in the language of people.
fn system_text(error: &RedisError) -> String {
    let text = error.to_string();
    let code =
        text.rsplit_once("(os error ").and_then(|(_, code)| code.strip_suffix(')')?.parse().ok());
    match code.filter(|_| error.kind() == ErrorKind::Io) {
        Some(code) => os_text(&io::Error::from_raw_os_error(code)),
        None => text,
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
        message!("server-right-channels")
    } else {
        message!("server-right-keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Lang, in_language};

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

    #[test]
    fn every_error_of_a_server_is_there_in_both_languages() {
        let [server, cause] = [(); 2].map(|()| String::new);
        let evicts = super::super::facts::ServerFacts::new(
            "redis://h",
            Some("maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n"),
            None,
            None,
        );
        let evicts = evicts.check_for_puts(false).unwrap_err();
        let errors = [
            ServerError::Unreachable { server: server(), cause: cause() },
            ServerError::Silent { server: server(), cause: no_answer_yet() },
            ServerError::Credentials { server: server(), cause: cause() },
            ServerError::SentinelCredentials { sentinel: server(), cause: cause() },
            ServerError::UnknownPrimary { server: server() },
            ServerError::OnlyTls { server: server(), scheme: "rediss".to_owned() },
            ServerError::NoTls { server: server(), scheme: "redis".to_owned() },
            ServerError::Rights { server: server(), rights: "`time`".to_owned() },
            ServerError::Certificate { server: server(), cause: cause() },
            ServerError::OtherKind { server: server(), cause: cause() },
            ServerError::TooOld { server: server(), cause: cause() },
            ServerError::ReadOnly { server: server() },
            ServerError::OutOfMemory { server: server() },
            ServerError::CannotSave { server: server(), cause: cause() },
            ServerError::Layout { server: server(), layout: "2".to_owned() },
            ServerError::ForeignKey { server: server(), key: "q".to_owned() },
            ServerError::Forgotten { server: server() },
            ServerError::Evicts(evicts),
            ServerError::Removed,
            ServerError::Unread,
            ServerError::CaFile { file: "f".to_owned(), cause: cause() },
            ServerError::NotDurable { server: server(), cause: cause() },
            ServerError::System { cause: cause() },
            ServerError::Unexpected { server: server(), cause: cause() },
        ];
        errors.iter().for_each(|error| crate::catalogue::assert_in_both_languages(error));
    }

    #[test]
    fn an_error_of_the_system_is_in_the_language_of_the_reader() {
        let refused = RedisError::from(io::Error::from_raw_os_error(111));
        let text = |lang| in_language(lang, || system_text(&refused));
        assert_eq!(text(Lang::En), "Connection refused");
        assert_eq!(text(Lang::Ja), "接続を拒否されました");
    }
}
