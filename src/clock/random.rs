//! Random numbers of the system.

use std::io;

/// A number that no other process can guess.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn random_u64() -> io::Result<u64> {
    // A static program has no symbols to look up, so there getrandom opens `/dev/random` and `/dev/urandom`
    // rather than calling the kernel.
    #[cfg(target_os = "linux")]
    {
        use rustix::rand::{GetRandomFlags, getrandom};
        let mut bytes = [0; 8];
        // The kernel gives up to 256 bytes whole. An older kernel, or a filter of system calls, gives none.
        if getrandom(&mut bytes, GetRandomFlags::empty()) == Ok(bytes.len()) {
            return Ok(u64::from_ne_bytes(bytes));
        }
    }
    getrandom::u64().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_differ_in_all_their_bytes() {
        let numbers: Vec<_> = (0..64).map(|_| random_u64().unwrap()).collect();
        for byte in 0..8 {
            let values: HashSet<_> = numbers.iter().map(|n| n.to_ne_bytes()[byte]).collect();
            assert!(values.len() > 16, "byte {byte} has few values: {values:?}");
        }
    }
}
