//! Where the output of commands is kept: the first bytes in memory, and the others in one unnamed file. However many
//! commands run or wait for their turn, the memory is bounded, and the file is one descriptor.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// The bytes that all outputs together have in memory.
const MAX_MEMORY: usize = 16 << 20;
/// The bytes that one output has in memory.
const MAX_MEMORY_OF_ONE: usize = 1 << 20;
/// The file consists of blocks of this many bytes. Each block belongs to one output.
const BLOCK_LEN: usize = 64 * 1024;

/// Keeps the outputs of all commands.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputStore {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The bytes in memory, of all outputs.
    memory: usize,
    /// The unnamed file, since the first output that needed a block.
    file: Option<File>,
    /// The number of blocks in the file.
    block_count: u64,
    free_blocks: Vec<u64>,
}

/// The bytes of one output. Writes append. A drop frees the space.
#[derive(Debug)]
pub(crate) struct KeptOutput {
    store: OutputStore,
    memory: Vec<u8>,
    /// The blocks with what follows `memory`.
    blocks: Vec<u64>,
    len: u64,
    /// The position of the next read.
    position: u64,
}

impl OutputStore {
    /// A new output, which is empty.
    pub(crate) fn new_output(&self) -> KeptOutput {
        let store = self.clone();
        KeptOutput { store, memory: Vec::new(), blocks: Vec::new(), len: 0, position: 0 }
    }
}

impl Shared {
    /// Whether this many more bytes may be in memory. They count from now on.
    fn take_memory(&mut self, count: usize) -> bool {
        let has_room = self.memory + count <= MAX_MEMORY;
        if has_room {
            self.memory += count;
        }
        has_room
    }

    fn take_block(&mut self) -> io::Result<u64> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        Ok(self.free_blocks.pop().unwrap_or_else(|| {
            self.block_count += 1;
            self.block_count - 1
        }))
    }

    fn free(&mut self, memory: usize, blocks: &mut Vec<u64>) {
        self.memory -= memory;
        self.free_blocks.append(blocks);
        if self.block_count > 0 && self.free_blocks.len() as u64 == self.block_count {
            // A file that cannot be cut is only longer than necessary.
            let _ = self.file.as_ref().map(|file| file.set_len(0));
            self.free_blocks.clear();
            self.block_count = 0;
        }
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl KeptOutput {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn clear(&mut self) {
        self.store.shared.borrow_mut().free(self.memory.len(), &mut self.blocks);
        self.memory = Vec::new();
        (self.len, self.position) = (0, 0);
    }
}

impl Drop for KeptOutput {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Write for KeptOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shared = self.store.shared.borrow_mut();
        let fits = self.memory.len() + bytes.len() <= MAX_MEMORY_OF_ONE;
        if self.blocks.is_empty() && fits && shared.take_memory(bytes.len()) {
            self.memory.extend_from_slice(bytes);
            self.len += bytes.len() as u64;
            return Ok(bytes.len());
        }
        let in_file = self.len - self.memory.len() as u64;
        let (index, offset) = block_position(in_file);
        if index == self.blocks.len() {
            self.blocks.push(shared.take_block()?);
        }
        let count = bytes.len().min(BLOCK_LEN - offset);
        shared.file()?.write_all_at(&bytes[..count], file_offset(self.blocks[index], offset))?;
        self.len += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for KeptOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let in_memory = usize::try_from(self.position).ok().and_then(|at| self.memory.get(at..));
        let count = match in_memory.filter(|rest| !rest.is_empty()) {
            Some(mut rest) => rest.read(buffer)?,
            None => {
                let (index, offset) = block_position(self.position - self.memory.len() as u64);
                let left = usize::try_from(self.len.saturating_sub(self.position));
                let count = left.unwrap_or(usize::MAX).min(BLOCK_LEN - offset).min(buffer.len());
                let Some(&block) = self.blocks.get(index).filter(|_| count > 0) else {
                    return Ok(0);
                };
                let shared = self.store.shared.borrow();
                shared.file()?.read_exact_at(&mut buffer[..count], file_offset(block, offset))?;
                count
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for KeptOutput {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The index of a block, and the offset in the block.
fn block_position(in_file: u64) -> (usize, usize) {
    let block = in_file / BLOCK_LEN as u64;
    (usize::try_from(block).unwrap_or(usize::MAX), (in_file % BLOCK_LEN as u64) as usize)
}

fn file_offset(block: u64, offset: usize) -> u64 {
    block * BLOCK_LEN as u64 + offset as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(output: &mut KeptOutput) -> Vec<u8> {
        let mut text = Vec::new();
        output.rewind().unwrap();
        output.read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn outputs_that_grow_in_turn_are_read_as_they_were_written() {
        let store = OutputStore::default();
        let mut outputs: Vec<_> = (0..4).map(|_| (store.new_output(), Vec::new())).collect();
        for round in 0..500u32 {
            for (n, (output, expected)) in (0..).zip(&mut outputs) {
                let piece = vec![(round * 7 + n) as u8; (round * 13 + n * 1000) as usize % 9999];
                output.write_all(&piece).unwrap();
                expected.extend(piece);
            }
        }
        for (output, expected) in &mut outputs {
            assert!(!output.blocks.is_empty(), "the output is longer than its memory");
            assert!(text(output) == *expected);
            output.seek(SeekFrom::End(-100)).unwrap();
            let mut end = Vec::new();
            output.read_to_end(&mut end).unwrap();
            assert!(expected.ends_with(&end) && end.len() == 100);
        }
    }

    #[test]
    fn freed_space_is_used_again_and_an_unused_file_is_empty() {
        let store = OutputStore::default();
        let write = |count: usize| {
            let mut output = store.new_output();
            output.write_all(&vec![b'x'; count]).unwrap();
            output
        };
        let file_len = || store.shared.borrow().file().unwrap().metadata().unwrap().len();
        let mut kept = write(MAX_MEMORY_OF_ONE + 1);
        let first = write(3 * MAX_MEMORY_OF_ONE);
        let most = file_len();
        drop(first);
        let second = write(3 * MAX_MEMORY_OF_ONE);
        assert_eq!(file_len(), most);
        drop(second);
        assert_eq!(text(&mut kept).len(), MAX_MEMORY_OF_ONE + 1);
        drop(kept);
        assert_eq!((file_len(), store.shared.borrow().memory), (0, 0));
    }

    #[test]
    fn all_outputs_together_have_bounded_memory() {
        let store = OutputStore::default();
        let mut outputs: Vec<_> = (0..40).map(|_| store.new_output()).collect();
        for output in &mut outputs {
            (0..16).for_each(|_| output.write_all(&[b'y'; BLOCK_LEN]).unwrap());
        }
        assert_eq!(store.shared.borrow().memory, MAX_MEMORY);
        assert!(outputs.iter_mut().all(|output| text(output).len() == MAX_MEMORY_OF_ONE));
    }
}
