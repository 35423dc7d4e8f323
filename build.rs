//! Links the program statically on Linux, where the libraries for that are there: a program that loads no
//! library and relocates nothing starts in about half the time. A script starts one `qdemo` for each item.
//!
//! The compiler's own switch (`-C target-feature=+crt-static`) cannot be in a manifest, and it forbids
//! procedural macros in a build without `--target`. So this script makes a folder of the static libraries,
//! and lets the linker search there before it finds the shared ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The shared libraries that a Rust program asks for, and the static libraries in their place.
const LIBRARIES: [(&str, &str); 7] = [
    ("libgcc_s.a", "libgcc_eh.a"),
    ("libutil.a", "libutil.a"),
    ("librt.a", "librt.a"),
    ("libpthread.a", "libpthread.a"),
    ("libm.a", "libm.a"),
    ("libdl.a", "libdl.a"),
    ("libc.a", "libc.a"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if !is_supported() {
        return;
    }
    let Some(out_dir) = env::var_os("OUT_DIR") else { return };
    let dir = Path::new(&out_dir).join("static-libraries");
    // Without the libraries the program is linked as any other.
    if link_libraries(&dir).is_err() {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-L{}", dir.display());
    // The last of `-pie` and `-no-pie` counts. The libraries need each other, and GNU's linker looks back at
    // them only in a group.
    for arg in ["-no-pie", "-static"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,--start-group,-lgcc_eh,-lgcc,-lc,--end-group");
}

/// Whether this is a build for this machine with the GNU C library, and without a choice of its own.
fn is_supported() -> bool {
    let config = |name: &str| env::var(format!("CARGO_CFG_{name}")).unwrap_or_default();
    let has_choice = config("TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    config("TARGET_OS") == "linux"
        && config("TARGET_ENV") == "gnu"
        && !has_choice
        && env::var_os("HOST") == env::var_os("TARGET")
}

/// Fills `dir` with links to the static libraries. An error if one of the libraries is missing.
fn link_libraries(dir: &Path) -> io::Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    find_file("libgcc.a")?;
    for (name, library) in LIBRARIES {
        #[cfg(unix)]
        std::os::unix::fs::symlink(find_file(library)?, dir.join(name))?;
    }
    Ok(())
}

/// Asks the C compiler, which is the linker's driver, where a library is.
fn find_file(library: &str) -> io::Result<PathBuf> {
    let compiler = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler).arg(format!("-print-file-name={library}")).output()?;
    // The compiler prints the bare name of a library that it does not find.
    fs::canonicalize(String::from_utf8_lossy(&output.stdout).trim())
}
