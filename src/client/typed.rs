//! A queue of values, in the shape of Python's `multiprocessing.Queue`.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, Error, Options, Timeout};
use crate::clock::nanos;
use crate::queue::{Batch, BatchRef};
use crate::queue_name::QueueName;
use crate::role::Role;

/// A handle of a queue of `T`s, which any number of processes share by its name.
///
/// Items are stored as JSON, so that other programs, and `qdemo get`, can take them too; from a shell,
/// `qdemo put --json` puts what isn't a string. A handle is for one thread: others open their own. A
/// program that is to run where there is no `qdemo` calls [`keep_if_asked`](crate::keep_if_asked).
///
/// ```standalone_crate
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # qdemo::keep_if_asked();
/// # let dir = tempfile::tempdir()?;
/// # unsafe { std::env::set_var("QDEMO_DIR", dir.path()) };
/// use qdemo::{GetError, Queue};
///
/// let pages: Queue<String> = Queue::open("pages")?;
/// pages.put("index.html".to_owned())?;
/// pages.put("about.html".to_owned())?;
/// pages.close()?;
///
/// loop {
///     match pages.get() {
///         Ok(page) => {
///             println!("working on {}, number {}", *page, page.id());
///             page.done()?;
///         }
///         Err(GetError::Closed) => break,
///         Err(error) => return Err(error.into()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    client: RefCell<Client>,
    /// Whether an item may be with somebody else again by the time it is done.
    has_lease: bool,
    items: PhantomData<fn(T) -> T>,
}

/// Why [`Queue::put`] did not put the item, which comes back with it.
#[derive(thiserror::Error)]
pub enum PutError<T> {
    /// The queue takes no more items.
    #[error("the queue is closed")]
    Closed(T),
    /// Something went wrong; the item may be in the queue or not.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::try_put`] or [`Queue::put_timeout`] did not put the item, which comes back with it.
#[derive(thiserror::Error)]
pub enum TryPutError<T> {
    /// There was no room in time.
    #[error("the queue is full")]
    Full(T),
    /// The queue takes no more items.
    #[error("the queue is closed")]
    Closed(T),
    /// Something went wrong; the item may be in the queue or not.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::get`] got nothing.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The queue was closed, and has ended. Each further get says so too,
    /// until something new begins in a queue of this name.
    #[error("the queue has ended")]
    Closed,
    /// Something went wrong.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::try_get`] or [`Queue::get_timeout`] got nothing.
#[derive(Debug, thiserror::Error)]
pub enum TryGetError {
    /// There was no item in time.
    #[error("the queue is empty")]
    Empty,
    /// The queue was closed, and has ended. Each further get says so too,
    /// until something new begins in a queue of this name.
    #[error("the queue has ended")]
    Closed,
    /// Something went wrong.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::open`] found no queue.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No queue can be called that.
    #[error(transparent)]
    Name(#[from] crate::QueueNameError),
    /// Something went wrong.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Opens the queue of this name, which is made if need be. Where it lies is for the environment
    /// to say: `QDEMO_DIR`, by default `${XDG_STATE_HOME:-~/.local/state}/qdemo`.
    ///
    /// # Errors
    /// [`OpenError::Name`] when no queue can be called that.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let name: QueueName = name.parse()?;
        Ok(Self::open_with(Options::new(name, Role::Visitor))?)
    }

    /// Opens a queue with these options, such as a capacity. Their role doesn't matter: a handle puts
    /// and gets, and ends nothing by going.
    ///
    /// # Errors
    /// As [`Options::connect`].
    pub fn open_with(options: Options) -> Result<Self, Error> {
        let options = options.role(Role::Visitor);
        let leased = options.has_lease();
        let client = RefCell::new(options.connect()?);
        Ok(Self { client, has_lease: leased, items: PhantomData })
    }

