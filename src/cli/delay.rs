//! The parser of delays: constants, distributions, and files of delays. Each error text contains its remedy,
//! in the language of this process.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser};
use rustix::fs::OFlags;

use super::values::parse_duration;
use crate::catalogue::message;
use crate::clock::{Delay, Nanos, RecordedDelays, nanos};
use crate::os::os_text;

/// The copy that a run makes of [`MAX_LINES`] fits.
const MAX_FILE_BYTES: u64 = 32 << 20;
const MAX_LINES: usize = 1_000_000;
/// More phases are as good as a constant.
const MAX_PHASES: u32 = 1_000_000;

/// The forms of the distributions, as examples.
const CONSTANT: &str = "const:1s";
const EXPONENTIAL: &str = "exp:1s";
const UNIFORM: &str = "uniform:500ms..1.5s";
const ERLANG: &str = "erlang:3,1s";
const HYPEREXPONENTIAL: &str = "hyper:0.9,500ms,5s";
const NORMAL: &str = "normal:1s,200ms";
const LOG_NORMAL: &str = "lognormal:1s,500ms";
const RECORDED: &str = "file:delays.txt";
const FORMS: [&str; 8] =
    [CONSTANT, EXPONENTIAL, UNIFORM, ERLANG, HYPEREXPONENTIAL, NORMAL, LOG_NORMAL, RECORDED];

/// Parses the delays of an option. The name of a file need not be UTF-8.
pub(super) fn parser() -> impl TypedValueParser<Value = Delay> {
    OsStringValueParser::new().try_map(|text: OsString| match text.as_bytes() {
        [b'f', b'i', b'l', b'e', b':', path @ ..] => {
            read_file(Path::new(std::ffi::OsStr::from_bytes(path)))
        }
        _ => parse_delay(&text.to_string_lossy()),
    })
}

/// `1s`, or the name of a distribution, a colon, and the parameters of the distribution.
fn parse_delay(text: &str) -> Result<Delay, String> {
    let (name, parameters) = match text.split_once(':') {
        Some(parts) => parts,
        // The name of a distribution alone: the error gives the whole form.
        None if text.starts_with(|c: char| c.is_ascii_alphabetic()) => (text, ""),
        None => return parse_nanos(text).map(Delay::Constant),
    };
    if parameters.is_empty()
        && let Some(example) = FORMS.iter().find(|form| form.split(':').next() == Some(name))
    {
        return Err(message!("value-delay-alone", example = example));
    }
    match name {
        "const" => parse_nanos(parameters).map(Delay::Constant),
        "exp" => Ok(Delay::Exponential { mean: parse_mean(parameters, EXPONENTIAL)? }),
        "uniform" => parse_uniform(parameters),
        "erlang" => {
            let [phases, mean] = split_parameters(parameters, ERLANG)?;
            let valid = phases.parse().ok().filter(|phases| (1..=MAX_PHASES).contains(phases));
            let phases = valid
                .ok_or_else(|| message!("value-phases", max = MAX_PHASES, example = ERLANG))?;
            Ok(Delay::Erlang { phases, mean: parse_mean(mean, ERLANG)? })
        }
        "hyper" => {
            let [probability, first, second] = split_parameters(parameters, HYPEREXPONENTIAL)?;
            let valid = probability.parse().ok().filter(|p| (0.0..=1.0).contains(p));
            let probability =
                valid.ok_or_else(|| message!("value-probability", example = HYPEREXPONENTIAL))?;
            let parse = |mean| parse_mean(mean, HYPEREXPONENTIAL);
            Ok(Delay::Hyperexponential { probability, means: [parse(first)?, parse(second)?] })
        }
        "normal" => {
            let (mean, deviation) = parse_mean_and_deviation(parameters, NORMAL)?;
            Ok(Delay::Normal { mean, deviation })
        }
        "lognormal" => {
            let (mean, deviation) = parse_mean_and_deviation(parameters, LOG_NORMAL)?;
            Ok(Delay::LogNormal { mean, deviation })
        }
        _ => Err(message!(
            "value-not-delay",
            constant = CONSTANT,
            exponential = EXPONENTIAL,
            uniform = UNIFORM,
            erlang = ERLANG,
            hyperexponential = HYPEREXPONENTIAL,
            normal = NORMAL,
            lognormal = LOG_NORMAL,
            recorded = RECORDED
        )),
    }
}

