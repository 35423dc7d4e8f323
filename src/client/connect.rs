//! Coming to a queue: find its keeper or start one, and be welcomed.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::session::Session;
use super::start_keeper::reap_keepers;
use super::timeout::{Deadline, SilenceLimit};
use super::{Client, Error, Timeout};
use crate::cli;
use crate::clock::{ProcessBirth, nanos};
use crate::exit::ExitCode;
use crate::keeper::daemon;
use crate::os;
use crate::os::Waker;
use crate::pipe::{DirError, InboxWriter, Mailbox, PIPE_BUF, QueueDir, keeper_pid};
use crate::queue_name::QueueName;
use crate::role::Role;
use crate::wire::{ClientKey, DEFAULT_MAX_ITEM_BYTES, Hello, MAX_ITEM_BYTES, Status, Welcome};

/// How often a keeper may go just as this client comes, before that is taken for a fault.
const MAX_CONNECT_TRIES: usize = 100;

/// How to come to a queue.
#[derive(Clone, Debug)]
pub struct Options {
    base_dir: Option<PathBuf>,
    pub(super) name: QueueName,
    hello: Hello,
    pub(super) program: Option<OsString>,
    starts_keeper: bool,
    interrupt: Option<Arc<Waker>>,
    timeout: Timeout,
}

/// Whether this program keeps queues when it is asked to.
pub(super) static IS_SELF_HOSTED: AtomicBool = AtomicBool::new(false);

/// Lets the queues of this program be kept by the program itself, so that it needs no `qdemo`: call
/// this first thing in `main`. When the program has been started as a keeper, it keeps the queue, and
/// doesn't return. (What Python's `freeze_support` is to `multiprocessing`.)
pub fn keep_if_asked() {
    enable_self_hosting();
    let args: Vec<_> = env::args_os().collect();
    // As `Options::spawn` writes it.
    if args.len() == 4 && args[1] == KEEPER_ARGS[0] && args[2] == KEEPER_ARGS[1] {
        let ended = os::set_up_signals().map(|()| cli::execute(args));
        std::process::exit(i32::from(!matches!(ended, Ok(ExitCode::Done))));
    }
}

/// From now on this program is the one that is started to keep a queue. Where it is, is looked up each time:
/// its file may be replaced or removed while it runs.
pub(crate) fn enable_self_hosting() {
    IS_SELF_HOSTED.store(true, Ordering::Relaxed);
}

/// How a keeper is asked for; the queue's name follows.
pub(super) const KEEPER_ARGS: [&str; 2] = ["keeper", "--queue"];

impl Options {
    /// To come to the queue `name` as `role`, in the folder that the environment names: `QDEMO_DIR`,
    /// by default `${XDG_STATE_HOME:-~/.local/state}/qdemo`.
    pub fn new(name: QueueName, role: Role) -> Self {
        let hello = Hello::new(role);
        Self {
            base_dir: None,
            name,
            hello,
            program: None,
            starts_keeper: true,
            interrupt: None,
            timeout: Timeout::Infinite,
        }
    }

    /// Another queue in the same folder.
    pub(crate) fn queue(mut self, name: QueueName) -> Self {
        self.name = name;
        self
    }

    /// The folder in which the queue lies.
    pub fn dir(mut self, base: PathBuf) -> Self {
        self.base_dir = Some(base);
        self
    }

    /// The capacity that the queue is to have: how many items may be in line, 0 for any number.
    /// Coming fails if the queue has another one already.
    pub fn capacity(mut self, capacity: u64) -> Self {
        self.hello.capacity = Some(capacity);
        self
    }

    /// A producer: the queue does not end when this one is the last to leave.
    pub fn keep_open(mut self, keep_open: bool) -> Self {
        self.hello.keep_open = keep_open;
        self
    }

    /// A consumer: it is not told when the queue ends, and waits for what comes after.
    pub fn follow(mut self, follow: bool) -> Self {
        self.hello.follow = follow;
        self
    }

