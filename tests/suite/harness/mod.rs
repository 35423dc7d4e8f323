//! The sandbox of a test: private folders, a clean environment, a time limit for each process, and a check
//! that the test leaves no process, pipe or folder behind.

mod limit;
mod outcome;
mod own_server;
mod processes;
mod proxy;
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use qdemo::QueueBuilder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use limit::{Limit, wait_for_input, wait_while};
pub use outcome::{Outcome, assert_same};
pub use own_server::{LOSES_NOTHING, OwnServer};
pub use processes::{Process, children_of, signal_to, wait_for_end};
use processes::{process, restore_signals};
pub use proxy::{Proxy, Way};
pub use server::Backend;

pub const QDEMO: &str = env!("CARGO_BIN_EXE_qdemo");

/// The transcript of the classic example.
pub const CLASSIC: &str = "\
生産者: アイテム0 を追加しました
消費者: アイテム0 を取得しました
生産者: アイテム1 を追加しました
生産者: アイテム2 を追加しました
消費者: アイテム1 を取得しました
生産者: アイテム3 を追加しました
生産者: アイテム4 を追加しました
消費者: アイテム2 を取得しました
消費者: アイテム3 を取得しました
消費者: アイテム4 を取得しました
すべてのプロセスが終了しました
";

/// The private folders of one test. Commands run in this sandbox.
pub struct Sandbox {
    root: TempDir,
    /// The folder of the program.
    bin: PathBuf,
    /// The user that runs the commands. None means the user that runs the tests.
    user: Option<u32>,
    /// The URL of the server that holds the queues. None means that the queues are local.
    server: Option<String>,
    /// The locale of the commands.
    locale: &'static str,
}

/// A running command. The time limit kills its process group.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    /// What the command has written to standard error so far.
    told: Arc<Mutex<Vec<u8>>>,
    stderr: JoinHandle<()>,
    _limit: mpsc::Sender<()>,
}

impl Sandbox {
    /// A sandbox of local queues.
    pub fn new() -> Self {
        Self::on(Backend::Local)
    }

    /// A sandbox whose queues are on this backend. Sandboxes share no queue.
    pub fn on(backend: Backend) -> Self {
        Self::with_server(backend.new_url())
    }

    /// A sandbox whose queues are on the server at this URL.
    pub fn at_server(url: &str) -> Self {
        Self::with_server(Some(url.to_owned()))
    }

