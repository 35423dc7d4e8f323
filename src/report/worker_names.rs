//! The names of workers in log lines, pictures and the live view.

use super::colors::worker_style;
use crate::catalogue::{Lang, message};
use crate::role::{Role, WorkerId};

/// The names of workers. A name contains an index only if several workers have the role.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerNames {
    pub(super) lang: Lang,
    /// Whether there are several `[producers, consumers]`.
    pub(super) is_numbered: [bool; 2],
}

impl WorkerNames {
    /// The name of a worker. A client outside a run has no index.
    pub(super) fn name(self, role: Role, index: Option<u32>) -> String {
        let name = match role {
            Role::Producer => message!(self.lang, "log-producer"),
            Role::Consumer | Role::Visitor => message!(self.lang, "log-consumer"),
        };
        match index.filter(|_| self.is_numbered[(role as usize).min(1)]) {
            Some(index) => message!(self.lang, "log-worker", role = name, index = index),
            None => name,
        }
    }

    /// The name of a worker in its colour, for standard output.
    pub(super) fn colored_name(self, role: Role, index: Option<u32>) -> String {
        worker_style(role, index).apply_to(self.name(role, index)).to_string()
    }

    pub(super) fn worker_name(self, worker: WorkerId) -> String {
        self.name(worker.role, Some(worker.index))
    }
}
