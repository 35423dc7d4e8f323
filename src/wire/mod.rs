//! The protocol of clients and keepers: requests and replies as lines of text. This module does no I/O
//! and decides nothing about a queue. `docs/PROTOCOL.md` describes the protocol.

mod announcement;
mod message_buffer;
mod reply;
mod request;
mod request_reader;

use std::str::FromStr;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::clock::{Nanos, ProcessBirth, random_u64};
use crate::pipe::PipePairName;
use crate::queue::Capacity;
use crate::role::Role;
pub(crate) use announcement::{AnnouncementReader, announcement};
pub(crate) use message_buffer::MessageBuffer;
pub(crate) use reply::{
    ClientStatus, ErrorCode, MalformedReply, Reply, ReplyReader, Resumed, Status, Welcome,
};
pub(crate) use request::{MalformedRequest, Request, put_body_bytes};
pub(crate) use request_reader::{MAX_PUT_BYTES, RequestReader};

/// The version of the protocol that this program speaks.
pub(crate) const VERSION: u32 = 2;

/// The largest item of a client whose hello names no limit, in bytes of JSON.
pub(crate) const DEFAULT_MAX_ITEM_BYTES: u64 = 16 << 20;
/// The largest item that a keeper takes from any client, in bytes of JSON.
pub(crate) const MAX_ITEM_BYTES: u64 = 256 << 20;

/// The number by which keepers know a client, and the end of the names of its pipes. The client draws the
/// number at random.
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
        Self::parse(text.as_bytes()).ok_or("a client key has 16 hexadecimal digits")
    }
}

impl ClientKey {
    pub(crate) fn random() -> io::Result<Self> {
        random_u64().map(Self)
    }

    /// Parses exactly 16 hexadecimal digits.
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

/// What a client tells when it connects. The client writes it to the inbox, with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version of the protocol that the client speaks.
    pub(crate) version: u32,
    pub(crate) role: Role,
    /// The process id.
    pub(crate) pid: u32,
    /// Only version 1: the number in the mailbox's name, where it is not the client key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mailbox: Option<ClientKey>,
    /// When the client's process started; by default long ago.
    #[serde(default, alias = "born")]
    pub(crate) birth: ProcessBirth,
    /// The processes that started the client, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "callers")]
    pub(crate) ancestors: Vec<ProcessBirth>,
    /// The lease of each item that the keeper delivers to the client, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Nanos>,
    /// The item fails at this number of delivery failures; 0: never.
    #[serde(default = "default_max_delivery_failures", alias = "max_attempts")]
    pub(crate) max_delivery_failures: u32,
    /// The client's largest item, in bytes of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "largest")]
    pub(crate) max_item_bytes: Option<u64>,
    /// The 1-based index of a run's worker within its role.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "worker")]
    pub(crate) worker_index: Option<u32>,
    /// For a producer: its departure does not end the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keep_open: bool,
    /// For a consumer: the consumer stays when the queue ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) follow: bool,
    /// The capacity that the client asks for; 0 for unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<Capacity>,
    /// From now on the queue accepts an item only when the item is on the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sync: bool,
    /// For a client that resumes after the death of a keeper: the number of batches that the client
    /// received from the queue's keepers in reply to a get.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "resume")]
    pub(crate) batches_received: Option<u64>,
}

/// The default of [`Hello::max_delivery_failures`].
pub(crate) fn default_max_delivery_failures() -> u32 {
    5
}

impl Hello {
    /// The hello of a client that asks for nothing.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            version: VERSION,
            role,
            pid: std::process::id(),
            mailbox: None,
            birth: ProcessBirth::default(),
            ancestors: Vec::new(),
            lease: None,
            max_delivery_failures: default_max_delivery_failures(),
            max_item_bytes: None,
            worker_index: None,
            keep_open: false,
            follow: false,
            capacity: None,
            sync: false,
            batches_received: None,
        }
    }

    /// The names of the client's pipes in the queue's directory. The process id in the names is for people.
    pub(crate) fn pipes(&self, key: ClientKey) -> PipePairName {
        PipePairName(format!("{}.{}", self.pid, self.mailbox.unwrap_or(key)))
    }
}

/// Splits a line after its first word.
pub(crate) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

/// Parses a decimal number without a sign.
pub(crate) fn parse_number<T: FromStr>(text: &[u8]) -> Option<T> {
    if text.first().is_none_or(|b| !b.is_ascii_digit()) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
