//! SIP messages out of a byte stream (RFC 3261 §18.3): the header ends at an empty line, the body is as long as
//! Content-Length says. Between messages stand line breaks, of which two are a keep-alive ping (RFC 5626 §3.5.1).
//!
//! Used by the driver, one framer per connection; what comes out goes to
//! [`Endpoint::handle`](crate::Endpoint::handle) as if it were a datagram. Promises: at most
//! [`MAX_STREAM_MESSAGE_BYTES`] are kept; each byte is looked at once, however small the pieces it comes in; after an
//! error the place of the next message is unknown, and the connection has to be closed.

use thiserror::Error;

use crate::message::MAX_STREAM_MESSAGE_BYTES;

/// The answer to a ping.
pub const PONG: &[u8] = b"\r\n";
/// What keeps a connection alive from our side: a ping, which peers older than RFC 5626 skip as empty lines.
pub const PING: &[u8] = b"\r\n\r\n";

/// What stands next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// The peer wants a [`PONG`].
    Ping,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Header, or header and body, are longer than [`MAX_STREAM_MESSAGE_BYTES`].
    #[error("a message of more than {MAX_STREAM_MESSAGE_BYTES} bytes")]
    TooLong,
    /// No Content-Length: the message has no end (§18.3 demands it on streams).
    #[error("a message without Content-Length")]
    NoLength,
    /// Content-Length is no number, or two of them disagree.
    #[error("a message whose Content-Length cannot be read")]
    BadLength,
    /// A NUL byte in a header: not SIP.
    #[error("bytes that are no SIP message")]
    NotSip,
}

/// Cuts one connection's bytes into messages.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    /// Up to where the end of the header has been looked for.
    scanned: usize,
    /// Length of the message at `start`, once its header is whole.
    length: Option<usize>,
}

impl StreamFramer {
    /// A framer at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what was read. Take every frame out with [`Self::frame`] before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` until more bytes come.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if self.length.is_none() {
            if self.skip_line_breaks() {
                return Ok(Some(Frame::Ping));
            }
            self.length = self.message_length()?;
        }
        let Some(end) = self.length.map(|length| self.start + length) else { return Ok(None) };
        if self.buffer.len() < end {
            return Ok(None);
        }
        let begin = std::mem::replace(&mut self.start, end);
        self.scanned = end;
        self.length = None;
        Ok(self.buffer.get(begin..end).map(Frame::Message))
    }

    /// Whether a message has begun and not ended: a peer may not leave it so for long.
    pub fn is_partial(&self) -> bool {
        self.buffer
            .get(self.start..)
            .is_some_and(|rest| rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n')))
    }

    /// Gives memory of a long message back once nothing is left in it.
    pub fn rest(&mut self) {
        if self.start >= self.buffer.len() {
            self.buffer = Vec::new();
            (self.start, self.scanned) = (0, 0);
        }
    }

    /// Steps over empty lines; `true` at a ping. A lone CRLF (a pong, or what some peers put between messages) means
    /// nothing; half a ping waits for its rest.
    fn skip_line_breaks(&mut self) -> bool {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            if rest.starts_with(PING) {
                self.start += PING.len();
                self.scanned = self.start;
                return true;
            }
            let skipped = match rest {
                [b'\r', b'\n', b'\r'] | [b'\r', b'\n'] | [b'\r'] | [] => return false,
                [b'\r', b'\n', ..] => 2,
                [b'\n' | b'\r', ..] => 1,
                _ => return false,
            };
            self.start += skipped;
            self.scanned = self.start;
        }
    }

    /// Length of the message at `start`, once its header is whole.
    fn message_length(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.scanned.max(self.start);
        let rest = self.buffer.get(from..).unwrap_or_default();
        let end = rest.windows(PING.len()).position(|window| window == PING).map(|at| from + at + PING.len());
        let Some(header_end) = end else {
            if rest.contains(&0) {
                return Err(FrameError::NotSip);
            }
            if self.buffer.len() - self.start > MAX_STREAM_MESSAGE_BYTES {
                return Err(FrameError::TooLong);
            }
            // The end may have begun with the last three bytes.
            self.scanned = self.buffer.len().saturating_sub(PING.len() - 1).max(self.start);
            return Ok(None);
        };
        let header = self.buffer.get(self.start..header_end).unwrap_or_default();
        let length = header.len().saturating_add(content_length(header)?);
        if length > MAX_STREAM_MESSAGE_BYTES {
            return Err(FrameError::TooLong);
        }
        Ok(Some(length))
    }
}