    /// Puts an item; waits while the queue is full. It is in the queue when this returns.
    ///
    /// # Errors
    /// [`PutError::Closed`] with the item.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_with_timeout(item, Timeout::Infinite).map_err(|error| match error {
            TryPutError::Closed(item) => PutError::Closed(item),
            // Cannot be: there is no end to the patience.
            TryPutError::Full(_) => PutError::Failed(Error::Full),
            TryPutError::Failed(error) => PutError::Failed(error),
        })
    }

    /// The same, but waits for room no longer than `timeout`.
    ///
    /// # Errors
    /// [`TryPutError::Full`] with the item. [`Error::NoAnswer`] when the keeper does not answer for a
    /// second more: the item may be in the queue or not.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        self.put_with_timeout(item, Timeout::After(nanos(timeout)))
    }

    /// The same, but doesn't wait for room.
    ///
    /// ```standalone_crate
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # qdemo::keep_if_asked();
    /// # let dir = tempfile::tempdir()?;
    /// # unsafe { std::env::set_var("QDEMO_DIR", dir.path()) };
    /// use qdemo::{Options, Queue, Role, TryPutError};
    ///
    /// let small = Options::new("small".parse()?, Role::Visitor).capacity(1);
    /// let queue: Queue<u32> = Queue::open_with(small)?;
    /// queue.try_put(1)?;
    /// let Err(TryPutError::Full(item)) = queue.try_put(2) else { panic!("there was room") };
    /// assert_eq!(item, 2);
    /// # queue.get()?.done()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TryPutError::Full`] with the item.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        self.put_with_timeout(item, Timeout::After(0))
    }

    fn put_with_timeout(&self, item: T, timeout: Timeout) -> Result<(), TryPutError<T>> {
        let json = serde_json::to_vec(&item).map_err(Error::Encode)?;
        match self.client.borrow_mut().put_with_timeout(&json, timeout) {
            Ok(()) => Ok(()),
            Err(Error::Full) => Err(TryPutError::Full(item)),
            Err(Error::Closed) => Err(TryPutError::Closed(item)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gets an item; waits for it. It goes back in line when it is dropped and not
    /// [`Item::done`].
    ///
    /// # Errors
    /// [`GetError::Closed`] when the queue has ended. [`Error::Decode`] for what is no `T`: it is
    /// among the failed ones then, and the next get gets the next item.
    pub fn get(&self) -> Result<Item<'_, T>, GetError> {
        self.get_with_timeout(Timeout::Infinite).map_err(|error| match error {
            // Cannot be: there is no end to the patience.
            TryGetError::Empty => GetError::Failed(Error::Empty),
            TryGetError::Closed => GetError::Closed,
            TryGetError::Failed(error) => GetError::Failed(error),
        })
    }

    /// The same, but waits no longer than `timeout`.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] when there was none in time; [`Error::NoAnswer`] when the keeper does not
    /// answer for a second more; otherwise as [`Queue::get`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<Item<'_, T>, TryGetError> {
        self.get_with_timeout(Timeout::After(nanos(timeout)))
    }

    /// The same, but doesn't wait.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] when there is none; otherwise as [`Queue::get`].
    pub fn try_get(&self) -> Result<Item<'_, T>, TryGetError> {
        self.get_with_timeout(Timeout::After(0))
    }

    fn get_with_timeout(&self, timeout: Timeout) -> Result<Item<'_, T>, TryGetError> {
        let mut client = self.client.borrow_mut();
        let batch = match client.get_with_timeout(1, timeout) {
            Ok(Some(batch)) => batch.into_batch(),
            Ok(None) => return Err(TryGetError::Closed),
            Err(Error::Empty) => return Err(TryGetError::Empty),
            Err(error) => return Err(error.into()),
        };
        let Batch { first_id: id, attempt, .. } = batch;
        match serde_json::from_slice(&batch.items.bytes) {
            Ok(value) => Ok(Item { queue: self, batch_ref: batch.batch_ref(), value: Some(value) }),
            Err(source) => {
                client.fail(id, attempt, 1, &format!("it is not what was expected: {source}"))?;
                Err(Error::Decode { id, source }.into())
            }
        }
    }

    /// How many items are in line: put, and not handed out yet.
    pub fn len(&self) -> Result<u64, Error> {
        Ok(self.client.borrow_mut().size()?.0.ready)
    }

    /// Whether no item is in line.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Whether there is no room for another item.
    pub fn is_full(&self) -> Result<bool, Error> {
        let (counts, capacity) = self.client.borrow_mut().size()?;
        Ok(capacity > 0 && counts.ready >= capacity)
    }

    /// Waits until every item that was put is done. Tells how many have failed instead.
    pub fn join(&self) -> Result<u64, Error> {
        self.client.borrow_mut().join(Timeout::Infinite)
    }

    /// The same, but waits no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Unfinished`] with the number of items that are not done yet.
    pub fn join_timeout(&self, timeout: Duration) -> Result<u64, Error> {
        self.client.borrow_mut().join(Timeout::After(nanos(timeout)))
    }

    /// Closes the queue for everybody: it takes no more items, and ends after those that it has. To
    /// close it twice is to close it.
    pub fn close(&self) -> Result<(), Error> {
        self.client.borrow_mut().close_queue(false).map(drop)
    }
}

