//! Connecting: find the keeper of a queue or start one, say hello, and wait for the welcome.

use std::io;
use std::path::Path;
use std::process::ChildStdout;

use super::builder::QueueBuilder;
use super::error::{Error, StartFailure, open_error};
use super::handle::Client;
use super::process;
use super::session::Session;
use super::timeout::{Deadline, SilenceLimit};
use super::transport::Transport;
use crate::catalogue::message;
use crate::clock::ProcessBirth;
use crate::keeper::daemon;
use crate::pipe::{DirError, InboxWriter, QueueDir, ReadEnd, RequestSender, keeper_pid};
use crate::queue_name::QueueName;
use crate::role::Role;
use crate::wire::{ClientKey, Hello, Status};

/// How often a keeper may leave just as this client connects, before that counts as a fault.
const MAX_CONNECT_TRIES: usize = 100;

impl QueueBuilder {
    /// Connects to the queue in this role, and makes the queue if there is none.
    ///
    /// Waits until the queue's keeper has answered. If the queue has no keeper, this starts one as a
    /// child process: it runs in the background for as long as clients are connected.
    ///
    /// A [consumer](Role::Consumer) learns of each end of the queue that came after the start of its
    /// *process*, however late it connects: it shares the end with the consumers that were there. That
    /// depends on the whole process, not on this builder or on the calling thread. Once one consumer of
    /// the process has seen the end, further consumers of the process get the items of the queue's next round.
    ///
    /// # Errors
    /// - [`Error::NoHome`], [`Error::Unsafe`] and [`Error::Open`] when the directory or a pipe of the
    ///   queue cannot be used.
    /// - [`Error::Start`] when no keeper can be started.
    /// - [`Error::Refused`] when the keeper does not take this client, because the queue has another
    ///   [`capacity`](Self::capacity) for example.
    /// - [`Error::NoAnswer`] when the keeper does not answer within [`timeout`](Self::timeout).
    /// - [`Error::Pipe`] and [`Error::Protocol`] when the conversation with the keeper fails.
    pub fn connect(self, role: Role) -> Result<Client, Error> {
        self.open_client(role, true)
    }

    /// Makes a visitor that connects with its first request: both go to the keeper together, and the keeper
    /// answers both together. Errors of the connect come from the method that waits for the first answer.
    pub(crate) fn connect_with_first_request(self) -> Result<Client, Error> {
        self.open_client(Role::Visitor, false)
    }

    fn open_client(mut self, role: Role, announces: bool) -> Result<Client, Error> {
        self.hello.role = role;
        if let Some(settings) = self.server_settings()? {
            return self.on_server(settings).open_on_server(announces);
        }
        let base = self.base_dir()?;
        // The client may connect again when the process has another working directory.
        let base =
            std::path::absolute(&base).map_err(|error| DirError::Io { path: base, error })?;
        self = self.dir(&base);
        let mut damaged = Vec::new();
        let open_dir = || Ok(QueueDir::open_or_create(&base, self.name.as_str())?);
        let limit = SilenceLimit::Until(Deadline::new(self.timeout));
        let connect = |dir: &QueueDir, inbox| {
            let mut client = self.open_pipes(dir, inbox, limit)?;
            if announces {
                client.wait_for_welcome()?;
            }
            Ok(client)
        };
        let (mut client, starting) =
            self.find_or_start_keeper(open_dir, &mut damaged, &limit, connect)?;
        if !client.is_welcomed
            && let Transport::Local { starting_keeper, .. } = &mut client.transport
        {
            *starting_keeper = starting;
        }
        client.damaged_lines = damaged;
        client.silence_limit = SilenceLimit::PerWait(self.timeout);
        Ok(client)
    }

