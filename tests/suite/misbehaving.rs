//! Clients that break the rules: each costs the keeper a bounded amount of memory, and disturbs nobody.
//!
//! Local: these clients break the protocol of the pipes.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::harness::{Sandbox, wait_while};
use crate::protocol::{RawClient, announce, hello, make_pipe, open_new_pipe, pipe_name};
use crate::strangers::{Keeper, Neighbours, OnDrop};

const KEY: &str = "00000000000000b2";

/// The text of a put of a single item with this many bytes.
fn put_of(seq: u64, item_bytes: usize) -> Vec<u8> {
    let mut put = format!("put {seq} 1 {}\n", item_bytes + 1).into_bytes();
    put.extend(format!("\"{}\"\n", "x".repeat(item_bytes - 2)).into_bytes());
    put
}

/// Waits until the keeper knows only the two neighbours.
fn wait_until_gone(sandbox: &Sandbox) {
    sandbox.wait_for_status(|status| {
        let count = |role: &str| status[role].as_array().unwrap().len();
        (count("producers"), count("consumers")) == (1, 1)
    });
}

#[test]
fn a_client_cannot_change_the_items_of_another_client() {
    let sandbox = Sandbox::new();
    let mut holder = sandbox.start_consumer(&["--delay", "1h", "--format", "raw"]);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let keeper = Keeper::of(&sandbox, 24);
    let mut other = RawClient::welcomed(&sandbox.queue("default"), KEY, &hello("visitor"));
    for id in 1..=3 {
        for request in ["done {} 1 1", "requeue {} 1 1", "fail {} 1 1 out of spite"] {
            other.send(&format!("{}\n", request.replace("{}", &id.to_string())));
            assert_eq!(other.receive(), format!("not-in-flight {id} 1 1"));
        }
        other.send(&format!("attempt {id} 2\n"));
        assert_eq!(other.receive(), "count 0");
    }
    other.send("size\nbye\n");
    assert_eq!(other.receive(), "size 2 1 0 0 0");
    assert!(other.receive().starts_with("bye "));
    keeper.assert_sound();
    holder.signal(Signal::TERM);
    assert_eq!(holder.line(), "");
    holder.end();
    sandbox.run(&["get", "--count", "3"]).assert_prints("first of all\na\nb\n");
}

#[test]
fn a_client_that_asks_and_never_reads_counts_as_dead() {
    let sandbox = Sandbox::new();
    let stays = sandbox.start_consumer(&["--delay", "1h"]);
    let large = format!("{}\n", "x".repeat(4 << 20));
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    let keeper = Keeper::of(&sandbox, 300);
    let mut deaf = RawClient::connect(&sandbox.queue("default"), KEY, &hello("visitor"));
    // 400 MiB, asked for with a single write.
    deaf.send(&"peek 2 1\n".repeat(100));
    sandbox.run(&["peek"]).assert_done();
    keeper.assert_sound();
    sandbox.run(&["get"]).assert_done();
    stays.signal(Signal::TERM);
    stays.end();
    // The keeper has closed the unread mailbox.
    sandbox.run(&["get"]).assert_prints("first of all\n");
    sandbox.assert_nothing_left();
}

/// Requests of which each has a reply.
const ANSWERED: [&str; 2] = ["status\n", "nothing\n"];

/// Writes the request again and again until the keeper disconnects the client. Other clients go on.
fn flood(neighbours: &mut Neighbours<'_>, client: &mut RawClient, request: &str) {
    let text = request.repeat(60_000 / request.len());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        // The flood also ends when an assertion fails.
        let _stop = OnDrop(is_over);
        let flooding = scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) && client.try_send(text.as_bytes()).is_ok() {}
        });
        while !flooding.is_finished() {
            neighbours.pass(1);
        }
    });
}

#[test]
fn a_client_that_floods_the_keeper_and_never_reads_disturbs_nobody() {
    for request in ANSWERED {
        let sandbox = Sandbox::new();
        let mut neighbours = Neighbours::new(&sandbox, 200);
        let mut deaf = RawClient::welcomed(&sandbox.queue("default"), KEY, &hello("visitor"));
        flood(&mut neighbours, &mut deaf, request);
        neighbours.pass_from_a_new_client();
        neighbours.end();
    }
}

#[test]
fn a_client_that_floods_the_keeper_and_closes_its_mailbox_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let mut client = RawClient::welcomed(&sandbox.queue("default"), KEY, &hello("visitor"));
    client.close_mailbox();
    flood(&mut neighbours, &mut client, "size\n");
    neighbours.end();
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_request_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    let long = "x".repeat(4096);
    let halves = [
        "",
        "g",
        "get",
        "put 1 1 5",
        "put 1 1 5\n",
        "put 1 1 5\n\"ab\"",
        "put 2 2 60000\n\"a\"\n",
        "put 1 1 16000000\n\"a",
        &long,
    ];
    let mut clients = Vec::new();
    for (half, number) in halves.iter().zip(0xb0..) {
        let key = format!("{number:016x}");
        let mut client = RawClient::welcomed(&dir, &key, &hello("producer"));
        client.send(half);
        clients.push(client);
        neighbours.pass(2);
    }
    drop(clients);
    wait_until_gone(&sandbox);
    neighbours.end();
}