/// The value of Content-Length or `l`. Two that agree are one; a folded line is part of the header before it.
fn content_length(header: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    for line in header.split(|byte| *byte == b'\n').skip(1) {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = value.get(1..).unwrap_or_default().trim_ascii();
        // Seven digits are more than any message may have, and no integer overflows.
        if digits.is_empty() || digits.len() > 7 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(FrameError::BadLength);
        }
        let length = digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        if found.is_some_and(|known| known != length) {
            return Err(FrameError::BadLength);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        format!("OPTIONS sip:h SIP/2.0\r\nCall-ID: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Everything that comes out of `bytes`, fed in pieces: messages as text, pings as "ping".
    fn frames(bytes: &[u8], piece: usize) -> Result<Vec<String>, FrameError> {
        let mut framer = StreamFramer::new();
        let mut out = Vec::new();
        for chunk in bytes.chunks(piece) {
            framer.push(chunk);
            while let Some(frame) = framer.frame()? {
                out.push(match frame {
                    Frame::Message(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Frame::Ping => "ping".to_owned(),
                });
            }
        }
        Ok(out)
    }

    #[test]
    fn messages_come_out_whole_whatever_pieces_they_come_in() {
        let (first, second) = (message("v=0\r\n\r\nv=1"), message(""));
        let stream = format!("{first}\r\n\r\n{second}\r\n{first}");
        for piece in [1, 2, 3, 7, 64, 4096] {
            let expected = vec![first.clone(), "ping".to_owned(), second.clone(), first.clone()];
            assert_eq!(frames(stream.as_bytes(), piece), Ok(expected), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_double_line_break_is_a_ping_and_a_single_one_is_nothing() {
        assert_eq!(frames(b"\r\n\r\n", 1), Ok(vec!["ping".to_owned()]));
        assert_eq!(frames(b"\r\n", 1), Ok(vec![]));
        let after = format!("\r\n{}", message(""));
        assert_eq!(frames(after.as_bytes(), 1), Ok(vec![message("")]));
        assert_eq!(frames(b"\r\n\r\n\r\n\r\n", 3), Ok(vec!["ping".to_owned(); 2]));
    }

    #[test]
    fn a_message_may_have_64_kib_and_not_one_byte_more() {
        let overhead = message("").len() + 4;
        let longest = message(&"x".repeat(MAX_STREAM_MESSAGE_BYTES - overhead));
        assert_eq!(longest.len(), MAX_STREAM_MESSAGE_BYTES);
        assert_eq!(frames(longest.as_bytes(), 1000), Ok(vec![longest.clone()]));
        let longer = message(&"x".repeat(MAX_STREAM_MESSAGE_BYTES - overhead + 1));
        assert_eq!(frames(longer.as_bytes(), 1000), Err(FrameError::TooLong));
        let endless = format!("OPTIONS sip:h SIP/2.0\r\nX: {}", "x".repeat(MAX_STREAM_MESSAGE_BYTES));
        assert_eq!(frames(endless.as_bytes(), 1000), Err(FrameError::TooLong));
    }

    #[test]
    fn a_message_without_a_readable_length_has_no_end() {
        let with = |lines: &str| frames(format!("OPTIONS sip:h SIP/2.0\r\n{lines}\r\n\r\n").as_bytes(), 4096);
        assert_eq!(with("Call-ID: a"), Err(FrameError::NoLength));
        for line in ["Content-Length: x", "l:", "Content-Length: -1", "Content-Length: 1 2", "l: 99999999"] {
            assert_eq!(with(line), Err(FrameError::BadLength), "{line}");
        }
        assert_eq!(with("Content-Length: 0\r\nl: 1"), Err(FrameError::BadLength));
        assert_eq!(with("Content-Length: 0\r\nl : 0").map(|all| all.len()), Ok(1));
        assert_eq!(
            with("Subject: a\r\n Content-Length: 5"),
            Err(FrameError::NoLength),
            "a folded line is no field"
        );
        assert_eq!(frames(b"GET\0garbage", 64), Err(FrameError::NotSip));
    }

    #[test]
    fn what_has_begun_and_not_ended_is_known() {
        let mut framer = StreamFramer::new();
        framer.push(b"\r\n");
        assert_eq!(framer.frame(), Ok(None));
        assert!(!framer.is_partial());
        framer.push(b"OPTIONS");
        assert_eq!(framer.frame(), Ok(None));
        assert!(framer.is_partial());
        let mut framer = StreamFramer::new();
        framer.push(message("").as_bytes());
        assert!(matches!(framer.frame(), Ok(Some(Frame::Message(_)))));
        framer.rest();
        assert!(!framer.is_partial());
        assert_eq!(framer.buffer.capacity(), 0);
    }

    proptest::proptest! {
        /// Pieces never change what comes out, and nothing on the wire panics.
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::strategy::Just(b"\r\n".to_vec()),
                proptest::strategy::Just(b"l: 3\r\n\r\nabc".to_vec()),
                proptest::strategy::Just(b"A sip:h SIP/2.0\r\n".to_vec()),
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8),
            ], 0..40), piece in 1_usize..50)
        {
            let bytes = bytes.concat();
            proptest::prop_assert_eq!(frames_lossy(&bytes, 1), frames_lossy(&bytes, piece));
        }
    }

    /// Frames up to the first error, and whether there was one. A NUL is noticed sooner in larger pieces.
    fn frames_lossy(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
        let bytes: Vec<u8> = bytes.iter().map(|byte| if *byte == 0 { b'0' } else { *byte }).collect();
        let mut framer = StreamFramer::new();
        let mut out = Vec::new();
        for chunk in bytes.chunks(piece) {
            framer.push(chunk);
            loop {
                match framer.frame() {
                    Ok(Some(Frame::Message(bytes))) => out.push(bytes.to_vec()),
                    Ok(Some(Frame::Ping)) => out.push(Vec::new()),
                    Ok(None) => break,
                    Err(_) => return (out, true),
                }
            }
        }
        (out, false)
    }
}
