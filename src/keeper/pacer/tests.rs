use super::*;

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1000 * MS;

fn producer(index: u32) -> WorkerId {
    WorkerId { role: Role::Producer, index }
}

fn consumer(index: u32) -> WorkerId {
    WorkerId { role: Role::Consumer, index }
}

fn all(_: WorkerId) -> bool {
    true
}

fn none(_: WorkerId) -> bool {
    false
}

impl Pacer {
    /// The next step of a queue that can answer each of these workers, whatever their roles.
    fn step(&mut self, wall: Nanos, can_serve: fn(WorkerId) -> bool) -> PacerStep {
        self.next_step(wall, |_| true, can_serve)
    }
}

/// A pacer with a producer and a consumer, which sleep for `delays`.
fn asleep(speed: Speed, delays: [Nanos; 2]) -> Pacer {
    let workers = [producer(1), consumer(1)];
    let mut pacer = Pacer::new(speed, workers);
    for (worker, delay) in workers.into_iter().zip(delays) {
        pacer.on_run(worker, 0);
        pacer.on_sleep(worker, delay, 0);
    }
    pacer
}

#[test]
fn time_begins_when_all_workers_are_connected_and_at_rest() {
    let mut pacer = Pacer::new(Speed::Times(1.0), [producer(1), consumer(1)]);
    assert_eq!(pacer.step(0, all), PacerStep::Wait(None));
    pacer.on_run(producer(1), 0);
    pacer.on_request(producer(1), 0);
    assert_eq!(pacer.step(5 * SECOND, all), PacerStep::Wait(None), "the consumer is absent");
    pacer.on_run(consumer(1), 5 * SECOND);
    assert_eq!(pacer.step(9 * SECOND, all), PacerStep::Wait(None), "the consumer runs");
    pacer.on_sleep(consumer(1), SECOND, 9 * SECOND);
    assert_eq!(pacer.step(10 * SECOND, none), PacerStep::BeginWait(producer(1)));
    assert_eq!(pacer.step(10 * SECOND, none), PacerStep::Wait(Some(11 * SECOND)));
    assert_eq!(pacer.now(), 0);
    assert_eq!(pacer.step(11 * SECOND, none), PacerStep::Wake(consumer(1)));
    assert_eq!(pacer.now(), SECOND);
}

#[test]
fn time_does_not_wait_for_a_worker_that_was_given_up() {
    let mut pacer = Pacer::new(Speed::Max, [producer(1), consumer(1)]);
    pacer.on_run(producer(1), 0);
    pacer.on_request(producer(1), 0);
    pacer.on_disconnect(consumer(1));
    assert_eq!(pacer.step(0, all), PacerStep::Serve(producer(1)));
}

#[test]
fn of_workers_due_at_one_time_producers_and_low_indexes_go_first() {
    let workers = [consumer(2), consumer(1), producer(2), producer(1)];
    let mut pacer = Pacer::new(Speed::Max, workers);
    for worker in workers {
        pacer.on_run(worker, 0);
    }
    pacer.on_request(consumer(1), 0);
    pacer.on_request(producer(2), 0);
    pacer.on_sleep(consumer(2), 0, 0);
    pacer.on_sleep(producer(1), SECOND, 0);
    let mut order = Vec::new();
    while let PacerStep::Serve(worker) | PacerStep::Wake(worker) = pacer.step(0, all) {
        order.push((pacer.now(), worker));
        pacer.on_disconnect(worker);
    }
    let expected = [(0, producer(2)), (0, consumer(1)), (0, consumer(2))];
    assert_eq!(order[..3], expected);
    assert_eq!(order[3..], [(SECOND, producer(1))]);
}

#[test]
fn no_event_is_later_than_the_latest_time() {
    let mut pacer = asleep(Speed::Max, [LATEST_TIME, Nanos::MAX]);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    assert_eq!((pacer.now(), pacer.is_out_of_time()), (LATEST_TIME, false));
    pacer.on_grant(producer(1), 0);
    pacer.on_sleep(producer(1), 1, 0);
    assert_eq!(pacer.step(0, none), PacerStep::OutOfTime);
    assert_eq!((pacer.now(), pacer.is_out_of_time()), (LATEST_TIME, true));
    assert_eq!(pacer.step(0, all), PacerStep::OutOfTime, "and no step follows");
}

