//! The protocol: requests and replies, to and from lines. `docs/PROTOCOL.md` describes it.

mod framer;
mod reply;
mod request;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::{Nanos, ProcessBirth};
use crate::queue::Capacity;
use crate::role::Role;
pub(crate) use framer::Framer;
pub(crate) use reply::{
    ClientStatus, MalformedReply, Reply, ReplyReader, Resumed, Status, Welcome,
};
pub(crate) use request::{MalformedRequest, ParsedRequest, RequestWriter};

/// The version of the protocol that this program speaks.
pub(crate) const VERSION: u32 = 1;

/// The largest item, in bytes of JSON, of a client that doesn't say what its largest is.
pub(crate) const DEFAULT_MAX_ITEM_BYTES: u64 = 16 << 20;
/// The largest item that a keeper takes, whatever a client says.
pub(crate) const MAX_ITEM_BYTES: u64 = 256 << 20;

/// A client's number: drawn at random by the client, and known to it and the keeper alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ClientKey(pub(crate) u64);

impl From<ClientKey> for String {
    fn from(key: ClientKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ClientKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text.as_bytes()).ok_or("16 hexadecimal digits are wanted")
    }
}

impl ClientKey {
    /// A new one, from the system's random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// 16 hexadecimal digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 16 || !text.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// What a client says when it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version of the protocol that the client speaks.
    pub(crate) version: u32,
    /// What it is going to do.
    pub(crate) role: Role,
    /// Its process.
    pub(crate) pid: u32,
    /// What its mailbox is called; as its number, when it doesn't say. (Who sees the name in the
    /// directory then doesn't know the number.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mailbox: Option<ClientKey>,
    /// When its process started; long ago, when it doesn't say.
    #[serde(default)]
    #[serde(rename = "born")]
    pub(crate) birth: ProcessBirth,
    /// The processes that started it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "callers")]
    pub(crate) ancestors: Vec<ProcessBirth>,
    /// How long it may hold an item, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Nanos>,
    /// An item is put aside when so many have died of it; 0 for never.
    #[serde(default = "max_attempts")]
    pub(crate) max_attempts: u32,
    /// Its largest item, in bytes of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "largest")]
    pub(crate) max_item_bytes: Option<u64>,
    /// Its number among the workers of a run, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "worker")]
    pub(crate) worker_index: Option<u32>,
    /// A producer: don't end the queue when I am the last to leave.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keep_open: bool,
    /// A consumer: I stay when the queue ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) follow: bool,
    /// The capacity that the queue is to have, 0 for unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<u64>,
    /// What is accepted is to be on the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sync: bool,
    /// This client knew a keeper of this queue, which has died, and had so many runs from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "resume")]
    pub(crate) batches_received: Option<u64>,
}

/// How many may die of an item before it is put aside, when nobody says.
pub(crate) fn max_attempts() -> u32 {
    5
}

impl Hello {
    /// A client of this role that asks for nothing.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            version: VERSION,
            role,
            pid: std::process::id(),
            mailbox: None,
            birth: ProcessBirth::default(),
            ancestors: Vec::new(),
            lease: None,
            max_attempts: max_attempts(),
            max_item_bytes: None,
            worker_index: None,
            keep_open: false,
            follow: false,
            capacity: None,
            sync: false,
            batches_received: None,
        }
    }

    /// The name of the mailbox in the queue's directory: whoever finds one that nobody reads can tell
    /// by the process number that it is stale.
    pub(crate) fn mailbox_name(&self, key: ClientKey) -> String {
        format!("mailbox.{}.{}", self.pid, self.mailbox.unwrap_or(key))
    }

    /// The capacity as the rules take it.
    pub(crate) fn capacity(&self) -> Option<Capacity> {
        self.capacity.map(Capacity::from)
    }
}

/// Splits off the first word.
pub(crate) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// A decimal number and nothing else.
pub(crate) fn parse_number(text: &[u8]) -> Option<u64> {
    if text.first().is_none_or(|b| !b.is_ascii_digit()) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
