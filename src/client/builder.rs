//! How a program names a queue and says how it wants to use the queue.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Timeout, WaitText};
use crate::clock::{ProcessBirth, nanos};
use crate::os::Waker;
use crate::queue_name::QueueName;
use crate::role::Role;
use crate::server::{Notifier, ServerSettings};
use crate::wire::Hello;

/// Describes a queue and how to connect to it: the way to a [`Queue`](crate::Queue) with settings of
/// its own, and to a [`Client`](crate::Client).
///
/// [`open`](Self::open) makes a [`Queue`](crate::Queue), and [`connect`](Self::connect) a
/// [`Client`](crate::Client). A builder does nothing before that. Clone it to connect several times.
///
/// ```standalone_crate
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # qdemo::keep_if_asked();
/// # let dir = tempfile::tempdir()?;
/// use std::time::Duration;
///
/// use qdemo::{Queue, QueueBuilder, TryPutError};
///
/// let builder = QueueBuilder::new("thumbnails".parse()?)
/// #   .dir(dir.path())
///     .capacity(1)
///     .lease(Duration::from_secs(60));
/// let queue: Queue<String> = builder.open()?;
///
/// queue.put("cat.png".to_owned())?;
/// let Err(TryPutError::Full(item)) = queue.try_put("dog.png".to_owned()) else {
///     panic!("the queue has room for a second item");
/// };
/// assert_eq!(item, "dog.png");
/// # queue.get()?.done()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `open` or `connect`"]
pub struct QueueBuilder {
    base_dir: Option<PathBuf>,
    /// The server that the program names.
    pub(super) server: Option<ServerSettings>,
    pub(super) name: QueueName,
    pub(super) hello: Hello,
    pub(super) program: Option<OsString>,
    pub(super) starts_keeper: bool,
    pub(super) interrupt: Option<Arc<Waker>>,
    /// The limit of a wait that has no limit of its own.
    pub(super) timeout: Timeout,
    /// Tells a person of a lost connection.
    pub(super) notify: Option<Notifier>,
    /// The text for a long wait.
    pub(super) wait_text: Option<WaitText>,
    /// The client may put: a server must not drop its items.
    pub(super) may_put: bool,
}

impl QueueBuilder {
    /// A queue called `name`, with default settings.
    pub fn new(name: QueueName) -> Self {
        Self {
            base_dir: None,
            server: None,
            name,
            hello: Hello::new(Role::Visitor),
            program: None,
            starts_keeper: true,
            interrupt: None,
            timeout: Timeout::Infinite,
            notify: None,
            wait_text: None,
            may_put: true,
        }
    }

