//! What the server adds to commands that use none: the size of the binary, and the time of whole processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tempfile::TempDir;

use crate::measure::{Measure, median, number};

/// How often both programs run in a round.
const TIMES: usize = 200;

/// A program, and a queue on this machine that is in use: its keeper stays, because a producer waits for its input.
struct Program {
    path: PathBuf,
    dir: TempDir,
    producer: Child,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.producer.kill();
        let _ = self.producer.wait();
    }
}

impl Program {
    fn start(path: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(path);
        command.args(["producer", "--quiet", "-"]).env("QDEMO_DIR", dir.path());
        let producer = command.stdin(Stdio::piped()).spawn()?;
        let program = Self { path: path.to_owned(), dir, producer };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !program.has_producer()? {
            if Instant::now() > deadline {
                bail!("the producer does not connect");
            }
        }
        Ok(program)
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).env("QDEMO_DIR", self.dir.path()).env_remove("QDEMO_SERVER");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn has_producer(&self) -> Result<bool> {
        let mut status = self.command(&["status", "-q", "default", "--format", "json"]);
        let output = status.stdout(Stdio::piped()).output()?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(status["producers"].as_array().is_some_and(|producers| !producers.is_empty()))
    }

    fn milliseconds(&self, args: &[&str]) -> Result<f64> {
        let mut command = self.command(args);
        let begin = Instant::now();
        let status = command.status()?;
        let taken = begin.elapsed().as_secs_f64() * 1e3;
        ensure!(status.success(), "{} has failed: {status}", self.path.display());
        Ok(taken)
    }
}

/// Compares `now` with `before`.
pub fn measures(now: &Path, before: &Path, rounds: usize) -> Result<Vec<Measure>> {
    let (now, before) = (Program::start(now)?, Program::start(before)?);
    let size = |program: &Program| -> Result<f64> {
        Ok(std::fs::metadata(&program.path)?.len() as f64 / 1e6)
    };
    let (new_size, old_size) = (size(&now)?, size(&before)?);
    let what = format!("the binary against before ({} MB)", number(old_size));
    let mut all = vec![Measure::new(what, vec![new_size / old_size])];
    for args in [["put", "x"].as_slice(), &["--version"]] {
        let mut ratios = Vec::new();
        let mut milliseconds = Vec::new();
        for _ in 0..rounds {
            let (mut new_times, mut old_times) = (Vec::new(), Vec::new());
            for _ in 0..TIMES {
                new_times.push(now.milliseconds(args)?);
                old_times.push(before.milliseconds(args)?);
            }
            ratios.push(median(&new_times) / median(&old_times));
            milliseconds.push(median(&new_times));
        }
        let what = format!("`qdemo {}` without a server", args.join(" "));
        all.push(Measure::new(format!("{what}, against before"), ratios).at_most(1.05, Some(1.0)));
        all.push(Measure::new(what, milliseconds).unit("ms"));
    }
    Ok(all)
}