#[test]
fn a_due_time_out_of_range_ends_time_at_a_finite_speed_too() {
    let mut pacer = asleep(Speed::Times(1e-6), [Nanos::MAX, Nanos::MAX]);
    assert_eq!(pacer.step(0, none), PacerStep::OutOfTime);
    // A due time in 584 years is in range, but at this speed no wall time reaches it.
    let mut pacer = asleep(Speed::Times(1e-6), [LATEST_TIME, LATEST_TIME]);
    assert_eq!(pacer.step(0, none), PacerStep::Wait(Some(Nanos::MAX)));
}

#[test]
fn a_straggler_may_come_back_before_the_latest_time_but_not_later() {
    for (wall, out_of_time) in [(3 * SECOND, false), (LATEST_TIME / 1000, true)] {
        let mut pacer = asleep(Speed::Times(1e6), [SECOND, Nanos::MAX]);
        pacer.step(0, none);
        assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
        pacer.on_grant(producer(1), SECOND);
        assert_eq!(pacer.step(SECOND + STRAGGLER_TIMEOUT, none), PacerStep::Wait(None));
        pacer.on_request(producer(1), wall);
        assert_eq!(pacer.step(wall, all) == PacerStep::OutOfTime, out_of_time);
    }
}

#[test]
fn one_worker_runs_at_a_time() {
    let mut pacer = asleep(Speed::Max, [SECOND, SECOND]);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), 0);
    assert_eq!(pacer.step(0, all), PacerStep::Wait(None));
    pacer.on_sleep(producer(1), SECOND, 0);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(consumer(1)));
    assert_eq!(pacer.now(), SECOND);
}

#[test]
fn time_moves_on_if_no_waiting_worker_can_be_served() {
    let mut pacer = asleep(Speed::Max, [3 * SECOND, SECOND]);
    pacer.on_request(consumer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::BeginWait(consumer(1)));
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    assert_eq!(pacer.now(), 3 * SECOND);
    pacer.on_disconnect(producer(1));
    assert_eq!(pacer.step(0, none), PacerStep::Wait(None));
}

#[test]
fn a_sleep_behind_a_put_begins_with_the_answer_to_the_put() {
    let mut pacer = asleep(Speed::Max, [SECOND, 5 * SECOND]);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), 0);
    pacer.on_request(producer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::BeginWait(producer(1)), "the put is blocked");
    // The request for the sleep came later than the put. The wait does not begin twice.
    pacer.on_sleep(producer(1), 2 * SECOND, 0);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(consumer(1)));
    pacer.on_disconnect(consumer(1));
    assert_eq!(pacer.step(0, all), PacerStep::Serve(producer(1)));
    pacer.on_grant(producer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    assert_eq!(pacer.now(), 7 * SECOND);
}

/// A pacer at full speed whose `workers` have asked.
fn all_asked(workers: &[WorkerId]) -> Pacer {
    let mut pacer = Pacer::new(Speed::Max, workers.iter().copied());
    for &worker in workers {
        pacer.on_run(worker, 0);
        pacer.on_request(worker, 0);
    }
    pacer
}

#[test]
fn a_worker_begins_to_wait_when_nobody_can_be_answered_before_time_moves_on() {
    let mut pacer = all_asked(&[consumer(2), consumer(1), producer(2), producer(1)]);
    let begin = |pacer: &mut Pacer, can_serve: fn(WorkerId) -> bool| {
        let step = pacer.step(0, can_serve);
        if let PacerStep::Serve(worker) = step {
            pacer.on_grant(worker, 0);
        }
        step
    };
    // The first producer is answered, and asks again. It has to wait like those that have asked once.
    let first = |worker: WorkerId| worker == producer(1);
    assert_eq!(begin(&mut pacer, first), PacerStep::Serve(producer(1)));
    assert_eq!(begin(&mut pacer, first), PacerStep::Wait(None), "the producer runs");
    pacer.on_request(producer(1), 0);
    for worker in [producer(1), producer(2), consumer(1), consumer(2)] {
        assert_eq!(begin(&mut pacer, none), PacerStep::BeginWait(worker));
    }
    assert_eq!(begin(&mut pacer, none), PacerStep::Wait(None), "nobody begins to wait twice");
    // An answer at the same time is possible still, and the next request is another wait.
    assert_eq!(begin(&mut pacer, first), PacerStep::Serve(producer(1)));
    pacer.on_request(producer(1), 0);
    assert_eq!(begin(&mut pacer, none), PacerStep::BeginWait(producer(1)));
    assert_eq!(begin(&mut pacer, none), PacerStep::Wait(None));
    // So is the first request of the successor of a dead worker.
    pacer.on_death(producer(2), 0);
    pacer.on_run(producer(2), 0);
    pacer.on_request(producer(2), 0);
    assert_eq!(begin(&mut pacer, none), PacerStep::BeginWait(producer(2)));
}

