//! The `qdemo` command; all of it is in the library.

fn main() -> std::process::ExitCode {
    qdemo::cli::main(std::env::args_os())
}