#[test]
fn clients_that_die_in_the_middle_of_a_large_item_leave_nothing() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 64);
    let put = put_of(1, 16 << 20);
    for _ in 0..8 {
        let mut client = RawClient::welcomed(&sandbox.queue("default"), KEY, &hello("producer"));
        // The last byte is missing.
        client.send_bytes(&put[..put.len() - 1]);
        neighbours.pass(1);
        drop(client);
        wait_until_gone(&sandbox);
    }
    neighbours.end();
}

#[test]
fn large_items_of_several_clients_cost_their_own_size() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 120);
    let dir = sandbox.queue("default");
    let put = put_of(1, 16 << 20);
    let mut clients = Vec::new();
    for key in 0..4 {
        let mut client = RawClient::welcomed(&dir, &format!("{key:016x}"), &hello("producer"));
        client.send_bytes(&put[..put.len() - 1]);
        neighbours.pass(1);
        clients.push(client);
    }
    drop(clients);
    wait_until_gone(&sandbox);
    neighbours.end();
}

#[test]
fn puts_that_promise_too_much_are_refused() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    let max = u64::MAX;
    for (request, error) in [
        (format!("put {max} {max} {max}\n1\n"), "too-large"),
        (format!("put {max} 1 {max}\n1\n"), "too-large"),
        (format!("put {max} 1 16777218\n1\n"), "too-large"),
        ("put 2 2 65537\n1\n".to_owned(), "too-large"),
        (format!("put {max}0 1 2\n1\n"), "malformed"),
        ("put 1 1 -2\n1\n".to_owned(), "malformed"),
        ("put 1 2 4\n1\n2\n".to_owned(), "malformed"),
        (format!("get {}\n", "1".repeat(5000)), "malformed"),
    ] {
        let mut client = RawClient::welcomed(&dir, KEY, &hello("producer"));
        client.send(&request);
        let reply = client.receive();
        assert!(reply.starts_with(&format!("error {error} ")), "{request}: {reply}");
        // The keeper disconnects the client.
        wait_while(|| client.try_send(b"size\n").is_ok());
        wait_until_gone(&sandbox);
        neighbours.pass(2);
    }
    // This put has a known end.
    let mut client = RawClient::welcomed(&dir, KEY, &hello("producer"));
    client.send(&format!("put {max} {max} 4\n1\n2\nget 0\n"));
    for reason in ["the items of a put", "get takes"] {
        assert!(client.receive().starts_with(&format!("error malformed {reason} ")));
    }
    drop(client);
    // A client that may have large items costs nothing before it sends one.
    let hello = hello("producer").replace('}', r#","max_item_bytes":9223372036854775807}"#);
    let clients: Vec<_> = (0..20)
        .map(|key| {
            let mut client = RawClient::welcomed(&dir, &format!("{key:016x}"), &hello);
            client.send("put 1 1 268435457\n\"a");
            client
        })
        .collect();
    neighbours.pass(2);
    drop(clients);
    wait_until_gone(&sandbox);
    neighbours.end();
}

#[test]
fn a_producer_that_ignores_its_window_costs_a_bounded_amount_and_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let args = ["producer", "--keep-open", "--capacity", "2", "--quiet", "-"];
    let holder = sandbox.start(&args);
    sandbox.wait_for_status(|status| status["capacity"] == 2);
    let keeper = Keeper::of(&sandbox, 100);
    let dir = sandbox.queue("default");
    let mut visitor = RawClient::welcomed(&dir, "00000000000000a1", &hello("visitor"));
    let mut flooder = RawClient::welcomed(&dir, KEY, &hello("producer"));
    let item = format!("\"{}\"\n", "x".repeat(32_765));
    for seq in 1..=1000 {
        let seq = seq * 2;
        flooder.send(&format!("put {seq} 2 {}\n{item}{item}", item.len() * 2));
    }
    assert_eq!(flooder.receive(), "ok 2 2 0");
    assert!(flooder.receive().starts_with("error too-far "));
    for id in 1..=5 {
        visitor.send("get 1\n");
        assert_eq!(visitor.receive(), format!("batch {id} 1 1 {}", item.len()));
        assert_eq!(visitor.receive_bytes(item.len()), item.as_bytes());
        visitor.send(&format!("done {id} 1\n"));
    }
    keeper.assert_sound();
    holder.end().assert_done();
}

#[test]
fn a_client_whose_pipes_are_one_pipe_is_refused() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    let mailbox = dir.join(pipe_name("mailbox", KEY));
    let both_ends = open_new_pipe(&mailbox);
    fs::hard_link(&mailbox, dir.join(pipe_name("requests", KEY))).unwrap();
    announce(&dir, KEY, &hello("visitor"));
    neighbours.pass(20);
    drop(both_ends);
    let _ = fs::remove_file(dir.join(pipe_name("requests", KEY)));
    neighbours.end();
}

#[test]
fn a_client_without_a_writing_end_is_dead() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    let mailbox = open_new_pipe(&dir.join(pipe_name("mailbox", KEY)));
    make_pipe(&dir.join(pipe_name("requests", KEY)));
    announce(&dir, KEY, &hello("producer"));
    neighbours.pass(2);
    // The mailbox still has a reader.
    wait_until_gone(&sandbox);
    drop(mailbox);
    neighbours.end();
}