/// An item that is out with this process; it borrows the queue. It goes back in line when it is dropped and was neither
/// [`Item::done`] nor [`Item::fail`]ed, or when the process dies.
///
/// ```standalone_crate
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # qdemo::keep_if_asked();
/// # let dir = tempfile::tempdir()?;
/// # unsafe { std::env::set_var("QDEMO_DIR", dir.path()) };
/// # use qdemo::Queue;
/// let jobs: Queue<u32> = Queue::open("jobs")?;
/// jobs.put(7)?;
/// let job = jobs.get()?;
/// assert_eq!((*job, job.attempt()), (7, 1));
/// drop(job);
/// let job = jobs.get()?;
/// assert_eq!((*job, job.attempt()), (7, 2));
/// assert_eq!(job.done()?, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Item<'q, T> {
    queue: &'q Queue<T>,
    batch_ref: BatchRef,
    /// None once it is settled what becomes of it.
    value: Option<T>,
}

impl<T> Item<'_, T> {
    /// The queue's number of the item.
    pub fn id(&self) -> u64 {
        self.batch_ref.first_id
    }

    /// 1 when nobody had it before, one more for each time that it came back.
    pub fn attempt(&self) -> u32 {
        self.batch_ref.attempt.unwrap_or(1)
    }

    /// It is done: nobody gets it again. The value is the caller's.
    ///
    /// # Errors
    /// [`Error::Late`] when its lease had run out, and it is back in line, or with somebody else.
    pub fn done(mut self) -> Result<T, Error> {
        // Whatever happens, it is not given back.
        let value = self.value.take();
        let id = self.batch_ref.first_id;
        let mut client = self.queue.client.borrow_mut();
        client.done_ref(self.batch_ref)?;
        client.flush()?;
        if self.queue.has_lease {
            // What the keeper has to say of it comes before this answer.
            client.size()?;
            if client.take_lease_expired().contains(&self.batch_ref) {
                return Err(Error::LeaseExpired(id));
            }
        }
        drop(client);
        // It is there: only this and `fail` take it, and they take the item too.
        value.ok_or(Error::KeeperGone)
    }

    /// Puts it aside: `qdemo failed` lists it with the reason, and retries or drops it.
    ///
    /// # Errors
    /// When the keeper died and no other one can be started, among others.
    pub fn fail(mut self, reason: &str) -> Result<(), Error> {
        self.value = None;
        self.queue.client.borrow_mut().fail(self.id(), self.attempt(), 1, reason)
    }
}

impl<T> Deref for Item<'_, T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "only methods that take the whole item take the value")]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("an item has its value as long as it is there")
    }
}

impl<T> Drop for Item<'_, T> {
    fn drop(&mut self) {
        if self.value.is_some() {
            let mut client = self.queue.client.borrow_mut();
            // If the keeper is gone, there is nothing to give it back to.
            let _ = client.requeue_ref(self.batch_ref).and_then(|()| client.flush());
        }
    }
}

/// What the item is like is not for a message.
impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}
