//! Tables of a run's workers. A step of a run looks at several of them, and a run may have thousands of workers: so the
//! index of a worker is an index into memory.

use crate::role::{Role, WorkerId};

/// The roles of workers, in the order of their ids.
const ROLES: [Role; 2] = [Role::Producer, Role::Consumer];
const BITS: usize = u64::BITS as usize;

/// The place of a worker: its role's and its own.
fn place(worker: WorkerId) -> (usize, usize) {
    (usize::from(worker.role != Role::Producer), worker.index as usize)
}

/// A value of each worker, in the order of their ids.
#[derive(Debug)]
pub(super) struct WorkerMap<T>([Vec<Option<T>>; 2]);

impl<T> WorkerMap<T> {
    /// The same value for all `workers`. The map takes no others.
    pub(super) fn new(workers: impl IntoIterator<Item = WorkerId>, value: T) -> Self
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

    pub(super) fn get(&self, worker: WorkerId) -> Option<&T> {
        let (role, index) = place(worker);
        self.0[role].get(index)?.as_ref()
    }

    /// The value's place, which is empty after [`Self::remove`].
    pub(super) fn entry(&mut self, worker: WorkerId) -> Option<&mut Option<T>> {
        let (role, index) = place(worker);
        self.0[role].get_mut(index)
    }

    pub(super) fn get_mut(&mut self, worker: WorkerId) -> Option<&mut T> {
        self.entry(worker)?.as_mut()
    }

    pub(super) fn remove(&mut self, worker: WorkerId) -> Option<T> {
        self.entry(worker)?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (WorkerId, &T)> {
        self.0.iter().zip(ROLES).flat_map(|(values, role)| {
            let with_index = (0..).zip(values);
            with_index.filter_map(move |(index, value)| {
                value.as_ref().map(|value| (WorkerId { role, index }, value))
            })
        })
    }
}

/// Workers, in the order of their ids: one bit for each.
#[derive(Debug, Default)]
pub(super) struct WorkerSet([Vec<u64>; 2]);

impl WorkerSet {
    pub(super) fn insert(&mut self, worker: WorkerId) {
        let (role, index) = place(worker);
        let words = &mut self.0[role];
        if words.len() <= index / BITS {
            words.resize(index / BITS + 1, 0);
        }
        words[index / BITS] |= 1 << (index % BITS);
    }

    pub(super) fn remove(&mut self, worker: WorkerId) {
        let (role, index) = place(worker);
        if let Some(word) = self.0[role].get_mut(index / BITS) {
            *word &= !(1 << (index % BITS));
        }
    }

    /// The workers of this role.
    pub(super) fn of_role(&self, role: Role) -> impl Iterator<Item = WorkerId> {
        let words = &self.0[usize::from(role != Role::Producer)];
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
