//! `qdemo consumer`: gets items until the queue ends, and prints them or runs a command for each.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, bail};

use super::args::TimeoutArgs;
use super::client_args::{ClientArgs, ClientSetup};
use super::command_output::{PoolOutput, summary, warn_late_items};
use super::delay;
use super::dry_run::print_commands;
use super::exec_args::{ExecArgs, into_cause};
use super::get_loop::{GetCommand, LoopEnd, get_items, leave_after};
use super::one_shot::connect_and_warn;
use super::reader_pace::{ReaderPacing, wait_for_reader};
use super::streams::require_stdout;
use super::values;
use crate::catalogue::message;
use crate::client::{Client, Delivery, Error, QueueBuilder, Timeout};
use crate::clock::{Clock, Delay, DelaySampler, Nanos};
use crate::event::{Event, EventKind};
use crate::exec::{CommandTemplate, ExecConfig, ExecTotals, Executor};
use crate::exit::ExitCode;
use crate::os::{Waker, raise_open_file_limit, signals};
use crate::queue::BatchRef;
use crate::queue_name::QueueName;
use crate::report::{OutputFormat, Progress, Reporter, StdoutError, eprint_line};
use crate::role::Role;
use crate::server::ServerSettings;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo consumer --delay 2s
qdemo consumer -q jobs --format raw | while read -r job; do echo \"$job\"; done
qdemo consumer -q images -j 4 --retries 2 -- \\
    convert {} -resize 50% small/{/.}.jpg
qdemo consumer -q jobs -- sh -c 'echo \"$1\" | tr a-z A-Z' sh {}")]
pub(super) struct Args {
    #[arg(long, alias = "consumer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = delay::parser())]
    delay: Delay,

    #[arg(long, conflicts_with = "command")]
    #[arg(hide_short_help = true)]
    fast: bool,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    max: Option<u64>,

    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    timeout: TimeoutArgs,

    #[arg(long, value_name = "TIME", value_parser = values::parse_nonzero_duration)]
    lease: Option<Duration>,

    #[arg(long, value_name = "N", default_value = "5", value_parser = values::parse_u32)]
    #[arg(hide_short_help = true)]
    max_attempts: u32,

    #[arg(long, value_parser = values::output_format(&["log", "raw", "json"]))]
    format: Option<OutputFormat>,

    #[arg(short = '0', long, conflicts_with = "command")]
    #[arg(hide_short_help = true)]
    null: bool,

    #[command(flatten)]
    client: ClientArgs,

    #[command(flatten)]
    exec: ExecArgs,
}

impl Args {
    /// `has_open_end`: `--` is the last argument.
    pub(super) fn run(self, has_open_end: bool) -> anyhow::Result<ExitCode> {
        let ended = match self.exec.resolve_command(has_open_end)? {
            None => self.print_items(),
            Some(template) if self.exec.dry_run => self.print_commands(&template),
            Some(template) => self.run_commands(template),
        };
        self.client.map_worker_error(ended)
    }

    fn print_items(&self) -> anyhow::Result<ExitCode> {
        let clock = Clock::start_now();
        let format = self.client.effective_format(self.format.unwrap_or(OutputFormat::Log));
        if format != OutputFormat::Silent {
            require_stdout()?;
        }
        let server = self.client.server()?;
        let setup = self.client.set_up(format, Progress::default(), server.as_ref())?;
        let mut reporter = setup.reporter.with_nul_delimiter(self.null);
        let delays = self.client.delays(Role::Consumer, &self.delay)?;
        let mut client = self.connect(setup.options, &setup.queue)?;
        if self.client.worker.is_none() {
            client.stop_when_stdout_closes();
            if !self.fast && format != OutputFormat::Silent {
                reporter.out.track_reader();
            }
        }
        let mut printer = ItemPrinter {
            reporter,
            clock,
            timeout: self.timeout.timeout(),
            is_one_by_one: !self.delay.is_zero() || client.is_paced(),
            pacing: ReaderPacing::default(),
            call_time: 0,
            delays,
            delay: Duration::ZERO,
        };
        leave_after(client, |client| {
            if get_items(client, &mut printer, self.max.unwrap_or(u64::MAX))? == LoopEnd::Complete {
                // The reply shows whether the last items were done too late.
                client.size()?;
                warn_late_items(client, &printer.reporter);
            }
            check_revoked(client)?;
            Ok(ExitCode::Done)
        })
    }

    fn print_commands(&self, template: &CommandTemplate) -> anyhow::Result<ExitCode> {
        let one_shot = self.client.one_shot()?;
        let max = self.max.unwrap_or(u64::MAX);
        let printed = print_commands(&one_shot, template, self.exec.jobs, max)?;
        if printed == 0 && !self.client.quiet && io::stderr().is_terminal() {
            eprint_line(&message!("command-nothing-ready", queue = &one_shot.queue));
        }
        Ok(ExitCode::Done)
    }

