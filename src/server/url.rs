//! The URL of a server: where the server is, as which user to connect, which database and which keys to use.
//!
//! The parser is this program's own, since one URL may name several Sentinels. No text that this file makes for
//! people has a part of the URL in which a password may be, be it only by mistake: a wrong URL is not repeated.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode,
};
use url::Host;

use super::password::Password;
use crate::catalogue::message;

/// The beginning of the keys of all queues, unless the URL has another one.
const DEFAULT_PREFIX: &str = "qdemo";
/// The longest prefix, in bytes.
const MAX_PREFIX_BYTES: usize = 64;
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What a URL must escape in a user and in the name of a primary.
const WORD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What a URL must escape in the path of a socket.
const PATH: &AsciiSet = &WORD.remove(b'/');

/// A host and a port.
pub(super) type Place = (String, u16);

/// What follows the scheme of a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `HOST[:PORT][/DB]`
    Host,
    /// `/PATH[?db=N]`
    Socket,
    /// `HOST[:PORT],…/SERVICE[/DB]`
    Sentinel,
}

/// Each scheme, what follows it, and whether it stands for TLS.
const SCHEMES: [(&str, Kind, bool); 10] = [
    ("redis", Kind::Host, false),
    ("rediss", Kind::Host, true),
    ("valkey", Kind::Host, false),
    ("valkeys", Kind::Host, true),
    ("redis+unix", Kind::Socket, false),
    ("valkey+unix", Kind::Socket, false),
    ("redis+sentinel", Kind::Sentinel, false),
    ("rediss+sentinel", Kind::Sentinel, true),
    ("valkey+sentinel", Kind::Sentinel, false),
    ("valkeys+sentinel", Kind::Sentinel, true),
];

/// Where a server is, and which of its keys belong to queues. It has no password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    scheme: &'static str,
    /// The server's socket. Without a socket there is at least one host.
    pub(super) socket: Option<PathBuf>,
    /// The server's host and port, or those of each Sentinel.
    pub(super) hosts: Vec<Place>,
    /// The name that the Sentinels know the primary by.
    pub(super) service: Option<String>,
    pub(super) is_tls: bool,
    pub(super) db: i64,
    pub(super) user: Option<String>,
    /// The beginning of the keys of all queues.
    pub(super) prefix: String,
}

/// Why a text is not the URL of a server. Each text contains its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("{}", message!("server-url-none"))]
    NotAUrl,
    #[error("{}", message!("server-url-scheme", scheme = .0))]
    UnknownScheme(String),
    #[error("{}", message!("server-url-unescaped"))]
    Unescaped,
    #[error("{}", message!("server-url-not-utf8"))]
    NotUtf8,
    #[error("{}", message!("server-url-no-host"))]
    NoHost,
    #[error("{}", message!("server-url-host"))]
    InvalidHost,
    #[error("{}", message!("server-url-port"))]
    InvalidPort,
    #[error("{}", message!("server-url-several-hosts"))]
    SeveralHosts,
    #[error("{}", message!("server-url-database"))]
    InvalidDatabase,
    #[error("{}", message!("server-url-host-before-socket"))]
    HostBeforeSocket,
    #[error("{}", message!("server-url-no-socket"))]
    NoSocket,
    #[error("{}", message!("server-url-no-service"))]
    NoService,
    #[error("{}", message!("server-url-parameter-of-host", parameter = .0))]
    UnknownParameterOfHost(String),
    #[error("{}", message!("server-url-parameter-of-socket", parameter = .0))]
    UnknownParameterOfSocket(String),
    #[error("{}", message!("server-url-repeated", parameter = .0))]
    RepeatedParameter(String),
    #[error("{}", message!("server-url-prefix", max = MAX_PREFIX_BYTES))]
    InvalidPrefix,
}

impl ServerUrl {
    /// Parses a URL. Returns its password apart.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Password>), UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NotAUrl)?;
        let (scheme, kind, is_tls) = find_scheme(scheme)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // Such a character belongs into the password, as a rule.
        if rest.contains(['@', '#']) {
            return Err(UrlError::Unescaped);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = parse_login(login)?;
        let mut parameters = parameters(query)?;
        let prefix = match parameters.remove("prefix") {
            Some(prefix) => checked_prefix(prefix)?,
            None => DEFAULT_PREFIX.to_owned(),
        };
        let mut url = Self {
            scheme,
            socket: None,
            hosts: Vec::new(),
            service: None,
            is_tls,
            db: 0,
            user,
            prefix,
        };
        match kind {
            Kind::Socket => {
                url.socket = Some(parse_socket(hosts, path)?);
                let db = parameters.remove("db").unwrap_or_default();
                url.db = parse_database(&db)?;
            }
            Kind::Host => {
                if hosts.contains(',') {
                    return Err(UrlError::SeveralHosts);
                }
                url.hosts.push(parse_host(hosts, SERVER_PORT)?);
                url.db = parse_database(path.strip_prefix('/').unwrap_or(path))?;
            }
            Kind::Sentinel => {
                for host in hosts.split(',') {
                    url.hosts.push(parse_host(host, SENTINEL_PORT)?);
                }
                let path = path.strip_prefix('/').unwrap_or(path);
                let (service, db) = path.split_once('/').unwrap_or((path, ""));
                let service = Some(decode(service)?).filter(|service| !service.is_empty());
                url.service = Some(service.ok_or(UrlError::NoService)?);
                url.db = parse_database(db)?;
            }
        }
        if let Some((name, _)) = parameters.pop_first() {
            return Err(match kind {
                Kind::Socket => UrlError::UnknownParameterOfSocket(name),
                Kind::Host | Kind::Sentinel => UrlError::UnknownParameterOfHost(name),
            });
        }
        Ok((url, password))
    }

