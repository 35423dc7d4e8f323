//! Whether something is drawn anew in place.

/// As every command with something to watch takes it.
#[derive(Debug, clap::Args)]
pub(super) struct ProgressArg {
    /// Keep what everybody does in view: auto (on a terminal), always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    progress: ProgressMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ProgressMode {
    Auto,
    Always,
    Never,
}

impl ProgressArg {
    /// `auto` tells whether it is unless something else has been said.
    pub(super) fn is_enabled(&self, auto: bool) -> bool {
        match self.progress {
            ProgressMode::Auto => auto,
            ProgressMode::Always => true,
            ProgressMode::Never => false,
        }
    }
}
