//! Kills and stops real processes at random while their queue is on a server, and kills the server. As in the test of
//! local queues, the test counts the items itself, and `QDEMO_CHAOS_KILLS` and `QDEMO_CHAOS_SEED` apply.

use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;

use crate::chaos::{Chaos, troubles};
use crate::harness::{Backend, LOSES_NOTHING, OwnServer, Proxy, Sandbox, Way, wait_while};

#[test]
fn every_accepted_item_is_done_despite_kills_and_stops() {
    Backend::Server.check(|backend| {
        let sandbox = Sandbox::on(backend);
        let mut chaos = Chaos::start(&sandbox, &["--dead-after", "3s"]);
        let mut stopped: Option<i32> = None;
        for trouble in 0..troubles(60) {
            chaos.wait_for_progress();
            if let Some(pid) = stopped.take_if(|_| trouble % 50 == 10 || chaos.rng.random_bool(0.3))
            {
                if trouble % 50 == 10 {
                    // Its items go to other consumers, as it counts as dead. Then it comes back.
                    sandbox.wait_for_notice_of_death(pid);
                }
                continue_process(&chaos, pid);
            }
            if stopped.is_none() && (trouble % 50 == 9 || chaos.rng.random_bool(0.3)) {
                let at = chaos.rng.random_range(0..chaos.processes.len());
                let process = &chaos.processes[at].1;
                process.signal(Signal::STOP);
                stopped = Some(process.pid());
            } else {
                chaos.replace_process();
            }
        }
        if let Some(pid) = stopped {
            continue_process(&chaos, pid);
        }
        chaos.check();
    });
}

/// Continues a process, unless it was killed.
fn continue_process(chaos: &Chaos<'_>, pid: i32) {
    if let Some((_, process)) = chaos.processes.iter().find(|(_, process)| process.pid() == pid) {
        process.signal(Signal::CONT);
    }
}

#[test]
fn a_server_that_writes_first_loses_nothing_when_it_is_killed() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&LOSES_NOTHING);
        let url = server.url();
        let sandbox = Sandbox::at_server(&url);
        let mut chaos = Chaos::start(&sandbox, &[]);
        for _ in 0..troubles(60) / 20 {
            chaos.wait_for_progress();
            chaos.replace_process();
            chaos.wait_for_progress();
            server.kill();
            server.restart();
        }
        chaos.check();
    });
}

#[test]
fn every_accepted_item_is_done_despite_a_bad_network() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&[]);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        let mut chaos = Chaos::start(&sandbox, &[]);
        for _ in 0..troubles(60) {
            chaos.wait_for_progress();
            let way = if chaos.rng.random() { Way::ToServer } else { Way::ToClient };
            match chaos.rng.random_range(0..10) {
                0 => proxy.cut_all(),
                1 => proxy.half_close(way),
                2 => proxy.delay(Duration::from_millis(chaos.rng.random_range(0..3))),
                3 => server.ask(&["SCRIPT", "FLUSH"]),
                4 => {
                    let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                5 => server.ask(&["CLIENT", "PAUSE", "50"]),
                6 => {
                    proxy.refuse(true);
                    proxy.cut_all();
                    let seen = proxy.accepted();
                    wait_while(|| proxy.accepted() < seen + 5);
                    proxy.refuse(false);
                }
                7 => {
                    let seen = proxy.accepted();
                    server.signal(Signal::STOP);
                    proxy.cut_all();
                    wait_while(|| proxy.accepted() < seen + 5);
                    server.signal(Signal::CONT);
                }
                _ => proxy.cut_after(way, chaos.rng.random_range(0..20_000)),
            }
        }
        proxy.delay(Duration::ZERO);
        chaos.check();
    });
}
