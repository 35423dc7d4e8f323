//! The client itself: its state, what it reports about items, and how it leaves.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::Error;
use super::builder::QueueBuilder;
use super::delivery::{Accepted, Delivery, ItemRef, LeaveSummary};
use super::process;
use super::session::Session;
use super::timeout::SilenceLimit;
use super::transport::Transport;
use super::wait_notice::WaitNotice;
use crate::clock::{Clock, Nanos, WallTime, nanos};
use crate::failure::Failure;
use crate::pipe::{PIPE_BUF, ReadEnd, RequestSender};
use crate::queue::{Batch, BatchRef};
use crate::wire::{DEFAULT_MAX_ITEM_BYTES, MAX_ITEM_BYTES, Reply, Request, Welcome};

/// A connection to a queue of JSON texts, as a producer, a consumer or a visitor.
///
/// [`QueueBuilder::connect`] makes a client. Beyond a [`Queue`](crate::Queue) a client puts and gets
/// many items at a time, and has a [`Role`](crate::Role): the queue ends when its last producer has left
/// and every item is done.
///
/// ```standalone_crate
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # qdemo::keep_if_asked();
/// # let dir = tempfile::tempdir()?;
/// use qdemo::{QueueBuilder, Role};
///
/// let pages = QueueBuilder::new("pages".parse()?);
/// # let pages = pages.dir(dir.path());
/// let mut consumer = pages.clone().connect(Role::Consumer)?;
///
/// let mut producer = pages.connect(Role::Producer)?;
/// producer.put_all(["\"index\"", "\"about\"", "\"contact\""])?;
/// producer.leave()?;
///
/// let mut texts = Vec::new();
/// while let Some(delivery) = consumer.get(100)? {
///     for (_, json) in delivery.items() {
///         texts.push(String::from_utf8(json.to_vec())?);
///     }
///     consumer.done(&delivery)?;
/// }
/// assert_eq!(texts, ["\"index\"", "\"about\"", "\"contact\""]);
/// # Ok(())
/// # }
/// ```
///
/// Only methods whose documentation says so wait for other clients. The others wait for nothing but the
/// keeper, the process that holds the queue, and no longer than [`QueueBuilder::timeout`]. When the
/// keeper dies, the client starts the next one and repeats what the dead keeper has not answered. No item
/// is lost by that, and none is put twice.
///
/// Items that the client does not report stay in flight until the client leaves, is dropped or dies.
/// Then they go back to their place in the queue.
pub struct Client {
    /// How this client connected, and connects again.
    pub(super) options: QueueBuilder,
    /// Declared before the mailbox, so that its name goes first.
    pub(super) requests: RequestSender,
    pub(super) mailbox: ReadEnd,
    /// Declared behind the pipes: a server's link waits until the client has closed them.
    pub(super) transport: Transport,
    pub(super) session: Session,
    pub(super) welcome: Welcome,
    /// The number of items that are not sent yet, and their lines.
    pub(super) unsent_items: u64,
    pub(super) unsent_lines: Vec<u8>,
    /// The size of the last put in bytes.
    pub(super) last_put_bytes: usize,
    /// The sequence number of the last put whose outcome the caller knows.
    pub(super) last_answered_seq: u64,
    pub(super) window: u64,
    /// The size of the largest item, in bytes of JSON.
    pub(super) max_item_bytes: u64,
    /// Accepted puts that the caller does not know of yet.
    pub(super) unreported_accepted: VecDeque<Accepted>,
    /// The puts without `ok` were refused: no room in time. Reported after the accepted ones.
    pub(super) has_unreported_full: bool,
    /// Items that this client reported when they were no longer in flight with it.
    pub(super) lease_expired: Vec<BatchRef>,
    /// Waits end when standard output has no reader any more.
    pub(super) is_tied_to_stdout: bool,
    /// Unreadable lines of the journal, from recoveries that this client started.
    pub(super) damaged_lines: Vec<u64>,
    /// How long the keeper may stay silent.
    pub(super) silence_limit: SilenceLimit,
    /// When the client sent a cancel without an answer yet, or when the keeper's last reply came.
    pub(super) cancel_pending_since: Option<Clock>,
    /// This client has announced itself to the present keeper.
    pub(super) is_announced: bool,
    /// The present keeper has welcomed this client.
    pub(super) is_welcomed: bool,
    /// How often this client has looked for another keeper.
    pub(super) reconnections: u64,
    /// The queue has ended, and the get that asked had given up. The next get returns the end.
    pub(super) has_unreported_end: bool,
    /// How many items this client reported that were no longer its own, though it has no lease: it counted as dead.
    pub(super) revoked_items: u64,
    /// How many items of this client the server has accepted and forgotten, as far as no error has told that: see
    /// [`Client::check_loss`].
    pub(super) lost_items: u64,
    /// The notice on a long wait.
    pub(super) wait_notice: WaitNotice,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("place", &self.transport.place())
            .field("role", &self.options.hello.role)
            .finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        process::reap_keepers();
    }
}

