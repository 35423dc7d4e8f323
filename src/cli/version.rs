//! The version of this program.

/// What `-V` tells.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` tells: the commit and its date too, if the program was built in its repository.
pub(super) fn long_version() -> String {
    match env!("QDEMO_COMMIT") {
        "" => VERSION.to_owned(),
        commit => format!("{VERSION} ({commit})"),
    }
}
