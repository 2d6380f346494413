//! A connection written and read byte by byte: what a peer over TCP or TLS sends and gets.

use std::net::SocketAddr;

use tandem_sip::{Frame, StreamFramer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::PATIENCE;

/// A connection.
pub(crate) struct Wire<S> {
    stream: S,
    framer: StreamFramer,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Message(String),
    Ping,
    Closed,
}

impl Wire<TcpStream> {
    /// Connects.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::over(TcpStream::connect(to).await.expect("a connection"))
    }

    /// Our end.
    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over an open stream.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, framer: StreamFramer::new() }
    }

    /// Sends bytes as they are; a connection that is closed already takes none.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next thing that comes.
    pub(crate) async fn next(&mut self) -> Came {
        let coming = async {
            loop {
                match self.framer.frame().expect("SIP") {
                    Some(Frame::Message(bytes)) => {
                        return Came::Message(String::from_utf8_lossy(bytes).into());
                    }
                    Some(Frame::Ping) => return Came::Ping,
                    None => {}
                }
                let mut buffer = [0; 4096];
                match self.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return Came::Closed,
                    Ok(length) => self.framer.push(&buffer[..length]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, coming).await.expect("something comes")
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> String {
        match self.next().await {
            Came::Message(text) => text,
            other => panic!("a message, not {other:?}"),
        }
    }

    /// The raw bytes that come next.
    pub(crate) async fn raw(&mut self, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        let read = tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut buffer)).await;
        read.expect("bytes come").expect("bytes");
        buffer
    }
}

/// The value of a header field, or "".
pub(crate) fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find(|line| line.split_once(':').is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name)));
    line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
}

/// An OPTIONS from `local` to `host`.
pub(crate) fn options(transport: &str, local: SocketAddr, host: &str, branch: &str) -> String {
    format!(
        "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{branch};rport\r\n\
         From: <sip:peer@{local}>;tag=a\r\nTo: <sip:{host}>\r\nCall-ID: {branch}@{local}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Our response to a request.
pub(crate) fn response(request: &str, status: &str, further: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if matches!(name.as_str(), "via" | "from" | "call-id" | "cseq" | "record-route") {
            text += &format!("{line}\r\n");
        } else if name == "to" {
            let tag = if line.contains(";tag=") { "" } else { ";tag=peer" };
            text += &format!("{line}{tag}\r\n");
        }
    }
    format!("{text}{further}Content-Length: {}\r\n\r\n{body}", body.len())
}
