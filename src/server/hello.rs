//! What a client tells a server of itself beyond the protocol's `hello`, since the server is on another machine.

use serde::Serialize;

use super::script::LAYOUT;
use crate::clock::{BootQualifiedBirth, Nanos, ProcessBirth};
use crate::wire::Hello;

/// The hello of a client on a server.
#[derive(Serialize)]
struct ServerHello<'a> {
    #[serde(flatten)]
    hello: &'a Hello,
    layout: u32,
    /// Names the client's machine and its uptime: only there are births comparable.
    boot_id: String,
    /// How long ago the client's process started, in milliseconds.
    birth_age_ms: u64,
    /// The same for each of its ancestors.
    ancestor_ages_ms: Vec<u64>,
    /// The client counts as dead when the server has not heard of it for this time.
    dead_after_ms: u64,
    /// The name of the client's machine, for people.
    host: String,
    /// The queue that a client resumes at: another queue of the same name is not the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_id: Option<&'a str>,
    /// The client does not want to make the queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    only_existing: bool,
}

/// What a client wants of a server besides its [`Hello`].
#[derive(Clone, Debug)]
pub(crate) struct HelloExtras<'a> {
    pub(crate) dead_after: Nanos,
    /// Only to resume: the id that an earlier welcome named.
    pub(crate) queue_id: Option<&'a str>,
    pub(crate) only_existing: bool,
}

/// The line with which a client begins a conversation.
pub(crate) fn hello_line(hello: &Hello, extras: &HelloExtras<'_>) -> Vec<u8> {
    let hello = ServerHello {
        hello,
        layout: LAYOUT,
        boot_id: BootQualifiedBirth::now().boot_id,
        birth_age_ms: hello.birth.age_ms(),
        ancestor_ages_ms: hello.ancestors.iter().map(|birth| birth.age_ms()).collect(),
        dead_after_ms: extras.dead_after / 1_000_000,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        queue_id: extras.queue_id,
        only_existing: extras.only_existing,
    };
    // Serializing cannot fail: there is no map with keys that are no text.
    format!("hello {}\n", serde_json::to_string(&hello).unwrap_or_default()).into_bytes()
}

/// The request that tells the server when this machine has learned of the end of the queue: a process that starts
/// later belongs to the next round.
pub(super) fn end_told() -> Vec<u8> {
    #[derive(Serialize)]
    struct EndTold {
        boot_id: String,
        #[serde(flatten)]
        moment: ProcessBirth,
    }
    let BootQualifiedBirth { birth: moment, boot_id } = BootQualifiedBirth::now();
    let told = EndTold { boot_id, moment };
    format!("end-told {}\n", serde_json::to_string(&told).unwrap_or_default()).into_bytes()
}
