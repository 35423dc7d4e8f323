//! What Linux tells in `/proc`.

use std::fs::File;
use std::io::{self, Read};

/// What most of its files have less than.
const INITIAL_CAPACITY: usize = 4096;

/// Reads such a file. They have no size, and to feel one's way to their end takes many reads.
pub(crate) fn read(path: &str) -> io::Result<String> {
    let mut text = Vec::with_capacity(INITIAL_CAPACITY);
    File::open(path)?.read_to_end(&mut text)?;
    // A process may call itself anything.
    Ok(String::from_utf8_lossy(&text).into_owned())
}