    fn run_commands(&self, template: CommandTemplate) -> anyhow::Result<ExitCode> {
        // The consumer passes on the output of the commands.
        require_stdout()?;
        // A command with the terminal has the terminal to itself.
        let progress = if self.client.quiet || self.exec.tty {
            Progress::default()
        } else {
            Progress::for_commands()
        };
        let format = self.format.unwrap_or(OutputFormat::Raw);
        let server = self.client.server()?;
        let variables = server.iter().flat_map(ServerSettings::variables).collect();
        let template = template.with_variables(variables);
        let ClientSetup { queue, options, mut reporter, .. } =
            self.client.set_up(format, progress, server.as_ref())?;
        let config = ExecConfig {
            jobs: self.exec.jobs as usize,
            queue_name: queue.to_string(),
            retries: self.exec.retries,
            backoff: self.client.backoff(self.exec.backoff)?,
            command_timeout: self.exec.timeout_each,
            delays: self.client.delays(Role::Consumer, &self.delay)?,
            halt: self.exec.halt,
            max_items: self.max.unwrap_or(u64::MAX),
            idle_timeout: self.timeout.timeout(),
            output: self.exec.output(format)?,
        };
        let terminal = self.exec.open_terminal()?;
        let queue_words = self.client.queue_words(&queue, server.as_ref());
        let on_server = server.as_ref().map(|server| format!(" {}", server.url));
        let results =
            self.exec.open_results(&format!("{queue}{}", on_server.unwrap_or_default()))?;
        // Each command has two pipes.
        raise_open_file_limit();
        signals::ignore_file_size_signal()?;
        let clock = Clock::start_now();
        let child_waker = Waker::new()?;
        signals::wake_on_child_exit(&child_waker)?;
        let client = self.connect(options, &queue)?;
        // With --halt, the client may still hold items: they are requeued.
        let totals = leave_after(client, |client| {
            let mut output = PoolOutput::new(&mut reporter, &queue, queue_words.clone())
                .quiet(self.client.quiet)
                .with_lines(self.exec.live, self.exec.tag)
                .with_results(results);
            let executor =
                Executor::new(client, &template, config, &mut output, clock, child_waker, terminal)
                    .with_context(|| message!("command-no-guard"))?;
            let ran = executor.run();
            reporter.out.progress.clear();
            let totals = ran.map_err(into_cause)?;
            check_revoked(client)?;
            Ok(totals)
        })?;
        self.summarize(totals, &queue_words)
    }

    /// The end of a consumer with a command. Where all items are done, only a person at a terminal is told, as xargs and
    /// GNU parallel tell nothing.
    fn summarize(&self, totals: ExecTotals, queue_words: &str) -> anyhow::Result<ExitCode> {
        if totals.failed == 0 {
            if !self.client.quiet && io::stderr().is_terminal() {
                eprint_line(&message!("notice-all-done", done = totals.done));
            }
            return Ok(ExitCode::Done);
        }
        // A line has named each failed item.
        if self.client.quiet {
            return Ok(ExitCode::Failed);
        }
        bail!(summary(totals, queue_words))
    }

    /// Connects to the queue.
    fn connect(&self, options: QueueBuilder, queue: &QueueName) -> anyhow::Result<Client> {
        let timeout = self.timeout.timeout();
        let mut options =
            options.follow(self.follow).max_attempts(self.max_attempts).with_timeout(timeout);
        if let Some(lease) = self.lease {
            options = options.lease(lease);
        }
        let options = self.client.waiting(timeout, self.follow).apply_to(options, queue);
        connect_and_warn(options, Role::Consumer, queue)
    }
}

/// An error if items were finished that were no longer this consumer's.
fn check_revoked(client: &Client) -> anyhow::Result<()> {
    match client.revoked_items() {
        0 => Ok(()),
        items => bail!(message!("command-revoked", items = items)),
    }
}

struct ItemPrinter {
    reporter: Reporter,
    clock: Clock,
    /// The limit for each get.
    timeout: Timeout,
    /// Each get takes one item, since a delay follows each item.
    is_one_by_one: bool,
    pacing: ReaderPacing,
    /// How long the server took for the current items; 0 without a server.
    call_time: Nanos,
    delays: DelaySampler,
    /// The delay after the current items that is still to come.
    delay: Duration,
}

impl GetCommand for ItemPrinter {
    fn get(&mut self, client: &mut Client, max: u64) -> Result<Option<Delivery>, Error> {
        let delay = self.delays.sample();
        // In paced time the delay is a part of the get.
        self.delay = if client.is_paced() { Duration::ZERO } else { delay };
        let max = if self.is_one_by_one {
            1
        } else if self.reporter.out.tracked_pipe.is_some() {
            max.min(self.pacing.batch_size())
        } else {
            max
        };
        let call = client.is_on_server().then(Clock::start_now);
        let got = client.get_and_sleep(max, self.timeout, delay);
        self.call_time = call.map_or(0, |call| call.now());
        warn_late_items(client, &self.reporter);
        got
    }

    fn print(&mut self, client: &mut Client, delivery: &Delivery) -> anyhow::Result<()> {
        self.print_and_wait(client, delivery)
            .inspect_err(|_| self.report_read_items(client, delivery))?;
        self.pacing.record_read(delivery.count(), self.clock.now(), self.call_time);
        Ok(())
    }
}

impl ItemPrinter {
    /// Prints the items, then waits for the delay and for the reader of a pipe.
    fn print_and_wait(&mut self, client: &mut Client, delivery: &Delivery) -> anyhow::Result<()> {
        let reporter = &mut self.reporter;
        reporter.out.start_counting();
        let (at, batch) = (self.clock.now(), delivery.batch());
        reporter.on_event(Event::new(at, EventKind::Delivered(batch)));
        reporter.flush().map_err(StdoutError)?;
        client.sleep(self.delay).inspect_err(|error| {
            // The delay is a part of the work: an item whose delay is interrupted is not done.
            if !matches!(error, Error::StdoutClosed) {
                reporter.out.start_counting();
            }
        })?;
        match &mut reporter.out.tracked_pipe {
            Some(pipe) => wait_for_reader(client, pipe),
            None => Ok(()),
        }
    }

    /// After an error, the items that the reader has read are done. The other items are requeued when the
    /// consumer leaves.
    fn report_read_items(&mut self, client: &mut Client, delivery: &Delivery) {
        let count = self.reporter.out.items_read();
        if count > 0 {
            // If this message does not reach the keeper, all items are requeued.
            let read = BatchRef { count, ..delivery.batch().batch_ref() };
            let _ = client.done_ref(read);
        }
    }
}
