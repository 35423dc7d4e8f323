//! A queue of values, in the shape of Python's `multiprocessing.Queue`.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, Error, ItemRef, QueueBuilder, Timeout};
use crate::catalogue::{Lang, message};
use crate::clock::nanos;
use crate::role::Role;

/// A handle of a queue of `T`s. Any number of processes share the queue by its name.
///
/// [`Queue::open`] opens a queue with default settings, and [`QueueBuilder::open`] one with settings of
/// its own. The queue stores each item as JSON, so that other programs and `qdemo get` can take the
/// items too. From a shell, `qdemo put --json` puts any JSON value, and `qdemo put` puts a string.
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
///             println!("item {}: {}", page.id(), *page);
///             page.done()?;
///         }
///         Err(GetError::Closed) => break,
///         Err(error) => return Err(error.into()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Threads and processes
///
/// A handle is [`Send`] but not [`Sync`]: each thread opens a handle of its own. A handle must not
/// cross a `fork`. Dropping a handle ends nothing: the queue stays until it is closed and empty.
///
/// Each handle learns of the end of a queue if its *process* started before the end, until something new
/// is put into a queue of this name. A handle that waits for an item when the queue ends learns of the
/// end too.
///
/// # Waiting
///
/// Apart from [`put`](Self::put), [`get`](Self::get) and [`join`](Self::join), methods wait only for the
/// keeper, the process that holds the queue. A keeper that is stopped does not answer:
/// [`QueueBuilder::timeout`] sets a limit for that.
#[derive(Debug)]
pub struct Queue<T> {
    client: RefCell<Client>,
    /// Whether another client may have an item by the time it is reported done.
    has_lease: bool,
    items: PhantomData<fn(T) -> T>,
}

/// Why [`Queue::put`] failed.
#[derive(thiserror::Error)]
pub enum PutError<T> {
    /// The queue is closed. The item comes back.
    #[error("{}", message!("error-closed"))]
    Closed(T),
    /// Something else went wrong. After [`Error::NoAnswer`] or [`Error::Pipe`] the item may be in the
    /// queue or not.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::try_put`] or [`Queue::put_timeout`] failed.
#[derive(thiserror::Error)]
pub enum TryPutError<T> {
    /// The queue had no room in time. The item comes back.
    #[error("{}", message!("error-full"))]
    Full(T),
    /// The queue is closed. The item comes back.
    #[error("{}", message!("error-closed"))]
    Closed(T),
    /// Something else went wrong. After [`Error::NoAnswer`] or [`Error::Pipe`] the item may be in the
    /// queue or not.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::get`] returned no item.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The queue was closed and has ended. Each further get returns this too, until something new is put
    /// into a queue of this name.
    #[error("{}", message!("error-ended"))]
    Closed,
    /// Something else went wrong.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why [`Queue::try_get`] or [`Queue::get_timeout`] returned no item.
#[derive(Debug, thiserror::Error)]
pub enum TryGetError {
    /// The queue had no item in time.
    #[error("{}", message!("error-empty"))]
    Empty,
    /// The queue was closed and has ended. Each further get returns this too, until something new is put
    /// into a queue of this name.
    #[error("{}", message!("error-ended"))]
    Closed,
    /// Something else went wrong.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl QueueBuilder {
    /// Opens the queue as a queue of `T`s, and makes the queue if there is none.
    ///
    /// Waits until the queue's keeper has answered. If the queue has no keeper, this starts one as a
    /// child process: it runs in the background for as long as clients are connected.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn open<T: Serialize + DeserializeOwned>(self) -> Result<Queue<T>, Error> {
        let has_lease = self.hello.lease.is_some();
        let client = RefCell::new(self.connect(Role::Visitor)?);
        Ok(Queue { client, has_lease, items: PhantomData })
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Opens the queue called `name` in the default [directory](QueueBuilder::dir), and makes the queue
    /// if there is none. Short for [`QueueBuilder::new`] and [`QueueBuilder::open`].
    ///
    /// # Errors
    /// [`Error::Name`] when a queue cannot have this name. Otherwise as for [`QueueBuilder::connect`].
    pub fn open(name: &str) -> Result<Self, Error> {
        QueueBuilder::new(name.parse()?).open()
    }

    /// Puts an item. The item is in the queue when this returns.
    ///
    /// Blocks while the queue is full.
    ///
    /// # Errors
    /// [`PutError::Closed`] with the item when the queue is closed. [`PutError::Failed`] for the rest:
    /// [`Error::Encode`], [`Error::NotALine`] and [`Error::TooLarge`] when the value cannot be an item,
    /// [`Error::ItemsLost`] when the server has forgotten items of earlier puts (this item is not put then),
    /// and the errors of [`QueueBuilder::connect`].
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_with_timeout(item, Timeout::Infinite).map_err(|error| match error {
            TryPutError::Closed(item) => PutError::Closed(item),
            // Impossible: the put has no time limit.
            TryPutError::Full(_) => PutError::Failed(Error::Full),
            TryPutError::Failed(error) => PutError::Failed(error),
        })
    }

