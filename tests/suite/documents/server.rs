//! `docs/SERVER.md` and `docs/SERVER.ja.md`: each block runs on a server of its own. Only the hosts and the files differ from
//! what the document says.

use std::collections::BTreeSet;
use std::fs;

use super::blocks::{Block, blocks, compare, locale_of, read, run_transcript};
use crate::harness::{Backend, OwnServer, Sandbox};

const DOCUMENTS: [&str; 2] = ["docs/SERVER.md", "docs/SERVER.ja.md"];

/// The block of this kind with this text.
#[track_caller]
fn block(document: &str, text: &str) -> Block {
    let mut found = blocks(&read(document));
    found.retain(|block| block.text.contains(text));
    assert_eq!(found.len(), 1, "{document}: {text}");
    found.remove(0)
}

/// Runs a script as a reader of the document, and expects it to be done.
#[track_caller]
fn run(sandbox: &Sandbox, document: &str, text: &str) -> String {
    let outcome =
        sandbox.script_in_locale(locale_of(document), &format!("set -eo pipefail\n{text}"));
    assert_eq!(outcome.code(), Some(0), "{document}:\n{text}{}", outcome.stderr);
    outcome.text()
}

/// The settings of a file of a server, as arguments.
fn settings(file: &str) -> Vec<String> {
    let words = file.lines().flat_map(|line| {
        let (name, values) = line.split_once(' ').unwrap();
        let values = values.split(' ').map(str::to_owned);
        std::iter::once(format!("--{name}")).chain(values).collect::<Vec<_>>()
    });
    words.collect()
}

fn start(words: &[String], start: fn(&[&str]) -> OwnServer) -> OwnServer {
    start(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Replaces versions and times, which differ between machines.
fn stable(text: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let word = |word: &str| {
        let number = word.split([',', '、']).next().unwrap_or_default();
        let is_measured = number.contains('.') && number.chars().all(is_number);
        if is_measured { word.replace(number, "N") } else { word.to_owned() }
    };
    let lines = text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" "));
    lines.map(|line| line.replace("Valkey", "Redis") + "\n").collect()
}

#[test]
fn the_first_commands_of_the_server_document_work() {
    Backend::Server.check(|_| {
        for document in DOCUMENTS {
            let command = block(document, "redis-server --appendonly").text;
            let options: Vec<_> = command.split_whitespace().skip(1).map(str::to_owned).collect();
            let server = start(&options, OwnServer::start_on_port);
            let sandbox = Sandbox::new();
            let here = |text: &str| text.replace("redis://localhost", &server.tcp_url());
            let consumer = here(&block(document, "localhost qdemo consumer -q jobs\n").text);
            let producer = here(&block(document, "qdemo producer -q jobs --items 5").text);
            let lines = run(&sandbox, document, &format!("{}&\n{producer}wait", consumer.trim()));
            assert_eq!(lines.lines().count(), 10, "{lines}");
            run(&sandbox, document, &here("qdemo rm -q jobs --server redis://localhost"));
            let transcript = block(document, "$ export QDEMO_SERVER");
            let steps = transcript.steps();
            let commands: Vec<_> = steps.iter().map(|step| here(&step.command)).collect();
            let outputs = run_transcript(&sandbox, locale_of(document), &commands);
            let there = |text: String| text.replace(&server.tcp_url(), "redis://localhost:6379");
            let outputs: Vec<_> = outputs.into_iter().map(there).collect();
            compare(document, &transcript, &outputs, stable);
        }
    });
}

#[test]
fn the_server_of_the_document_takes_its_certificate_and_password() {
    Backend::Server.check(|_| {
        for document in DOCUMENTS {
            let sandbox = Sandbox::new();
            let certificates = block(document, "openssl req -x509").text;
            run(&sandbox, document, &certificates.replace("queue.example", "localhost"));
            // The home folder is where the document has the authority.
            fs::copy(sandbox.path("ca.crt"), sandbox.path("home/ca.crt")).unwrap();
            let folder = sandbox.path("");
            let file = block(document, "tls-cert-file /etc/redis/server.crt").text;
            let file = file.replace("/etc/redis", folder.to_str().unwrap());
            let server = start(&settings(&file), OwnServer::start_with_tls);
            let put = block(document, "umask 077").text;
            let place = format!("localhost:{}", server.port());
            run(&sandbox, document, &put.replace("queue.example", &place));
        }
    });
}

#[test]
fn the_sentinel_and_the_cluster_of_the_document_are_found() {
    Backend::Server.check(|_| {
        let password = "a-long-password";
        let primary = OwnServer::start_on_port(&["--appendonly", "yes", "--requirepass", password]);
        let auth = format!("sentinel auth-pass queues {password}");
        let sentinel = OwnServer::start_sentinel(primary.port(), &auth);
        let cluster = OwnServer::start_in_cluster();
        let () = cluster.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        cluster.wait_until(&["CLUSTER", "INFO"], "cluster_state:ok");
        for document in DOCUMENTS {
            let sandbox = Sandbox::new();
            // The harness writes the other lines of the file.
            assert!(block(document, "sentinel monitor queues").text.contains(&auth));
            let put = block(document, "redis+sentinel://10.0.0.1,").text;
            let hosts = format!("127.0.0.1:{}", sentinel.port());
            run(&sandbox, document, &put.replace("10.0.0.1,10.0.0.2,10.0.0.3", &hosts));
            let each = block(document, "for queue in a b c").text;
            let text =
                run(&sandbox, document, &each.replace("redis://10.0.0.1", &cluster.tcp_url()));
            let queues: BTreeSet<_> =
                text.lines().filter_map(|line| line.split(':').next()).collect();
            assert!(["a", "b", "c"].iter().all(|queue| queues.contains(queue)), "{text}");
        }
    });
}

#[test]
fn the_rights_and_the_removal_of_the_document_are_enough() {
    Backend::Server.check(|_| {
        for document in DOCUMENTS {
            let server = OwnServer::start_on_port(&["--appendonly", "yes"]);
            let sandbox = Sandbox::new();
            let here =
                |text: &str| text.replace("redis-cli", &format!("redis-cli -p {}", server.port()));
            run(&sandbox, document, &here(&block(document, "ACL SETUSER").text));
            let url = format!("redis://qdemo:a-long-password@127.0.0.1:{}", server.port());
            let setting = format!("export QDEMO_SERVER={url}\n");
            let use_it = "qdemo put -q jobs a b; qdemo get -q jobs; qdemo status -q jobs";
            let text = run(&sandbox, document, &format!("{setting}{use_it}"));
            assert!(text.starts_with("a\n") && text.contains("jobs: "), "{text}");
            run(&sandbox, document, &here(&block(document, "UNLINK").text));
            let left: Vec<String> = server.ask(&["KEYS", "*"]);
            assert!(left.is_empty(), "{left:?}");
        }
    });
}

#[test]
fn every_command_of_the_server_document_has_a_test() {
    let tests = include_str!("server.rs");
    for document in DOCUMENTS {
        for found in blocks(&read(document)) {
            if !["sh", "console"].contains(&found.kind.as_str()) {
                continue;
            }
            let texts =
                tests.split("block(document, \"").skip(1).filter_map(|t| t.split_once("\")"));
            let mut texts = texts.map(|(text, _)| text.replace("\\n", "\n"));
            assert!(texts.any(|text| found.text.contains(&text)), "{}", found.text);
        }
    }
}
