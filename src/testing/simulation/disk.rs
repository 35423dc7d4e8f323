//! A disk that can be full, and that can kill its writer in the middle of a write.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use crate::journal::{Store, concat};
use crate::testing::recorded::Digest;

/// The disk of one queue. Clones share the disk.
#[derive(Clone, Default)]
pub(super) struct Disk(Rc<RefCell<DiskState>>);

#[derive(Default)]
struct DiskState {
    journal: Vec<u8>,
    /// The length of the journal that survives a power failure.
    synced: usize,
    /// The writer is killed after this many more bytes.
    kill_after: Option<usize>,
    is_killed: bool,
    /// `None` for an unlimited disk.
    free_bytes: Option<usize>,
    /// Bytes after the journal's end that belong to the journal even on a full disk.
    reserved: usize,
    /// The digest of all bytes that went to this disk and through the pipes.
    seen: Digest,
}

/// A journal's text without the boot id, which differs between machines, and without the checksums over it.
fn without_boot(text: &[u8]) -> Vec<u8> {
    let mut without = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let name = &b"\"boot_id\":\""[..];
        let mut rest = line;
        while let Some(at) = memchr::memmem::find(rest, name) {
            without.extend_from_slice(&rest[..at + name.len()]);
            rest = &rest[at + name.len()..];
            rest = &rest[memchr::memchr(b'"', rest).unwrap_or(rest.len())..];
        }
        let counts_it = rest.len() < line.len();
        let sum = memchr::memmem::rfind(rest, b" #").filter(|_| counts_it);
        without.extend_from_slice(&rest[..sum.unwrap_or(rest.len())]);
    }
    without
}

impl Disk {
    /// Adds bytes in a pipe to the digest.
    pub(super) fn note(&self, what: &[u8], bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.seen.add(what);
        state.seen.add(bytes);
    }

    /// The digest of all bytes so far.
    pub(super) fn digest(&self) -> String {
        self.0.borrow().seen.text()
    }

    /// The content of the journal.
    pub(super) fn journal(&self) -> Vec<u8> {
        self.0.borrow().journal.clone()
    }

    /// Kills the next writer after this many bytes.
    pub(super) fn kill_after(&self, bytes: Option<usize>) {
        let mut state = self.0.borrow_mut();
        state.kill_after = bytes;
        state.is_killed = false;
    }

    /// Whether the writer was killed.
    pub(super) fn has_killed(&self) -> bool {
        self.0.borrow().is_killed
    }

    /// Limits the free bytes; `None` for an unlimited disk.
    pub(super) fn set_free_bytes(&self, free_bytes: Option<usize>) {
        self.0.borrow_mut().free_bytes = free_bytes;
    }

    /// Loses the bytes that are not synced, except for the first `kept(unsynced)` of them.
    pub(super) fn lose_power(&self, kept: impl FnOnce(usize) -> usize) {
        let mut state = self.0.borrow_mut();
        let unsynced = state.journal.len() - state.synced;
        let length = state.synced + kept(unsynced);
        state.journal.truncate(length);
        state.synced = length;
    }
}

impl DiskState {
    /// Adds an operation of the disk to the digest.
    fn note(&mut self, what: &[u8], text: &[u8], length: usize) {
        self.seen.add(what);
        self.seen.add(&without_boot(text));
        self.seen.add(&(length as u64).to_le_bytes());
    }

    /// The number of bytes that a write of `bytes` writes, and its result.
    fn write(&mut self, bytes: usize) -> (usize, io::Result<()>) {
        if self.is_killed {
            return (0, Err(io::Error::other("the writer is dead")));
        }
        if let Some(left) = &mut self.kill_after {
            if *left < bytes {
                self.is_killed = true;
                return (*left, Err(io::Error::other("the writer is killed")));
            }
            *left -= bytes;
        }
        let from_reserve = bytes.min(self.reserved);
        self.reserved -= from_reserve;
        let bytes = bytes - from_reserve;
        if let Some(free) = &mut self.free_bytes {
            if *free < bytes {
                return (from_reserve + *free, Err(io::ErrorKind::StorageFull.into()));
            }
            *free -= bytes;
        }
        (from_reserve + bytes, Ok(()))
    }
}

impl Store for Disk {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let bytes = &concat(slices);
        let mut state = self.0.borrow_mut();
        let (length, result) = state.write(bytes.len());
        state.note(b"append", bytes, length);
        state.journal.extend_from_slice(&bytes[..length]);
        result
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.write(0).1?;
        let length = usize::try_from(length).unwrap();
        state.note(b"cut", &[], length);
        state.journal.truncate(length);
        state.synced = state.synced.min(length);
        let reserved = std::mem::take(&mut state.reserved);
        state.free_bytes = state.free_bytes.map(|free| free + reserved);
        Ok(())
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.write(0).1?;
        state.note(b"reserve", &[], usize::try_from(length).unwrap());
        let end = state.journal.len() + state.reserved;
        let more = usize::try_from(length).unwrap().saturating_sub(end);
        match &mut state.free_bytes {
            Some(free) if *free < more => return Err(io::ErrorKind::StorageFull.into()),
            Some(free) => *free -= more,
            None => {}
        }
        state.reserved += more;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.write(0).1?;
        state.synced = state.journal.len();
        state.note(b"sync", &[], 0);
        Ok(())
    }

    fn replace(&mut self, slices: &[IoSlice<'_>], _: bool) -> io::Result<()> {
        let bytes = &concat(slices);
        let mut state = self.0.borrow_mut();
        // The new file has no reserve.
        let reserved = std::mem::take(&mut state.reserved);
        if let Err(error) = state.write(bytes.len()).1 {
            state.reserved = reserved;
            return Err(error);
        }
        state.note(b"replace", bytes, bytes.len());
        let freed = state.journal.len() + reserved;
        state.free_bytes = state.free_bytes.map(|free| free + freed);
        state.journal = bytes.to_vec();
        state.synced = bytes.len();
        Ok(())
    }

    fn remove(&mut self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.write(0).1?;
        state.note(b"remove", &[], 0);
        state.journal.clear();
        state.synced = 0;
        Ok(())
    }
}
