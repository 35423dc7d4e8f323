//! A keeper, a producer and a consumer in one process, without pipes and always with the same steps.
//! `make instructions` counts the instructions of the keeper's part for each item.

use std::collections::BTreeSet;

use super::FakeHost;
use super::fake_host::take_all;
use crate::client::session::Session;
use crate::keeper::Keeper;
use crate::queue::{ClientId, Items, Queue, QueueState};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, Hello, MAX_PUT_BYTES, Reply, Request};

const ITEM_COUNT: u64 = 100_000;
/// A line of 22 bytes of JSON.
const ITEM: &[u8] = b"\"00000000000000000000\"\n";
/// `benches/instructions/count.sh` runs this test and counts the instructions of [`process_inbox`].
#[test]
fn every_item_passes_through_the_keeper() {
    let [mut producer, mut consumer] =
        [(0, Role::Producer), (1, Role::Consumer)].map(|(id, role)| LoopClient::new(id, role));
    let queue = Queue::new(QueueState::default(), false);
    let workers = BTreeSet::from([producer.worker, consumer.worker]);
    let mut keeper = Keeper::new(queue, Some(workers), None);
    let mut host = FakeHost::new(());
    for client in [&producer, &consumer] {
        keeper.receive_announcements(0, &client.session.announcement(), &mut host);
    }
    consumer.session.add_request(Request::Get { max: ITEM_COUNT });
    let (mut put, mut delivered, mut has_ended) = (0, 0, false);
    while !has_ended {
        if put < ITEM_COUNT {
            let count = ((MAX_PUT_BYTES / ITEM.len()) as u64).min(ITEM_COUNT - put);
            let bytes = ITEM.repeat(usize::try_from(count).unwrap()).into();
            producer.session.put(Items { count, bytes });
            put += count;
            if put == ITEM_COUNT {
                producer.session.add_request(Request::Bye);
            }
        }
        let written = [&mut producer, &mut consumer]
            .map(|client| (client.id, take_all(client.session.unsent())));
        assert!(
            written.iter().any(|(_, bytes)| !bytes.is_empty()),
            "no progress after {delivered} of {ITEM_COUNT} items"
        );
        process_requests(&mut keeper, &written, &mut host);
        for client in [&mut producer, &mut consumer] {
            client.session.feed(&host.take_mail(client.id));
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
fn process_requests(keeper: &mut Keeper, written: &[(ClientId, Vec<u8>)], host: &mut FakeHost<()>) {
    for (client, bytes) in written {
        host.write(keeper, 0, *client, bytes);
    }
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
        let hello = Hello { worker_index: Some(1), ..Hello::new(role) };
        Self { id, worker: WorkerId { role, index: 1 }, session: Session::new(key, hello) }
    }
}
