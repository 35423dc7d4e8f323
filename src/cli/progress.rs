//! Whether something is drawn anew in place.

/// As every command with something to watch takes it.
#[derive(Debug, clap::Args)]
pub(super) struct ProgressArg {
    /// Keep what everybody does in view: auto (on a terminal), always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    progress: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl ProgressArg {
    /// `auto` tells whether it is unless something else has been said.
    pub(super) fn is_wanted(&self, auto: bool) -> bool {
        match self.progress {
            When::Auto => auto,
            When::Always => true,
            When::Never => false,
        }
    }
}
