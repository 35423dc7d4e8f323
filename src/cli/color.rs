//! Whether output has colours: `--color`, else `NO_COLOR` and `CLICOLOR_FORCE`, else on a terminal.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use anstyle_query::{clicolor, is_ci, no_color, term_supports_color};
use clap::Arg;

use super::lang::given_value;
use crate::report::set_colors;

const CHOICES: [&str; 3] = ["auto", "always", "never"];

/// `--color`, which every command has. [`choose`] reads it: the error of another argument has colours too.
pub(super) fn color_arg() -> Arg {
    let arg = Arg::new("color").long("color").value_name("WHEN").value_parser(CHOICES);
    let arg = arg.default_value("auto").hide_possible_values(true).hide_short_help(true);
    arg.help_heading("help-heading-options")
}

/// Decides for standard output and standard error before the arguments are parsed.
pub(super) fn choose(args: &[OsString]) {
    let is_enabled = match given_value(args, "--color") {
        Some("always") => [true; 2],
        Some("never") => [false; 2],
        _ => [has_colors(&io::stdout()), has_colors(&io::stderr())],
    };
    set_colors(is_enabled);
}

/// What the environment and the stream say. `NO_COLOR` comes before `CLICOLOR_FORCE`.
fn has_colors(stream: &impl IsTerminal) -> bool {
    // `anstyle_query::clicolor_force` takes 0 as "yes", where the convention says "no".
    let is_forced = env::var_os("CLICOLOR_FORCE").is_some_and(|it| !it.is_empty() && it != "0");
    let is_capable = term_supports_color() || clicolor() == Some(true) || is_ci();
    let is_wanted = clicolor() != Some(false) && stream.is_terminal() && is_capable;
    !no_color() && (is_forced || is_wanted)
}
