//! A disk that can be full, and that can be cut off in the middle of a write.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::journal::Store;
use crate::testing::recorded::Digest;

/// The files of one queue. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Disk(Rc<RefCell<DiskState>>);

#[derive(Default)]
struct DiskState {
    journal: Vec<u8>,
    /// So much of it survives the machine.
    synced: usize,
    /// The process that writes is killed when it has written so many bytes more.
    kill_after: Option<usize>,
    /// It has been.
    is_killed: bool,
    /// There is room for so many bytes more.
    free_bytes: Option<usize>,
    /// So many bytes behind the end of the journal are the journal's, whatever room there is.
    reserved: usize,
    /// All that went through the pipes, and to this disk.
    seen: Digest,
}

/// A journal's text without the name of this uptime, which each machine draws anew, and without the
/// checksums that count it.
fn without_boot(text: &[u8]) -> Vec<u8> {
    let mut without = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let name = &b"\"boot\":\""[..];
        let mut rest = line;
        while let Some(at) = memchr::memmem::find(rest, name) {
            without.extend_from_slice(&rest[..at + name.len()]);
            rest = &rest[at + name.len()..];
            rest = &rest[memchr::memchr(b'"', rest).unwrap_or(rest.len())..];
        }
        let counts_it = rest.len() < line.len();
        let sum = memchr::memmem::rfind(rest, b" ~").filter(|_| counts_it);
        without.extend_from_slice(&rest[..sum.unwrap_or(rest.len())]);
    }
    without
}

impl Disk {
    /// Takes note of something that goes through a pipe.
    pub(super) fn note(&self, what: &[u8], bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.seen.add(what);
        state.seen.add(bytes);
    }

    /// The digest of all that was seen so far.
    pub(super) fn digest(&self) -> String {
        self.0.borrow().seen.text()
    }

    /// What is in the journal.
    pub(super) fn journal(&self) -> Vec<u8> {
        self.0.borrow().journal.clone()
    }

    /// Whoever writes next is killed after so many bytes.
    pub(super) fn kill_after(&self, bytes: Option<usize>) {
        let mut state = self.0.borrow_mut();
        state.kill_after = bytes;
        state.is_killed = false;
    }

    /// Whether it has been killed.
    pub(super) fn has_killed(&self) -> bool {
        self.0.borrow().is_killed
    }

    /// There is room for so many bytes more; none for any number.
    pub(super) fn set_free_bytes(&self, room: Option<usize>) {
        self.0.borrow_mut().free_bytes = room;
    }

    /// The machine goes down: what is not on the disk is lost, all but the first part of it.
    pub(super) fn lose_power(&self, kept: impl FnOnce(usize) -> usize) {
        let mut state = self.0.borrow_mut();
        let loose = state.journal.len() - state.synced;
        let length = state.synced + kept(loose);
        state.journal.truncate(length);
        state.synced = length;
    }
}

impl DiskState {
    /// Takes note of something that is done to the disk.
    fn note(&mut self, what: &[u8], text: &[u8], length: usize) {
        self.seen.add(what);
        self.seen.add(&without_boot(text));
        self.seen.add(&(length as u64).to_le_bytes());
    }

    /// How much of so many bytes can be written, and why no more.
    fn write(&mut self, bytes: usize) -> (usize, io::Result<()>) {
        if self.is_killed {
            return (0, Err(io::Error::other("dead")));
        }
        if let Some(left) = &mut self.kill_after {
            if *left < bytes {
                self.is_killed = true;
                return (*left, Err(io::Error::other("killed")));
            }
            *left -= bytes;
        }
        let of_reserve = bytes.min(self.reserved);
        self.reserved -= of_reserve;
        let bytes = bytes - of_reserve;
        if let Some(room) = &mut self.free_bytes {
            if *room < bytes {
                return (of_reserve + *room, Err(io::ErrorKind::StorageFull.into()));
            }
            *room -= bytes;
        }
        (of_reserve + bytes, Ok(()))
    }
}

impl Store for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
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
        state.free_bytes = state.free_bytes.map(|room| room + reserved);
        Ok(())
    }

    fn reserve(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.write(0).1?;
        state.note(b"reserve", &[], usize::try_from(length).unwrap());
        let end = state.journal.len() + state.reserved;
        let more = usize::try_from(length).unwrap().saturating_sub(end);
        match &mut state.free_bytes {
            Some(room) if *room < more => return Err(io::ErrorKind::StorageFull.into()),
            Some(room) => *room -= more,
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

    fn replace(&mut self, bytes: &[u8], _: bool) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        // The other file has no part of the reserve.
        let reserved = std::mem::take(&mut state.reserved);
        if let Err(error) = state.write(bytes.len()).1 {
            state.reserved = reserved;
            return Err(error);
        }
        state.note(b"replace", bytes, bytes.len());
        let freed = state.journal.len() + reserved;
        state.free_bytes = state.free_bytes.map(|room| room + freed);
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
