//! Plays sessions of `docs/PROTOCOL.md` on a server.

use std::collections::BTreeMap;
use std::fs;

use super::driver::{TestServer, VirtualQueue};
use crate::wire::ClientKey;

struct Session {
    queue: VirtualQueue,
    /// The key of each client, and what the client has received and not read.
    clients: BTreeMap<char, (ClientKey, String)>,
}

impl Session {
    fn say(&mut self, name: char, message: &str) {
        let mut message = message.replace("PID", "4711");
        if let Some(announced) = message.strip_prefix("hello ") {
            let (key, rest) = announced.split_once(' ').unwrap();
            let key = ClientKey::parse(key.as_bytes()).unwrap();
            message = format!("hello {rest}");
            self.clients.entry(name).or_insert((key, String::new()));
        }
        self.queue.call(self.clients[&name].0, message.as_bytes());
        for (key, unread) in self.clients.values_mut() {
            *unread += std::str::from_utf8(&self.queue.take_mail(*key)).unwrap();
        }
    }

    fn hear(&mut self, name: char) -> String {
        let unread = &mut self.clients.get_mut(&name).unwrap().1;
        let Some((line, rest)) = unread.split_once('\n') else {
            return format!("(nothing; unread: {unread:?})");
        };
        let line = line.to_owned();
        *unread = rest.to_owned();
        without_server_fields(&line)
    }

    /// Plays a script as the test of the keeper does (`tests/suite/protocol.rs`). A restart changes nothing here.
    fn play(&mut self, script: &str) -> String {
        let mut played = String::new();
        let mut lines = script.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((who, text)) = line.split_at_checked(2).filter(|_| !line.starts_with("! "))
            else {
                played += &format!("{line}\n");
                continue;
            };
            let name = who.chars().next().unwrap();
            if who.ends_with('<') {
                played += &format!("{who} {}\n", self.hear(name));
                continue;
            }
            played += &format!("{line}\n");
            let mut message = format!("{}\n", &text[1..]);
            while let Some(next) = lines.next_if(|next| next.starts_with(who)) {
                played += &format!("{next}\n");
                message += &format!("{}\n", &next[3..]);
            }
            self.say(name, &message);
        }
        for (name, (_, unread)) in &self.clients {
            assert_eq!(unread, "", "{name} has heard more");
        }
        played
    }
}

/// A welcome as a keeper writes it.
fn without_server_fields(line: &str) -> String {
    match line.split_once(r#","queue_id":""#) {
        Some((head, _)) if line.starts_with("welcome ") => format!("{head}}}"),
        _ => line.to_owned(),
    }
}

#[test]
fn the_sessions_of_the_protocol_happen_on_a_server_too() {
    let Some(server) = TestServer::start(&[]) else { return };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROTOCOL.md");
    let page = fs::read_to_string(path).unwrap();
    let blocks: Vec<_> = page.split("```session\n").skip(1).collect();
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let (script, _) = block.split_once("```").unwrap();
        let mut queue = VirtualQueue::new(&server);
        queue.reset();
        let mut session = Session { queue, clients: BTreeMap::new() };
        assert_eq!(script, session.play(script));
    }
}
