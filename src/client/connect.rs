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
use super::timeout::{Deadline, Limit};
use super::{Client, Error, Patience};
use crate::cli;
use crate::clock::{Stamp, nanos};
use crate::exit::ExitCode;
use crate::keeper::daemon;
use crate::os;
use crate::os::Waker;
use crate::pipe::{DirError, Door, Mailbox, PIPE_BUF, QueueDir, keeper_of};
use crate::queue_name::QueueName;
use crate::role::Role;
use crate::wire::{Hello, Key, LARGEST_ITEM, LARGEST_OF_ALL, Status, Welcome};

/// How often a keeper may go just as this client comes, before that is taken for a fault.
const TRIES: usize = 100;

/// How to come to a queue.
#[derive(Clone, Debug)]
pub struct Options {
    base: Option<PathBuf>,
    pub(super) name: QueueName,
    hello: Hello,
    pub(super) program: Option<OsString>,
    starts_keeper: bool,
    interrupt: Option<Arc<Waker>>,
    patience: Patience,
}

/// Whether this program keeps queues when it is asked to.
pub(super) static KEEPS: AtomicBool = AtomicBool::new(false);

/// Lets the queues of this program be kept by the program itself, so that it needs no `qdemo`: call
/// this first thing in `main`. When the program has been started as a keeper, it keeps the queue, and
/// doesn't return. (What Python's `freeze_support` is to `multiprocessing`.)
pub fn keep_if_asked() {
    keep_by_itself();
    let args: Vec<_> = env::args_os().collect();
    // As `Options::spawn` writes it.
    if args.len() == 4 && args[1] == KEEPER[0] && args[2] == KEEPER[1] {
        let ended = os::begin().map(|()| cli::obey(args));
        std::process::exit(i32::from(!matches!(ended, Ok(ExitCode::Done))));
    }
}

/// From now on this program is the one that is started to keep a queue. Where it is, is looked up each time:
/// its file may be replaced or removed while it runs.
pub(crate) fn keep_by_itself() {
    KEEPS.store(true, Ordering::Relaxed);
}

/// How a keeper is asked for; the queue's name follows.
pub(super) const KEEPER: [&str; 2] = ["keeper", "--queue"];

impl Options {
    /// To come to the queue `name` as `role`, in the folder that the environment names: `QDEMO_DIR`,
    /// by default `${XDG_STATE_HOME:-~/.local/state}/qdemo`.
    pub fn new(name: QueueName, role: Role) -> Self {
        let hello = Hello::new(role);
        Self {
            base: None,
            name,
            hello,
            program: None,
            starts_keeper: true,
            interrupt: None,
            patience: Patience::Endless,
        }
    }

    /// Another queue in the same folder.
    pub(crate) fn queue(mut self, name: QueueName) -> Self {
        self.name = name;
        self
    }

    /// The folder in which the queue lies.
    pub fn dir(mut self, base: PathBuf) -> Self {
        self.base = Some(base);
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
        self.hello.largest = Some(bytes);
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
        self.patience(Patience::For(nanos(timeout)))
    }

