//! The `qdemo` program. The library holds everything that the program does.

use std::process::ExitCode;

/// Records the standard streams before the Rust runtime opens `/dev/null` in place of closed ones.
#[ctor::ctor]
fn before_main() {
    qdemo::cli::record_standard_streams();
}

fn main() -> ExitCode {
    qdemo::cli::main(std::env::args_os())
}
