//! A server with TLS: a certificate of an authority of its own, users and passwords, and what a person reads when the
//! scheme, the authority or the name is the wrong one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Backend, Outcome, OwnServer, Running, Sandbox};

/// Settings of a server that clients do not warn of.
const SAVES: [&str; 2] = ["--save", "31536000 1"];
const SECRET: &str = "hunter2";

/// An authority, and the certificate that it has given to `localhost`.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        for words in [
            "req -x509 KEY -days 3650 -subj /CN=CA -keyout ca.key -out ca.crt",
            "req KEY -subj /CN=localhost -keyout server.key -out server.csr",
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 \
             -extfile names -out server.crt",
        ] {
            let words =
                words.replace("KEY", "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes");
            let made = Command::new("openssl")
                .args(words.split_whitespace())
                .current_dir(folder.path())
                .output()
                .expect("openssl is installed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// A server with this authority's certificate.
    fn start_server(&self, more: &[&str]) -> OwnServer {
        let [cert, key, ca] = ["server.crt", "server.key", "ca.crt"]
            .map(|name| self.file(name).display().to_string());
        let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        OwnServer::start_with_tls(&[&SAVES[..], &tls, &["--tls-auth-clients", "no"], more].concat())
    }
}

/// Runs a command that trusts this authority.
fn run_with_ca(sandbox: &Sandbox, ca: &Path, args: &[&str]) -> Outcome {
    let mut command = sandbox.qdemo(args);
    command.env("QDEMO_SERVER_CA", ca);
    Running::start(command).end()
}

#[test]
fn a_queue_works_over_tls_for_who_trusts_the_authority() {
    Backend::Server.check(|_| {
        let authority = Authority::new();
        let server = authority.start_server(&[]);
        let sandbox = Sandbox::at_server(&server.tcp_url());
        let run = |args: &[&str]| run_with_ca(&sandbox, &authority.ca(), args);
        run(&["put", "one", "two"]).assert_prints("");
        run(&["get"]).assert_prints("one\n");
        let status = run(&["status"]);
        status.assert_done();
        assert!(status.text().contains("1 ready"), "{}", status.text());
        // A stream of items, and a consumer that starts commands: they trust the same authority.
        run(&["producer", "--quiet", "--items", "3"]).assert_done();
        let consumer = ["consumer", "--quiet", "--", "qdemo", "put", "-q", "more", "{}"];
        run(&consumer).assert_done();
        let more = run(&["get", "-q", "more", "--count", "4"]);
        assert_eq!(more.lines().len(), 4, "{}", more.stderr);
        run(&["rm", "--force"]).assert_done();
    });
}

#[test]
fn a_certificate_of_a_stranger_or_for_another_name_is_refused() {
    Backend::Server.check(|_| {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let server = authority.start_server(&[]);
        let sandbox = Sandbox::at_server(&server.tcp_url());
        let words = ["is not trusted", "--server-ca"];
        for command in [&["put", "x"][..], &["status"], &["get"]] {
            sandbox.run(command).assert_refused_at_last(1, &words);
            run_with_ca(&sandbox, &stranger.ca(), command).assert_refused_at_last(1, &words);
        }
        let by_address = Sandbox::at_server(&server.tcp_url().replace("localhost", "127.0.0.1"));
        let words = ["is not trusted", "127.0.0.1", "as its certificate names it"];
        run_with_ca(&by_address, &authority.ca(), &["put", "x"]).assert_refused_at_last(1, &words);
        let no_ca = authority.file("names");
        run_with_ca(&sandbox, &no_ca, &["put", "x"]).assert_refused_at_last(1, &["names"]);
    });
}

#[test]
fn a_password_and_a_user_with_rights_work_over_tls() {
    Backend::Server.check(|_| {
        let authority = Authority::new();
        let server = authority.start_server(&["--requirepass", SECRET]);
        let sandbox = Sandbox::at_server(&server.tcp_url());
        let run_as = |user: &str, password: &str, args: &[&str]| {
            let mut command = sandbox.qdemo(args);
            command.env("QDEMO_SERVER", server.tcp_url().replace("://", &format!("://{user}@")));
            command.env("QDEMO_SERVER_CA", authority.ca());
            command.env("QDEMO_SERVER_PASSWORD", password);
            Running::start(command).end()
        };
        run_as("", SECRET, &["put", "x"]).assert_prints("");
        // The socket of the server asks for the password too.
        let socket = redis::Client::open(format!(
            "redis+unix://{}?pass={SECRET}",
            server.socket().display()
        ));
        let mut admin = socket.unwrap().get_connection().unwrap();
        let mut user = redis::cmd("ACL");
        user.arg(&["SETUSER", "qdemo", "on", ">hunter2-too", "~qdemo:*", "&qdemo:*", "+@all"]);
        user.exec(&mut admin).unwrap();
        run_as("qdemo", "hunter2-too", &["get"]).assert_prints("x\n");
        let status = run_as("qdemo", "hunter2-too", &["status"]);
        status.assert_done();
        for (user, password) in [("", "wrong"), ("qdemo", SECRET), ("nobody", SECRET)] {
            for command in [&["put", "x"][..], &["status"]] {
                let refused = run_as(user, password, command);
                refused
                    .assert_refused_at_last(1, &["refuses the password", "QDEMO_SERVER_PASSWORD"]);
                assert!(!refused.stderr.contains(password), "{}", refused.stderr);
            }
        }
        assert!(!status.text().contains(SECRET), "{}", status.text());
    });
}

#[test]
fn the_wrong_one_of_two_schemes_is_told_at_once() {
    Backend::Server.check(|_| {
        let authority = Authority::new();
        let (with_tls, plain) = (authority.start_server(&[]), OwnServer::start_on_port(&SAVES));
        let without = with_tls.tcp_url().replace("rediss", "redis");
        let with = plain.tcp_url().replace("redis", "rediss");
        for (url, words) in [
            (without, ["wants TLS at this port", "write rediss://"]),
            (with, ["has no TLS at this port", "write redis://"]),
        ] {
            let sandbox = Sandbox::at_server(&url);
            for command in [&["put", "x"][..], &["producer", "x"], &["status"], &["get"]] {
                sandbox.run(command).assert_refused_at_last(1, &[&[&*url][..], &words].concat());
            }
        }
    });
}
