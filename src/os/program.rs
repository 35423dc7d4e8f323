//! Where a program is, as a shell finds it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The places where a program of this name may be: itself if it is a path, else one in each folder of the
/// `PATH`.
pub(crate) fn candidate_paths(name: &OsStr) -> Vec<PathBuf> {
    match name.as_bytes().contains(&b'/') {
        true => vec![PathBuf::from(name)],
        false => {
            let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
            env::split_paths(&path).map(|dir| dir.join(name)).collect()
        }
    }
}

/// Whether this is a file that this process may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    let executable = |mode| mode & 0o111 != 0;
    fs::metadata(path).is_ok_and(|is| is.is_file() && executable(is.mode()))
        && access(path, Access::EXEC_OK).is_ok()
}
