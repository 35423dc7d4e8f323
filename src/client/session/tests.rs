//! Tests of what a session sends, and what it says, after the loss of its keeper or server.

use super::*;
use crate::role::Role;

fn new_session(role: Role) -> Session {
    Session::new(ClientKey(1), Hello::new(role))
}

fn welcome(more: &str) -> String {
    format!("welcome {{\"version\":2,\"paced\":false,\"window\":9{more}}}\n")
}

/// What the client writes next.
fn unsent(session: &mut Session) -> String {
    String::from_utf8(session.unsent().take(usize::MAX)).unwrap()
}

fn lose_server(session: &mut Session, handled_requests: u64, last_answer: Option<Clock>) {
    let was_with_server = true;
    session.resume(LastConversation { was_with_server, handled_requests, last_answer });
}

/// A session of a consumer that reported its item as done: its second request.
fn session_with_report() -> Session {
    let mut session = new_session(Role::Consumer);
    session.add_request(Request::Get { max: 1 });
    session.feed((welcome("") + "batch 1 1 1 2\n1\n").as_bytes());
    let item = BatchRef { first_id: 1, count: 1, attempt: Some(1) };
    session.add_request(Request::Done(item));
    session
}

/// What that consumer sends after a loss of the keeper, which had handled this number of requests.
fn sent_after_loss(handled_requests: u64, welcome: &str) -> String {
    let mut session = session_with_report();
    lose_server(&mut session, handled_requests, None);
    // The conversation with another keeper does not begin.
    session.resume(LastConversation::default());
    session.feed(welcome.as_bytes());
    unsent(&mut session)
}

const FORGOTTEN: &str = r#","forgotten":true"#;

#[test]
fn a_consumer_that_counted_as_dead_learns_that_its_items_are_not_its_own() {
    assert_eq!(sent_after_loss(1, &welcome(FORGOTTEN)), "done 1 1 1\n");
    let in_flight = r#","resumed":{"accepted":[],"in_flight":[[1,1,1]]}"#;
    assert_eq!(sent_after_loss(0, &welcome(in_flight)), "done 1 1 1\n");
    // The report may have arrived: the item is done then.
    let nothing = r#","resumed":{"accepted":[],"in_flight":[]}"#;
    assert_eq!(sent_after_loss(0, &welcome(nothing)), "");
}

#[test]
fn a_report_that_a_server_has_handled_is_not_repeated_to_one_that_has_forgotten_it() {
    assert_eq!(sent_after_loss(2, &welcome(FORGOTTEN)), "");
    // Unless the server has lost what it had confirmed.
    let in_flight = r#","resumed":{"accepted":[],"in_flight":[[1,1,1]]}"#;
    assert_eq!(sent_after_loss(2, &welcome(in_flight)), "done 1 1 1\n");
    // A report that was handled in an earlier conversation stays handled.
    let mut session = session_with_report();
    lose_server(&mut session, 2, None);
    session.feed(welcome(FORGOTTEN).as_bytes());
    session.add_request(Request::Get { max: 1 });
    assert_eq!(unsent(&mut session), "get 1\n");
    lose_server(&mut session, 0, None);
    session.feed(welcome(FORGOTTEN).as_bytes());
    assert_eq!(unsent(&mut session), "get 1\n");
    // A report that was repeated is not handled by its first number.
    let mut session = session_with_report();
    session.resume(LastConversation::default());
    session.feed(welcome(in_flight).as_bytes());
    assert_eq!(unsent(&mut session), "done 1 1 1\n");
    lose_server(&mut session, 1, None);
    session.feed(welcome(FORGOTTEN).as_bytes());
    assert_eq!(unsent(&mut session), "");
}