    /// Puts an item as [`put`](Self::put) does, but blocks no longer than `timeout`.
    ///
    /// # Errors
    /// [`TryPutError::Full`] with the item when the queue has no room in time. [`Error::NoAnswer`] when
    /// the keeper stays silent for a second beyond `timeout`. Otherwise as for [`put`](Self::put).
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        self.put_with_timeout(item, Timeout::After(nanos(timeout)))
    }

    /// Puts an item if the queue has room now.
    ///
    /// # Errors
    /// [`TryPutError::Full`] with the item when the queue has no room. [`Error::NoAnswer`] when the
    /// keeper stays silent for a second. Otherwise as for [`put`](Self::put).
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

    /// Gets an item. Call [`Item::done`] when the work on it is done: an item that is dropped goes back
    /// to its place in the queue.
    ///
    /// Blocks while no item is ready and the queue has not ended.
    ///
    /// # Errors
    /// [`GetError::Closed`] when the queue has ended. [`Error::Decode`] when the item is not a `T`: the
    /// queue counts it as failed, and the next get returns the next item. Otherwise the errors of
    /// [`QueueBuilder::connect`].
    pub fn get(&self) -> Result<Item<'_, T>, GetError> {
        self.get_with_timeout(Timeout::Infinite).map_err(|error| match error {
            // Impossible: the get has no time limit.
            TryGetError::Empty => GetError::Failed(Error::Empty),
            TryGetError::Closed => GetError::Closed,
            TryGetError::Failed(error) => GetError::Failed(error),
        })
    }

    /// Gets an item as [`get`](Self::get) does, but blocks no longer than `timeout`.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] when no item is ready in time. [`Error::NoAnswer`] when the keeper stays
    /// silent for a second beyond `timeout`. Otherwise as for [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<Item<'_, T>, TryGetError> {
        self.get_with_timeout(Timeout::After(nanos(timeout)))
    }

    /// Gets an item if one is ready now.
    ///
    /// # Errors
    /// [`TryGetError::Empty`] when no item is ready. [`Error::NoAnswer`] when the keeper stays silent
    /// for a second. Otherwise as for [`get`](Self::get).
    pub fn try_get(&self) -> Result<Item<'_, T>, TryGetError> {
        self.get_with_timeout(Timeout::After(0))
    }

    fn get_with_timeout(&self, timeout: Timeout) -> Result<Item<'_, T>, TryGetError> {
        let mut client = self.client.borrow_mut();
        let batch = match client.get_with_timeout(1, timeout) {
            Ok(Some(delivery)) => delivery.into_batch(),
            Ok(None) => return Err(TryGetError::Closed),
            Err(Error::Empty) => return Err(TryGetError::Empty),
            Err(error) => return Err(error.into()),
        };
        let item_ref = ItemRef { id: batch.first_id, attempt: batch.attempt };
        match serde_json::from_slice(&batch.items.bytes) {
            Ok(value) => {
                let (client, has_lease) = (&self.client, self.has_lease);
                Ok(Item {
                    value,
                    lent: LentItem { client, has_lease, item_ref, is_reported: false },
                })
            }
            Err(source) => {
                client
                    .fail(item_ref, &message!(Lang::En, "reason-not-expected", error = &source))?;
                Err(Error::Decode { id: item_ref.id, source }.into())
            }
        }
    }

    /// The number of items that are ready. Items in flight do not count.
    ///
    /// # Errors
    /// As for [`QueueBuilder::connect`].
    pub fn len(&self) -> Result<u64, Error> {
        Ok(self.client.borrow_mut().size()?.0.ready)
    }

    /// Whether no item is ready. The queue may still have items in flight.
    ///
    /// # Errors
    /// As for [`QueueBuilder::connect`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Whether the queue has no room for another item.
    ///
    /// # Errors
    /// As for [`QueueBuilder::connect`].
    pub fn is_full(&self) -> Result<bool, Error> {
        let (counts, capacity) = self.client.borrow_mut().size()?;
        Ok(capacity > 0 && counts.ready >= capacity)
    }

    /// Waits for all work, and returns the number of failed items in the queue.
    ///
    /// Blocks until every item of the queue is done or failed, whichever process put it.
    ///
    /// # Errors
    /// [`Error::ItemsLost`] when the server has forgotten items that this handle has put. Otherwise as for
    /// [`QueueBuilder::connect`].
    pub fn join(&self) -> Result<u64, Error> {
        self.client.borrow_mut().join(Timeout::Infinite)
    }

    /// Waits as [`join`](Self::join) does, but blocks no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Unfinished`] with the number of items that are neither done nor failed in time.
    /// [`Error::NoAnswer`] when the keeper stays silent for a second beyond `timeout`. Otherwise as for
    /// [`join`](Self::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<u64, Error> {
        self.client.borrow_mut().join(Timeout::After(nanos(timeout)))
    }

    /// Closes the queue for all its clients: it takes no more items, and ends after the items that it
    /// has. Closing a closed queue has no effect.
    ///
    /// # Errors
    /// As for [`QueueBuilder::connect`].
    pub fn close(&self) -> Result<(), Error> {
        self.client.borrow_mut().close_queue(false).map(drop)
    }
}

