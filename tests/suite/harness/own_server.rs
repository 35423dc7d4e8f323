//! A server of one test's own, which the test may stop, kill and start again.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::limit::{wait_for_input, wait_while};
use super::processes::signal_to;
use super::server::program;

/// A shell that starts the server, says its process id, and kills it when standard input ends. The input ends with
/// the process of the tests, however that process ends.
const GUARD: &str = r#"
    "$@" < /dev/null &
    echo "process $!"
    exec > /dev/null
    cat
    kill -KILL $!
    wait
"#;

/// Settings of a server that loses nothing that it has answered.
pub const LOSES_NOTHING: [&str; 6] =
    ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];

/// A running server, or a killed one.
pub struct OwnServer {
    folder: TempDir,
    settings: Vec<String>,
    /// The option that the port is for.
    port_option: &'static str,
    port: u16,
    /// What the log says when the server is ready.
    ready: &'static str,
    /// The guard, and the server's process. None: the server was killed.
    running: Option<(Child, i32)>,
}

impl OwnServer {
    /// A server with these settings that listens on a socket only.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_with(settings, "--port", 0)
    }

    /// A server that listens on a TCP port too.
    pub fn start_on_port(settings: &[&str]) -> Self {
        Self::start_with(settings, "--port", free_port())
    }

    /// A server whose TCP port takes only TLS.
    pub fn start_with_tls(settings: &[&str]) -> Self {
        Self::start_with(&[&["--port", "0"], settings].concat(), "--tls-port", free_port())
    }

    /// A server of a cluster.
    pub fn start_in_cluster() -> Self {
        let bus = free_port().to_string();
        let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--save", "31536000 1"];
        Self::start_on_port(&settings)
    }

    /// A Sentinel that alone watches over a primary, which it knows as `queues`.
    pub fn start_sentinel(primary_port: u16, more: &str) -> Self {
        let mut sentinel = Self::stopped("--port", free_port());
        let file = sentinel.file("sentinel.conf");
        let monitor = format!(
            "sentinel monitor queues 127.0.0.1 {primary_port} 1\n\
             sentinel down-after-milliseconds queues 1000\n{more}\n"
        );
        std::fs::write(&file, monitor).unwrap();
        sentinel.settings = vec![file.display().to_string(), "--sentinel".to_owned()];
        sentinel.ready = "+monitor";
        sentinel.restart();
        sentinel
    }

    fn start_with(settings: &[&str], port_option: &'static str, port: u16) -> Self {
        let mut server = Self::stopped(port_option, port);
        server.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        server.restart();
        server
    }

    fn stopped(port_option: &'static str, port: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("qdemo-test-server.").tempdir().unwrap();
        let ready = "eady to accept connections";
        Self { folder, settings: Vec::new(), port_option, port, ready, running: None }
    }

    /// Starts the killed server again, with the same data, and waits until it accepts connections.
    pub fn restart(&mut self) {
        self.restart_until(self.ready, &[]);
    }

    /// Starts the killed server again, and waits until its log has `text`.
    pub fn restart_until(&mut self, text: &str, more: &[&str]) {
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(program().unwrap()).args(&self.settings).args(more);
        guard.arg("--dir").arg(self.folder.path()).arg("--unixsocket").arg(self.socket());
        guard.arg(self.port_option).arg(self.port.to_string());
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = guard.spawn().unwrap();
        let mut log = BufReader::new(guard.stdout.take().unwrap());
        let mut seen = String::new();
        while !seen.contains(text) {
            let is_there = !log.buffer().is_empty() || wait_for_input(log.get_ref());
            assert!(is_there && log.read_line(&mut seen).unwrap() > 0, "no server:\n{seen}");
        }
        // The server must always have room for its log.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        let pid = seen.lines().find_map(|line| line.strip_prefix("process ")).unwrap();
        self.running = Some((guard, pid.parse().unwrap()));
    }

    /// Kills the server with SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        if let Some((mut guard, _)) = self.running.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
        }
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.running.as_ref().unwrap().1, signal);
    }

    /// The TCP port; 0 for none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for the other servers of the cluster.
    pub fn bus_port(&self) -> u16 {
        let mut settings = self.settings.iter().skip_while(|word| *word != "--cluster-port");
        settings.nth(1).unwrap().parse().unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// A file in the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}?prefix=test", self.socket().display())
    }

    /// The URL of the TCP port.
    pub fn tcp_url(&self) -> String {
        let scheme = if self.port_option == "--tls-port" { "rediss" } else { "redis" };
        format!("{scheme}://localhost:{}", self.port)
    }

    pub fn connection(&self) -> redis::Connection {
        let url = format!("redis+unix://{}", self.socket().display());
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    /// Sends a command. Returns the answer.
    #[track_caller]
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(&mut self.connection()).unwrap()
    }

    /// Waits until the answer to a command has `text`.
    #[track_caller]
    pub fn wait_until(&self, words: &[&str], text: &str) {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let mut connection = self.connection();
        wait_while(|| !command.query::<String>(&mut connection).unwrap().contains(text));
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