#[test]
fn what_a_client_asks_before_the_next_welcome_is_asked_once() {
    let mut session = session_with_report();
    session.add_request(Request::Get { max: 1 });
    session.feed(b"batch 2 1 1 2\n2\n");
    lose_server(&mut session, 3, None);
    let item = BatchRef { first_id: 2, count: 1, attempt: Some(1) };
    session.add_request(Request::Done(item));
    session.put(Items { count: 1, bytes: "1\n".into() });
    session.add_request(Request::Cancel);
    let in_flight = r#","resumed":{"accepted":[],"in_flight":[[2,1,1]]}"#;
    session.feed(welcome(in_flight).as_bytes());
    assert_eq!(unsent(&mut session), "done 2 1 1\nput 1 1 2\n1\ncancel\n");
    // A report that was never sent is not handled.
    let mut session = session_with_report();
    lose_server(&mut session, 2, None);
    session.add_request(Request::Done(item));
    session.feed(welcome(FORGOTTEN).as_bytes());
    assert_eq!(unsent(&mut session), "done 2 1 1\n");
}

/// The session of a producer whose first item is accepted, and whose second item has no answer, resumes after so many
/// seconds without an answer.
fn resumed_producer(seconds: i128, welcome: &str) -> Session {
    let mut session = new_session(Role::Producer);
    session.feed(self::welcome("").as_bytes());
    let item = |text: &'static str| Items { count: 1, bytes: text.into() };
    session.put(item("1\n"));
    session.feed(b"ok 1 1 9\n");
    session.put(item("2\n"));
    let Clock::Boot { namespace_offset, offset } = Clock::start_boot() else { unreachable!() };
    let namespace_offset = namespace_offset - seconds * 1_000_000_000;
    let last_answer = Some(Clock::Boot { namespace_offset, offset });
    lose_server(&mut session, 1, last_answer);
    // The server answers the first call, and the welcome is lost.
    let last_answer = Some(Clock::start_boot());
    lose_server(&mut session, 0, last_answer);
    session.feed(welcome.as_bytes());
    session
}

#[test]
fn nothing_is_lost_or_put_twice_after_more_than_an_hour() {
    let nothing = welcome(r#","resumed":{"accepted":[],"in_flight":[]}"#);
    for welcome in [&welcome(""), &nothing] {
        let mut session = resumed_producer(3400, welcome);
        assert_eq!(session.take_loss(), None);
        assert!(session.is_put_unknown());
        assert_eq!(unsent(&mut session), "");
        // The next resume finds no loss either.
        let last_answer = Some(Clock::start_boot());
        lose_server(&mut session, 0, last_answer);
        session.feed(nothing.as_bytes());
        assert_eq!(session.take_loss(), None);
        assert!(!session.is_put_unknown());
    }
    // Before that time it is a loss, and the put is repeated.
    let mut session = resumed_producer(3000, &nothing);
    assert_eq!(session.take_loss(), Some(Loss { items: 1 }));
    assert_eq!(unsent(&mut session), "put 2 1 2\n2\n");
    // The server knows the items after that time, too, if nobody has noticed the silence.
    let known = r#","resumed":{"accepted":[[1,1]],"in_flight":[]}"#;
    let mut session = resumed_producer(3400, &welcome(known));
    assert!(!session.is_put_unknown());
    assert_eq!(unsent(&mut session), "put 2 1 2\n2\n");
}

#[test]
fn items_that_a_server_lists_again_after_a_loss_of_its_own_are_returned() {
    let mut session = new_session(Role::Visitor);
    session.add_request(Request::Get { max: 1 });
    session.feed(b"welcome {\"version\":2,\"paced\":false,\"window\":9}\nbatch 1 1 1 2\n1\n");
    let batch_ref = BatchRef { first_id: 1, count: 1, attempt: Some(1) };
    session.add_request(Request::Done(batch_ref));
    session.put(Items { count: 3, bytes: "1\n2\n3\n".into() });
    session.add_request(Request::Size);
    session.feed(b"ok 3 4 9\nsize 0 0 1 0 0\n");
    session.resume(LastConversation::default());
    assert_eq!(session.take_loss(), None);
    session.feed(
        b"welcome {\"version\":2,\"paced\":false,\"window\":9,\
          \"resumed\":{\"accepted\":[[1,2]],\"in_flight\":[[1,1,1]]}}\n",
    );
    assert_eq!(session.take_loss(), Some(Loss { items: 2 }), "items 2 and 3 are gone");
    assert_eq!(String::from_utf8(session.unsent().take(usize::MAX)).unwrap(), "requeue 1 1 1\n");
}
