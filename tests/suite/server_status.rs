//! `qdemo status` of a server that is away for a while.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Backend, Limit, OwnServer, Proxy, Running, Sandbox, wait_while};

/// Settings of a server that clients do not warn of.
const SAVES: [&str; 2] = ["--save", "31536000 1"];
const AWAY: &str = "cannot be reached";

/// A server with a queue, behind a proxy.
struct Place {
    proxy: Proxy,
    sandbox: Sandbox,
    _server: OwnServer,
}

impl Place {
    fn new() -> Self {
        let server = OwnServer::start(&SAVES);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        sandbox.run(&["put", "x"]).assert_prints("");
        Self { proxy, sandbox, _server: server }
    }

    /// The server is away until [`Proxy::heal`].
    fn cut(&self) {
        self.proxy.refuse(true);
        self.proxy.cut_all();
    }
}

/// Reads lines until one has `text`.
#[track_caller]
fn read_until(running: &mut Running, text: &str) {
    let mut seen = Vec::new();
    loop {
        let line = running.line();
        assert!(!line.is_empty() || seen.len() < 1000, "no {text:?} in {seen:?}");
        if line.contains(text) {
            return;
        }
        seen.push(line);
    }
}

#[test]
fn status_waits_for_a_server_that_comes_back() {
    Backend::Server.check(|_| {
        let place = Place::new();
        place.cut();
        let seen = place.proxy.accepted();
        let status = place.sandbox.start(&["status"]);
        wait_while(|| place.proxy.accepted() < seen + 3);
        place.proxy.heal();
        let outcome = status.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(outcome.text().contains("default: 1 ready"), "{}", outcome.text());
    });
}

#[test]
fn status_watch_shows_in_its_place_that_the_server_is_away_and_goes_on() {
    Backend::Server.check(|_| {
        let place = Place::new();
        let mut watch = place.sandbox.start(&["status", "--watch", "--every", "20ms"]);
        read_until(&mut watch, "1 ready");
        place.cut();
        read_until(&mut watch, AWAY);
        place.proxy.heal();
        read_until(&mut watch, "server redis://");
        read_until(&mut watch, "1 ready");
        // Ctrl-C ends it also while the server is away.
        place.cut();
        read_until(&mut watch, AWAY);
        watch.signal(Signal::INT);
        let outcome = watch.end();
        assert_eq!((outcome.signal(), &*outcome.stderr), (Some(2), ""));
    });
}

#[test]
fn status_watch_in_json_tells_of_the_absence_on_standard_error() {
    Backend::Server.check(|_| {
        let place = Place::new();
        let json = ["status", "--watch", "--every", "20ms", "--format", "json"];
        let mut watch = place.sandbox.start(&[&json[..], &["--server-timeout", "2s"]].concat());
        read_until(&mut watch, r#""ready":1"#);
        place.cut();
        // With a limit it gives up.
        let outcome = watch.end();
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        let lines: Vec<_> = outcome.stderr.lines().collect();
        assert!(lines[0].ends_with("; trying again"), "{lines:?}");
        assert!(lines.last().unwrap().contains(AWAY), "{lines:?}");
        assert!(outcome.lines().iter().all(|line| line.starts_with('{')), "{}", outcome.text());
    });
}

#[test]
fn the_limit_of_status_counts_for_all_its_steps() {
    Backend::Server.check(|_| {
        let place = Place::new();
        // Each answer comes late, but no answer alone takes longer than the limit.
        place.proxy.delay(Duration::from_millis(700));
        let limit = Limit::of_seconds(5);
        let outcome = place.sandbox.run(&["status", "--server-timeout", "1500ms"]);
        assert!(!limit.is_over(), "status takes too long");
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&place.proxy.url()), "{}", outcome.stderr);
    });
}
