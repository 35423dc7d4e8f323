//! The rules against books kept by somebody else, over random moves.

use proptest::prelude::*;

use super::which;
use crate::queue::model::{CLIENTS, Kind, Move, play};

fn moves() -> impl Strategy<Value = Vec<(usize, Move)>> {
    let kind = prop_oneof![
        4 => Just(Kind::Producer),
        1 => Just(Kind::KeepOpen),
        4 => Just(Kind::Consumer),
        1 => Just(Kind::Follower),
        2 => Just(Kind::Visitor),
    ];
    let one = prop_oneof![
        2 => (kind, any::<bool>()).prop_map(|(kind, late)| Move::Join(kind, late)),
        5 => (1..6u64).prop_map(Move::Put),
        5 => (1..6u64).prop_map(Move::Get),
        5 => (any::<usize>(), 1..4u64).prop_map(|(pick, part)| Move::Done { pick, part }),
        1 => (0..20u64, 0..4u64).prop_map(|(first, count)| Move::Claim(which(first, count))),
        1 => any::<usize>().prop_map(Move::GiveBack),
        1 => any::<usize>().prop_map(Move::Attempt),
        1 => any::<usize>().prop_map(Move::Fail),
        1 => Just(Move::Wait),
        1 => Just(Move::Retry),
        1 => Just(Move::Drop),
        1 => Just(Move::Cancel),
        1 => Just(Move::Leave),
        1 => Just(Move::Die),
        1 => Just(Move::Later),
        9 => Just(Move::Step),
        1 => Just(Move::Close),
        1 => Just(Move::CloseNow),
    ];
    proptest::collection::vec((0..CLIENTS, one), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_clients_do_items_are_conserved_in_order_within_capacity(
        capacity in 0..4u64,
        moves in moves(),
    ) {
        play(capacity, moves);
    }
}
