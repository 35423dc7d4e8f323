//! Waiting for many pipes, at the cost of those that are ready.

use std::io;
use std::os::fd::BorrowedFd;

use super::{Interest, Readiness};
use crate::clock::Nanos;

pub(crate) use system::Poller;

/// A pipe that a [`Poller`] found ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollEvent {
    /// The token of the pipe.
    pub(crate) token: u64,
    pub(crate) readiness: Readiness,
}

/// A pipe that a poller watches, with the token that names the pipe.
pub(crate) type Watched<'a> = (u64, BorrowedFd<'a>, Interest);

/// Linux: an epoll instance watches the pipes. A wait does not look at pipes that are not ready.
#[cfg(target_os = "linux")]
mod system {
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::event::{Timespec, epoll};
    use rustix::io::Errno;

    use super::{BorrowedFd, Interest, Nanos, PollEvent, Readiness, Watched, io};
    use crate::os::wait_ready;

    /// One wait reports at most this many pipes; the next wait begins with the others.
    const MAX_EVENTS: usize = 256;
    /// From this timeout on the wait may be a millisecond longer, which saves a system call.
    const COARSE_TIMEOUT: Nanos = 4_000_000_000;

    /// Watches pipes until they are closed or removed.
    #[derive(Debug)]
    pub(crate) struct Poller {
        epoll: OwnedFd,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
        }

        /// Watches the pipe for what it is to be watched for from now on; none stops it. The first of `interests`
        /// is what the poller has watched the pipe for so far.
        pub(crate) fn change(
            &self,
            token: u64,
            pipe: BorrowedFd<'_>,
            interests: (Option<Interest>, Option<Interest>),
        ) -> io::Result<()> {
            let data = epoll::EventData::new_u64(token);
            let changed = match interests {
                (before, now) if before == now => return Ok(()),
                (None, Some(interest)) => epoll::add(&self.epoll, pipe, data, flags(interest)),
                (_, Some(interest)) => epoll::modify(&self.epoll, pipe, data, flags(interest)),
                (_, None) => epoll::delete(&self.epoll, pipe),
            };
            match changed {
                // An ordinary file never hangs up, and cannot be watched.
                Ok(()) | Err(Errno::PERM) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        /// Stops watching a pipe that is about to be closed. A copy of its descriptor could stay open while this
        /// process starts another one.
        pub(crate) fn forget(&self, pipe: BorrowedFd<'_>) {
            let _ = epoll::delete(&self.epoll, pipe);
        }

        /// Waits until a watched pipe is ready or hung up, or for `timeout` nanoseconds. A signal may end
        /// the wait early.
        pub(crate) fn wait<'a>(
            &self,
            timeout: Option<Nanos>,
            _: impl Fn() -> Vec<Watched<'a>>,
        ) -> io::Result<Vec<PollEvent>> {
            // `epoll_wait` counts milliseconds, so a short timeout is a poll of the epoll instance.
            let timeout = match timeout {
                Some(timeout) if (1..COARSE_TIMEOUT).contains(&timeout) => {
                    wait_ready(&[(self.epoll.as_fd(), Interest::Read)], Some(timeout))?;
                    Some(0)
                }
                timeout => timeout,
            };
            let timeout = timeout.map(|nanos| Timespec {
                tv_sec: (nanos / 1_000_000_000).cast_signed(),
                tv_nsec: (nanos % 1_000_000_000) as _,
            });
            let mut events = [MaybeUninit::uninit(); MAX_EVENTS];
            match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
                Ok((events, _)) => Ok(events.iter().map(poll_event).collect()),
                Err(Errno::INTR) => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            }
        }
    }

    fn flags(interest: Interest) -> epoll::EventFlags {
        match interest {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
            Interest::Hangup => epoll::EventFlags::empty(),
        }
    }

    fn poll_event(event: &epoll::Event) -> PollEvent {
        let flags = event.flags;
        let readiness = Readiness {
            is_ready: flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::OUT),
            is_hung_up: flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP),
        };
        PollEvent { token: event.data.u64(), readiness }
    }
}

/// Other systems: each wait polls all pipes.
#[cfg(not(target_os = "linux"))]
mod system {
    use super::{BorrowedFd, Interest, Nanos, PollEvent, Watched, io};
    use crate::os::wait_ready;

    /// Watches nothing by itself: the caller of [`Poller::wait`] lists the pipes.
    #[derive(Debug)]
    pub(crate) struct Poller;

    impl Poller {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn change(
            &self,
            _: u64,
            _: BorrowedFd<'_>,
            _: (Option<Interest>, Option<Interest>),
        ) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn forget(&self, _: BorrowedFd<'_>) {}

        pub(crate) fn wait<'a>(
            &self,
            timeout: Option<Nanos>,
            watched: impl Fn() -> Vec<Watched<'a>>,
        ) -> io::Result<Vec<PollEvent>> {
            let watched = watched();
            let pipes: Vec<_> =
                watched.iter().map(|&(_, pipe, interest)| (pipe, interest)).collect();
            let states = wait_ready(&pipes, timeout)?;
            let events = watched
                .iter()
                .zip(states)
                .map(|(&(token, ..), readiness)| PollEvent { token, readiness });
            Ok(events
                .filter(|event| event.readiness.is_ready || event.readiness.is_hung_up)
                .collect())
        }
    }
}
