//! A keeper, a producer and a consumer in one process, without pipes and always with the same steps.
//! `make instructions` counts the instructions of the keeper's part for each item.

use std::collections::BTreeSet;

use super::FakeHost;
use crate::client::session::Session;
use crate::keeper::Keeper;
use crate::queue::{ClientId, Queue, QueueState};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, Hello, Reply, Request};

const ITEM_COUNT: u64 = 100_000;
/// A line of 22 bytes of JSON.
const ITEM: &[u8] = b"\"00000000000000000000\"\n";
/// The bytes of a write to the inbox and of a read from the inbox, as on Linux.
const WRITE_SIZE: usize = 4096;
const READ_SIZE: usize = 64 * 1024;

/// `benches/instructions/count.sh` runs this test and counts the instructions of [`process_inbox`].
#[test]
fn every_item_passes_through_the_keeper() {
    let [mut producer, mut consumer] =
        [(0, Role::Producer), (1, Role::Consumer)].map(|(id, role)| LoopClient::new(id, role));
    let queue = Queue::new(QueueState::default(), false);
    let workers = BTreeSet::from([producer.worker, consumer.worker]);
    let mut keeper = Keeper::new(queue, Some(workers), None);
    let mut host = FakeHost::new(());
    consumer.session.add_request(Request::Get { max: ITEM_COUNT });
    let (mut put, mut delivered, mut has_ended) = (0, 0, false);
    while !has_ended {
        let mut inbox = Vec::with_capacity(READ_SIZE);
        while inbox.len() + WRITE_SIZE <= READ_SIZE && put < ITEM_COUNT {
            let count =
                ((producer.session.max_put_bytes() / ITEM.len()) as u64).min(ITEM_COUNT - put);
            producer.session.put(count, ITEM.repeat(usize::try_from(count).unwrap()));
            put += count;
            if put == ITEM_COUNT {
                producer.session.add_request(Request::Bye);
            }
            producer.write_to(&mut inbox);
        }
        consumer.write_to(&mut inbox);
        assert!(!inbox.is_empty(), "no progress after {delivered} of {ITEM_COUNT} items");
        process_inbox(&mut keeper, &inbox, &mut host);
        for client in [&mut producer, &mut consumer] {
            let mail = host.mailboxes.get_mut(&client.id).unwrap();
            client.session.feed(mail);
            mail.clear();
        }
        // The reply to a put makes room for the next put.
        while producer.session.next().transpose().unwrap().is_some() {}
        while let Some(reply) = consumer.session.next().transpose().unwrap() {
            match reply {
                Reply::Batch(batch) => {
                    delivered += batch.count();
                    let batch_ref = batch.batch_ref();
                    consumer.session.add_request(Request::Done(batch_ref));
                    consumer.session.add_request(Request::Get { max: ITEM_COUNT });
                }
                Reply::Ended => has_ended = true,
                other => panic!("{other:?} after {delivered} of {ITEM_COUNT} items"),
            }
        }
    }
    assert_eq!(delivered, ITEM_COUNT);
}

/// The counted part: reads the requests and writes the replies. `count.sh` names this function.
#[inline(never)]
fn process_inbox(keeper: &mut Keeper, inbox: &[u8], host: &mut FakeHost<()>) {
    keeper.receive(0, inbox, host);
    keeper.process_pending(0, host).unwrap();
}

struct LoopClient {
    /// Clients have ids in the order of their connects.
    id: ClientId,
    worker: WorkerId,
    session: Session,
}

impl LoopClient {
    fn new(id: ClientId, role: Role) -> Self {
        let key = ClientKey(role as u64 + 1);
        let hello = Hello { worker_index: Some(1), mailbox: Some(key), ..Hello::new(role) };
        let session = Session::new(key, hello, WRITE_SIZE);
        Self { id, worker: WorkerId { role, index: 1 }, session }
    }

    fn write_to(&mut self, inbox: &mut Vec<u8>) {
        self.session.finish_write();
        while let Some(write) = self.session.next_write() {
            inbox.extend_from_slice(write);
            self.session.pop_written();
        }
    }
}