    /// A consumer: an item that it has held for so long goes back in line, even while it lives. By
    /// default only its leaving or its death gives items back.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.hello.lease = Some(nanos(lease));
        self
    }

    /// A consumer: an item is put aside when this one is the `most`th that died of it, or held it
    /// for longer than its lease; 0 for never. By default 5.
    pub fn max_attempts(mut self, most: u32) -> Self {
        self.hello.max_attempts = most;
        self
    }

    /// How many bytes of JSON an item may have; by default 16 MiB, and at most 256 MiB.
    pub fn max_item_size(mut self, bytes: u64) -> Self {
        self.hello.max_item_bytes = Some(bytes);
        self
    }

    /// Whether the queue is to accept an item only when it is on the disk: then it survives not only
    /// the death of every process, but that of the machine. Once one client has asked for it, it is so
    /// for all, until the queue has ended.
    pub fn sync(mut self, sync: bool) -> Self {
        self.hello.sync = sync;
        self
    }

    /// How long to wait for a keeper that doesn't answer, because it has been stopped for example: when
    /// coming, and whenever an operation that has no limit of its own waits for it. It is given a second
    /// at least; by default there is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with_timeout(Timeout::After(nanos(timeout)))
    }

    /// The same.
    pub(crate) fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout;
        self
    }

    /// As what to come.
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.hello.role = role;
        self
    }

    /// Whether items are lent for a time only.
    pub(crate) fn has_lease(&self) -> bool {
        self.hello.lease.is_some()
    }

    /// The processes that started this one: a visitor is told of an end for which they were there.
    pub(crate) fn callers(mut self, callers: Vec<ProcessBirth>) -> Self {
        self.hello.ancestors = callers;
        self
    }

    /// The `qdemo` program that is started to keep the queue if nobody keeps it. By default it is
    /// this program, if it has called [`keep_if_asked`](crate::keep_if_asked), and otherwise `qdemo`,
    /// as it is found in the `PATH`.
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// A worker of a run: the parent is the keeper.
    pub(crate) fn worker(mut self, number: u32) -> Self {
        self.hello.worker_index = Some(number);
        self.starts_keeper = false;
        self
    }

    /// Waits end with [`Error::Interrupted`] when this is woken.
    pub(crate) fn interrupt(mut self, waker: Arc<Waker>) -> Self {
        self.interrupt = Some(waker);
        self
    }

    /// Comes to the queue if there is one: none if nobody has made it yet.
    ///
    /// # Errors
    /// As [`Options::connect`].
    pub(crate) fn connect_if_exists(mut self) -> Result<Option<Client>, Error> {
        let base = self.take_base_dir()?;
        match QueueDir::exists(&base, self.name.as_str())? {
            false => Ok(None),
            true => self.dir(base).connect().map(Some),
        }
    }

    /// Comes to the queue if somebody keeps it just now.
    pub(crate) fn connect_if_running(mut self) -> Result<Option<Client>, Error> {
        let base = self.take_base_dir()?;
        if !QueueDir::exists(&base, self.name.as_str())? {
            return Ok(None);
        }
        self.starts_keeper = false;
        match self.dir(base).connect() {
            Err(Error::KeeperGone) => Ok(None),
            other => other.map(Some),
        }
    }

    /// As what.
    pub(super) fn configured_role(&self) -> Role {
        self.hello.role
    }

    /// How long a wait may be that has no limit of its own.
    pub(super) fn default_timeout(&self) -> Timeout {
        self.timeout
    }

    pub(super) fn interrupt_wakers(&self) -> impl Iterator<Item = &Arc<Waker>> {
        self.interrupt.iter()
    }

    /// Comes to the queue, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Unsafe`] when somebody else could reach into the queue's directory,
    /// [`Error::Refused`] when the keeper doesn't want this client (another capacity),
    /// [`Error::NoAnswer`] when it doesn't answer within [`Options::timeout`], and others when the
    /// system says no.
    pub fn connect(mut self) -> Result<Client, Error> {
        let base = self.take_base_dir()?;
        self.base_dir = Some(base.clone());
        let mut damaged = Vec::new();
        let place = || Ok(QueueDir::open_or_create(&base, self.name.as_str())?);
        let limit = SilenceLimit::Until(Deadline::new(self.timeout));
        let come = |dir: &QueueDir, inbox| self.handshake(dir, inbox, limit);
        let mut client = self.find_or_start_keeper(place, &mut damaged, &limit, come)?;
        (client.damaged_lines, client.silence_limit) =
            (damaged, SilenceLimit::PerWait(self.timeout));
        Ok(client)
    }

    /// Finds another keeper of the queue after the death of the one that this client knew.
    pub(super) fn find_next_keeper(
        mut self,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
        mut come: impl FnMut(InboxWriter) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.take_base_dir()?.join(self.name.as_str());
        let place = || match QueueDir::open(path.clone()) {
            Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::removed())
            }
            other => Ok(other?),
        };
        self.find_or_start_keeper(place, damaged, limit, |_, inbox| come(inbox))
    }

    /// Finds the keeper in its `place`, or starts one, until the client has `come` there.
    fn find_or_start_keeper<T>(
        &self,
        place: impl Fn() -> Result<QueueDir, Error>,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
        mut come: impl FnMut(&QueueDir, InboxWriter) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Held until the welcome, or the keeper would not wait for us.
        let mut starting = None;
        reap_keepers();
        for _ in 0..MAX_CONNECT_TRIES {
            let dir = place()?;
            match InboxWriter::open(&dir).map_err(open_error("cannot open the queue's inbox"))? {
                Some(inbox) => match come(&dir, inbox) {
                    // It went just as we came.
                    Err(Error::KeeperGone) if self.starts_keeper => {}
                    other => return other,
                },
                None if self.starts_keeper => starting = self.start_keeper(&dir, damaged, limit)?,
                None => return Err(Error::KeeperGone),
            }
        }
        drop(starting);
        Err(Error::Start(format!("{MAX_CONNECT_TRIES} of them have died at once")))
    }

    fn take_base_dir(&mut self) -> Result<PathBuf, Error> {
        self.base_dir.take().map_or_else(default_base_dir, Ok)
    }

    /// Says hello and waits for the welcome.
    fn handshake(
        &self,
        dir: &QueueDir,
        inbox: InboxWriter,
        limit: SilenceLimit,
    ) -> Result<Client, Error> {
        let random = || ClientKey::random().map_err(|error| Error::Start(error.to_string()));
        let (key, mailbox) = (random()?, Some(random()?));
        let born = effective_birth(dir.path(), self.hello.role);
        let hello = Hello { birth: born, mailbox, ..self.hello.clone() };
        let mailbox = match Mailbox::create(dir, &hello.mailbox_name(key)) {
            // The directory has gone together with the keeper.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::KeeperGone),
            other => other.map_err(open_error("cannot make a mailbox"))?,
        };
        let session = Session::new(key, hello, PIPE_BUF);
        let mut client = Client {
            options: self.clone(),
            queue_dir: dir.path().to_owned(),
            inbox,
            mailbox,
            session,
            read_buffer: vec![0; 64 * 1024],
            welcome: Welcome::default(),
            unsent_items: 0,
            unsent_lines: Vec::new(),
            last_answered_seq: 0,
            window: 0,
            max_item_bytes: self
                .hello
                .max_item_bytes
                .unwrap_or(DEFAULT_MAX_ITEM_BYTES)
                .min(MAX_ITEM_BYTES),
            unreported_accepted: VecDeque::new(),
            has_unreported_full: false,
            lease_expired: Vec::new(),
            is_tied_to_stdout: false,
            damaged_lines: Vec::new(),
            silence_limit: limit,
            cancel_pending_since: None,
            is_welcomed: false,
            has_unreported_end: false,
        };
        client.wait_for_welcome()?;
        Ok(client)
    }

    /// The keeper of the queue in this directory has not answered in time.
    pub(super) fn no_answer_error(&self, dir: &Path) -> Error {
        let (queue, process) = (self.name.to_string(), keeper_pid(dir));
        Error::NoAnswer { queue, process, starting: false }
    }
}

