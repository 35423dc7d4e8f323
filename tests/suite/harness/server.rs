//! The server of the tests: one `redis-server` for all tests of this process, on a socket in a private folder.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::limit::{wait_for_input, wait_while};

/// Where the queues of a test are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A keeper on this machine holds each queue.
    Local,
    /// A server holds the queues. Its settings lose nothing while it runs, and little if it is killed.
    Server,
    /// A server holds the queues, and writes each change to its disk before it answers.
    DurableServer,
}

/// `require`: tests that need the server fail without it. Another value is the server's program, which is then
/// required. By default the program is `redis-server`, and without it the tests are skipped.
const VARIABLE: &str = "QDEMO_TEST_SERVER";

/// No snapshot is due for a year. But as the server has a rule for snapshots, clients do not warn that it
/// keeps nothing.
const SETTINGS: [&str; 4] = ["--save", "31536000 1", "--appendonly", "no"];
const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

static SERVER: LazyLock<Result<Server, String>> = LazyLock::new(|| Server::start(&SETTINGS));
static DURABLE_SERVER: LazyLock<Result<Server, String>> = LazyLock::new(|| Server::start(&DURABLE));

static SKIPPED: AtomicU32 = AtomicU32::new(0);

/// The guard of a server: a shell that waits for the end of its standard input. The input ends with this process,
/// however this process ends. Then the guard kills the server and removes its folder.
const GUARD: &str = r#"
    folder=$1; shift
    "$@" < /dev/null &
    exec > /dev/null
    cat
    kill -KILL $!
    wait
    rm -rf "$folder"
"#;

struct Server {
    socket: PathBuf,
    /// Holds the writing end of the guard's standard input. A static value is never dropped.
    _guard: Child,
}

impl Backend {
    pub fn is_server(self) -> bool {
        self != Self::Local
    }

    /// Runs a test on this backend. Skips the test if the backend is a server and no server can be started.
    pub fn check(self, test: impl FnOnce(Self)) {
        match self.server() {
            Some(Err(cause)) if std::env::var_os(VARIABLE).is_some() => panic!("{cause}"),
            Some(Err(cause)) => {
                eprintln!("SKIPPED: {cause}");
                SKIPPED.fetch_add(1, Ordering::Relaxed);
            }
            _ => test(self),
        }
    }

    fn server(self) -> Option<&'static Result<Server, String>> {
        match self {
            Self::Local => None,
            Self::Server => Some(&SERVER),
            Self::DurableServer => Some(&DURABLE_SERVER),
        }
    }

    /// A URL of the server whose prefix no other sandbox has.
    pub(super) fn new_url(self) -> Option<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = self.server()?.as_ref().unwrap_or_else(|cause| panic!("{cause}"));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(format!("redis+unix://{}?prefix=test-{number}", server.socket.display()))
    }
}

impl Server {
    fn start(settings: &[&str]) -> Result<Self, String> {
        let program = program()?;
        let folder = tempfile::Builder::new().prefix("qdemo-test-server.").tempdir().unwrap();
        let folder = folder.keep();
        let socket = folder.join("redis.sock");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&folder).arg(&program).args(settings);
        guard.arg("--dir").arg(&folder).arg("--unixsocket").arg(&socket).args(["--port", "0"]);
        // Ctrl-C reaches this process, and not the guard.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = guard.spawn().unwrap();
        let mut log = BufReader::new(guard.stdout.take().unwrap());
        let mut seen = String::new();
        while !seen.contains("eady to accept connections") {
            let is_there = !log.buffer().is_empty() || wait_for_input(log.get_ref());
            if !is_there || log.read_line(&mut seen).unwrap() == 0 {
                drop(guard.stdin.take());
                guard.wait().unwrap();
                return Err(format!("`{program}` does not start:\n{seen}"));
            }
        }
        // The server must always have room for its log.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Ok(Self { socket, _guard: guard })
    }
}

/// The server's program. An error if it cannot be executed, or is too old.
pub(super) fn program() -> Result<String, String> {
    let named = std::env::var(VARIABLE).ok().filter(|value| value != "require");
    let program = named.unwrap_or_else(|| "redis-server".to_owned());
    let Ok(output) = Command::new(&program).arg("--version").output() else {
        return Err(format!("there is no `{program}`: install it (apt-get install redis-server)"));
    };
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.lines().next().unwrap_or_default();
    let major = version.split_once("v=").and_then(|(_, rest)| rest.split('.').next());
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(7..) => Ok(program),
        _ => Err(format!("`{program}` is no server of version 7.0 or later: {version}")),
    }
}

/// The keys of a sandbox. `url` is the URL of the sandbox.
pub(super) fn keys(url: &str) -> Vec<String> {
    let (server, prefix) = url.split_once("?prefix=").unwrap();
    ask(server, redis::cmd("KEYS").arg(format!("{prefix}:*")))
}

/// Waits until no client listens to the channels of a sandbox. A server needs a moment to notice that a
/// connection is closed.
#[track_caller]
pub(super) fn wait_until_nobody_listens(url: &str) {
    let (server, prefix) = url.split_once("?prefix=").unwrap();
    let mut channels = redis::cmd("PUBSUB");
    channels.arg("SHARDCHANNELS").arg(format!("{prefix}:*"));
    wait_while(|| !ask(server, &channels).is_empty());
}

fn ask(server: &str, command: &redis::Cmd) -> Vec<String> {
    let mut connection = redis::Client::open(server).unwrap().get_connection().unwrap();
    command.query(&mut connection).unwrap()
}

/// Tells of the skipped tests when this process ends. The test harness would hide the output of a test.
#[ctor::dtor]
fn tell_of_skipped_tests() {
    let count = SKIPPED.load(Ordering::Relaxed);
    if let (1.., Some(Err(cause))) = (count, Backend::Server.server()) {
        let text = format!("\nSKIPPED: {count} tests of queues on a server: {cause}\n\n");
        let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    }
}
