//! The life of one connection: read, frame, hand in; write what is queued; end when either side, a rule or a deadline
//! ends it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use tandem_model::clock;
use tandem_sip::{Flow, Frame, PONG, StreamFramer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Connection, MAX_QUEUED, Outgoing, Place, tls};
use crate::shard::Shard;

/// Bytes read at once.
const READ_BYTES: usize = 4_096;

/// One connection's end of the table's entry.
pub(super) struct Line {
    pub(super) flow: Flow,
    pub(super) id: u64,
    pub(super) shard: Rc<Shard>,
    queue: mpsc::Receiver<Outgoing>,
    queued_bytes: Rc<Cell<usize>>,
    pub(super) close: CancellationToken,
    /// Held as long as the socket.
    _place: Place,
}

/// Who has to speak first, and so how long silence may last at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenedBy {
    Peer,
    Us,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Closed,
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    #[error("it brought {0}")]
    Unreadable(#[from] tandem_sip::FrameError),
    #[error("a message did not come to its end in time")]
    HalfOpen,
    #[error("nothing has passed for too long")]
    Idle,
    #[error("the peer does not read")]
    Overflow,
}

impl Line {
    /// Enters a connection into the table.
    pub(super) fn enter(
        shard: &Rc<Shard>,
        place: Place,
        flow: Flow,
        certificate: Option<tls::PeerCertificate>,
    ) -> Self {
        let id = shard.streams.new_id();
        let (sender, queue) = mpsc::channel(MAX_QUEUED);
        let queued_bytes = Rc::new(Cell::new(0));
        let close = CancellationToken::new();
        let connection = Connection {
            id,
            queue: sender,
            queued_bytes: Rc::clone(&queued_bytes),
            close: close.clone(),
            certificate,
        };
        let former = shard.streams.connections.borrow_mut().insert(flow, connection);
        if let Some(former) = former {
            // The same four addresses again: the peer has forgotten the old one.
            former.close.cancel();
        }
        Self { flow, id, shard: Rc::clone(shard), queue, queued_bytes, close, _place: place }
    }

    /// Carries messages both ways until the end.
    pub(super) async fn carry<S: AsyncRead + AsyncWrite>(mut self, stream: S, opened_by: OpenedBy) {
        let (reader, writer) = tokio::io::split(stream);
        let last_moved = Cell::new(clock::monotonic());
        let writing = write(writer, &mut self.queue, &self.queued_bytes, &last_moved);
        let reading = read(reader, &self.shard, self.flow, opened_by, &last_moved);
        let end = tokio::select! {
            end = reading => end,
            end = writing => end,
            () = self.close.cancelled() => End::Overflow,
        };
        if matches!(end, End::Unreadable(_) | End::HalfOpen) {
            self.shard.streams.count(|stats| stats.unreadable += 1);
            tracing::info!(remote = %self.flow.remote, %end, "a SIP connection is closed");
        } else {
            tracing::debug!(remote = %self.flow.remote, %end, "a SIP connection has ended");
        }
        self.over();
    }

    /// Takes the connection out of the table.
    pub(super) fn over(self) {
        self.shard.stream_closed(self.flow, self.id);
    }
}

async fn read<R: AsyncRead + Unpin>(
    mut from: R,
    shard: &Rc<Shard>,
    flow: Flow,
    opened_by: OpenedBy,
    last_moved: &Cell<Instant>,
) -> End {
    let timing = &shard.config.timing;
    let mut framer = StreamFramer::new();
    let mut buffer = [0; READ_BYTES];
    // A peer that connects has something to say; one that began a message has to end it.
    let mut unfinished_since = (opened_by == OpenedBy::Peer).then(clock::monotonic);
    loop {
        let idle_at = last_moved.get() + timing.idle_connection;
        let deadline = unfinished_since.map_or(idle_at, |since| since + timing.half_open);
        let length = match timeout_at(TokioInstant::from_std(deadline), from.read(&mut buffer)).await {
            Ok(Ok(0)) => return End::Closed,
            Ok(Ok(length)) => length,
            Ok(Err(error)) => return End::Socket(error),
            Err(_) if unfinished_since.is_some() => return End::HalfOpen,
            Err(_) => {
                let now = clock::monotonic();
                if now < last_moved.get() + timing.idle_connection {
                    continue;
                }
                // A long call says nothing for hours; a registration keeps itself alive.
                if !shard.endpoint(|endpoint| endpoint.uses(flow)) {
                    return End::Idle;
                }
                last_moved.set(now);
                continue;
            }
        };
        let now = clock::monotonic();
        last_moved.set(now);
        framer.push(buffer.get(..length).unwrap_or_default());
        loop {
            match framer.frame() {
                Ok(Some(Frame::Message(bytes))) => {
                    unfinished_since = None;
                    shard.receive_from_stream(flow, bytes);
                }
                Ok(Some(Frame::Ping)) => {
                    unfinished_since = None;
                    shard.queue_on_stream(flow, Outgoing::LineBreaks(PONG));
                }
                Ok(None) => break,
                Err(error) => return End::Unreadable(error),
            }
        }
        if framer.is_partial() {
            unfinished_since.get_or_insert(now);
        }
        framer.rest();
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut to: W,
    queue: &mut mpsc::Receiver<Outgoing>,
    queued_bytes: &Cell<usize>,
    last_moved: &Cell<Instant>,
) -> End {
    while let Some(outgoing) = queue.recv().await {
        let bytes = outgoing.bytes();
        if let Err(error) = to.write_all(bytes).await {
            return End::Socket(error);
        }
        queued_bytes.set(queued_bytes.get().saturating_sub(bytes.len()));
        last_moved.set(clock::monotonic());
        if queue.is_empty()
            && let Err(error) = to.flush().await
        {
            return End::Socket(error);
        }
    }
    End::Closed
}
