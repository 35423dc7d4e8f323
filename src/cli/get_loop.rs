//! The loop that gets items, prints them and reports them done. It knows nothing of options and formats.

use crate::client::{Client, Delivery, Error};

/// The limit of one get without a delay and without a reader to wait for.
const MAX_GET_ITEMS: u64 = 65536;

/// What a command adds to the loop.
pub(super) trait GetCommand {
    /// Gets up to `max` items. `None` is the end of the queue.
    fn get(&mut self, client: &mut Client, max: u64) -> Result<Option<Delivery>, Error>;

    /// Prints `delivery`. The loop reports the items done after that.
    fn print(&mut self, client: &mut Client, delivery: &Delivery) -> anyhow::Result<()>;
}

/// Why the loop stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopEnd {
    /// All the items that the command asked for are done.
    Complete,
    /// The timeout passed without an item.
    Empty,
    Ended,
}

/// Gets, prints and finishes up to `count` items.
pub(super) fn get_items(
    client: &mut Client,
    command: &mut impl GetCommand,
    count: u64,
) -> anyhow::Result<LoopEnd> {
    let mut left = count;
    while left > 0 {
        let delivery = match command.get(client, left.min(MAX_GET_ITEMS)) {
            Ok(Some(delivery)) => delivery,
            Ok(None) => return Ok(LoopEnd::Ended),
            Err(Error::Empty) => return Ok(LoopEnd::Empty),
            Err(error) => return Err(error.into()),
        };
        command.print(client, &delivery)?;
        left -= delivery.count();
        client.done_batch(delivery.batch())?;
    }
    Ok(LoopEnd::Complete)
}

/// Calls `act`, then leaves the queue. Leaves at once after an error: the items that the client still holds
/// are requeued.
pub(super) fn leave_after<T>(
    mut client: Client,
    act: impl FnOnce(&mut Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let acted = act(&mut client);
    if acted.is_ok() {
        client.leave()?;
    } else {
        client.leave_at_once();
    }
    acted
}
