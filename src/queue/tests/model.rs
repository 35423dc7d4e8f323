//! The rules against the model, over random operations.

use proptest::prelude::*;

use super::batch_ref;
use crate::queue::model::{ClientKind, MAX_CLIENTS, Operation, run_model_test};

fn operations() -> impl Strategy<Value = Vec<(usize, Operation)>> {
    let kind = prop_oneof![
        4 => Just(ClientKind::Producer),
        1 => Just(ClientKind::KeepOpen),
        4 => Just(ClientKind::Consumer),
        1 => Just(ClientKind::Follower),
        2 => Just(ClientKind::Visitor),
    ];
    let one = prop_oneof![
        2 => (kind, any::<bool>()).prop_map(|(kind, is_late)| Operation::Connect { kind, is_late }),
        5 => (1..6u64).prop_map(Operation::Put),
        5 => (1..6u64).prop_map(Operation::Get),
        5 => (any::<usize>(), 1..4u64).prop_map(|(pick, count)| Operation::Done { pick, count }),
        1 => (0..20u64, 0..4u64).prop_map(|(id, count)| Operation::DoneArbitrary(batch_ref(id, count))),
        1 => any::<usize>().prop_map(Operation::Requeue),
        1 => any::<usize>().prop_map(Operation::Renew),
        1 => (0..20u64, 0..4u64).prop_map(|(id, count)| Operation::RenewArbitrary(batch_ref(id, count))),
        1 => any::<usize>().prop_map(Operation::Attempt),
        1 => any::<usize>().prop_map(Operation::Fail),
        1 => Just(Operation::Join),
        1 => Just(Operation::Retry),
        1 => Just(Operation::Drop),
        1 => Just(Operation::Cancel),
        1 => Just(Operation::Disconnect),
        1 => Just(Operation::ClientDied),
        1 => Just(Operation::AdvanceTime),
        9 => Just(Operation::Step),
        1 => Just(Operation::Close),
        1 => Just(Operation::CloseNow),
    ];
    proptest::collection::vec((0..MAX_CLIENTS, one), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_operations_keep_every_item_the_order_and_the_capacity(
        capacity in 0..4u64,
        operations in operations(),
    ) {
        run_model_test(capacity, operations);
    }
}
