//! Finds out whether a server that does not answer speaks TLS, and the client does not, or the other way round. Such a
//! server says nothing by itself, or ends the connection without a word.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::login::Place;

/// A server on the way answers much sooner.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// A record of TLS with a message that only a server may send: a server with TLS answers with an alert.
const WRONG_RECORD: &[u8] = &[0x16, 3, 1, 0, 4, 14, 0, 0, 0];
/// The first byte of an alert, and of a message of the handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];

/// Whether the server there speaks TLS, for `with_tls`, or else the protocol of Redis without TLS. If in doubt, it
/// does not.
pub(super) async fn speaks(place: &Place, with_tls: bool) -> bool {
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
