//! How many files may be open: a keeper needs one for each client.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets us. Returns it; none for "any number".
pub(crate) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted.current,
        // macOS has a lower limit of its own.
        Err(_) => limit.current,
    }
}
