//! What a run is to do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::private_dir::RUN_QUEUE;
use crate::clock::Delay;
use crate::keeper::Speed;
use crate::report::{Lang, ModelInput, OutputFormat};
use crate::role::{Role, WorkerId};

/// A run, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// How many items the producers put together.
    pub(crate) items: u64,
    /// What the items are called.
    pub(crate) item_name: String,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
    /// The pause of a producer after each item.
    pub(crate) producer_delay: Delay,
    /// The pause of a consumer after each item.
    pub(crate) consumer_delay: Delay,
    /// What random delays are drawn from; none to draw it too.
    pub(crate) seed: Option<u64>,
    /// How many items may be in line; 0 for any number.
    pub(crate) capacity: u64,
    pub(crate) speed: Speed,
    /// How often each worker that has died is replaced.
    pub(crate) respawn: u32,
    /// The mean time between two kills, if workers are to be killed.
    pub(crate) chaos: Option<Duration>,
    pub(crate) lang: Lang,
    /// What a line looks like.
    pub(crate) style: OutputFormat,
    /// Whether the live view is drawn on standard error.
    pub(crate) is_viewed: bool,
    /// How many items the statistics leave out at the beginning; none for no statistics.
    pub(crate) warmup: Option<u64>,
}

impl Config {
    pub(super) fn model_input(&self, seed: Option<u64>) -> ModelInput {
        ModelInput {
            items: self.items,
            workers: [self.producers, self.consumers],
            delays: [self.producer_delay, self.consumer_delay],
            capacity: self.capacity,
            seed,
        }
    }

    /// Whether the keeper paces the run's time. Without delays there is nothing to pace.
    pub(super) fn is_paced(&self) -> bool {
        !(self.producer_delay.is_zero() && self.consumer_delay.is_zero())
    }

    /// Whether any delay is random.
    pub(super) fn is_random(&self) -> bool {
        self.producer_delay.is_random() || self.consumer_delay.is_random()
    }

    /// How many of the items this producer is to put.
    pub(super) fn producer_item_count(&self, producer: WorkerId) -> u64 {
        let before = u64::from(producer.index - 1);
        self.items.saturating_sub(before).div_ceil(u64::from(self.producers))
    }

    /// All workers.
    pub(super) fn worker_ids(&self) -> BTreeSet<WorkerId> {
        let all = |role, count| (1..=count).map(move |number| WorkerId { role, index: number });
        all(Role::Producer, self.producers).chain(all(Role::Consumer, self.consumers)).collect()
    }

    /// What a worker is started with, in the words of the command that it is; `skip` items of a
    /// producer are in the queue already.
    pub(super) fn worker_args(&self, worker: WorkerId, seed: u64, skip: u64) -> Vec<String> {
        let number = worker.index;
        let (mut args, of) = match worker.role {
            Role::Producer => {
                let args = vec![
                    "producer".to_owned(),
                    format!("--items={}", self.items),
                    format!("--item-name={}", self.item_name),
                    format!("--delay={}", self.producer_delay),
                ];
                (args, self.producers)
            }
            Role::Consumer | Role::Visitor => {
                // An item is not to blame for the death of whoever has it.
                let attempts = "--max-attempts=0".to_owned();
                let delay = format!("--delay={}", self.consumer_delay);
                let args = vec!["consumer".to_owned(), delay, attempts];
                (args, self.consumers)
            }
        };
        args.push(format!("--seed={seed}"));
        args.push(format!("--skip={skip}"));
        args.push(format!("--queue={RUN_QUEUE}"));
        args.push(format!("--worker={number}/{of}"));
        args.push("--quiet".to_owned());
        args
    }
}
