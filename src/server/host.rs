//! Connects to a host. Finds out whether a server that does not answer speaks TLS, and the client does not, or the other
//! way round: such a server says nothing by itself, or ends the connection without a word.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::error::{CallError, ServerError};
use super::settings::ServerSettings;
use super::stream::{Traffic, WatchedStream};
use super::url::Place;

/// A server that has not welcomed a client after this time may have another scheme than the URL.
const PROBE_DELAY: Duration = Duration::from_millis(500);
/// A server that understands the question answers much sooner.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// A record of TLS with a message that only a server may send: a server with TLS answers with an alert.
const WRONG_RECORD: &[u8] = &[0x16, 3, 1, 0, 4, 14, 0, 0, 0];
/// The first byte of an alert, and of a message of the handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// How to connect.
pub(super) struct Way {
    pub(super) config: AsyncConnectionConfig,
    /// The connection takes no longer.
    pub(super) limit: Duration,
    /// Notes when bytes move.
    pub(super) traffic: Arc<Traffic>,
}

/// A connection, and the task that carries its bytes.
pub(super) type Connected = (MultiplexedConnection, JoinSet<()>);

/// Connects to a host. If that does not succeed, and never did, finds out whether the scheme of the URL is the wrong one.
pub(super) async fn connect_to(
    settings: &ServerSettings,
    place: &Place,
    info: RedisConnectionInfo,
    way: &Way,
    was_connected: bool,
) -> Result<Connected, CallError> {
    let (host, port) = place.clone();
    let is_tls = settings.url.is_tls;
    let address = if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let is_wrong_scheme = || speaks(place, !is_tls);
    let suspicion = async {
        sleep(PROBE_DELAY).await;
        if !is_wrong_scheme().await {
            pending::<()>().await;
        }
    };
    let wrong_scheme = || CallError::Fatal(ServerError::wrong_scheme(settings));
    let connected = tokio::select! {
        biased;
        connected = connect(settings, address, info, way) => connected,
        () = suspicion, if !was_connected => return Err(wrong_scheme()),
    };
    match connected {
        Ok(connection) => Ok(connection),
        Err(error) => {
            let is_explained = was_connected || error.is_connection_refusal() || error.is_timeout();
            let error = CallError::new(&error, settings, was_connected);
            let is_doubtful = matches!(error, CallError::Lost(_)) && !is_explained;
            if is_doubtful && is_wrong_scheme().await { Err(wrong_scheme()) } else { Err(error) }
        }
    }
}

/// Connects to a host or a socket.
pub(super) async fn connect(
    settings: &ServerSettings,
    address: ConnectionAddr,
    info: RedisConnectionInfo,
    way: &Way,
) -> Result<Connected, RedisError> {
    let opened = timeout(way.limit, async {
        let stream = WatchedStream::open(&address, settings, Arc::clone(&way.traffic)).await?;
        MultiplexedConnection::new_with_config(&info, stream, way.config.clone()).await
    });
    let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    let (connection, driver) = opened.await.unwrap_or_else(late)?;
    let mut drivers = JoinSet::new();
    drivers.spawn(driver);
    Ok((connection, drivers))
}

/// Whether the server there speaks TLS, for `with_tls`, or else the protocol of Redis without TLS. If in doubt, it
/// does not.
async fn speaks(place: &Place, with_tls: bool) -> bool {
    let question = if with_tls { WRONG_RECORD } else { b"PING\r\n" };
    match timeout(PROBE_TIMEOUT, first_byte_of_answer(place, question)).await {
        Ok(Ok(byte)) if with_tls => TLS_RECORDS.contains(&byte),
        // `+PONG`, or an error that demands a password.
        Ok(Ok(byte)) => b"+-".contains(&byte),
        Ok(Err(_)) | Err(_) => false,
    }
}

async fn first_byte_of_answer((host, port): &Place, question: &[u8]) -> io::Result<u8> {
    let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.write_all(question).await?;
    stream.read_u8().await
}