/// The queues whose end this process has been told as a consumer, and when.
static ENDS_SEEN: Mutex<BTreeMap<PathBuf, ProcessBirth>> = Mutex::new(BTreeMap::new());

/// This process has been told of the end of the queue in this directory. If it did so as a consumer, it
/// counts from now on as one that started afterwards, and gets what comes next.
pub(super) fn record_end_seen(dir: &Path, role: Role) {
    if role == Role::Consumer {
        let mut told = ENDS_SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(dir.to_owned(), ProcessBirth::after_now());
    }
}

/// Since when this process has waited for the queue in this directory.
fn effective_birth(dir: &Path, role: Role) -> ProcessBirth {
    let told = match role {
        Role::Consumer => {
            ENDS_SEEN.lock().unwrap_or_else(PoisonError::into_inner).get(dir).copied()
        }
        _ => None,
    };
    told.unwrap_or_else(ProcessBirth::of_this_process)
}

/// Where queues lie when nothing else is said.
pub(crate) fn default_base_dir() -> Result<PathBuf, Error> {
    let named = |name| env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let state = || match named("XDG_STATE_HOME").filter(|dir| dir.is_absolute()) {
        Some(state) => Some(state),
        None => env::home_dir().map(|home| home.join(".local/state")),
    };
    let nowhere = "there is no home directory: say where queues lie with QDEMO_DIR";
    named("QDEMO_DIR")
        .or_else(|| state().map(|state| state.join("qdemo")))
        .ok_or_else(|| Error::Unsafe(nowhere.to_owned()))
}

/// How a queue is that nobody keeps just now; none if there is none of this name.
pub(crate) fn stored_status(base: &Path, name: &QueueName) -> anyhow::Result<Option<Status>> {
    if !QueueDir::exists(base, name.as_str())? {
        return Ok(None);
    }
    match QueueDir::open(base.join(name.as_str())) {
        Ok(dir) => daemon::stored_status(&dir).map(Some),
        // It is removed at this moment.
        Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error).into()),
    }
}

pub(super) fn open_error(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    |error| Error::Open { what, error }
}