    /// The scheme for the same kind of URL with TLS, or without.
    pub(super) fn scheme_with_tls(&self, with_tls: bool) -> &'static str {
        let is_valkey = |scheme: &str| scheme.starts_with("valkey");
        let is_it = |(scheme, kind, is_tls): &(&str, Kind, bool)| {
            let is_sentinel = *kind == Kind::Sentinel;
            *is_tls == with_tls
                && *kind != Kind::Socket
                && is_sentinel == self.service.is_some()
                && is_valkey(scheme) == is_valkey(self.scheme)
        };
        SCHEMES.into_iter().find(is_it).map_or(self.scheme, |(scheme, ..)| scheme)
    }

    /// The whole URL, without a password, for the environment of another process.
    pub(super) fn to_text_with_user(&self) -> String {
        let user = self.user.as_deref().map(|user| utf8_percent_encode(user, WORD));
        self.to_text(&user.map_or(String::new(), |user| format!("{user}@")))
    }

    /// The URL with this login, which is empty or ends with `@`.
    fn to_text(&self, login: &str) -> String {
        let mut text = format!("{}://{login}", self.scheme);
        let mut query = Vec::new();
        for (at, (host, port)) in self.hosts.iter().enumerate() {
            text.push_str(if at > 0 { "," } else { "" });
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            text.push_str(&format!("{host}:{port}"));
        }
        if let Some(path) = &self.socket {
            text.push_str(&percent_encode(path.as_os_str().as_bytes(), PATH).to_string());
            query.extend((self.db != 0).then(|| format!("db={}", self.db)));
        }
        if let Some(service) = &self.service {
            text.push_str(&format!("/{}", utf8_percent_encode(service, WORD)));
        }
        if self.socket.is_none() && self.db != 0 {
            text.push_str(&format!("/{}", self.db));
        }
        query.extend((self.prefix != DEFAULT_PREFIX).then(|| format!("prefix={}", self.prefix)));
        if !query.is_empty() {
            text.push_str(&format!("?{}", query.join("&")));
        }
        text
    }
}

/// The URL without the user: a URL that lacks a colon has its password in the place of the user.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(""))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

fn find_scheme(text: &str) -> Result<(&'static str, Kind, bool), UrlError> {
    let known = SCHEMES.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    known.ok_or_else(|| {
        if !text.is_empty() && text.chars().all(is_scheme) {
            UrlError::UnknownScheme(text.to_owned())
        } else {
            UrlError::NotAUrl
        }
    })
}

fn decode(text: &str) -> Result<String, UrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| UrlError::NotUtf8)
}

/// `USER`, `USER:PASSWORD` or `:PASSWORD`.
fn parse_login(login: &str) -> Result<(Option<String>, Option<Password>), UrlError> {
    let (user, password) = match login.split_once(':') {
        None | Some(("", "")) => (login.trim_end_matches(':'), None),
        Some((user, password)) => (user, Some(password)),
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok((user, password.map(decode).transpose()?.map(Password::new)))
}

/// `HOST` or `HOST:PORT`. Returns an IPv6 address without its brackets.
fn parse_host(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    let has_port = text.rfind(':') > text.rfind(']');
    let (host, port) = match text.rsplit_once(':').filter(|_| has_port) {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port = match port {
        None => default_port,
        // A sign is no digit.
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(UrlError::InvalidPort);
        }
        Some(digits) => match digits.parse() {
            Ok(0) | Err(_) => return Err(UrlError::InvalidPort),
            Ok(port) => port,
        },
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let host = match Host::parse(host).map_err(|_| UrlError::InvalidHost)? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Ok((host, port))
}

fn parse_socket(hosts: &str, path: &str) -> Result<PathBuf, UrlError> {
    if !hosts.is_empty() {
        return Err(UrlError::HostBeforeSocket);
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    let path = Path::new(OsStr::from_bytes(&bytes));
    // A path of slashes alone names no file.
    path.file_name().map(|_| path.to_owned()).ok_or(UrlError::NoSocket)
}

/// No digits stand for 0.
fn parse_database(digits: &str) -> Result<i64, UrlError> {
    if digits.is_empty() {
        return Ok(0);
    }
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>());
    number.and_then(Result::ok).map(i64::from).ok_or(UrlError::InvalidDatabase)
}

fn parameters(query: &str) -> Result<BTreeMap<String, String>, UrlError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if parameters.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(UrlError::RepeatedParameter(name.into_owned()));
        }
    }
    Ok(parameters)
}

/// The prefix stands in keys and in patterns of keys, so it has no character with a meaning there.
fn checked_prefix(prefix: String) -> Result<String, UrlError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_valid = (1..=MAX_PREFIX_BYTES).contains(&prefix.len()) && prefix.bytes().all(is_word);
    is_valid.then_some(prefix).ok_or(UrlError::InvalidPrefix)
}

#[cfg(test)]
mod tests;