/// An item in flight with this handle: it dereferences to its value, and borrows the queue.
///
/// Report the item with [`done`](Self::done) or [`fail`](Self::fail). It goes back to its place in the
/// queue when it is dropped instead, or when the process dies.
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
    value: T,
    lent: LentItem<'q>,
}

impl<T> Item<'_, T> {
    /// The id of the item, unique in its queue. Ids start from 1 and follow the order in which the
    /// queue accepted the items.
    pub fn id(&self) -> u64 {
        self.lent.item_ref.id
    }

    /// The attempt that this delivery is: 1 when the item is delivered for the first time, and one more
    /// for each time that it went back to the queue.
    pub fn attempt(&self) -> u32 {
        self.lent.item_ref.attempt
    }

    /// Reports that the item is done: the queue does not deliver it again. Returns the value.
    ///
    /// # Errors
    /// [`Error::LeaseExpired`] when the handle has a [lease](QueueBuilder::lease) that had run out: the
    /// item is in the queue again, or with another client. Otherwise as for [`QueueBuilder::connect`].
    pub fn done(self) -> Result<T, Error> {
        self.lent.done()?;
        Ok(self.value)
    }

    /// Begins the [lease](QueueBuilder::lease) of the item anew, for work that takes longer than the lease. Without a lease, or
    /// where the keeper is one of an earlier version, nothing happens.
    ///
    /// # Errors
    /// [`Error::LeaseExpired`] when the lease had run out: the item is in the queue again, or with another client.
    /// Otherwise as for [`QueueBuilder::connect`].
    pub fn renew(&self) -> Result<(), Error> {
        self.lent.renew()
    }

    /// Reports that the item has failed, and why. The queue keeps the item aside: `qdemo failed` lists
    /// the failed items with their reasons, and retries or drops them.
    ///
    /// # Errors
    /// As for [`QueueBuilder::connect`].
    pub fn fail(mut self, reason: &str) -> Result<(), Error> {
        self.lent.is_reported = true;
        self.lent.client.borrow_mut().fail(self.lent.item_ref, reason)
    }
}

impl<T> Deref for Item<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Gives the item back to the queue when it is dropped without a report.
#[derive(Debug)]
struct LentItem<'q> {
    client: &'q RefCell<Client>,
    has_lease: bool,
    item_ref: ItemRef,
    is_reported: bool,
}

impl LentItem<'_> {
    fn done(mut self) -> Result<(), Error> {
        // An error does not give the item back.
        self.is_reported = true;
        let mut client = self.client.borrow_mut();
        client.done_item(self.item_ref)?;
        client.flush()?;
        if self.has_lease { self.check_lease(&mut client) } else { Ok(()) }
    }

    fn renew(&self) -> Result<(), Error> {
        if !self.has_lease {
            return Ok(());
        }
        let mut client = self.client.borrow_mut();
        client.renew_item(self.item_ref)?;
        self.check_lease(&mut client)
    }

    /// The keeper's word about the lease comes before the answer to a query.
    fn check_lease(&self, client: &mut Client) -> Result<(), Error> {
        client.size()?;
        if client.take_lease_expired().contains(&self.item_ref.into()) {
            return Err(Error::LeaseExpired(self.item_ref.id));
        }
        Ok(())
    }
}

impl Drop for LentItem<'_> {
    fn drop(&mut self) {
        if !self.is_reported {
            let mut client = self.client.borrow_mut();
            // Without a keeper there is no queue to give the item back to.
            let _ = client.requeue_item(self.item_ref).and_then(|()| client.flush());
        }
    }
}

/// The item is not part of the text, so that `T` need not be [`Debug`](fmt::Debug).
impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// The item is not part of the text, so that `T` need not be [`Debug`](fmt::Debug).
impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}
