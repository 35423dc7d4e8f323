//! What users see, tried with real processes in a private place each. Order is never sorted away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bad_input;
mod bench;
mod chaos;
mod cookbook;
mod delays;
mod documents;
mod examples;
mod exec;
mod exec_ends;
mod faults;
mod harness;
mod journal;
mod leases;
mod leaving;
mod library;
mod namespaces;
mod oracle;
mod places;
mod pools;
mod protocol;
mod respawn;
mod run;
mod shared;
mod shell;
mod silent;
mod small;
mod statistics;
mod strangers;
mod tending;
mod terminal;
mod timeline;
mod typed;
mod upgrade;
mod volume;
