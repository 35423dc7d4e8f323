//! How to use a server: its URL, the password, certificate authorities and times. They come from a command's options,
//! and otherwise from the environment.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::password::Password;
use super::url::{ServerUrl, UrlError};
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::os::os_text;

/// How long a client waits for a server that is away, unless it says otherwise.
pub(crate) const DEFAULT_PATIENCE: Nanos = 30_000_000_000;
/// After this time without a sign of life a client counts as dead, unless it says otherwise.
const DEFAULT_DEAD_AFTER: Nanos = 30_000_000_000;
/// The longest password in a file, in bytes.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// How long the server may take to accept a connection, and how long no byte may move while a call has no answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A shorter limit would take a busy server for one that hangs.
const LEAST_ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

const URL_VARIABLE: &str = "QDEMO_SERVER";
const PASSWORD_VARIABLE: &str = "QDEMO_SERVER_PASSWORD";
const PASSWORD_FILE_VARIABLE: &str = "QDEMO_SERVER_PASSWORD_FILE";
const SENTINEL_PASSWORD_VARIABLE: &str = "QDEMO_SERVER_SENTINEL_PASSWORD";
const CA_VARIABLE: &str = "QDEMO_SERVER_CA";

/// A server, and how to use it.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    pub(crate) url: ServerUrl,
    /// Empty for a user without a password.
    pub(crate) password: Option<Password>,
    /// The file that the password came from, if the file can be read again.
    password_file: Option<PathBuf>,
    /// The password of the Sentinels, which is another one than that of their primary.
    pub(super) sentinel_password: Option<Password>,
    /// The file with the certificate authorities; none for those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// After this time without a sign of life the client counts as dead.
    pub(crate) dead_after: Nanos,
    /// How long to wait for a server that is away; none for no limit.
    pub(crate) patience: Option<Nanos>,
    /// The client puts even if the server may evict items.
    pub(crate) allows_eviction: bool,
}

/// What a program says of a server. The environment says the rest.
#[derive(Debug, Default)]
pub(crate) struct GivenServer {
    pub(crate) url: Option<UrlText>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
}

/// A URL as it was given, perhaps with a password.
#[derive(Clone)]
pub(crate) struct UrlText(OsString);

impl From<OsString> for UrlText {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlText(…)")
    }
}