fn parse_nanos(text: &str) -> Result<Nanos, String> {
    parse_duration(text).map(nanos)
}

fn parse_mean(text: &str, example: &str) -> Result<Nanos, String> {
    match parse_nanos(text)? {
        0 => Err(message!("value-zero-mean", example = example)),
        mean => Ok(mean),
    }
}

fn parse_mean_and_deviation(parameters: &str, example: &str) -> Result<(Nanos, Nanos), String> {
    let [mean, deviation] = split_parameters(parameters, example)?;
    Ok((parse_mean(mean, example)?, parse_nanos(deviation)?))
}

fn parse_uniform(range: &str) -> Result<Delay, String> {
    let ends = range.split_once("..");
    let (low, high) = ends.ok_or_else(|| message!("value-open-range", example = UNIFORM))?;
    let (low, high) = (parse_nanos(low)?, parse_nanos(high)?);
    if low > high {
        return Err(message!("value-reversed-range"));
    }
    Ok(Delay::Uniform { low, high })
}

/// The parameters between the commas.
fn split_parameters<'a, const COUNT: usize>(
    parameters: &'a str,
    example: &str,
) -> Result<[&'a str; COUNT], String> {
    let all: Vec<_> = parameters.split(',').map(str::trim).collect();
    all.try_into().map_err(|_| message!("value-delay-parameters", count = COUNT, example = example))
}

/// Reads a file with a delay on each line.
fn read_file(path: &Path) -> Result<Delay, String> {
    if path.as_os_str().is_empty() {
        return Err(message!("value-delay-no-file", example = RECORDED));
    }
    let bytes = read_regular_file(path)?;
    if memchr::memchr_iter(b'\n', &bytes).count() > MAX_LINES {
        return Err(message!("value-delay-many-lines", max = MAX_LINES));
    }
    let mut delays = Vec::new();
    let bytes = bytes.trim_ascii_end();
    for (number, line) in (1u64..).zip(bytes.split(|&byte| byte == b'\n')) {
        let line = String::from_utf8_lossy(line);
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() && (line.contains('#') || bytes.is_empty()) {
            continue;
        }
        // An empty line may be a delay that was not recorded.
        let delay = if text.is_empty() {
            Err(message!("value-delay-empty-line"))
        } else {
            parse_nanos(text)
        };
        delays
            .push(delay.map_err(|reason| {
                message!("value-delay-line", number = number, reason = reason)
            })?);
    }
    let recorded = RecordedDelays::new(path.to_owned(), delays);
    let recorded = recorded.ok_or_else(|| message!("value-delay-empty-file"))?;
    Ok(Delay::Recorded(Arc::new(recorded)))
}

