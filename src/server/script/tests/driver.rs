//! A private Redis server, and clients that call the script in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, Command, Stdio};

use redis::{Connection, RedisError, RedisResult, Value};

use super::{QueueKeys, SCRIPT, name};
use crate::wire::ClientKey;

/// A server of this test alone. Dropping it kills the server.
pub(crate) struct TestServer {
    process: Child,
    dir: tempfile::TempDir,
}

impl TestServer {
    /// Starts a server. `QDEMO_TEST_SERVER` means what it means to the suite: its program, or `require`; with it, a test
    /// fails that has no server. Without it, None, with a message that nobody overlooks.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let asked = std::env::var("QDEMO_TEST_SERVER").ok();
        let named = asked.clone().filter(|value| value != "require");
        let program = named.unwrap_or_else(|| "redis-server".to_owned());
        let dir = tempfile::tempdir().unwrap();
        let spawned = Command::new(&program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(dir.path().join("socket"))
            .args(options)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn();
        match spawned {
            Ok(process) => Some(Self { process, dir }),
            Err(error) if asked.is_some() => panic!("{program} does not start: {error}"),
            Err(error) => {
                let text = format!("\nSKIPPED, since {program} does not start: {error}\n");
                // The test harness hides what `eprintln` writes.
                std::io::stderr().write_all(text.as_bytes()).unwrap();
                None
            }
        }
    }

    /// The address, with more parameters.
    pub(crate) fn url(&self, more: &str) -> String {
        format!("unix://{}{more}", self.dir.path().join("socket").display())
    }

