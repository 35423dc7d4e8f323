//! Tests of what users see. Each test runs real processes in a sandbox of its own. No test sorts output that
//! has a defined order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

/// A test of many rounds. `make test` runs a share of the rounds. `make test-slow` runs all rounds.
macro_rules! share {
    ($(#[$meta:meta])* fn $name:ident($rounds:ident: $share:expr, all: $all:expr) $body:block) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            fn check($rounds: usize) $body

            #[test]
            fn share() {
                check($share);
            }

            #[test]
            #[ignore = "slow: `make test-slow` runs it"]
            fn all() {
                check($all);
            }
        }
    };
}

/// A test of the behaviour of a queue: `both!(name, |backend| { … })` makes the tests `name::local` and
/// `name::server`. With `slow` before the name, only `make test-slow` runs them. With `durable`, the server writes each
/// change to its disk before it answers.
macro_rules! both {
    (slow, $name:ident, $test:expr) => {
        both!(@ Server, #[ignore = "slow: `make test-slow` runs it"] $name, $test);
    };
    (durable, $name:ident, $test:expr) => {
        both!(@ DurableServer, $name, $test);
    };
    ($name:ident, $test:expr) => {
        both!(@ Server, $name, $test);
    };
    (@ $server:ident, $(#[$ignore:meta])? $name:ident, $test:expr) => {
        mod $name {
            use super::*;
            use crate::harness::Backend;

            const TEST: fn(Backend) = $test;

            #[test]
            $(#[$ignore])?
            fn local() {
                Backend::Local.check(TEST);
            }

            #[test]
            $(#[$ignore])?
            fn server() {
                Backend::$server.check(TEST);
            }
        }
    };
}

mod admin;
mod architecture;
mod attempts;
mod bad_input;
mod bench;
mod chaos;
mod closed;
mod colors;
mod completions;
mod control;
mod cookbook;
mod delays;
mod documents;
mod error_language;
mod examples;
mod exec;
mod exec_commands;
mod exec_ends;
mod exec_halt;
mod exec_output;
mod exec_results;
mod failures;
mod faults;
mod foreign_pipes;
mod harness;
mod install;
mod journal;
mod languages;
mod learn;
mod leases;
mod leaving;
mod library;
mod misbehaving;
mod namespaces;
mod notices;
mod numbers;
mod oracle;
mod pictures;
mod places;
mod pools;
mod protocol;
mod random_runs;
mod readers;
mod recorded;
mod removing;
mod respawn;
mod run;
mod scarce;
mod schemas;
mod server_chaos;
mod server_cluster;
mod server_faults;
mod server_options;
mod server_patience;
mod server_returns;
mod server_sentinel;
mod server_status;
mod server_tls;
mod shared;
mod shell;
mod side_by_side;
mod signals;
mod silent;
mod simulate;
mod small;
mod stability;
mod statistics;
mod stopped;
mod strangers;
mod sweep;
mod terminal;
mod timeline;
mod trace;
mod typed;
mod upgrade;
mod volume;
mod without_proc;