    /// Sets the directory that holds the queues. Each queue is a subdirectory of it. The queue is then on this
    /// machine, whatever [`server`](Self::server) or the environment says.
    ///
    /// The default comes from the environment of the process when it connects: `QDEMO_DIR`, or else
    /// `$XDG_STATE_HOME/qdemo`, or else `~/.local/state/qdemo`. A relative path counts from the working
    /// directory at that moment.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.base_dir = Some(dir.into());
        self.server = None;
        self
    }

    /// Sets the server that has the queue, Redis or Valkey: `redis://HOST[:PORT][/DB]`, `rediss://…` with TLS,
    /// `redis+unix:///SOCKET[?db=DB]`, or `redis+sentinel://HOST[:PORT],HOST…/SERVICE[/DB]`. `USER:PASSWORD@`
    /// may precede the first host. `?prefix=WORD` at the end sets the beginning of the keys, which is `qdemo`
    /// by default: clients with different prefixes share no queue.
    ///
    /// The default comes from the environment of the process when it connects: `QDEMO_SERVER`. Without it, or
    /// after [`dir`](Self::dir), the queue is on this machine. `QDEMO_SERVER_PASSWORD_FILE` (the name of a file),
    /// and otherwise `QDEMO_SERVER_PASSWORD`, come before a password in the URL. `QDEMO_SERVER_CA` names a file
    /// with certificate authorities, in place of those of the system.
    ///
    /// A client waits up to 30 seconds for a server that is away.
    ///
    /// # Errors
    /// [`Error::ServerSettings`] when this is not the URL of a server, or when a file that the environment names
    /// cannot be read.
    pub fn server(self, url: &str) -> Result<Self, Error> {
        Ok(self.with_server(ServerSettings::from_url(url)?))
    }

    /// Sets the capacity of the queue, in items that are ready; 0 stands for no limit. Items in flight
    /// do not count.
    ///
    /// The first client that names a capacity decides it, until the queue ends. A client that names
    /// another one is refused. By default a client takes the queue as it is, and a queue for which no
    /// client names a capacity has no limit.
    pub fn capacity(mut self, items: u64) -> Self {
        self.hello.capacity = Some(items.into());
        self
    }

    /// Keeps the queue open when this client is the last producer to leave. By default the queue ends
    /// then, after the items that it has.
    ///
    /// This concerns clients that connect as [`Role::Producer`] only.
    pub fn keep_open(mut self, keep_open: bool) -> Self {
        self.hello.keep_open = keep_open;
        self
    }

    /// Makes this client wait for the items of the queue's next round when the queue ends while the client
    /// is connected, instead of learning of the end. A [`Role::Consumer`] does not learn of an earlier end
    /// either.
    pub fn follow(mut self, follow: bool) -> Self {
        self.hello.follow = follow;
        self
    }

    /// Limits how long this client may hold an item. An item that it holds for longer goes back to its
    /// old place in the queue, even while the client lives.
    ///
    /// By default an item stays with the client until the client reports it, leaves or dies.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.hello.lease = Some(nanos(lease));
        self
    }

    /// Sets how many delivery failures an item may have before the queue counts it as failed; 0 stands
    /// for any number. The default is 5.
    ///
    /// A delivery failure is the death of a client that holds the item, or a lease that runs out. This
    /// client's number counts for the items that this client holds.
    pub fn max_attempts(mut self, failures: u32) -> Self {
        self.hello.max_delivery_failures = failures;
        self
    }

    /// Sets the size of the largest item, in bytes of JSON. The default is 16 MiB, and the maximum is
    /// 256 MiB.
    pub fn max_item_size(mut self, bytes: u64) -> Self {
        self.hello.max_item_bytes = Some(bytes);
        self
    }

    /// Makes the queue accept an item only when the item is on the disk. Accepted items then survive a
    /// crash of the machine, and not only the death of any process.
    ///
    /// The setting of one client holds for all clients, until the queue ends.
    pub fn sync(mut self, sync: bool) -> Self {
        self.hello.sync = sync;
        self
    }

    /// Limits how long to wait for a keeper that does not answer, because it is stopped for example.
    /// By default there is no limit.
    ///
    /// The limit holds for connecting, and for each operation that waits for nothing but the keeper. It
    /// is never less than 1 second. It does not hold for a put, a get or a join: these block without a
    /// limit, or have a timeout of their own.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with_timeout(Timeout::After(nanos(timeout)))
    }

    /// Sets the program that is started when the queue has no keeper: its path, or a name to look up in
    /// the `PATH`. It gets the arguments `keeper --queue NAME`.
    ///
    /// The default is this program itself if it has called [`keep_if_asked`](crate::keep_if_asked), and
    /// otherwise `qdemo`. A relative path counts from the working directory when the keeper is started.
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = Some(program.into());
        self
    }

    pub(crate) fn with_server(mut self, settings: ServerSettings) -> Self {
        self.server = Some(settings);
        self
    }

    pub(crate) fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether the client may put. For a client that does not, the server is not checked.
    pub(crate) fn may_put(mut self, may_put: bool) -> Self {
        self.may_put = may_put;
        self
    }

    /// Tells a person of a lost connection to a server, and of a long wait, through `notify`.
    pub(crate) fn notify(mut self, notify: Notifier) -> Self {
        self.notify = Some(notify);
        self
    }

    /// Tells a person through `notify` what the client waits for, after a second and once.
    pub(crate) fn wait_text(mut self, text: WaitText) -> Self {
        self.wait_text = Some(text);
        self
    }

    /// Another queue in the same directory.
    pub(crate) fn queue(mut self, name: QueueName) -> Self {
        self.name = name;
        self
    }

    /// The ancestors of this process: a visitor learns of an end that came after their birth.
    pub(crate) fn ancestors(mut self, ancestors: Vec<ProcessBirth>) -> Self {
        self.hello.ancestors = ancestors;
        self
    }

    /// A worker of a run: the parent is the keeper.
    pub(crate) fn worker(mut self, index: u32) -> Self {
        self.hello.worker_index = Some(index);
        self.starts_keeper = false;
        self
    }

    /// Waits end with [`Error::Interrupted`] when `waker` is woken.
    pub(crate) fn interrupt(mut self, waker: Arc<Waker>) -> Self {
        self.interrupt = Some(waker);
        self
    }

    /// The server that has the queue; none for a queue on this machine.
    pub(super) fn server_settings(&self) -> Result<Option<ServerSettings>, Error> {
        // A run has its queue on this machine.
        let is_local = self.base_dir.is_some() || self.hello.worker_index.is_some();
        match &self.server {
            Some(settings) => Ok(Some(settings.clone())),
            None if is_local => Ok(None),
            None => Ok(ServerSettings::from_env()?),
        }
    }

    pub(super) fn base_dir(&self) -> Result<PathBuf, Error> {
        self.base_dir.clone().map_or_else(default_base_dir, Ok)
    }
}

/// Where queues lie when the program names no directory.
pub(crate) fn default_base_dir() -> Result<PathBuf, Error> {
    let named = |name| env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let state = || match named("XDG_STATE_HOME").filter(|dir| dir.is_absolute()) {
        Some(state) => Some(state),
        None => env::home_dir().map(|home| home.join(".local/state")),
    };
    named("QDEMO_DIR").or_else(|| state().map(|state| state.join("qdemo"))).ok_or(Error::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> QueueBuilder {
        QueueBuilder::new("jobs".parse().unwrap())
    }

    #[test]
    fn the_last_of_directory_and_server_decides_where_the_queue_is() {
        let place = |builder: QueueBuilder| {
            let settings = builder.server_settings().unwrap();
            settings.map(|settings| settings.url.to_string())
        };
        let server = "redis://h:6379";
        assert_eq!(place(builder().dir("queues")), None);
        assert_eq!(place(builder().server(server).unwrap()).as_deref(), Some(server));
        assert_eq!(place(builder().server(server).unwrap().dir("queues")), None);
        let last_server = builder().dir("queues").server(server).unwrap();
        assert_eq!(place(last_server).as_deref(), Some(server));
        assert_eq!(place(builder().worker(1)), None);
    }

    #[test]
    fn a_text_that_is_no_url_of_a_server_is_an_error_without_the_password() {
        let error = builder().server("redis://:hunter2@h:x").unwrap_err();
        assert!(matches!(error, Error::ServerSettings(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("port is not a number") && !text.contains('\n'), "{text}");
        assert!(!format!("{error:?} {text}").contains("hunter2"), "{error:?}");
    }
}