/// Why a server cannot be used as it is given. Each text contains its remedy, and no text has a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{}", message!("server-url", place = .place, error = .error))]
    Url { place: &'static str, error: UrlError },
    #[error("{}", message!("server-unreadable", path = &.path.display(), place = .place, error = os_text(.error)))]
    Unreadable { place: &'static str, path: PathBuf, error: io::Error },
    #[error("{}", message!("server-no-password", path = &.path.display(), place = .place))]
    NoPassword { place: &'static str, path: PathBuf },
    #[error("{}", message!("server-not-utf8", place = .place))]
    NotUtf8 { place: &'static str },
    #[error("{}", message!("server-ca-without-tls", place = .place))]
    CaWithoutTls { place: &'static str },
}

impl ServerSettings {
    /// The server that the environment names.
    pub(crate) fn from_env() -> Result<Option<Self>, SettingsError> {
        Self::resolve(&GivenServer::default())
    }

    /// The server at this URL.
    pub(crate) fn from_url(url: &str) -> Result<Self, SettingsError> {
        let url = UrlText(OsString::from(url));
        Self::new("QueueBuilder::server", &url, &GivenServer::default(), &variable)
    }

    /// The server that the program names, or else the environment.
    pub(crate) fn resolve(given: &GivenServer) -> Result<Option<Self>, SettingsError> {
        Self::resolve_with(given, &variable)
    }

    /// `variable` looks up a variable of the environment.
    fn resolve_with(
        given: &GivenServer,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, SettingsError> {
        if let Some(url) = &given.url {
            return Self::new("--server", url, given, variable).map(Some);
        }
        match variable(URL_VARIABLE) {
            Some(url) => Self::new(URL_VARIABLE, &UrlText(url), given, variable).map(Some),
            None => Ok(None),
        }
    }

    /// `place` is where `url` stands.
    fn new(
        place: &'static str,
        url: &UrlText,
        given: &GivenServer,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let text = url.0.to_str().ok_or(UrlError::NotAUrl);
        let (url, url_password) =
            text.and_then(ServerUrl::parse).map_err(|error| SettingsError::Url { place, error })?;
        let file = |given: &Option<PathBuf>, option, name| match given {
            Some(path) => Some((option, path.clone())),
            None => variable(name).map(|path| (name, PathBuf::from(path))),
        };
        let mut settings = Self {
            url,
            password: url_password,
            password_file: None,
            sentinel_password: password_variable(SENTINEL_PASSWORD_VARIABLE, variable)?,
            ca_file: None,
            dead_after: DEFAULT_DEAD_AFTER,
            patience: Some(DEFAULT_PATIENCE),
            allows_eviction: false,
        };
        if let Some((place, path)) = file(&given.ca_file, "--server-ca", CA_VARIABLE) {
            settings.set_ca_file(place, path)?;
        }
        let password_file =
            file(&given.password_file, "--server-password-file", PASSWORD_FILE_VARIABLE);
        if let Some((place, path)) = password_file {
            settings.read_password(place, path)?;
        } else if let Some(password) = password_variable(PASSWORD_VARIABLE, variable)? {
            settings.password = Some(password);
        }
        if settings.password.is_none() && settings.url.user.is_some() {
            // Without a password the connection would be that of the default user.
            settings.password = Some(Password::new(""));
        }
        Ok(settings)
    }

    fn set_ca_file(&mut self, place: &'static str, path: PathBuf) -> Result<(), SettingsError> {
        if !self.url.is_tls {
            return Err(SettingsError::CaWithoutTls { place });
        }
        // The client may connect again when the process has another working directory.
        let opened = std::path::absolute(&path).and_then(|path| File::open(&path).map(|_| path));
        let opened = opened.map_err(|error| SettingsError::Unreadable { place, path, error })?;
        self.ca_file = Some(opened);
        Ok(())
    }

    fn read_password(&mut self, place: &'static str, path: PathBuf) -> Result<(), SettingsError> {
        let text = match read_start(&path) {
            Ok(text) => text,
            Err(error) => return Err(SettingsError::Unreadable { place, path, error }),
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains('\n') {
            return Err(SettingsError::NoPassword { place, path });
        }
        self.password = Some(Password::new(line));
        // A pipe, such as `<(COMMAND)` of a shell, gives its text only once.
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        self.password_file = std::path::absolute(path).ok().filter(|_| is_file);
        Ok(())
    }

    /// The variables with which a command uses the same server; none is a variable that the command does not get.
    /// The password is never a part of the URL, so that it can stand in no argument.
    pub(crate) fn variables(&self) -> [(&'static str, Option<OsString>); 5] {
        let file = self.password_file.clone().map(PathBuf::into_os_string);
        let password = self.password.as_ref().filter(|_| file.is_none());
        let text = |password: &Password| OsString::from(password.as_ref());
        [
            (URL_VARIABLE, Some(self.url.to_text_with_user().into())),
            (PASSWORD_VARIABLE, password.map(text)),
            (PASSWORD_FILE_VARIABLE, file),
            (SENTINEL_PASSWORD_VARIABLE, self.sentinel_password.as_ref().map(text)),
            (CA_VARIABLE, self.ca_file.clone().map(PathBuf::into_os_string)),
        ]
    }

    /// How long the server may take to accept a connection, and how long no byte may move while a call has no answer.
    /// A client with little patience tries another connection within its patience.
    pub(super) fn answer_timeout(&self) -> Duration {
        self.patience.map_or(ANSWER_TIMEOUT, |patience| answer_limit(patience / 2))
    }

    /// The same limit for a client whose server has been away for a time: no longer than the rest of its patience.
    pub(super) fn answer_timeout_after(&self, away: Nanos) -> Duration {
        let rest = self.patience.map(|patience| answer_limit(patience.saturating_sub(away)));
        rest.map_or(ANSWER_TIMEOUT, |rest| rest.min(self.answer_timeout()))
    }

    /// `text` without the passwords: a server may repeat what it was sent.
    pub(crate) fn redact(&self, text: &str) -> String {
        let passwords = self.password.iter().chain(&self.sentinel_password);
        passwords.fold(text.to_owned(), |text, password| password.redact(&text))
    }
}

fn answer_limit(limit: Nanos) -> Duration {
    Duration::from_nanos(limit).clamp(LEAST_ANSWER_TIMEOUT, ANSWER_TIMEOUT)
}

/// The value of a variable of the environment. An empty value counts as unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The password in a variable of the environment.
fn password_variable(
    name: &'static str,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Password>, SettingsError> {
    let Some(password) = variable(name) else { return Ok(None) };
    let password = password.into_string().map_err(|_| SettingsError::NotUtf8 { place: name })?;
    Ok(Some(Password::new(password)))
}

/// The text of a file, which may be a device without an end.
fn read_start(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_PASSWORD_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
