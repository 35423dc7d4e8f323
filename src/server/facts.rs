//! What a server promises, as it says of itself.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::catalogue::{Lang, in_language, message};

/// What outlives a server. A later value promises more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Persistence {
    /// Nothing.
    None,
    /// A copy that the server writes now and then.
    Rdb,
    /// Every change that the system has written when it wanted to.
    AofNo,
    /// Changes, but the user may not ask how often the server writes them.
    Aof,
    /// Every change but those of the last second.
    AofEverySecond,
    /// Every change that the server has answered.
    AofAlways,
}

/// What a server says of itself. The user may have no right to ask for some of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ServerFacts {
    /// The URL without user and password.
    address: String,
    /// With Sentinel: the host and the port of the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) primary: Option<String>,
    /// In a cluster: the number of primaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) primaries: Option<usize>,
    /// The name and the version of the program.
    version: Option<String>,
    /// What outlives the server.
    #[cfg_attr(test, schemars(schema_with = "persistence_schema"))]
    persistence: Option<Persistence>,
    /// The number of connected replicas.
    replicas: Option<u64>,
    /// What the server does when its memory is full.
    maxmemory_policy: Option<String>,
    /// The server may drop the keys of a queue.
    #[serde(skip)]
    may_evict: bool,
    #[serde(skip)]
    is_replica: bool,
}

/// The server may drop the keys of a queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", message!("server-evicts", server = .address, policy = .policy))]
pub(crate) struct EvictionError {
    address: String,
    policy: String,
}

impl ServerFacts {
    /// `info` is the answer to `INFO`. The others are values of `CONFIG GET`. An answer is missing if the user may
    /// not ask.
    pub(crate) fn new(
        address: &str,
        info: Option<&str>,
        save: Option<&str>,
        appendfsync: Option<&str>,
    ) -> Self {
        let field = |name: &str| {
            let lines = info.unwrap_or_default().lines();
            lines.filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name).map(|f| f.1)
        };
        let version = match (field("valkey_version"), field("redis_version")) {
            (Some(version), _) => Some(format!("Valkey {version}")),
            (None, version) => version.map(|version| format!("Redis {version}")),
        };
        let persistence = match (field("aof_enabled"), save, appendfsync) {
            (None, ..) | (Some("0"), None, _) => None,
            (Some("0"), Some(""), _) => Some(Persistence::None),
            (Some("0"), Some(_), _) => Some(Persistence::Rdb),
            (Some(_), _, Some("always")) => Some(Persistence::AofAlways),
            (Some(_), _, Some("everysec")) => Some(Persistence::AofEverySecond),
            (Some(_), _, Some("no")) => Some(Persistence::AofNo),
            (Some(_), ..) => Some(Persistence::Aof),
        };
        let has_limit = field("maxmemory").is_some_and(|bytes| bytes != "0");
        let policy = field("maxmemory_policy");
        // The keys of a queue never expire.
        let keeps = |policy: &str| policy == "noeviction" || policy.starts_with("volatile-");
        Self {
            address: address.to_owned(),
            primary: None,
            primaries: None,
            version,
            persistence,
            replicas: field("connected_slaves").and_then(|count| count.parse().ok()),
            maxmemory_policy: policy.map(str::to_owned),
            may_evict: has_limit && policy.is_some_and(|policy| !keeps(policy)),
            is_replica: field("role") == Some("slave"),
        }
    }

    /// Whether the server takes no writes, since it follows another one.
    pub(super) fn is_replica(&self) -> bool {
        self.is_replica
    }

    /// What two primaries of a cluster both promise.
    pub(super) fn least(self, other: Self) -> Self {
        Self {
            persistence: self.persistence.zip(other.persistence).map(|(a, b)| a.min(b)),
            replicas: self.replicas.zip(other.replicas).map(|(a, b)| a.min(b)),
            maxmemory_policy: if other.may_evict {
                other.maxmemory_policy
            } else {
                self.maxmemory_policy
            },
            may_evict: self.may_evict || other.may_evict,
            ..self
        }
    }

    /// Whether the server writes each change to its disk, as far as it says so.
    pub(super) fn has_aof(&self) -> bool {
        self.persistence.is_some_and(|persistence| persistence >= Persistence::AofNo)
    }

    /// Checks the server before the first put. Returns a warning about a server that keeps nothing.
    pub(crate) fn check_for_puts(
        &self,
        allows_eviction: bool,
    ) -> Result<Option<String>, EvictionError> {
        if self.may_evict && !allows_eviction {
            let policy = self.maxmemory_policy.clone().unwrap_or_default();
            return Err(EvictionError { address: self.address.clone(), policy });
        }
        let is_volatile = self.persistence == Some(Persistence::None);
        Ok(is_volatile.then(|| message!("server-keeps-nothing", server = &self.address)))
    }
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::None => message!("server-persistence-none"),
            Self::Rdb => "RDB".to_owned(),
            Self::AofNo => message!("server-persistence-aof-no"),
            Self::Aof => "AOF".to_owned(),
            Self::AofEverySecond => message!("server-persistence-aof-every-second"),
            Self::AofAlways => message!("server-persistence-aof-always"),
        })
    }
}

