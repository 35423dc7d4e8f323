//! Tells the program its commit, and links it.
//!
//! The program is linked statically on Linux, where the libraries for that are there: a program that loads no
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
    // Empty in a build without git, such as that of a package.
    println!("cargo:rustc-env=QDEMO_COMMIT={}", commit().unwrap_or_default());
    link();
}

/// The commit and its date: `abc1234 2026-11-26`. The date of the build would make each build another one.
fn commit() -> Option<String> {
    let own_dir = fs::canonicalize(env::var_os("CARGO_MANIFEST_DIR")?).ok()?;
    // A package that is unpacked in the repository of another project is not of that project's commit.
    let top = fs::canonicalize(git(&own_dir, &["rev-parse", "--show-toplevel"])?).ok()?;
    if top != own_dir {
        return None;
    }
    // Git appends to this file whenever the commit changes. A file that is missing would run this script at each build.
    let log = ["logs/HEAD", "HEAD"].into_iter().find_map(|name| {
        let path = own_dir.join(git(&own_dir, &["rev-parse", "--git-path", name])?);
        path.exists().then_some(path)
    });
    println!("cargo:rerun-if-changed={}", log?.display());
    git(&own_dir, &["-c", "log.showSignature=false", "log", "-1", "--abbrev=7", "--format=%h %cs"])
}

/// The output of a git command. None if it fails, or if there is no git.
fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn link() {
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