#[test]
fn a_kill_comes_after_the_waits_that_began_before_it() {
    let mut pacer = asleep(Speed::Max, [3 * SECOND, SECOND]);
    pacer.on_request(consumer(1), 0);
    pacer.set_next_kill(Some(2 * SECOND));
    assert_eq!(pacer.step(0, none), PacerStep::BeginWait(consumer(1)));
    assert_eq!(pacer.now(), 0);
    assert_eq!(pacer.step(0, none), PacerStep::Kill);
}

#[test]
fn at_a_finite_speed_a_wait_begins_before_the_wall_time_of_the_next_event() {
    let mut pacer = asleep(Speed::Times(1.0), [SECOND, SECOND]);
    pacer.on_request(consumer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::BeginWait(consumer(1)));
    assert_eq!(pacer.step(0, none), PacerStep::Wait(Some(SECOND)));
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), SECOND);
    pacer.step(SECOND + STRAGGLER_TIMEOUT, none);
    // A straggler comes back at the wall time, and may begin to wait then.
    pacer.on_request(producer(1), 3 * SECOND);
    let step = pacer.step(3 * SECOND, none);
    assert_eq!((step, pacer.now()), (PacerStep::BeginWait(producer(1)), 3 * SECOND));
}

#[test]
fn a_finite_speed_ties_paced_time_to_wall_time() {
    let mut pacer = asleep(Speed::Times(10.0), [SECOND, 2 * SECOND]);
    assert_eq!(pacer.step(7 * MS, none), PacerStep::Wait(Some(107 * MS)));
    assert_eq!(pacer.step(107 * MS - 1, none), PacerStep::Wait(Some(107 * MS)));
    assert_eq!(pacer.step(107 * MS, none), PacerStep::Wake(producer(1)));
    assert_eq!(pacer.now(), SECOND);
    pacer.on_disconnect(producer(1));
    // A late step has its exact paced time all the same.
    assert_eq!(pacer.step(900 * MS, none), PacerStep::Wake(consumer(1)));
    assert_eq!(pacer.now(), 2 * SECOND);
}

#[test]
fn a_straggler_delays_no_worker_and_comes_back_at_the_wall_time() {
    let mut pacer = asleep(Speed::Times(1.0), [SECOND, 4 * SECOND]);
    assert_eq!(pacer.step(0, none), PacerStep::Wait(Some(SECOND)));
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), SECOND);
    assert_eq!(pacer.step(SECOND, all), PacerStep::Wait(Some(SECOND + STRAGGLER_TIMEOUT)));
    let late = SECOND + STRAGGLER_TIMEOUT;
    assert_eq!(pacer.step(late, none), PacerStep::Wait(Some(4 * SECOND)));
    pacer.on_request(producer(1), 3 * SECOND);
    assert_eq!(pacer.step(3 * SECOND, all), PacerStep::Serve(producer(1)));
    assert_eq!(pacer.now(), 3 * SECOND);
}

#[test]
fn a_straggler_does_not_overtake_an_earlier_due_time() {
    let mut pacer = asleep(Speed::Times(1.0), [SECOND, 2 * SECOND]);
    pacer.step(0, none);
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), SECOND);
    pacer.step(SECOND + STRAGGLER_TIMEOUT, none);
    pacer.on_request(producer(1), 9 * SECOND);
    assert_eq!(pacer.now(), 2 * SECOND);
}

#[test]
fn at_full_speed_time_waits_for_every_worker() {
    let mut pacer = asleep(Speed::Max, [SECOND, 2 * SECOND]);
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), 0);
    assert_eq!(pacer.step(3600 * SECOND, all), PacerStep::Wait(None));
}

#[test]
fn skip_sleeps_ends_all_sleeps_of_a_role() {
    let mut pacer = asleep(Speed::Times(1.0), [100 * SECOND, 2 * SECOND]);
    pacer.step(0, none);
    pacer.skip_sleeps(Role::Producer, SECOND);
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
    assert_eq!(pacer.now(), SECOND);
    pacer.on_grant(producer(1), SECOND);
    pacer.on_sleep(producer(1), 100 * SECOND, SECOND);
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wake(producer(1)));
    pacer.on_disconnect(producer(1));
    assert_eq!(pacer.step(SECOND, none), PacerStep::Wait(Some(2 * SECOND)));
}

