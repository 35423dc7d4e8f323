//! The options of the commands whose queue may be on a server.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::values;
use crate::catalogue::message;
use crate::clock::nanos;
use crate::exit::ExitError;
use crate::queue_name::shell_quoted;
use crate::server::{GivenServer, ServerSettings, UrlText};

/// The name of the heading of these options in the help.
const HEADING: &str = "help-heading-server";

#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    // The short help has no other option for a server.
    #[arg(long, value_name = "URL", value_parser = url_text())]
    server: Option<UrlText>,

    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    server_password_file: Option<PathBuf>,

    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    server_ca: Option<PathBuf>,

    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = values::parse_duration)]
    #[arg(hide_short_help = true)]
    server_timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(super) struct StayingServerArgs {
    #[command(flatten)]
    server: ServerArgs,

    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = values::parse_dead_after)]
    #[arg(hide_short_help = true)]
    dead_after: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(super) struct EvictionArg {
    #[arg(long, help_heading = HEADING)]
    #[arg(hide_short_help = true)]
    allow_eviction: bool,
}

/// A text with a password: the parser refuses none, since an error of clap repeats the text.
fn url_text() -> impl TypedValueParser<Value = UrlText> {
    OsStringValueParser::new().map(|text: OsString| UrlText::from(text))
}

impl ServerArgs {
    /// The server of the command line, or else of the environment; none for a queue on this machine.
    pub(super) fn settings(&self) -> Result<Option<ServerSettings>, ExitError> {
        let given = GivenServer {
            url: self.server.clone(),
            password_file: self.server_password_file.clone(),
            ca_file: self.server_ca.clone(),
        };
        let resolved = ServerSettings::resolve(&given);
        let Some(mut settings) = resolved.map_err(|error| ExitError::usage(error.to_string()))?
        else {
            refuse_without_server("--server-password-file", self.server_password_file.is_some())?;
            refuse_without_server("--server-ca", self.server_ca.is_some())?;
            refuse_without_server("--server-timeout", self.server_timeout.is_some())?;
            return Ok(None);
        };
        if let Some(timeout) = self.server_timeout {
            settings.patience = Some(nanos(timeout));
        }
        Ok(Some(settings))
    }

    /// The given options, for another command that a person can paste. `settings` has the URL without its password.
    pub(super) fn to_words(&self, settings: Option<&ServerSettings>) -> String {
        let url = self.server.as_ref().and(settings).map(|settings| settings.url.to_string());
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let options = [
            ("--server", url),
            ("--server-password-file", path(&self.server_password_file)),
            ("--server-ca", path(&self.server_ca)),
        ];
        let word = |(name, value): (&str, Option<String>)| {
            value.map(|value| format!(" {name} {}", shell_quoted(&value)))
        };
        options.into_iter().filter_map(word).collect()
    }

    /// As [`ServerArgs::settings`]. Without a limit, the command waits for the server for ever.
    pub(super) fn staying_settings(&self) -> Result<Option<ServerSettings>, ExitError> {
        let mut settings = self.settings()?;
        if let Some(settings) = &mut settings {
            settings.patience = self.server_timeout.map(nanos);
        }
        Ok(settings)
    }
}

impl StayingServerArgs {
    /// As [`ServerArgs::to_words`].
    pub(super) fn to_words(&self, settings: Option<&ServerSettings>) -> String {
        self.server.to_words(settings)
    }

    /// As [`ServerArgs::staying_settings`].
    pub(super) fn settings(&self) -> Result<Option<ServerSettings>, ExitError> {
        let Some(mut settings) = self.server.staying_settings()? else {
            refuse_without_server("--dead-after", self.dead_after.is_some())?;
            return Ok(None);
        };
        if let Some(limit) = self.dead_after {
            settings.dead_after = nanos(limit);
        }
        Ok(Some(settings))
    }

    /// For a command that asks once, and so waits for a server that is away no longer than others.
    pub(super) fn one_shot_settings(&self) -> Result<Option<ServerSettings>, ExitError> {
        let settings = self.server.settings()?;
        if settings.is_none() {
            refuse_without_server("--dead-after", self.dead_after.is_some())?;
        }
        Ok(settings)
    }
}

impl EvictionArg {
    pub(super) fn apply(&self, server: &mut Option<ServerSettings>) -> Result<(), ExitError> {
        match server {
            Some(settings) => settings.allows_eviction = self.allow_eviction,
            None => refuse_without_server("--allow-eviction", self.allow_eviction)?,
        }
        Ok(())
    }
}

/// An option that says how to use a server is of no use without a server. The queue would be another one than the
/// user thinks.
fn refuse_without_server(option: &str, is_given: bool) -> Result<(), ExitError> {
    if !is_given {
        return Ok(());
    }
    Err(ExitError::usage(message!("cli-no-server", option = option)))
}