    fn with_server(server: Option<String>) -> Self {
        let root = tempfile::Builder::new().prefix("qdemo-test.").tempdir().unwrap();
        for dir in ["tmp", "queues", "home"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let bin = Path::new(QDEMO).parent().unwrap().to_owned();
        Self { root, bin, user: None, server, locale: "C.UTF-8" }
    }

    /// The same sandbox for a user with a Japanese locale.
    pub fn in_japanese(mut self) -> Self {
        self.locale = "ja_JP.UTF-8";
        self
    }

    /// A sandbox of a user that file modes apply to. For root, the user is `nobody`.
    pub fn unprivileged() -> Self {
        let sandbox = Self::new();
        if rustix::process::geteuid().is_root() { sandbox.owned_by(65534) } else { sandbox }
    }

    /// A sandbox of a user without any other process. Prints a notice and returns None if root does not run
    /// the tests.
    pub fn of_a_user_alone() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can run commands as another user");
            return None;
        }
        let number = std::process::id() % 256 * 16 + COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self::new().owned_by(60_000 + number))
    }

    /// Gives the sandbox to a user. This user then runs the commands.
    fn owned_by(mut self, user: u32) -> Self {
        // The user may have no access to the build folder.
        self.bin = self.path("bin");
        fs::create_dir(&self.bin).unwrap();
        // Another process makes the copy. A concurrent fork of this process would hold the copy open for
        // writing, and the system would then refuse to execute the copy.
        let copied = Command::new("cp").arg(QDEMO).arg(&self.bin).status().unwrap();
        assert!(copied.success());
        let dirs = ["", "tmp", "queues", "home"].map(|name| self.path(name));
        dirs.iter().for_each(|dir| chown(dir, Some(user), Some(user)).unwrap());
        self.user = Some(user);
        self
    }

    /// The user that runs the commands. None means the user that runs the tests.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The directory of a queue.
    pub fn queue(&self, name: &str) -> PathBuf {
        self.path("queues").join(name)
    }

    /// Makes an empty directory for a queue.
    pub fn make_queue(&self, name: &str) -> PathBuf {
        let path = self.queue(name);
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        path
    }

    /// A command whose environment names only this sandbox. The command ignores and blocks no signal if this
    /// thread starts the command.
    pub fn command(&self, program: &str) -> Command {
        restore_signals();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("QDEMO_DIR", self.path("queues"))
            .env("LC_ALL", self.locale)
            .envs(self.server.iter().map(|url| ("QDEMO_SERVER", url)))
            .current_dir(self.root.path());
        command
    }

    pub fn qdemo<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = self.command(self.bin.join("qdemo").to_str().unwrap());
        command.args(args.iter().map(AsRef::as_ref));
        command
    }

    pub fn start<S: AsRef<str>>(&self, args: &[S]) -> Running {
        Running::start(self.qdemo(args))
    }

    /// A builder of the library for a queue of this sandbox.
    pub fn builder(&self, queue: &str) -> QueueBuilder {
        let builder = QueueBuilder::new(queue.parse().unwrap());
        match &self.server {
            Some(url) => builder.server(url).unwrap(),
            // The sandbox finds its keepers by this directory in their environment.
            None => builder.dir(self.path("queues")).program(QDEMO),
        }
    }

    /// Starts a consumer of the default queue. Returns when the consumer has printed its first item.
    pub fn start_consumer(&self, more: &[&str]) -> Running {
        self.run(&["producer", "--quiet", "--keep-open", "first of all"]);
        let mut consumer = self.start(&[&["consumer"][..], more].concat());
        assert!(consumer.line().contains("first of all"));
        consumer
    }

    /// Runs a command to its end with an empty standard input.
    pub fn run<S: AsRef<str>>(&self, args: &[S]) -> Outcome {
        self.start(args).end()
    }

    /// Runs a command to its end with `input` on standard input.
    pub fn run_with_input<S: AsRef<str>>(&self, args: &[S], input: &[u8]) -> Outcome {
        let mut running = self.start(args);
        let mut stdin = running.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = thread::spawn(move || {
            // A command may end before it has read the whole input.
            let _ = stdin.write_all(&input);
        });
        let outcome = running.end();
        feeder.join().unwrap();
        outcome
    }

    /// Runs a shell script to its end.
    pub fn script(&self, text: &str) -> Outcome {
        let mut command = self.command("bash");
        command.args(["-c", text]);
        Running::start(command).end()
    }

    /// Runs a shell script to its end, as a user with this locale. A shell would complain of an `LC_ALL` that is not
    /// installed.
    pub fn script_in_locale(&self, locale: &str, text: &str) -> Outcome {
        let mut command = self.command("bash");
        command.args(["-c", text]).env_remove("LC_ALL").env("LANG", locale);
        Running::start(command).end()
    }

    /// The status of the default queue.
    pub fn status(&self) -> serde_json::Value {
        let outcome = self.run(&["status", "-q", "default", "--format", "json"]);
        outcome.assert_done();
        serde_json::from_str(&outcome.text()).unwrap()
    }

    /// What `qdemo status` prints of the queues. On a server, a line about the server comes first.
    pub fn status_text(&self, more: &[&str]) -> String {
        let outcome = self.run(&[&["status"], more].concat());
        outcome.assert_done();
        let text = outcome.text();
        let Some(url) = &self.server else { return text };
        let (about_server, rest) = text.split_once('\n').unwrap();
        assert!(about_server.starts_with(&format!("server {url}: ")), "{text}");
        rest.to_owned()
    }

    /// Waits until the default queue exists and its status satisfies `is`.
    pub fn wait_for_status(&self, is: impl Fn(&serde_json::Value) -> bool) {
        self.wait_for_status_every("10ms", is);
    }

    fn wait_for_status_every(&self, pause: &str, is: impl Fn(&serde_json::Value) -> bool) {
        self.watch(pause, |line| {
            let status: serde_json::Value = serde_json::from_str(line).expect("a status");
            status["queue"] == "default" && is(&status)
        });
    }

    /// Waits until a client of any queue waits for an item.
    pub fn wait_for_consumer(&self) {
        self.watch("10ms", |line| line.contains(r#""waits_for":"item""#));
    }

    /// Waits for a line of `status --watch` that satisfies `is`. Only the keeper or the server knows the state
    /// of a queue.
    fn watch(&self, pause: &str, is: impl Fn(&str) -> bool) {
        let args = ["status", "--format", "json", "--watch", "--every", pause];
        let mut watch = self.start(&args);
        loop {
            let line = watch.line();
            assert!(!line.is_empty(), "the status never satisfied the condition");
            if is(&line) {
                break;
            }
        }
        watch.signal(Signal::TERM);
        watch.end();
    }

    /// Waits until the default queue has noticed the death of a client. A keeper notices a death before it
    /// handles any later request. A server notices a death seconds later.
    pub fn wait_for_notice_of_death(&self, pid: i32) {
        if self.server.is_none() {
            return;
        }
        let clients = |status: &serde_json::Value| {
            ["producers", "consumers"].map(|role| status[role].as_array().unwrap().clone()).concat()
        };
        self.wait_for_status_every("100ms", |status| {
            clients(status).iter().all(|client| client["pid"] != pid)
        });
    }

    /// All live processes whose environment names this sandbox.
    pub fn processes(&self) -> Vec<Process> {
        let mark = self.root.path().as_os_str().as_encoded_bytes();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if memchr::memmem::find(&environment, mark).is_none() {
                continue;
            }
            found.extend(process(pid));
        }
        found.sort_by_key(|process| process.pid);
        found
    }

    /// The processes of this sandbox whose arguments start with `args`.
    pub fn processes_of(&self, args: &str) -> Vec<Process> {
        let mut all = self.processes();
        all.retain(|process| process.args.starts_with(args));
        all
    }

    /// Waits until the keeper of `queue` has ended. A keeper releases its inbox before its end.
    pub fn wait_for_keeper_to_go(&self, queue: &str) {
        for keeper in self.processes_of(&format!("qdemo keeper --queue {queue}")) {
            wait_for_end(keeper.pid);
        }
    }

    /// Fails if a process, a pipe, a private folder or a subscription is left behind. First waits for the end
    /// of each process: a keeper or a worker needs a moment to notice that it is alone.
    pub fn assert_nothing_left(&self) {
        for process in self.processes() {
            wait_for_end(process.pid);
        }
        let left = self.processes();
        assert!(left.is_empty(), "processes are left: {left:#?}");
        let mut files = Vec::new();
        list_files(&self.path("tmp"), &mut files);
        assert!(files.is_empty(), "left in the temporary folder: {files:?}");
        list_files(&self.path("queues"), &mut files);
        if let Some(url) = &self.server {
            assert!(files.is_empty(), "local files of a queue on a server: {files:?}");
            server::wait_until_nobody_listens(url);
        }
        let pipes: Vec<_> = files
            .iter()
            .filter(|path| fs::symlink_metadata(path).unwrap().file_type().is_fifo())
            .collect();
        assert!(pipes.is_empty(), "pipes are left: {pipes:?}");
    }

    /// Fails if the sandbox has a queue, or if anything of a removed queue is left.
    #[track_caller]
    pub fn assert_no_queue(&self) {
        let mut files = Vec::new();
        list_files(&self.path("queues"), &mut files);
        assert!(files.is_empty(), "queues are left: {files:?}");
        let keys = self.server.as_deref().map(server::keys).unwrap_or_default();
        assert!(keys.is_empty(), "keys are left: {keys:?}");
    }
}

