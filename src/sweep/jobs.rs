//! Runs many computations on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `job` for each index below `count` in up to `threads` threads, this one included. Returns the results in the
/// order of the indices. Calls `on_done` after each job, with the number of jobs that are done.
///
/// A thread takes the next job when it has finished one, since the jobs take different times. If the system refuses
/// a thread, the others do its jobs.
pub(super) fn run_all<T: Send>(
    count: usize,
    threads: usize,
    job: impl Fn(usize) -> T + Sync,
    on_done: impl Fn(usize) + Sync,
) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return results;
            }
            results.push((index, job(index)));
            on_done(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let mut results = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut results = work();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn every_job_runs_once_and_the_results_are_in_order() {
        for (count, threads) in [(0, 4), (1, 4), (7, 1), (100, 3)] {
            let calls = AtomicUsize::new(0);
            let results = run_all(
                count,
                threads,
                |index| index * 2,
                |_| {
                    calls.fetch_add(1, Ordering::Relaxed);
                },
            );
            assert_eq!(results, (0..count).map(|index| index * 2).collect::<Vec<_>>());
            assert_eq!(calls.into_inner(), count);
        }
    }

    #[test]
    fn jobs_run_at_the_same_time_and_their_results_are_in_order() {
        // No job gets past the barrier alone. So each thread has a job of the first two, and a later one.
        let barrier = Barrier::new(2);
        let job = |index| {
            barrier.wait();
            index
        };
        assert_eq!(run_all(4, 2, job, |_| {}), [0, 1, 2, 3]);
    }
}