    /// The same.
    pub(crate) fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
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
    pub(crate) fn callers(mut self, callers: Vec<Stamp>) -> Self {
        self.hello.callers = callers;
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
        self.hello.worker = Some(number);
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
    pub(crate) fn connect_if_there(mut self) -> Result<Option<Client>, Error> {
        let base = self.base()?;
        match QueueDir::exists(&base, self.name.as_str())? {
            false => Ok(None),
            true => self.dir(base).connect().map(Some),
        }
    }

    /// Comes to the queue if somebody keeps it just now.
    pub(crate) fn connect_if_kept(mut self) -> Result<Option<Client>, Error> {
        let base = self.base()?;
        if !QueueDir::exists(&base, self.name.as_str())? {
            return Ok(None);
        }
        self.starts_keeper = false;
        match self.dir(base).connect() {
            Err(Error::Gone) => Ok(None),
            other => other.map(Some),
        }
    }

    /// As what.
    pub(super) fn as_what(&self) -> Role {
        self.hello.role
    }

    /// How long a wait may be that has no limit of its own.
    pub(super) fn own_patience(&self) -> Patience {
        self.patience
    }

    pub(super) fn wakers(&self) -> impl Iterator<Item = &Arc<Waker>> {
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
        let base = self.base()?;
        self.base = Some(base.clone());
        let mut damaged = Vec::new();
        let place = || Ok(QueueDir::open_or_create(&base, self.name.as_str())?);
        let limit = Limit::Until(Deadline::new(self.patience));
        let come = |dir: &QueueDir, door| self.enter(dir, door, limit);
        let mut client = self.reach(place, &mut damaged, &limit, come)?;
        (client.damaged, client.limit) = (damaged, Limit::Each(self.patience));
        Ok(client)
    }

    /// Finds another keeper of the queue after the death of the one that this client knew.
    pub(super) fn reach_again(
        mut self,
        damaged: &mut Vec<u64>,
        limit: &Limit,
        mut come: impl FnMut(Door) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.base()?.join(self.name.as_str());
        let place = || match QueueDir::open(path.clone()) {
            Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::removed())
            }
            other => Ok(other?),
        };
        self.reach(place, damaged, limit, |_, door| come(door))
    }

    /// Finds the keeper in its `place`, or starts one, until the client has `come` there.
    fn reach<T>(
        &self,
        place: impl Fn() -> Result<QueueDir, Error>,
        damaged: &mut Vec<u64>,
        limit: &Limit,
        mut come: impl FnMut(&QueueDir, Door) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Held until the welcome, or the keeper would not wait for us.
        let mut starting = None;
        reap_keepers();
        for _ in 0..TRIES {
            let dir = place()?;
            match Door::open(&dir).map_err(open_failed("cannot open the queue's inbox"))? {
                Some(door) => match come(&dir, door) {
                    // It went just as we came.
                    Err(Error::Gone) if self.starts_keeper => {}
                    other => return other,
                },
                None if self.starts_keeper => starting = self.start(&dir, damaged, limit)?,
                None => return Err(Error::Gone),
            }
        }
        drop(starting);
        Err(Error::Start(format!("{TRIES} of them have died at once")))
    }

    fn base(&mut self) -> Result<PathBuf, Error> {
        self.base.take().map_or_else(default_dir, Ok)
    }

    /// Says hello and waits for the welcome.
    fn enter(&self, dir: &QueueDir, door: Door, limit: Limit) -> Result<Client, Error> {
        let random = || Key::random().map_err(|error| Error::Start(error.to_string()));
        let (key, mailbox) = (random()?, Some(random()?));
        let born = born_for(dir.path(), self.hello.role);
        let hello = Hello { born, mailbox, ..self.hello.clone() };
        let mailbox = match Mailbox::create(dir, &hello.mailbox_name(key)) {
            // The directory has gone together with the keeper.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Gone),
            other => other.map_err(open_failed("cannot make a mailbox"))?,
        };
        let session = Session::new(key, hello, PIPE_BUF)
            .map_err(|error| Error::Protocol(error.to_string()))?;
        let mut client = Client {
            options: self.clone(),
            place: dir.path().to_owned(),
            door,
            mailbox,
            session,
            buffer: vec![0; 64 * 1024],
            welcome: Welcome::default(),
            unsent: 0,
            lines: Vec::new(),
            answered: 0,
            window: 0,
            largest: self.hello.largest.unwrap_or(LARGEST_ITEM).min(LARGEST_OF_ALL),
            heard: VecDeque::new(),
            full: false,
            late: Vec::new(),
            for_a_reader: false,
            damaged: Vec::new(),
            limit,
            cancelled: None,
            welcomed: false,
            missed_the_end: false,
        };
        client.be_welcomed()?;
        Ok(client)
    }

    /// The keeper of the queue in this directory has not answered in time.
    pub(super) fn no_answer(&self, dir: &Path) -> Error {
        let (queue, process) = (self.name.to_string(), keeper_of(dir));
        Error::NoAnswer { queue, process, starting: false }
    }
}

/// The queues whose end this process has been told as a consumer, and when.
static TOLD: Mutex<BTreeMap<PathBuf, Stamp>> = Mutex::new(BTreeMap::new());

/// This process has been told of the end of the queue in this directory. If it did so as a consumer, it
/// counts from now on as one that started afterwards, and gets what comes next.
pub(super) fn remember_end(dir: &Path, role: Role) {
    if role == Role::Consumer {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(dir.to_owned(), Stamp::next());
    }
}

/// Since when this process has waited for the queue in this directory.
fn born_for(dir: &Path, role: Role) -> Stamp {
    let told = match role {
        Role::Consumer => TOLD.lock().unwrap_or_else(PoisonError::into_inner).get(dir).copied(),
        _ => None,
    };
    told.unwrap_or_else(Stamp::birth)
}

/// Where queues lie when nothing else is said.
pub(crate) fn default_dir() -> Result<PathBuf, Error> {
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
pub(crate) fn status_at_rest(base: &Path, name: &QueueName) -> anyhow::Result<Option<Status>> {
    if !QueueDir::exists(base, name.as_str())? {
        return Ok(None);
    }
    match QueueDir::open(base.join(name.as_str())) {
        Ok(dir) => daemon::at_rest(&dir).map(Some),
        // It is removed at this moment.
        Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error).into()),
    }
}

pub(super) fn open_failed(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    |error| Error::Open { what, error }
}