impl Drop for Sandbox {
    /// Kills the processes that a failing test has left.
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill_process(Pid::from_raw(process.pid).unwrap(), Signal::KILL);
        }
    }
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            // The time limit kills this process group.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        let stderr = thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match pipe.read(&mut buffer).unwrap() {
                    0 => return,
                    count => to.lock().unwrap().extend_from_slice(&buffer[..count]),
                }
            }
        });
        let limit = limit::watch(child.id());
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            told,
            stderr,
            child,
            _limit: limit,
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether the command has ended. Does not wait.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The next line of standard output. Empty at the end of the output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// Waits until the command has written these words to standard error.
    pub fn wait_until_told(&self, words: &str) {
        wait_while(|| !String::from_utf8_lossy(&self.told.lock().unwrap()).contains(words));
    }

    /// Sends each further line of standard output to `to`.
    pub fn forward(&mut self, to: mpsc::SyncSender<String>) {
        let stdout = self.stdout.take().unwrap();
        thread::spawn(move || {
            for line in stdout.lines() {
                // A receiver that is gone needs no more lines.
                let Ok(()) = to.send(line.unwrap()) else { return };
            }
        });
    }

    /// Writes to standard input.
    pub fn feed(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Stops reading standard output.
    pub fn stop_reading(&mut self) {
        drop(self.stdout.take());
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Closes standard input, reads the rest of the output, and waits for the end.
    pub fn end(mut self) -> Outcome {
        drop(self.stdin.take());
        let mut stdout = Vec::new();
        if let Some(mut pipe) = self.stdout.take() {
            pipe.read_to_end(&mut stdout).unwrap();
        }
        let status = self.child.wait().unwrap();
        self.stderr.join().unwrap();
        let told = self.told.lock().unwrap();
        Outcome { stdout, stderr: String::from_utf8_lossy(&told).into_owned(), status }
    }
}

/// Opens the inbox of a queue for writing. Does not connect a client.
pub fn open_inbox(dir: &Path) -> fs::File {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(dir.join("inbox")).unwrap()
}

fn list_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        files.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            list_files(&entry.path(), files);
        }
    }
}
