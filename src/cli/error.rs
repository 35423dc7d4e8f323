//! The errors of commands: one line of text and one exit code for each.

use std::io;

use crate::bench::Interrupted;
use crate::catalogue::message;
use crate::client::Error as ClientError;
use crate::exec::{CommandError, StopReason};
use crate::exit::{ExitCode, ExitError};
use crate::os::{chain_text, resource_remedy, signals};
use crate::report::{StdoutError, eprint_error};

/// Prints `error` in one line on standard error. Prints nothing for an error that ends the command by a
/// signal.
pub(super) fn report_error(error: &anyhow::Error) -> ExitCode {
    let code = exit_code(error);
    if !matches!(code, ExitCode::Signal(_)) {
        let causes = error.chain().filter_map(|cause| cause.downcast_ref());
        let remedy = causes.filter_map(resource_remedy).last();
        let remedy = remedy
            .or_else(|| error.downcast_ref().and_then(|error: &ExitError| error.remedy.clone()));
        let text = chain_text(error.as_ref());
        eprint_error(&match remedy {
            Some(remedy) => message!("os-with-remedy", error = text, remedy = remedy),
            None => text,
        });
    }
    code
}

/// Maps every error of a command to its exit code.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    let is_interrupted = if let Some(StdoutError(error)) = error.downcast_ref() {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return ExitCode::Signal(signal_hook::consts::SIGPIPE);
        }
        error.kind() == io::ErrorKind::Interrupted
    } else {
        matches!(error.downcast_ref(), Some(ClientError::Interrupted)) || error.is::<Interrupted>()
    };
    if let Some(signal) = signals::exit_signal().filter(|_| is_interrupted) {
        return ExitCode::Signal(signal);
    }
    if let Some(error) = error.downcast_ref::<ExitError>() {
        return error.code;
    }
    if let Some(StopReason::Interrupted(signal)) = error.downcast_ref() {
        return ExitCode::Signal(*signal);
    }
    match error.downcast_ref() {
        Some(CommandError::NotFound(_)) => return ExitCode::NotFound,
        Some(CommandError::NotExecutable(_)) => return ExitCode::NotExecutable,
        None => {}
    }
    match error.downcast_ref() {
        Some(ClientError::StdoutClosed) => ExitCode::Signal(signal_hook::consts::SIGPIPE),
        Some(ClientError::Unsafe(_) | ClientError::NoHome | ClientError::ServerSettings(_)) => {
            ExitCode::Usage
        }
        Some(ClientError::Closed) => ExitCode::Closed,
        Some(ClientError::NoAnswer { .. }) => ExitCode::WouldBlock,
        _ => ExitCode::Failed,
    }
}
