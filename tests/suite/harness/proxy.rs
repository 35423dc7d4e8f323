//! A network between the commands and a server that misbehaves as a test wants.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Forwards connections of a TCP port to a server's socket.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    changed: Condvar,
}

/// What the network does at present.
#[derive(Default)]
struct Faults {
    /// Where the server is.
    server: PathBuf,
    /// Bytes of these ways stay where they are, in the first connections up to this number.
    stalled: Vec<Way>,
    stalled_connections: usize,
    /// From these bytes on, a connection carries nothing more to the server.
    stalled_text: Option<&'static [u8]>,
    /// Each piece of bytes waits for this time.
    delay: Duration,
    /// After this many more bytes of a way, the connection is cut.
    cut: Option<(Way, usize)>,
    /// New connections are closed at once.
    refuses: bool,
    is_over: bool,
    /// The connections so far, and the ends of them that can be shut down.
    connections: Vec<(TcpStream, UnixStream)>,
    accepted: usize,
}

impl Proxy {
    pub fn to(server: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Faults { server: server.to_owned(), ..Faults::default() };
        let shared = Arc::new(Shared { faults: Mutex::new(faults), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.lock().is_over {
                    return;
                }
                accept(client, &accepting);
            }
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?prefix=test", self.port)
    }

    /// New connections go to this server from now on.
    pub fn lead_to(&self, server: &Path) {
        self.change(|faults| faults.server = server.to_owned());
    }

    /// The bytes of these ways wait from now on, in all connections; those of the other ways go on.
    pub fn stall(&self, ways: &[Way]) {
        self.change(|faults| {
            (faults.stalled, faults.stalled_connections) = (ways.to_vec(), usize::MAX);
        });
    }

    /// The bytes of this way wait from now on, in the present connections. New connections are not concerned.
    pub fn stall_present(&self, way: Way) {
        self.change(|faults| {
            (faults.stalled, faults.stalled_connections) = (vec![way], faults.accepted);
        });
    }

    /// From these bytes on, each connection carries nothing more to the server.
    pub fn stall_at(&self, text: &'static str) {
        self.change(|faults| faults.stalled_text = Some(text.as_bytes()));
    }

    pub fn delay(&self, delay: Duration) {
        self.change(|faults| faults.delay = delay);
    }

    /// Cuts a connection after this many more bytes of a way.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        self.change(|faults| faults.cut = Some((way, bytes)));
    }

    /// Nothing is wrong with the network any more.
    pub fn heal(&self) {
        self.change(|faults| {
            (faults.stalled, faults.stalled_text) = (Vec::new(), None);
            (faults.delay, faults.cut, faults.refuses) = (Duration::ZERO, None, false);
        });
    }

    pub fn refuse(&self, refuses: bool) {
        self.change(|faults| faults.refuses = refuses);
    }

    /// Cuts all connections.
    pub fn cut_all(&self) {
        self.change(|faults| {
            for (client, server) in faults.connections.drain(..) {
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            }
        });
    }

    /// Ends one way of all connections; the other way goes on.
    pub fn half_close(&self, way: Way) {
        self.change(|faults| {
            for (client, server) in &faults.connections {
                let _ = match way {
                    Way::ToServer => server.shutdown(Shutdown::Write),
                    Way::ToClient => client.shutdown(Shutdown::Write),
                };
            }
        });
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.heal();
        self.change(|faults| faults.is_over = true);
        self.cut_all();
        // The listening thread looks once more.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    /// Waits until these bytes may go this way in this connection. Returns how many of them go before a cut; None for all.
    fn pass(&self, way: Way, connection: usize, bytes: &[u8]) -> Option<usize> {
        let count = bytes.len();
        let mut faults = self.lock();
        let begin = Instant::now();
        loop {
            let left = faults.delay.saturating_sub(begin.elapsed());
            let has = |text: &[u8]| memchr::memmem::find(bytes, text).is_some();
            let is_stalled = faults.stalled.contains(&way)
                && connection <= faults.stalled_connections
                || way == Way::ToServer && faults.stalled_text.is_some_and(has);
            if is_stalled {
                faults = self.changed.wait(faults).unwrap();
            } else if !left.is_zero() {
                faults = self.changed.wait_timeout(faults, left).unwrap().0;
            } else {
                break;
            }
        }
        match faults.cut {
            Some((cut_way, bytes)) if cut_way == way && bytes < count => {
                faults.cut = None;
                Some(bytes)
            }
            Some((cut_way, bytes)) if cut_way == way => {
                faults.cut = Some((way, bytes - count));
                None
            }
            _ => None,
        }
    }
}

fn accept(client: TcpStream, shared: &Arc<Shared>) {
    let mut faults = shared.lock();
    faults.accepted += 1;
    if faults.refuses {
        return;
    }
    let Ok(server) = UnixStream::connect(&faults.server) else { return };
    client.set_nodelay(true).unwrap();
    let copies = (client.try_clone().unwrap(), server.try_clone().unwrap());
    faults.connections.push((client.try_clone().unwrap(), server.try_clone().unwrap()));
    let number = faults.accepted;
    for way in [Way::ToServer, Way::ToClient] {
        let (client, server) = (copies.0.try_clone().unwrap(), copies.1.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || match way {
            Way::ToServer => forward((client, server), way, number, &shared),
            Way::ToClient => forward((server, client), way, number, &shared),
        });
    }
}

/// The two kinds of sockets.
trait Socket: Read + Write {
    fn shut(&self, how: Shutdown) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn shut(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

impl Socket for UnixStream {
    fn shut(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

/// Forwards bytes until one side ends. The bytes that a side has sent before its end arrive, however late.
fn forward(
    (mut from, mut to): (impl Socket, impl Socket),
    way: Way,
    connection: usize,
    shared: &Shared,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let goes_on = shared.pass(way, connection, &buffer[..count]);
        let bytes = &buffer[..goes_on.unwrap_or(count)];
        if to.write_all(bytes).is_err() {
            // The other way goes on: its bytes may still be on their way.
            return;
        }
        if goes_on.is_some() {
            let _ = (to.shut(Shutdown::Both), from.shut(Shutdown::Both));
            return;
        }
        if count == 0 {
            let _ = to.shut(Shutdown::Write);
            return;
        }
    }
}