    pub(crate) fn connect_as(&self, more: &str) -> Connection {
        let client = redis::Client::open(self.url(more)).unwrap();
        // The server makes its socket when it is ready.
        for _ in 0..10_000 {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(_) => std::thread::yield_now(),
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        panic!("the server is not ready");
    }

    pub(crate) fn connect(&self) -> Connection {
        self.connect_as("")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The script in virtual time: the caller gives the time, the clients that are absent and the run of the server, and the call
/// returns what the script would publish. `absence` replaces the time after which an absent client is dead.
fn virtual_script(absence: &str) -> String {
    let changes = [
        ("local clock = call('TIME')\n", ""),
        ("now = clock[1] * 1000 + floor(clock[2] / 1000)", "now = tonumber(ARGV[5])"),
        ("call('PUBSUB', 'SHARDNUMSUB', CHANNEL .. key)[2] > 0", "not find(ARGV[6], key, 1, true)"),
        ("redis.pcall('INFO', 'server')", "'run_id:' .. ARGV[7]"),
        ("local ABSENCE = 2000", &*format!("local ABSENCE = {absence}")),
        ("call('SPUBLISH', CHANNEL .. key, flags_of(replies) .. table.concat(replies))", PUBLISH),
        ("\nreturn 1\n", "\nreturn published\n"),
        ("local function flags_of(", "local published = {}\nlocal function flags_of("),
    ];
    let mut script = SCRIPT.to_owned();
    for (from, to) in changes {
        assert_eq!(script.matches(from).count(), 1, "{from}");
        script = script.replace(from, to);
    }
    script
}

const PUBLISH: &str = "published[#published + 1] = key\n    published[#published + 1] = flags_of(replies) .. table.concat(replies)";

/// A queue, and clients that call its script in virtual time.
pub(crate) struct VirtualQueue {
    pub(crate) connection: Connection,
    pub(crate) keys: QueueKeys,
    sha1: String,
    /// Milliseconds.
    pub(crate) now: u64,
    pub(crate) absent: BTreeSet<ClientKey>,
    /// How old the moment of a hello is that makes the queue; None for a hello without a moment.
    pub(crate) hello_age: Option<u64>,
    /// Names the run of the server.
    pub(crate) run_id: String,
    /// What each client has received and the test has not taken.
    mail: BTreeMap<ClientKey, Vec<u8>>,
    /// The flag of the last message.
    pub(crate) flag: u8,
}

impl VirtualQueue {
    pub(crate) fn new(server: &TestServer) -> Self {
        Self::with_absence(server, 2000)
    }

    pub(crate) fn with_absence(server: &TestServer, absence: u64) -> Self {
        let mut connection = server.connect();
        let script = virtual_script(&absence.to_string());
        let sha1 = redis::cmd("SCRIPT").arg("LOAD").arg(script).query(&mut connection).unwrap();
        Self {
            connection,
            keys: QueueKeys::new("qdemo", &name("jobs")),
            sha1,
            now: 1_000_000,
            absent: BTreeSet::new(),
            hello_age: Some(0),
            run_id: "first".to_owned(),
            mail: BTreeMap::new(),
            flag: 0,
        }
    }

    /// Forgets the queue, its clients and their mail.
    pub(crate) fn reset(&mut self) {
        let keys = self.keys.keys();
        redis::cmd("DEL").arg(&keys[..]).exec(&mut self.connection).unwrap();
        self.absent.clear();
        self.mail.clear();
    }

    /// Makes a call, and keeps what it publishes.
    pub(crate) fn try_call(
        &mut self,
        client: ClientKey,
        requests: &[u8],
    ) -> Result<(), RedisError> {
        let absent: Vec<_> = self.absent.iter().map(ToString::to_string).collect();
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.sha1).arg(14).arg(&self.keys.keys()[..]).arg(client.to_string());
        let moment = self.hello_age.map_or(String::new(), |age| (self.now - age).to_string());
        command
            .arg(requests)
            .arg(0)
            .arg(moment)
            .arg(self.now)
            .arg(absent.join(","))
            .arg(&self.run_id);
        let published: Vec<Vec<u8>> = command.query(&mut self.connection)?;
        for pair in published.chunks(2) {
            let key = ClientKey::parse(&pair[0]).unwrap();
            self.flag = pair[1][0];
            self.mail.entry(key).or_default().extend_from_slice(&pair[1][1..]);
        }
        Ok(())
    }

    #[track_caller]
    pub(crate) fn call(&mut self, client: ClientKey, requests: &[u8]) {
        self.try_call(client, requests).unwrap();
    }

    /// Takes what a client has received.
    pub(crate) fn take_mail(&mut self, client: ClientKey) -> Vec<u8> {
        self.mail.remove(&client).unwrap_or_default()
    }

    /// Makes a call, and takes what the caller has received, without the last newline.
    #[track_caller]
    pub(crate) fn ask(&mut self, client: ClientKey, requests: &str) -> String {
        self.call(client, requests.as_bytes());
        String::from_utf8(self.take_mail(client)).unwrap().trim_end().to_owned()
    }

    /// Connects a client with more settings than its role, and returns its welcome or the refusal. Its earlier mail is lost.
    #[track_caller]
    pub(crate) fn hello(&mut self, client: ClientKey, role: &str, more: &str) -> String {
        self.take_mail(client);
        let line = format!(r#"hello {{"version":2,"role":"{role}","pid":7{more}}}"#);
        self.ask(client, &format!("{line}\n"))
    }

    /// Connects a client of this role.
    #[track_caller]
    pub(crate) fn connect(&mut self, client: ClientKey, role: &str) {
        let reply = self.hello(client, role, "");
        assert!(reply.starts_with("welcome "), "{reply}");
    }

    /// The code and the text of the error that a call ends with.
    #[track_caller]
    pub(crate) fn refused(&mut self, client: ClientKey, requests: &str) -> String {
        let error = self.try_call(client, requests.as_bytes()).unwrap_err();
        let code = error.code().unwrap_or("none");
        format!("{code} {}", error.detail().unwrap_or_default())
    }

    /// Runs a command, and returns its reply.
    pub(crate) fn run(&mut self, words: &[&str]) -> RedisResult<Value> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection)
    }
}
