//! The configuration of a run, its files, and the arguments of its workers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::private_dir::{DELAY_FILES, RUN_QUEUE};
use crate::clock::Delay;
use crate::keeper::Speed;
use crate::os::open_private_file;
use crate::queue::QueueState;
use crate::report::{ModelInput, OutputFormat, PictureFile};
use crate::role::{Role, WorkerId};

/// The configuration of a run.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Items of all producers together.
    pub(crate) items: u64,
    /// The name of each item, before its number.
    pub(crate) item_name: String,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    /// The delay of a producer after each item.
    pub(crate) producer_delay: Delay,
    /// The delay of a consumer after each item.
    pub(crate) consumer_delay: Delay,
    /// The seed of random delays; `None` for a random seed.
    pub(crate) seed: Option<u64>,
    /// The largest number of ready items; 0 for an unbounded queue.
    pub(crate) capacity: u64,
    pub(crate) speed: Speed,
    /// The number of respawns of each worker.
    pub(crate) respawn: u32,
    /// The mean time between two kills; `None` for no kills.
    pub(crate) chaos: Option<Duration>,
    /// Compute the run without worker processes.
    pub(crate) is_simulated: bool,
    /// The form of a line.
    pub(crate) style: OutputFormat,
    /// Whether standard error shows the live view.
    pub(crate) is_viewed: bool,
    /// The number of first items that the statistics omit; `None` for no statistics.
    pub(crate) warmup: Option<u64>,
    /// JSON instead of text.
    pub(crate) has_json_statistics: bool,
}

/// Files that a run creates before it starts.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// The file of the statistics; `None` for standard error.
    pub(crate) statistics: Option<File>,
    /// The file of the picture, if a picture is wanted.
    pub(crate) picture: Option<PictureFile>,
}

impl Config {
    /// A simulated run that prints nothing, for [`super::simulate`].
    pub(crate) fn silent_simulation(
        items: u64,
        [producers, consumers]: [u32; 2],
        [producer_delay, consumer_delay]: [Delay; 2],
        capacity: u64,
    ) -> Self {
        Self {
            items,
            item_name: "item".to_owned(),
            producers,
            consumers,
            producer_delay,
            consumer_delay,
            seed: None,
            capacity,
            speed: Speed::Max,
            respawn: 0,
            chaos: None,
            is_simulated: true,
            style: OutputFormat::Silent,
            is_viewed: false,
            warmup: None,
            has_json_statistics: false,
        }
    }

    pub(crate) fn model_input(&self, seed: Option<u64>) -> ModelInput {
        ModelInput {
            items: self.items,
            workers: [self.producers, self.consumers],
            delays: [self.producer_delay.clone(), self.consumer_delay.clone()],
            capacity: self.capacity,
            seed,
        }
    }

    /// The state of the run's queue at the beginning.
    pub(super) fn queue_state(&self) -> QueueState {
        QueueState { capacity: Some(self.capacity.into()), ..QueueState::default() }
    }

    /// Whether the keeper paces the run. Without delays there is nothing to pace.
    pub(super) fn is_paced(&self) -> bool {
        !(self.producer_delay.is_zero() && self.consumer_delay.is_zero())
    }

    /// The number of items of this producer.
    pub(super) fn producer_item_count(&self, producer: WorkerId) -> u64 {
        let before = u64::from(producer.index - 1);
        self.items.saturating_sub(before).div_ceil(u64::from(self.producers))
    }

    pub(super) fn worker_ids(&self) -> BTreeSet<WorkerId> {
        let all = |role, count| (1..=count).map(move |number| WorkerId { role, index: number });
        all(Role::Producer, self.producers).chain(all(Role::Consumer, self.consumers)).collect()
    }

    /// Copies the delays of files to the directory of the run, where the workers read them. The file that the
    /// user named may change while the run lasts, and only the parent may be able to read it.
    pub(super) fn copy_recorded_delays(&self, dir: &Path) -> io::Result<()> {
        for (delay, name) in
            [&self.producer_delay, &self.consumer_delay].into_iter().zip(DELAY_FILES)
        {
            let Some(recorded) = delay.recorded() else { continue };
            let lines: String =
                recorded.delays().iter().map(|delay| format!("{delay}ns\n")).collect();
            let mut file = open_private_file(
                &dir.join(name),
                OpenOptions::new().write(true).create_new(true),
            )?;
            file.write_all(lines.as_bytes())?;
        }
        Ok(())
    }

    fn delay_option(&self, role: Role, dir: &Path) -> OsString {
        let [producers_file, consumers_file] = DELAY_FILES;
        let (delay, file) = match role {
            Role::Producer => (&self.producer_delay, producers_file),
            Role::Consumer | Role::Visitor => (&self.consumer_delay, consumers_file),
        };
        match delay.recorded() {
            Some(_) => {
                let mut option = OsString::from("--delay=file:");
                option.push(dir.join(file));
                option
            }
            None => format!("--delay={delay}").into(),
        }
    }

    /// The arguments of a worker's process in the directory of the run. The first `skip` items of a producer
    /// are in the queue already.
    pub(super) fn worker_args(
        &self,
        worker: WorkerId,
        seed: u64,
        skip: u64,
        dir: &Path,
    ) -> Vec<OsString> {
        let (mut args, of) = match worker.role {
            Role::Producer => {
                let args = vec![
                    "producer".to_owned(),
                    format!("--items={}", self.items),
                    format!("--item-name={}", self.item_name),
                ];
                (args, self.producers)
            }
            Role::Consumer | Role::Visitor => {
                // A run kills consumers on purpose, so delivery failures must not fail an item.
                let attempts = "--max-attempts=0".to_owned();
                (vec!["consumer".to_owned(), attempts], self.consumers)
            }
        };
        args.extend([
            format!("--seed={seed}"),
            format!("--skip={skip}"),
            format!("--queue={RUN_QUEUE}"),
            format!("--worker={}/{of}", worker.index),
            "--quiet".to_owned(),
        ]);
        let delay = self.delay_option(worker.role, dir);
        args.into_iter().map(OsString::from).chain([delay]).collect()
    }
}
