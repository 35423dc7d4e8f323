//! The machine's own limit: the same bytes through two named pipes, with only a copy in between.

use std::fs::File;
use std::io::{self, Read, Write};

use super::case::PUT_DURATION;
use super::item::{item_line, read_timestamp, write_timestamp};
use super::task::{ProcessReport, TrialTask, acquire_token, release_token};
use crate::os::widen_pipe;
use crate::pipe::PIPE_BUF;
use crate::queue::MAX_DELIVERY_BYTES;
use crate::run::private_dir::RELAY_PIPES;

/// The size of the pipes and of one read: as for a queue's pipes.
const BUFFER_SIZE: usize = MAX_DELIVERY_BYTES;

fn open_hop_writer(task: &TrialTask, hop: usize) -> io::Result<File> {
    File::options().write(true).open(task.dir.join(RELAY_PIPES[hop]))
}

fn open_hop_reader(task: &TrialTask, hop: usize) -> io::Result<File> {
    let pipe = File::open(task.dir.join(RELAY_PIPES[hop]))?;
    widen_pipe(&pipe, BUFFER_SIZE);
    Ok(pipe)
}

/// Writes chunks that the kernel does not mix with chunks of other writers, as concurrent writers must.
fn write_chunked(mut pipe: &File, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(PIPE_BUF).try_for_each(|chunk| pipe.write_all(chunk))
}

/// Writes items for the put duration.
pub(super) fn run_writer(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let pipe = open_hop_writer(task, 0)?;
    let tokens = task.open_token_reader()?;
    let clock = task.wait_for_start()?;
    let begin = clock.now();
    let end = begin + PUT_DURATION;
    let mut item = item_line(task.size);
    match tokens {
        None => {
            // Full writes, independent of item boundaries.
            let items = item.repeat(PIPE_BUF.div_ceil(item.len()) * 16);
            while clock.now() < end {
                write_chunked(&pipe, &items)?;
            }
        }
        Some(tokens) => {
            while clock.now() < end && acquire_token(&tokens)? {
                write_timestamp(&mut item, clock.now());
                write_chunked(&pipe, &item)?;
            }
        }
    }
    Ok(ProcessReport::Put { begin })
}

/// Copies all bytes from the first pipe to the second one.
pub(super) fn run_relay(task: &TrialTask) -> anyhow::Result<ProcessReport> {
    let (mut source, sink) = (open_hop_reader(task, 0)?, open_hop_writer(task, 1)?);
    task.wait_for_start()?;
    let mut buffer = vec![0; BUFFER_SIZE];
    while let read @ 1.. = source.read(&mut buffer)? {
        write_chunked(&sink, &buffer[..read])?;
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