    /// Connects as a visitor if the queue exists.
    pub(crate) fn connect_if_exists(self) -> Result<Option<Client>, Error> {
        if let Some(settings) = self.server_settings()? {
            return self.on_server(settings).open_existing_on_server();
        }
        let base = self.base_dir()?;
        if QueueDir::exists(&base, self.name.as_str())? {
            self.dir(base).connect_with_first_request().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Connects as a visitor if the queue has a keeper.
    pub(crate) fn connect_if_running(mut self) -> Result<Option<Client>, Error> {
        self.starts_keeper = false;
        let connected = self.connect_if_exists().and_then(|client| match client {
            Some(mut client) => client.wait_for_welcome().map(|()| Some(client)),
            None => Ok(None),
        });
        match connected {
            Err(Error::KeeperGone) => Ok(None),
            other => other,
        }
    }

    /// Finds the next keeper of the queue after the death of the one that this client knew.
    pub(super) fn find_next_keeper(
        self,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
        connect: impl FnMut(&QueueDir, InboxWriter) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.base_dir()?.join(self.name.as_str());
        let open_dir = || match QueueDir::open(path.clone()) {
            Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::removed())
            }
            other => Ok(other?),
        };
        self.find_or_start_keeper(open_dir, damaged, limit, connect).map(|_| ())
    }

    /// Finds the keeper in the queue's directory, or starts one, until `connect` succeeds. Returns the pipe from a
    /// keeper that was started: a keeper without clients exits when its starter closes this pipe.
    fn find_or_start_keeper<T>(
        &self,
        open_dir: impl Fn() -> Result<QueueDir, Error>,
        damaged: &mut Vec<u64>,
        limit: &SilenceLimit,
        mut connect: impl FnMut(&QueueDir, InboxWriter) -> Result<T, Error>,
    ) -> Result<(T, Option<ChildStdout>), Error> {
        let mut starting = None;
        process::reap_keepers();
        for _ in 0..MAX_CONNECT_TRIES {
            let dir = open_dir()?;
            match InboxWriter::open(&dir).map_err(open_error(message!("error-no-inbox")))? {
                Some(inbox) => match connect(&dir, inbox) {
                    // The keeper left just as this client connected.
                    Err(Error::KeeperGone) if self.starts_keeper => {}
                    other => return other.map(|connected| (connected, starting)),
                },
                None if self.starts_keeper => starting = self.start_keeper(&dir, damaged, limit)?,
                None => return Err(Error::KeeperGone),
            }
        }
        drop(starting);
        Err(StartFailure::Died(MAX_CONNECT_TRIES).into())
    }

    /// Makes the pipes of a client.
    fn open_pipes(
        &self,
        dir: &QueueDir,
        inbox: InboxWriter,
        limit: SilenceLimit,
    ) -> Result<Client, Error> {
        let failed = |error| open_error(message!("error-no-client-key"))(io::Error::other(error));
        let key = ClientKey::random().map_err(failed)?;
        let birth = match self.hello.role {
            Role::Consumer => process::consumer_birth(dir.path()),
            _ => ProcessBirth::of_this_process(),
        };
        let session = Session::new(key, Hello { birth, ..self.hello.clone() });
        let pipes = session.pipes();
        let create_pipes = || {
            // The keeper takes the pipe for requests for a killed client's as long as there is no mailbox.
            let mailbox = ReadEnd::create_mailbox(dir, &pipes.mailbox())?;
            io::Result::Ok((RequestSender::create(dir, &pipes.requests())?, mailbox))
        };
        let (requests, mailbox) = match create_pipes() {
            // The directory has gone together with the keeper.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::KeeperGone),
            other => other.map_err(open_error(message!("error-no-client-pipes")))?,
        };
        let transport = Transport::Local {
            queue_dir: dir.path().to_owned(),
            inbox: Some(inbox),
            starting_keeper: None,
        };
        Ok(Client::new(self.clone(), transport, (requests, mailbox), session, limit))
    }
}

impl Client {
    /// The error for a keeper or a server that has not answered in time.
    pub(super) fn no_answer_error(&self) -> Error {
        let queue = self.options.name.to_string();
        let (process, server) = match &self.transport {
            Transport::Local { queue_dir, .. } => (keeper_pid(queue_dir), None),
            Transport::Server { .. } => (None, Some(self.server_silence())),
        };
        Error::NoAnswer { queue, process, starting: false, server }
    }
}

/// The status of a queue without a keeper, from its journal; none if the queue does not exist.
pub(crate) fn stored_status(base: &Path, name: &QueueName) -> anyhow::Result<Option<Status>> {
    if !QueueDir::exists(base, name.as_str())? {
        return Ok(None);
    }
    match QueueDir::open(base.join(name.as_str())) {
        Ok(dir) => daemon::stored_status(&dir).map(Some),
        // Another process removes the queue at this moment.
        Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error).into()),
    }
}
