//! The machine's own limit: the same bytes through two named pipes, with nothing but a copy between
//! them.

use std::fs::File;
use std::io::{self, Read, Write};

use super::item::{line, stamp, stamped};
use super::task::{Task, Told, give, take};
use crate::os::widen;
use crate::pipe::{PIPE_BUF, WIDE};
use crate::run::private_dir::HOPS;

/// How much is read at once: what the pipes hold.
const MOST: usize = WIDE;

fn to(task: &Task, hop: usize) -> io::Result<File> {
    File::options().write(true).open(task.place.join(HOPS[hop]))
}

fn from(task: &Task, hop: usize) -> io::Result<File> {
    let pipe = File::open(task.place.join(HOPS[hop]))?;
    widen(&pipe, WIDE);
    Ok(pipe)
}

/// In pieces that the kernel doesn't mix with others, as any number of writers must.
fn write_all(mut pipe: &File, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(PIPE_BUF).try_for_each(|piece| pipe.write_all(piece))
}

/// Writes items until the time is over.
pub(super) fn write(task: &Task) -> anyhow::Result<Told> {
    let pipe = to(task, 0)?;
    let tokens = task.open_tokens()?;
    let clock = task.get_ready()?;
    let begin = clock.now();
    let end = begin + task.window;
    let mut item = line(task.size);
    match tokens {
        None => {
            // Full writes, wherever an item ends.
            let several = item.repeat(PIPE_BUF.div_ceil(item.len()) * 16);
            while clock.now() < end {
                write_all(&pipe, &several)?;
            }
        }
        Some(tokens) => {
            while clock.now() < end && take(&tokens)? {
                stamp(&mut item, clock.now());
                write_all(&pipe, &item)?;
            }
        }
    }
    Ok(Told::Put { begin })
}

/// Passes everything on.
pub(super) fn relay(task: &Task) -> anyhow::Result<Told> {
    let (mut source, sink) = (from(task, 0)?, to(task, 1)?);
    task.get_ready()?;
    let mut buffer = vec![0; MOST];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(Told::Passed),
            read => write_all(&sink, &buffer[..read])?,
        }
    }
}

/// Reads everything.
pub(super) fn read(task: &Task) -> anyhow::Result<Told> {
    let mut pipe = from(task, 1)?;
    let tokens = task.create_tokens()?;
    let clock = task.get_ready()?;
    let mut latencies = Vec::new();
    let mut buffer = vec![0; MOST];
    let mut item = vec![0; line(task.size).len()];
    let (mut bytes, mut end) = (0, 0);
    if let Some(tokens) = tokens {
        give(&tokens)?;
        while pipe.read_exact(&mut item).is_ok() {
            let now = clock.now();
            latencies.extend(stamped(&item).map(|put| now.saturating_sub(put)));
            give(&tokens)?;
        }
        return Ok(Told::Got { end: clock.now(), items: latencies.len() as u64, latencies });
    }
    loop {
        match pipe.read(&mut buffer)? {
            0 => break,
            read => {
                bytes += read as u64;
                end = clock.now();
            }
        }
    }
    Ok(Told::Got { end, items: bytes / item.len() as u64, latencies })
}
