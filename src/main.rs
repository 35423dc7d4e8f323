//! The `qdemo` command; all of it is in the library.

/// Runs before `main`, and before the runtime opens `/dev/null` in the place of closed streams.
#[ctor::ctor]
fn before_main() {
    qdemo::cli::record_standard_streams();
}

fn main() -> std::process::ExitCode {
    qdemo::cli::main(std::env::args_os())
}
