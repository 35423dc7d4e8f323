//! Control characters of others on a terminal.
