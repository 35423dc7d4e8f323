//! The roles of clients, and the ids of a run's workers.

use serde::{Deserialize, Serialize};

/// The role of a client in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Role {
    /// Puts items. The queue ends after the last producer has left.
    Producer,
    /// Gets items, until the queue ends.
    Consumer,
    /// A client whose leaving ends nothing: a one-shot command, or a [`Queue`](crate::Queue) handle. Its
    /// puts go before the sentinel of the last producer.
    Visitor,
}

/// A worker of a run. The order of the ids is the order of workers that are due at the same paced time:
/// producers before consumers, then by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId {
    pub(crate) role: Role,
    /// 1-based, within the role.
    pub(crate) index: u32,
}

// A step of a run looks at several tables of workers, and a run may have thousands of workers: so the index of a worker is an
// index into memory.

/// The roles of workers, in the order of their ids.
const ROLES: [Role; 2] = [Role::Producer, Role::Consumer];
const BITS: usize = u64::BITS as usize;

/// The place of a worker: its role's and its own.
fn place(worker: WorkerId) -> (usize, usize) {
    (usize::from(worker.role != Role::Producer), worker.index as usize)
}

/// A value of each worker, in the order of their ids.
#[derive(Debug)]
pub(crate) struct WorkerMap<T>([Vec<Option<T>>; 2]);

impl<T> WorkerMap<T> {
    /// The same value for all `workers`. The map takes no others.
    pub(crate) fn new(workers: impl IntoIterator<Item = WorkerId>, value: T) -> Self
    where
        T: Copy,
    {
        let mut map = Self([Vec::new(), Vec::new()]);
        for worker in workers {
            let (role, index) = place(worker);
            let values = &mut map.0[role];
            values.resize(values.len().max(index + 1), None);
            values[index] = Some(value);
        }
        map
    }

    pub(crate) fn get(&self, worker: WorkerId) -> Option<&T> {
        let (role, index) = place(worker);
        self.0[role].get(index)?.as_ref()
    }

    /// The value's place, which is empty after [`Self::remove`].
    pub(crate) fn entry(&mut self, worker: WorkerId) -> Option<&mut Option<T>> {
        let (role, index) = place(worker);
        self.0[role].get_mut(index)
    }

    pub(crate) fn get_mut(&mut self, worker: WorkerId) -> Option<&mut T> {
        self.entry(worker)?.as_mut()
    }

    pub(crate) fn remove(&mut self, worker: WorkerId) -> Option<T> {
        self.entry(worker)?.take()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &T)> {
        self.0.iter().zip(ROLES).flat_map(|(values, role)| {
            let with_index = (0..).zip(values);
            with_index.filter_map(move |(index, value)| {
                value.as_ref().map(|value| (WorkerId { role, index }, value))
            })
        })
    }
}

/// Workers, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct WorkerSet([WorkersOfRole; 2]);

#[derive(Debug, Default)]
struct WorkersOfRole {
    /// One bit for each worker.
    words: Vec<u64>,
    count: usize,
}

impl WorkerSet {
    pub(crate) fn insert(&mut self, worker: WorkerId) {
        let (role, index) = place(worker);
        let WorkersOfRole { words, count } = &mut self.0[role];
        if words.len() <= index / BITS {
            words.resize(index / BITS + 1, 0);
        }
        let (word, bit) = (&mut words[index / BITS], 1 << (index % BITS));
        *count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    pub(crate) fn remove(&mut self, worker: WorkerId) {
        let (role, index) = place(worker);
        let WorkersOfRole { words, count } = &mut self.0[role];
        let Some(word) = words.get_mut(index / BITS) else { return };
        let bit = 1 << (index % BITS);
        *count -= usize::from(*word & bit != 0);
        *word &= !bit;
    }

    /// The workers of this role.
    pub(crate) fn of_role(&self, role: Role) -> impl Iterator<Item = WorkerId> {
        let WorkersOfRole { words, count } = &self.0[usize::from(role != Role::Producer)];
        let words = if *count > 0 { &words[..] } else { &[] };
        words.iter().enumerate().flat_map(move |(at, &word)| {
            // Each step clears the lowest bit.
            let not_empty = |&rest: &u64| rest != 0;
            let rests = std::iter::successors(Some(word).filter(not_empty), move |&rest| {
                Some(rest & (rest - 1)).filter(not_empty)
            });
            let indices = rests.map(move |rest| at * BITS + rest.trailing_zeros() as usize);
            indices.map(move |index| WorkerId { role, index: index as u32 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(role: Role, indices: &[u32]) -> Vec<WorkerId> {
        indices.iter().map(|&index| WorkerId { role, index }).collect()
    }

    #[test]
    fn a_set_has_its_workers_in_their_order() {
        let mut set = WorkerSet::default();
        let consumers = ids(Role::Consumer, &[1, 2, 63, 64, 65, 128, 1000]);
        let producers = ids(Role::Producer, &[1, 64]);
        consumers.iter().rev().chain(&producers).for_each(|&worker| set.insert(worker));
        assert_eq!(set.of_role(Role::Consumer).collect::<Vec<_>>(), consumers);
        assert_eq!(set.of_role(Role::Producer).collect::<Vec<_>>(), producers);
        for &worker in &consumers[1..6] {
            set.remove(worker);
            set.remove(worker);
        }
        set.remove(WorkerId { role: Role::Producer, index: 5000 });
        assert_eq!(
            set.of_role(Role::Consumer).collect::<Vec<_>>(),
            ids(Role::Consumer, &[1, 1000])
        );
        assert_eq!(set.of_role(Role::Producer).collect::<Vec<_>>(), producers);
    }

    #[test]
    fn a_map_knows_only_its_own_workers() {
        let [first, second] = [1, 2].map(|index| WorkerId { role: Role::Consumer, index });
        let mut map = WorkerMap::new([first], 5);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(first, &5)]);
        assert!(map.entry(second).is_none());
        assert_eq!((map.remove(first), map.remove(first), map.get(first)), (Some(5), None, None));
        *map.entry(first).unwrap() = Some(6);
        *map.get_mut(first).unwrap() += 1;
        assert_eq!(map.get(first), Some(&7));
    }
}
