//! The machine's own limit: the same bytes through two named pipes, with only a copy in between.

use std::fs::File;
use std::io::{self, Read, Write};

use super::case::PUT_DURATION;
use super::item::{item_line, read_timestamp, write_timestamp};
use super::task::{ProcessReport, TrialTask, acquire_token, release_token};
use crate::os::widen_pipe;
use crate::queue::MAX_DELIVERY_BYTES;
use crate::run::private_dir::RELAY_PIPES;

/// The size of the pipes and of one read: as for a queue's pipes.
const BUFFER_SIZE: usize = MAX_DELIVERY_BYTES;
/// The size of a write, where items need not be written one by one.
const WRITE_SIZE: usize = 64 << 10;

fn open_hop_writer(task: &TrialTask, hop: usize) -> io::Result<File> {
    File::options().write(true).open(task.dir.join(RELAY_PIPES[hop]))
}

fn open_hop_reader(task: &TrialTask, hop: usize) -> io::Result<File> {
    let pipe = File::open(task.dir.join(RELAY_PIPES[hop]))?;
    widen_pipe(&pipe, BUFFER_SIZE);
    Ok(pipe)
}

/// Writes bytes in pieces, so that the reader begins before the writer has finished.
fn write_pieces(mut pipe: &File, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(WRITE_SIZE).try_for_each(|piece| pipe.write_all(piece))
}

/// Whole pieces of the line, repeated. The last piece may end within a line: the reader only counts bytes.
fn whole_pieces(line: &[u8]) -> Vec<u8> {
    let mut bytes = line.repeat(WRITE_SIZE.div_ceil(line.len()));
    bytes.truncate(bytes.len() / WRITE_SIZE * WRITE_SIZE);
    bytes
}

/// Writes items for the put duration.
pub(super) fn run_writer(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let mut pipe = open_hop_writer(task, 0)?;
    let tokens = task.open_token_reader()?;
    let clock = task.wait_for_start()?;
    let begin = clock.now();
    let end = begin + PUT_DURATION;
    let mut item = item_line(task.size);
    match tokens {
        None => {
            let items = whole_pieces(&item);
            while clock.now() < end {
                write_pieces(&pipe, &items)?;
            }
        }
        Some(tokens) => {
            while clock.now() < end && acquire_token(&tokens)? {
                write_timestamp(&mut item, clock.now());
                pipe.write_all(&item)?;
            }
        }
    }
    Ok(ProcessReport::Put { begin })
}

/// Copies all bytes from the first pipe to the second one.
pub(super) fn run_relay(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let (mut source, mut sink) = (open_hop_reader(task, 0)?, open_hop_writer(task, 1)?);
    task.wait_for_start()?;
    let mut buffer = vec![0; BUFFER_SIZE];
    while let read @ 1.. = source.read(&mut buffer)? {
        if task.uses_tokens {
            sink.write_all(&buffer[..read])?;
        } else {
            write_pieces(&sink, &buffer[..read])?;
        }
    }
    Ok(ProcessReport::Passed)
}

/// Reads all items.
pub(super) fn run_reader(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let mut pipe = open_hop_reader(task, 1)?;
    let tokens = task.open_token_writer()?;
    let clock = task.wait_for_start()?;
    let mut latencies = Vec::new();
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut item = vec![0; item_line(task.size).len()];
    if let Some(tokens) = tokens {
        release_token(&tokens)?;
        while pipe.read_exact(&mut item).is_ok() {
            let now = clock.now();
            latencies.extend(read_timestamp(&item).map(|put| now.saturating_sub(put)));
            release_token(&tokens)?;
        }
        let items = latencies.len() as u64;
        return Ok(ProcessReport::Got { end: clock.now(), items, latencies });
    }
    let (mut bytes, mut end) = (0, 0);
    while let read @ 1.. = pipe.read(&mut buffer)? {
        bytes += read as u64;
        end = clock.now();
    }
    Ok(ProcessReport::Got { end, items: bytes / item.len() as u64, latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_of_the_relay_is_a_whole_piece() {
        for (size, pieces) in [(16, 1), (4096, 1), (65_535, 1), (65_536, 1), (1 << 20, 16)] {
            let line = item_line(size);
            let bytes = whole_pieces(&line);
            assert_eq!(bytes.len(), pieces * WRITE_SIZE, "{size}");
            let mut expected = line.iter().cycle();
            assert!(bytes.iter().all(|byte| Some(byte) == expected.next()), "{size}");
        }
    }
}
