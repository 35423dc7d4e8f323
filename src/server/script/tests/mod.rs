//! Tests of the script on a real server.

mod channels;
mod directed;
mod driver;
mod late;
mod limits;
mod lives;
mod messages;
mod pair;
mod property;
mod sessions;

use super::*;

fn name(name: &str) -> QueueName {
    name.parse().unwrap()
}

#[test]
fn a_key_leads_back_to_the_name_of_its_queue() {
    for queue in ["jobs", "{", "a}b{c", "%", "%7B", "キュー", "a b", "*?"] {
        let key = &QueueKeys::new("qdemo", &name(queue)).keys()[0];
        assert_eq!(QueueKeys::parse_name("qdemo", key), Some(name(queue)), "{key}");
        assert_eq!(key.matches(['{', '}']).count(), 2, "{key}");
        assert_eq!(QueueKeys::parse_name("other", key), None, "{key}");
    }
    for foreign in [
        "qdemo:{jobs}:ready",
        "qdemo:{jobs}:meta:",
        "qdemo:{../jobs}:meta",
        "qdemo:{%41}:meta",
        "qdemo:{a}b}:meta",
        "qdemo:jobs:meta",
        "qdemo:{%}:meta",
        "qdemo:{%2é}:meta",
    ] {
        assert_eq!(QueueKeys::parse_name("qdemo", foreign), None, "{foreign}");
    }
}

#[test]
fn a_prefix_with_wildcards_matches_itself_only() {
    assert_eq!(QueueKeys::scan_pattern("a*[b]?"), r"a\*\[b\]\?:{*}:meta");
}

#[test]
fn a_channel_belongs_to_a_client() {
    let keys = QueueKeys::new("qdemo", &name("jobs"));
    assert_eq!(keys.channel(ClientKey(0xa1)), "qdemo:{jobs}:to:00000000000000a1");
    assert_eq!(keys.keys()[13], "qdemo:{jobs}:ends_told");
}

#[test]
fn a_server_names_the_script_alike() {
    let Some(server) = driver::TestServer::start(&[]) else { return };
    let mut connection = server.connect();
    let named: String =
        redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query(&mut connection).unwrap();
    assert_eq!(named, sha1());
}