/// Reads a file that can be read again: after an error the parser reads the arguments twice.
fn read_regular_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable =
        |error: io::Error| message!("value-delay-unreadable", reason = os_text(&error));
    // Without the flag an open of a named pipe would wait for a writer.
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(no_wait).open(path);
    let file = opened.map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(message!("value-delay-not-a-file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(message!("value-delay-large-file"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_delay_is_parsed_to_the_same_delay() {
        for text in [
            "1s",
            "0",
            "const:0.5",
            "exp:1s",
            "uniform:0..1.5s",
            "erlang:1,1s",
            "erlang:1000000,1ns",
            "hyper:0.1,500ms,5s",
            "hyper:0,1ns,1ns",
            "hyper:1e-300,1s,584d",
            "normal:1s,0",
            "normal:1s,200ms",
            "lognormal:1s,500ms",
        ] {
            let delay = parse_delay(text).expect(text);
            assert_eq!(parse_delay(&delay.to_string()), Ok(delay), "{text}");
        }
        assert_eq!(parse_delay("const:1s"), Ok(Delay::Constant(1_000_000_000)));
        assert_eq!(parse_delay("uniform:1..2"), parse_delay("uniform:1s..2s"));
        assert_eq!(parse_delay("erlang:3, 1s"), parse_delay("erlang:3,1s"));
    }

    #[test]
    fn an_invalid_distribution_is_refused_with_a_remedy() {
        for (text, reason) in [
            ("const:x", "not a time"),
            ("const:", "parameters are missing: write const:1s"),
            ("exp", "parameters are missing: write exp:1s"),
            ("erlang", "write erlang:3,1s"),
            ("exp:0", "write 0 for no delay, or exp:1s"),
            ("erlang:0,1s", "from 1 to 1000000: write erlang:3,1s"),
            ("erlang:1000001,1s", "from 1 to 1000000"),
            ("erlang:1.5,1s", "whole number"),
            ("erlang:3", "2 parameters with commas between them: write erlang:3,1s"),
            ("erlang:3,1s,1s", "2 parameters"),
            ("erlang:3,0", "mean cannot be 0"),
            ("erlang:3,-1s", "negative"),
            ("hyper:2,1s,5s", "from 0 to 1: write hyper:0.9,500ms,5s"),
            ("hyper:-0.1,1s,5s", "from 0 to 1"),
            ("hyper:NaN,1s,5s", "from 0 to 1"),
            ("hyper:0.5,1s", "3 parameters"),
            ("hyper:0.5,1s,0", "mean cannot be 0: write 0 for no delay, or hyper:"),
            ("normal:1s,-1s", "negative"),
            ("normal:1s", "2 parameters with commas between them: write normal:1s,200ms"),
            ("normal:0,1s", "or normal:1s,200ms"),
            ("normal:inf,1s", "not a time"),
            ("lognormal:0,1s", "or lognormal:1s,500ms"),
            ("lognormal:1s,NaN", "not a time"),
            ("weibull:1s", "hyper:0.9,500ms,5s, normal:1s,200ms, lognormal:1s,500ms, or file:"),
        ] {
            let error = parse_delay(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_has_a_delay_on_each_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("delays.txt");
        let read = |text: &[u8]| {
            std::fs::write(&path, text).expect("a file");
            read_file(&path)
        };
        let delay = read(b"# service\n1s\r\n  500ms # slow\n#\n0\n0.25\n\n").expect("delays");
        let delays = delay.recorded().expect("recorded").delays();
        assert_eq!(delays, [1_000_000_000, 500_000_000, 0, 250_000_000]);
        let many = "\n".repeat(MAX_LINES + 1);
        let longest = format!("{}ns\n", u64::MAX).repeat(MAX_LINES);
        assert!(longest.len() as u64 <= MAX_FILE_BYTES, "the copy of a run fits");
        let large = " ".repeat(MAX_FILE_BYTES as usize + 1);
        for (text, reason) in [
            ("", "no delay: write one delay a line"),
            ("# nothing\n\n", "no delay"),
            ("1s\n-1s\n", "line 2 of the file: a time cannot be negative"),
            ("1s\n1s\n#\nNaN\n", "line 4 of the file: that is not a time"),
            ("1s\n\n2s\n", "line 2 of the file: the delay is missing"),
            ("1s\n   \n2s\n", "line 2 of the file: the delay is missing"),
            ("1s 2s\n", "line 1 of the file: that is not a time"),
            ("exp:1s\n", "line 1 of the file"),
            (&many, "more than 1000000 lines"),
            (&large, "more than 32 MiB"),
        ] {
            let error = read(text.as_bytes()).expect_err(reason);
            assert!(error.contains(reason), "{reason}: {error}");
        }
        let error = read(b"\xff\xfe1\0s").expect_err("no text");
        assert!(error.contains("line 1 of the file"), "{error}");
        for (path, reason) in [
            ("", "name of the file is missing: write file:delays.txt"),
            ("/nowhere/at/all", "cannot be read (No such file or directory): name a file with"),
            ("/", "not a regular file"),
            ("/dev/zero", "not a regular file: write the delays to a file first"),
        ] {
            let error = read_file(Path::new(path)).expect_err(path);
            assert!(error.contains(reason), "{path}: {error}");
        }
    }
}