impl Serialize for Persistence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // For programs: the same in every language.
        serializer.serialize_str(&in_language(Lang::En, || self.to_string()))
    }
}

#[cfg(test)]
fn persistence_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use Persistence::{Aof, AofAlways, AofEverySecond, AofNo, Rdb};
    let known = [Persistence::None, Rdb, AofNo, Aof, AofEverySecond, AofAlways].map(Some);
    let words = known.iter().chain(&[None]).collect::<Vec<_>>();
    schemars::json_schema!({ "type": ["string", "null"], "enum": words })
}

/// One line for people.
impl fmt::Display for ServerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, version, persistence, replicas, maxmemory_policy, .. } = self;
        let unknown = || message!("server-unknown");
        let persistence = persistence.as_ref().map_or_else(unknown, Persistence::to_string);
        let policy = maxmemory_policy.clone().unwrap_or_else(unknown);
        let version = version.clone();
        let details = [
            self.primary.as_ref().map(|place| message!("server-fact-primary", place = place)),
            self.primaries.map(|count| message!("server-fact-cluster", primaries = count)),
            version.or_else(|| Some(message!("server-fact-version", version = unknown()))),
            Some(message!("server-fact-persistence", persistence = persistence)),
            Some(match *replicas {
                Some(count) => message!("server-fact-replicas", replicas = count),
                None => message!("server-fact-replicas-unknown", unknown = unknown()),
            }),
            Some(message!("server-fact-policy", policy = policy)),
        ];
        let details: Vec<_> = details.into_iter().flatten().collect();
        let details = details.join(&message!("server-fact-separator"));
        f.write_str(&message!("server-facts", server = address, details = details))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(aof: &str, maxmemory: &str, policy: &str) -> String {
        format!(
            "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory:{maxmemory}\r\nmaxmemory_human:x\r\n\
             maxmemory_policy:{policy}\r\naof_enabled:{aof}\r\nconnected_slaves:2\r\n"
        )
    }

    fn facts(aof: &str, save: Option<&str>, fsync: Option<&str>) -> ServerFacts {
        ServerFacts::new("redis://h:6379", Some(&info(aof, "0", "noeviction")), save, fsync)
    }

    #[test]
    fn persistence_comes_from_what_the_server_writes_and_how_often() {
        let text =
            |facts: ServerFacts| facts.persistence.map(|persistence| persistence.to_string());
        for (aof, save, fsync, expected) in [
            ("0", Some(""), Some("everysec"), Some("none")),
            ("0", Some("3600 1"), Some("everysec"), Some("RDB")),
            ("0", None, None, None),
            ("1", Some(""), Some("everysec"), Some("AOF every second")),
            ("1", Some(""), Some("always"), Some("AOF always")),
            ("1", Some("3600 1"), Some("no"), Some("AOF no")),
            ("1", None, None, Some("AOF")),
        ] {
            let found = text(facts(aof, save, fsync));
            assert_eq!(found.as_deref(), expected, "{aof} {save:?} {fsync:?}");
        }
    }

    #[test]
    fn a_server_that_keeps_nothing_is_warned_of() {
        let warning = |facts: ServerFacts| facts.check_for_puts(false).unwrap();
        let told = warning(facts("0", Some(""), Some("everysec"))).unwrap();
        assert!(told.contains("redis://h:6379") && told.contains("appendonly"), "{told}");
        assert_eq!(warning(facts("0", Some("3600 1"), None)), None);
        assert_eq!(warning(facts("1", Some(""), None)), None);
        // What is not known is no reason to warn.
        assert_eq!(warning(facts("0", None, None)), None);
        assert_eq!(warning(ServerFacts::new("redis://h:6379", None, None, None)), None);
    }

    #[test]
    fn a_server_that_may_evict_keys_without_expiry_is_refused() {
        for (maxmemory, policy, is_refused) in [
            ("100", "allkeys-lru", true),
            ("100", "allkeys-random", true),
            ("0", "allkeys-lru", false),
            ("100", "noeviction", false),
            ("100", "volatile-lru", false),
        ] {
            let facts = ServerFacts::new("a", Some(&info("1", maxmemory, policy)), Some(""), None);
            let refused = facts.check_for_puts(false);
            assert_eq!(refused.is_err(), is_refused, "{maxmemory} {policy}");
            if let Err(error) = refused {
                let text = error.to_string();
                assert!(text.contains(policy) && text.contains("--allow-eviction"), "{text}");
            }
            facts.check_for_puts(true).unwrap();
        }
    }

    #[test]
    fn a_cluster_promises_what_each_primary_promises() {
        let evicting =
            ServerFacts::new("a", Some(&info("1", "9", "allkeys-lru")), Some(""), Some("no"));
        let strict = facts("1", Some(""), Some("always"));
        for least in [evicting.clone().least(strict.clone()), strict.clone().least(evicting)] {
            assert_eq!(least.persistence, Some(Persistence::AofNo));
            assert_eq!(least.maxmemory_policy.as_deref(), Some("allkeys-lru"));
            assert!(least.check_for_puts(false).is_err());
        }
        assert_eq!(strict.clone().least(ServerFacts::new("a", None, None, None)).persistence, None);
    }

    #[test]
    fn a_line_tells_the_facts_or_why_they_are_unknown() {
        assert_eq!(
            facts("1", Some(""), Some("everysec")).to_string(),
            "server redis://h:6379: Redis 7.0.15, persistence AOF every second, 2 replicas, maxmemory-policy \
             noeviction"
        );
        let info = "redis_version:7.2.4\r\nvalkey_version:8.1.0\r\nconnected_slaves:1\r\n";
        let facts = ServerFacts::new("a", Some(info), None, None);
        let text = facts.to_string();
        assert!(
            text.starts_with("server a: Valkey 8.1.0, persistence unknown (the user"),
            "{text}"
        );
        assert!(text.contains("1 replica,"), "{text}");
        assert_eq!(
            serde_json::to_string(&facts).unwrap(),
            r#"{"address":"a","version":"Valkey 8.1.0","persistence":null,"replicas":1,"maxmemory_policy":null}"#
        );
    }

    #[test]
    fn a_line_names_the_primary_and_counts_those_of_a_cluster() {
        let facts = ServerFacts::new("a", None, None, None);
        let named = ServerFacts { primary: Some("h:6379".to_owned()), ..facts.clone() };
        assert!(named.to_string().starts_with("server a: primary h:6379, version unknown"));
        for (count, text) in [(1, "a cluster of 1 primary, "), (3, "a cluster of 3 primaries, ")] {
            let facts = ServerFacts { primaries: Some(count), ..facts.clone() };
            assert!(facts.to_string().starts_with(&format!("server a: {text}")));
            let json = serde_json::to_string(&facts).unwrap();
            assert!(json.contains(&format!(r#""primaries":{count}"#)), "{json}");
        }
    }
}
