//! The script that holds the rules of a queue on a server, and the names of the queue's keys there.

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::queue_name::QueueName;
use crate::wire::ClientKey;

/// The text of the script.
pub(crate) const SCRIPT: &str = concat!(
    include_str!("script/basics.lua"),
    "return (function()\n",
    include_str!("script/state.lua"),
    "local batches = (function()\n",
    include_str!("script/batches.lua"),
    "end)()\nlocal steps = (function()\n",
    include_str!("script/steps.lua"),
    "end)()\nlocal clients = lazy(function()\n",
    include_str!("script/clients.lua"),
    "end)\nlocal requests = (function()\n",
    include_str!("script/requests.lua"),
    "end)()\nlocal changes = lazy(function()\n",
    include_str!("script/changes.lua"),
    "end)\nlocal queries = lazy(function()\n",
    include_str!("script/queries.lua"),
    "end)\nlocal hello = lazy(function()\n",
    include_str!("script/hello.lua"),
    "end)\n",
    include_str!("script/main.lua"),
    "end)()\n",
);

/// The layout of the keys that the script knows. A hello names it.
pub(crate) const LAYOUT: u32 = 1;

/// The parts of a queue, in the order in which the script takes their keys.
const PARTS: [&str; 14] = [
    "meta",
    "clients",
    "ready",
    "requeued",
    "in_flight",
    "held",
    "leases",
    "failed",
    "getters",
    "blocked",
    "blocked_items",
    "joiners",
    "timers",
    "ends_told",
];

/// The name by which a server knows the script: `EVALSHA` takes it.
pub(crate) fn sha1() -> &'static str {
    static SHA1: OnceLock<String> = OnceLock::new();
    SHA1.get_or_init(|| sha1_smol::Sha1::from(SCRIPT).digest().to_string())
}

/// The names of a queue's keys and channels: `PREFIX:{NAME}:PART`. A server with many nodes keeps keys with the same text in
/// braces on one node.
#[derive(Clone, Debug)]
pub(crate) struct QueueKeys {
    /// `PREFIX:{NAME}:`
    base: String,
}

impl QueueKeys {
    pub(crate) fn new(prefix: &str, name: &QueueName) -> Self {
        Self { base: format!("{prefix}:{{{}}}:", encode(name.as_str())) }
    }

    /// The keys, in the order that the script takes them in.
    pub(crate) fn keys(&self) -> [String; 14] {
        PARTS.map(|part| format!("{}{part}", self.base))
    }

    /// The shard channel on which this client reads its replies.
    pub(crate) fn channel(&self, client: ClientKey) -> String {
        format!("{}to:{client}", self.base)
    }

    /// A pattern for `SCAN` that matches the first key of each queue with this prefix.
    pub(crate) fn scan_pattern(prefix: &str) -> String {
        let escaped: String = prefix
            .chars()
            .flat_map(|c| ['\\'].into_iter().filter(move |_| r"*?[]\^-".contains(c)).chain([c]))
            .collect();
        format!("{escaped}:{{*}}:meta")
    }

    /// The name of the queue whose first key this is; None for any other key.
    pub(crate) fn parse_name(prefix: &str, key: &str) -> Option<QueueName> {
        let name = key.strip_prefix(prefix)?.strip_prefix(":{")?.strip_suffix("}:meta")?;
        let name: QueueName = decode(name)?.parse().ok()?;
        // Only one key names the queue.
        (Self::new(prefix, &name).keys()[0] == key).then_some(name)
    }
}

/// Encodes the characters that would end the text in braces, and the mark of an encoded character.
fn encode(name: &str) -> String {
    name.replace('%', "%25").replace('{', "%7B").replace('}', "%7D")
}

fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "25" => '%',
            "7B" => '{',
            "7D" => '}',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}