impl Client {
    /// A client that no keeper has welcomed yet.
    pub(super) fn new(
        options: QueueBuilder,
        transport: Transport,
        (requests, mailbox): (RequestSender, ReadEnd),
        session: Session,
        silence_limit: SilenceLimit,
    ) -> Self {
        let max_item_bytes = options.hello.max_item_bytes.unwrap_or(DEFAULT_MAX_ITEM_BYTES);
        Self {
            wait_notice: WaitNotice::new(options.wait_text.clone()),
            options,
            requests,
            mailbox,
            transport,
            session,
            welcome: Welcome::default(),
            unsent_items: 0,
            unsent_lines: Vec::new(),
            last_put_bytes: 0,
            last_answered_seq: 0,
            window: 0,
            max_item_bytes: max_item_bytes.min(MAX_ITEM_BYTES),
            unreported_accepted: VecDeque::new(),
            has_unreported_full: false,
            lease_expired: Vec::new(),
            is_tied_to_stdout: false,
            damaged_lines: Vec::new(),
            silence_limit,
            cancel_pending_since: None,
            is_announced: false,
            reconnections: 0,
            is_welcomed: false,
            has_unreported_end: false,
            revoked_items: 0,
            lost_items: 0,
        }
    }

    /// Whether no keeper has read, or will read, what this client has asked for. Only a client that no keeper has
    /// welcomed can withdraw its requests. A bridge knows what it has sent to its server.
    pub(crate) fn withdraw(&mut self) -> bool {
        match &self.transport {
            Transport::Local { .. } => !self.was_welcomed() && self.requests.withdraw(),
            Transport::Server { link, .. } => link.withdraw(),
        }
    }

    /// Whether any keeper has welcomed this client.
    pub(crate) fn was_welcomed(&self) -> bool {
        self.is_welcomed || self.session.is_resumed()
    }

    /// Whether the keeper paces time, as it does for the workers of `qdemo run` with a delay.
    pub(crate) fn is_paced(&self) -> bool {
        self.welcome.is_paced
    }

    /// The lines of the queue's journal that were damaged when this client started a keeper for the
    /// queue, counted from 1. What these lines said is lost; the rest of the queue is there. Line 0
    /// stands for the file `memory.json` of earlier versions.
    pub fn damaged_lines(&self) -> &[u64] {
        &self.damaged_lines
    }

    /// Makes waits end with [`Error::StdoutClosed`] when standard output has no reader any more.
    pub(crate) fn stop_when_stdout_closes(&mut self) {
        self.is_tied_to_stdout = true;
    }

