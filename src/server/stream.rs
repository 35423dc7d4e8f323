//! The bytes between a client and its server: opens the way that they take, and knows when the last of them moved. A
//! slow network is no server that is silent.

use std::fs;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::{ConnectionAddr, ErrorKind, RedisError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::settings::ServerSettings;
use crate::catalogue::message;
use crate::clock::{Clock, Nanos};

/// The system takes about this many bytes before they are on their way. Nobody sees these bytes move.
const SEND_BUFFER_BYTES: u32 = 512 * 1024;
/// The system may hold twice as many bytes as it was asked to, and sends them at this rate or faster, in bytes per second.
const MAX_HIDDEN_BYTES: usize = 2 * SEND_BUFFER_BYTES as usize;
const LEAST_RATE: f64 = 64.0 * 1024.0;

/// When bytes last moved on a connection.
#[derive(Debug)]
pub(super) struct Traffic {
    clock: Clock,
    last_moved: AtomicU64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { clock: Clock::start_now(), last_moved: AtomicU64::new(0) }
    }

    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// For how long no byte has moved, from `begin` at the earliest.
    pub(super) fn quiet_since(&self, begin: Nanos) -> Duration {
        let last = self.last_moved.load(Ordering::Relaxed).max(begin);
        Duration::from_nanos(self.now().saturating_sub(last))
    }

    /// Waits for the answer to a command of `bytes` bytes. An error if no byte moves for as long as `limit`.
    pub(super) async fn answer<T>(
        &self,
        limit: Duration,
        bytes: usize,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let hidden = bytes.min(MAX_HIDDEN_BYTES) as f64;
        let limit = limit + Duration::from_secs_f64(hidden / LEAST_RATE);
        let begin = self.now();
        let mut answer = pin!(answer);
        loop {
            let left = limit.saturating_sub(self.quiet_since(begin));
            match timeout(left, answer.as_mut()).await {
                Ok(answer) => return answer,
                Err(_) if left.is_zero() => {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                // After a stop of this process, the bytes that came meanwhile are read first.
                Err(_) => yield_now().await,
            }
        }
    }

    fn has_moved(&self) {
        self.last_moved.store(self.now(), Ordering::Relaxed);
    }
}

/// A way to the server.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ByteStream for T {}

/// A stream that notes when its bytes move.
pub(super) struct WatchedStream {
    inner: Pin<Box<dyn ByteStream>>,
    traffic: Arc<Traffic>,
}

impl WatchedStream {
    pub(super) async fn open(
        address: &ConnectionAddr,
        settings: &ServerSettings,
        traffic: Arc<Traffic>,
    ) -> Result<Self, RedisError> {
        let inner: Pin<Box<dyn ByteStream>> = match address {
            ConnectionAddr::Tcp(host, port) => Box::pin(connect(host, *port).await?),
            ConnectionAddr::TcpTls { host, port, .. } => {
                let tls = TlsConnector::from(Arc::new(tls_config(settings)?));
                let name = ServerName::try_from(host.clone()).map_err(invalid)?;
                Box::pin(tls.connect(name, connect(host, *port).await?).await?)
            }
            ConnectionAddr::Unix(path) => Box::pin(UnixStream::connect(path).await?),
            _ => return Err(invalid(message!("server-unknown-address"))),
        };
        Ok(Self { inner, traffic })
    }

    fn note<T>(&self, moved: bool, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved {
            self.traffic.has_moved();
        }
        outcome
    }
}

/// Connects to the first address of the host that answers.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, message!("server-no-address"));
    // The text of the system's library is English, and says no more than this one.
    let unknown = |error: io::Error| io::Error::new(error.kind(), message!("server-lookup-failed"));
    for address in lookup_host((host, port)).await.map_err(unknown)? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Trusts the certificate authorities of the settings, or else those of the system.
fn tls_config(settings: &ServerSettings) -> Result<ClientConfig, RedisError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        for certificate in CertificateDer::pem_slice_iter(&fs::read(path)?) {
            roots.add(certificate.map_err(invalid)?).map_err(invalid)?;
        }
    } else {
        let mut found = rustls_native_certs::load_native_certs();
        if let Some(error) = found.errors.pop() {
            return Err(io::Error::other(error).into());
        }
        for certificate in found.certs {
            roots.add(certificate).map_err(invalid)?;
        }
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn invalid(error: impl ToString) -> RedisError {
    (ErrorKind::InvalidClientConfig, "unusable", error.to_string()).into()
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = self.inner.as_mut().poll_read(cx, buffer);
        self.note(buffer.filled().len() > before, outcome)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.inner.as_mut().poll_write(cx, bytes);
        let moved = matches!(outcome, Poll::Ready(Ok(1..)));
        self.note(moved, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Lang, in_language};

    #[test]
    fn a_host_that_is_not_found_has_a_text_in_one_language() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The system refuses this name without a question to a name server.
        let text = |lang| {
            let connect = connect("no..host", 1);
            in_language(lang, || runtime.block_on(connect).unwrap_err().to_string())
        };
        assert_eq!(text(Lang::En), "cannot resolve the host name");
        assert_eq!(text(Lang::Ja), "ホスト名を解決できません");
    }
}
