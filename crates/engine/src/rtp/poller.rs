//! Which sockets of a worker are ready, and how others wake it.
//!
//! Level-triggered: a socket that still holds a datagram is reported again. An edge-triggered poll would have to read
//! every socket until it is empty, and the read that finds it empty is a third of a relayed packet's system calls.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// What a readiness is reported under; the worker's own numbers.
pub(super) type Token = u64;

/// Reported when somebody used the [`Waker`].
pub(super) const WAKE: Token = Token::MAX;

/// A worker's poll.
#[derive(Debug)]
pub(super) struct Poller(OwnedFd);

/// What a wait found; lives on the thread that waits.
pub(super) struct Ready(Vec<epoll::Event>);

/// Ends the wait of a [`Poller`].
#[derive(Debug)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Poller {
    /// A poll and what wakes it.
    pub(super) fn new() -> io::Result<(Self, Waker)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        // Edge-triggered, so that it need not be read: each use of the waker is an edge.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, bell.as_fd(), epoll::EventData::new_u64(WAKE), flags)?;
        Ok((Self(epoll), Waker(bell)))
    }

    /// Reports when `socket` can be read; closing it ends that.
    pub(super) fn add(&self, socket: impl AsFd, token: Token) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.0, socket, data, epoll::EventFlags::IN)?)
    }

    /// Waits until something is ready or `patience` is over (`None`: for ever).
    pub(super) fn wait(&self, ready: &mut Ready, patience: Option<Duration>) -> io::Result<()> {
        // The kernel counts milliseconds; waking before the deadline would wake twice.
        let patience = patience.map(|patience| {
            let ms = patience.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
            Timespec { tv_sec: ms / 1_000, tv_nsec: ms % 1_000 * 1_000_000 }
        });
        ready.0.clear();
        epoll::wait(&self.0, spare_capacity(&mut ready.0), patience.as_ref())?;
        Ok(())
    }
}

impl Ready {
    /// Room for `at_once` sockets; a wait reports no more.
    pub(super) fn new(at_once: usize) -> Self {
        Self(Vec::with_capacity(at_once))
    }

    /// What the last wait found.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.0.iter().map(|event| event.data.u64())
    }
}

impl Waker {
    /// Wakes the poll.
    pub(super) fn wake(&self) -> io::Result<()> {
        rustix::io::write(&*self.0, &1u64.to_ne_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn found(poller: &Poller) -> Vec<Token> {
        let mut ready = Ready::new(2);
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        ready.tokens().collect()
    }

    #[test]
    fn a_socket_that_still_holds_a_datagram_is_reported_again() {
        let (poller, _waker) = Poller::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        poller.add(&socket, 7).unwrap();
        assert!(found(&poller).is_empty());
        for _ in 0..2 {
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(found(&poller), [7]);
            socket.recv(&mut [0; 8]).unwrap();
        }
        assert!(found(&poller).is_empty());
        drop(socket);
        assert!(found(&poller).is_empty());
    }

    #[test]
    fn every_use_of_the_waker_is_reported_once() {
        let (poller, waker) = Poller::new().unwrap();
        for _ in 0..2 {
            waker.wake().unwrap();
            waker.wake().unwrap();
            assert_eq!(found(&poller), [WAKE]);
            assert!(found(&poller).is_empty());
        }
    }

    #[test]
    fn no_more_are_reported_at_once_than_there_is_room_for() {
        let (poller, _waker) = Poller::new().unwrap();
        let sockets: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (token, socket) in (0..).zip(&sockets) {
            poller.add(socket, token).unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        }
        let (first, second) = (found(&poller), found(&poller));
        assert_eq!((first.len(), second.len()), (2, 2));
        assert!([first, second].concat().contains(&2), "the third has its turn");
    }
}