    /// Reports that every item of the delivery is done: the queue delivers none of them again.
    ///
    /// Does not wait. The report reaches the keeper with the next request of this client. The keeper
    /// ignores it for an item whose lease has run out.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn done(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.done_ref(delivery.batch.batch_ref())
    }

    /// Reports that one item is done, as [`done`](Self::done) does for a whole delivery.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn done_item(&mut self, item: ItemRef) -> Result<(), Error> {
        self.done_ref(item.into())
    }

    pub(crate) fn done_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        self.done_ref(batch.batch_ref())
    }

    pub(crate) fn done_ref(&mut self, batch_ref: BatchRef) -> Result<(), Error> {
        self.send_report(Request::Done(batch_ref))
    }

    /// Gives every item of the delivery back to the queue, at its old place.
    ///
    /// Does not wait. The report reaches the keeper with the next request of this client.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn requeue(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.requeue_ref(delivery.batch.batch_ref())
    }

    /// Gives one item back to the queue, as [`requeue`](Self::requeue) does for a whole delivery.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn requeue_item(&mut self, item: ItemRef) -> Result<(), Error> {
        self.requeue_ref(item.into())
    }

    pub(crate) fn requeue_ref(&mut self, batch_ref: BatchRef) -> Result<(), Error> {
        self.send_report(Request::Requeue(batch_ref))
    }

    /// Begins the [lease](QueueBuilder::lease) of every item of the delivery anew, for work that takes longer than
    /// the lease. Renew in time: a third of the lease after the delivery, and so on.
    ///
    /// Sends the request at once, and does not wait for an answer. The keeper ignores the request for an item whose lease
    /// has run out. Without a lease, or where the keeper is one of an earlier version, nothing happens.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn renew(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.renew_all([delivery.batch.batch_ref()])
    }

    /// Begins the lease of one item anew, as [`renew`](Self::renew) does for a whole delivery. A report of this item is then
    /// one of its own: [`done`](Self::done) of the whole delivery is not possible any more.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn renew_item(&mut self, item: ItemRef) -> Result<(), Error> {
        self.renew_all([item.into()])
    }

    pub(crate) fn renew_all(
        &mut self,
        items: impl IntoIterator<Item = BatchRef>,
    ) -> Result<(), Error> {
        if self.welcome.can_renew {
            for batch_ref in items {
                self.session.add_request(Request::Renew(batch_ref));
            }
            self.flush_requests()?;
        }
        Ok(())
    }

    fn send_report(&mut self, report: Request) -> Result<(), Error> {
        self.session.add_request(report);
        // Many reports need not wait for the next request.
        if self.session.unsent().unsent_bytes() > PIPE_BUF { self.flush_requests() } else { Ok(()) }
    }

    /// Reports that one item has failed, and why. The queue keeps the item aside: `qdemo failed` lists
    /// the failed items with their reasons, and retries or drops them.
    ///
    /// Sends the report at once, and does not wait for an answer.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn fail(&mut self, item: ItemRef, reason: &str) -> Result<(), Error> {
        self.fail_with(item, &Failure::of_message(reason, WallTime::now()))
    }

    pub(crate) fn fail_with(&mut self, item: ItemRef, failure: &Failure) -> Result<(), Error> {
        let (ItemRef { id, attempt }, reason) = (item, failure.to_reason());
        self.session.add_request(Request::Fail { id, attempt, try_count: 1, reason });
        self.flush_requests()
    }

    /// Sends the reports that would go out with the next request.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.flush_requests()
    }

    /// How long an item may stay with this client; `None` for any time.
    pub(crate) fn lease(&self) -> Option<Nanos> {
        self.options.hello.lease
    }

    /// Whether an item may stay with this client only for a time.
    pub(crate) fn has_lease(&self) -> bool {
        self.lease().is_some()
    }

    /// How many items this client reported that were no longer its own, though it has no lease: on a server, a client
    /// that is not heard of for a while counts as dead.
    pub(crate) fn revoked_items(&self) -> u64 {
        self.revoked_items
    }

    /// How often this client has looked for another keeper: the former one may not have read its last requests.
    pub(crate) fn reconnections(&self) -> u64 {
        self.reconnections
    }

    /// Items that this client reported after their lease had run out, as far as the keeper has said so
    /// since the last call.
    pub(crate) fn take_lease_expired(&mut self) -> Vec<BatchRef> {
        std::mem::take(&mut self.lease_expired)
    }

    /// Sleeps: in paced time in a paced run, else in wall time.
    ///
    /// # Errors
    /// When the keeper dies, which ends the sleep at once, and no other keeper can be started.
    pub(crate) fn sleep(&mut self, delay: Duration) -> Result<(), Error> {
        self.flush_puts()?;
        if delay.is_zero() {
            return Ok(());
        }
        if !self.is_paced() {
            return self.sleep_wall_time(nanos(delay));
        }
        self.session.add_request(Request::Sleep(nanos(delay)));
        self.flush_requests()?;
        self.wait_for_wake()
    }

    /// Sends the unsent puts. Where time is paced, the same write announces the sleep that follows.
    pub(crate) fn send_puts_with_sleep(&mut self, delay: Duration) -> Result<(), Error> {
        if !self.is_paced() || delay.is_zero() {
            return self.flush_puts();
        }
        self.stage_puts();
        self.session.add_request(Request::Sleep(nanos(delay)));
        self.flush_requests()
    }

    /// Sleeps as [`Client::send_puts_with_sleep`] has announced.
    pub(crate) fn finish_announced_sleep(&mut self, delay: Duration) -> Result<(), Error> {
        if self.is_paced() && !delay.is_zero() { self.wait_for_wake() } else { self.sleep(delay) }
    }

    /// Waits until time has begun in a paced run, and until it is this client's turn. Without that, the clients that have
    /// nothing to do would leave in the order in which the system started them.
    pub(crate) fn wait_for_turn(&mut self) -> Result<(), Error> {
        if !self.is_paced() {
            return Ok(());
        }
        self.session.add_request(Request::Sleep(0));
        self.flush_requests()?;
        self.wait_for_wake()
    }

    /// Waits for the end of a requested sleep.
    pub(super) fn wait_for_wake(&mut self) -> Result<(), Error> {
        loop {
            match self.next_reply(None)? {
                Some(Reply::Wake) => return Ok(()),
                Some(other) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }

    /// Leaves the queue. Items in flight with this client go back to their place.
    ///
    /// Dropping the client leaves too, without the summary. Blocks only if an earlier put ended with an
    /// error: until the queue has accepted the items that this put has sent.
    ///
    /// # Errors
    /// As for [`put`](Self::put), among them [`Error::ItemsLost`]. The client has left all the same.
    pub fn leave(mut self) -> Result<LeaveSummary, Error> {
        self.wait_for_all_puts(self.options.timeout)?;
        self.silence_limit = self.silence_limit.without_waiting();
        self.send_query(Request::Bye)?;
        loop {
            match self.next_reply(None)? {
                Some(Reply::Bye { ready, consumers }) => {
                    return self.check_loss().map(|()| LeaveSummary { ready, consumers });
                }
                Some(other) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }

    /// Leaves the queue without waiting for anything, not even for items that an earlier put has sent.
    pub fn leave_at_once(mut self) {
        self.session.add_request(Request::Bye);
        // What does not fit into the pipe is not needed: the keeper sees the end of the pipe.
        let _ = self.requests.write(self.session.unsent());
    }

    /// Deals with a reply that the caller does not wait for.
    pub(super) fn handle_other_reply(&mut self, reply: Reply) -> Result<Option<Accepted>, Error> {
        match reply {
            Reply::Ok { seq, id, window } => {
                let count = seq.saturating_sub(self.last_answered_seq);
                self.last_answered_seq = seq;
                self.window = window;
                let first_id = id.saturating_add(1).saturating_sub(count);
                Ok(Some(Accepted { count, first_id }))
            }
            Reply::Closed { seq } => {
                self.last_answered_seq = self.last_answered_seq.max(seq);
                Err(Error::Closed)
            }
            Reply::NotInFlight(batch_ref) => {
                if !self.has_lease() {
                    self.revoked_items += batch_ref.count;
                }
                self.lease_expired.push(batch_ref);
                Ok(None)
            }
            Reply::Error { code, text } => Err(Error::Refused { code: code.to_string(), text }),
            // An answer to a request that was cancelled.
            _ => Ok(None),
        }
    }
}
