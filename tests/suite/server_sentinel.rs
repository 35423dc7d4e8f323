//! Sentinels, which know where the primary is.

use std::net::TcpListener;

use crate::harness::{Backend, LOSES_NOTHING, OwnServer, Sandbox};

#[test]
fn a_sentinel_leads_to_the_primary_and_a_mute_one_before_it_is_passed_over() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let sentinel = OwnServer::start_sentinel(primary.port());
        // Its connections are accepted by the kernel, and never answered.
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let mute = mute.local_addr().unwrap().port();
        let sandbox = Sandbox::new();
        for hosts in [
            format!("127.0.0.1:{}", sentinel.port()),
            format!("127.0.0.1:{mute},127.0.0.1:{}", sentinel.port()),
        ] {
            let url = format!("redis+sentinel://{hosts}/main");
            let server = ["--server", &url, "--server-timeout", "6s"];
            // A command that has waited for more than a second says so on standard error.
            let put = sandbox.run(&[&["put", "x"], &server[..]].concat());
            assert_eq!(put.code(), Some(0), "{}", put.stderr);
            let status = sandbox.run(&[&["status"], &server[..]].concat());
            assert!(status.lines().concat().contains("default"), "no queue is listed");
            let get = sandbox.run(&[&["get"], &server[..]].concat());
            assert_eq!(get.lines(), ["x"], "{}", get.stderr);
        }
        sandbox.assert_nothing_left();
    });
}

#[test]
fn a_sentinel_that_says_nothing_holds_up_no_command() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let url = format!("redis+sentinel://127.0.0.1:{port}/main");
    let sandbox = Sandbox::new();
    for command in ["status", "get", "close"] {
        let args = [command, "--server", &url, "--server-timeout", "1s"];
        let outcome = sandbox.run(&args);
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        // A command that waits for the server has told so before.
        let line = outcome.stderr.lines().last().unwrap();
        assert!(line.contains(&url) && line.contains("no answer in time"), "{line}");
    }
    sandbox.assert_nothing_left();
}