#[test]
fn time_stands_still_from_a_death_to_the_replacement() {
    let mut pacer = asleep(Speed::Times(1.0), [SECOND, 2 * SECOND]);
    pacer.step(0, none);
    pacer.on_death(consumer(1), 600 * MS);
    assert_eq!(pacer.now(), 600 * MS, "the death is at the wall time");
    assert_eq!(pacer.step(3 * SECOND, none), PacerStep::Wait(None));
    pacer.on_death(producer(1), 4 * SECOND);
    assert_eq!(pacer.now(), 600 * MS, "time stands still for the second death");
    pacer.on_run(consumer(1), 5 * SECOND);
    pacer.on_sleep(consumer(1), 2 * SECOND, 5 * SECOND);
    assert_eq!(pacer.step(5 * SECOND, none), PacerStep::Wait(None));
    pacer.on_run(producer(1), 5 * SECOND);
    pacer.on_request(producer(1), 5 * SECOND);
    assert_eq!(pacer.step(5 * SECOND, all), PacerStep::Serve(producer(1)));
    assert_eq!(pacer.now(), 600 * MS);
}

#[test]
fn time_does_not_wait_for_a_dead_worker_that_was_given_up() {
    let mut pacer = asleep(Speed::Max, [SECOND, 2 * SECOND]);
    pacer.on_death(producer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::Wait(None));
    pacer.on_disconnect(producer(1));
    assert_eq!(pacer.step(0, none), PacerStep::Wake(consumer(1)));
    assert_eq!(pacer.now(), 2 * SECOND);
}

#[test]
fn time_does_not_begin_before_an_early_death_is_replaced() {
    let mut pacer = Pacer::new(Speed::Times(1.0), [producer(1), consumer(1)]);
    pacer.on_run(producer(1), 0);
    pacer.on_request(producer(1), 0);
    pacer.on_death(consumer(1), SECOND);
    assert_eq!((pacer.now(), pacer.step(SECOND, all)), (0, PacerStep::Wait(None)));
}

#[test]
fn skip_sleeps_shortens_a_sleep_behind_a_put_and_a_refusal_cancels_it() {
    let mut pacer = asleep(Speed::Max, [0, 5 * SECOND]);
    for _ in 0..2 {
        assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
        pacer.on_grant(producer(1), 0);
        pacer.on_request(producer(1), 0);
        pacer.on_sleep(producer(1), 2 * SECOND, 0);
        // The producer still waits for its wake.
        pacer.skip_sleeps(Role::Producer, 0);
        assert_eq!(pacer.step(0, all), PacerStep::Serve(producer(1)));
        pacer.on_grant(producer(1), 0);
    }
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), 0);
    pacer.on_request(producer(1), 0);
    pacer.on_sleep(producer(1), 2 * SECOND, 0);
    pacer.on_run(producer(1), 0);
    assert_eq!(pacer.step(0, all), PacerStep::Wait(None), "the producer runs");
}

#[test]
fn time_stops_once_for_a_kill_before_what_is_due_then() {
    let mut pacer = asleep(Speed::Max, [2 * SECOND, 3 * SECOND]);
    pacer.set_next_kill(Some(2 * SECOND));
    assert_eq!(pacer.step(0, none), PacerStep::Kill);
    assert_eq!((pacer.now(), pacer.is_kill_due()), (2 * SECOND, true));
    // The caller found nobody to kill.
    pacer.set_next_kill(Some(10 * SECOND));
    assert!(!pacer.is_kill_due());
    assert_eq!(pacer.step(0, none), PacerStep::Wake(producer(1)));
    pacer.on_grant(producer(1), 0);
    assert_eq!(pacer.step(0, none), PacerStep::Wait(None), "a worker that runs is not killed");
    let mut pacer = asleep(Speed::Times(2.0), [2 * SECOND, 3 * SECOND]);
    pacer.set_next_kill(Some(SECOND));
    assert_eq!(pacer.step(0, none), PacerStep::Wait(Some(500 * MS)), "half a second of wall time");
    assert_eq!(pacer.step(500 * MS, none), PacerStep::Kill);
    pacer.on_death(consumer(1), 500 * MS);
    pacer.set_next_kill(Some(2 * SECOND));
    let wait = pacer.step(5 * SECOND, none);
    assert_eq!(
        (wait, pacer.now()),
        (PacerStep::Wait(None), SECOND),
        "time waits for the successor"
    );
}
