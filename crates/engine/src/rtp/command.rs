//! The way from a session to a worker.
//!
//! A bounded queue and a waker per worker. A full queue refuses the command and the caller knows;
//! closing a leg goes by a list of its own, which cannot be full because each leg is closed once.
//!
//! Waking a worker costs two context switches, more than most commands. [`Wake`] says whether it is
//! woken by each command, or once for all that a turn of the signalling thread gave it.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tandem_media::{Beneath, ListenFor, PlayId, PlayItem};
use tokio::sync::{mpsc, oneshot};

use super::event::MediaEvent;
use super::leg::{CommandError, Flow, LegMedia, RecordName, RecordRequest, Recorded};
use super::plane::MediaKey;
use super::poller::Waker;
use super::report::LegReport;

/// Commands waiting for one worker: several for each of a thousand calls that start at once.
pub(super) const QUEUE_CAPACITY: usize = 8_192;

/// What a session asks of a worker.
#[derive(Debug)]
pub(super) enum Command {
    Open(Box<Opening>),
    Leg(MediaKey, LegCommand),
}

/// A leg whose ports are bound.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) key: MediaKey,
    pub(super) port: u16,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) events: mpsc::Sender<MediaEvent>,
}

/// What a session asks of one leg; see the methods of [`super::RtpLeg`].
#[derive(Debug)]
pub(super) enum LegCommand {
    Configure(Box<LegMedia>),
    Media(MediaCommand),
    Bridge(MediaKey, Flow),
    Unbridge,
    Record(Box<RecordRequest>),
    StopRecording(RecordName),
    PauseRecording(RecordName, Recorded),
    Report(oneshot::Sender<LegReport>),
    TellTo(mpsc::Sender<MediaEvent>),
}

/// What concerns the leg's media state, which exists from the first configuration on.
#[derive(Debug)]
pub(super) enum MediaCommand {
    StartPlayout,
    Play(Box<PlayItem>),
    Overlay(Box<PlayItem>, Beneath),
    Stop(PlayId),
    StopPlayback,
    SendDigits(Box<str>),
    DetectInband(bool),
    ListenFor(Option<ListenFor>),
}

/// A leg to close and who wants its last figures.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) key: MediaKey,
    pub(super) report: Option<oneshot::Sender<LegReport>>,
}

/// When a worker hears of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wake {
    /// At once.
    #[default]
    AtOnce,
    /// At [`super::MediaPlane::wake_workers`], which whoever chose this calls before its thread
    /// goes to sleep.
    WhenAsked,
}

#[derive(Debug)]
struct Gate {
    closing: Mutex<Vec<Closing>>,
    waker: Waker,
    /// Set when the waker has been used and the worker has not looked yet: one system call wakes
    /// it for a burst of commands.
    signalled: AtomicBool,
    /// Something waits that the worker has not been woken for.
    pending: AtomicBool,
    wake: Wake,
    stopping: AtomicBool,
}

/// The sessions' end.
#[derive(Clone, Debug)]
pub(super) struct CommandSender {
    queue: mpsc::Sender<Command>,
    gate: Arc<Gate>,
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct CommandReceiver {
    queue: mpsc::Receiver<Command>,
    gate: Arc<Gate>,
}

/// Both ends; `waker` is that of the receiver's poll.
pub(super) fn command_queue(waker: Waker, wake: Wake) -> (CommandSender, CommandReceiver) {
    let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
    let gate = Arc::new(Gate {
        closing: Mutex::new(Vec::new()),
        waker,
        signalled: AtomicBool::new(false),
        pending: AtomicBool::new(false),
        wake,
        stopping: AtomicBool::new(false),
    });
    (CommandSender { queue: sender, gate: Arc::clone(&gate) }, CommandReceiver { queue: receiver, gate })
}

impl CommandSender {
    /// Queues `command` or says why not.
    pub(super) fn send(&self, command: Command) -> Result<(), CommandError> {
        self.queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Full,
            mpsc::error::TrySendError::Closed(_) => CommandError::Gone,
        })?;
        self.announce();
        Ok(())
    }

    /// Latches the closing of a leg.
    pub(super) fn close(&self, closing: Closing) {
        self.gate.closing.lock().unwrap_or_else(PoisonError::into_inner).push(closing);
        self.announce();
    }

    /// Tells the worker to close every leg and end.
    pub(super) fn stop(&self) {
        self.gate.stopping.store(true, Ordering::Release);
        self.signal();
    }

    /// Wakes the worker if something waits that it has not been woken for.
    pub(super) fn wake(&self) {
        if self.gate.pending.swap(false, Ordering::AcqRel) {
            self.signal();
        }
    }

    fn announce(&self) {
        match self.gate.wake {
            Wake::AtOnce => self.signal(),
            Wake::WhenAsked => self.gate.pending.store(true, Ordering::Release),
        }
    }

    fn signal(&self) {
        if !self.gate.signalled.swap(true, Ordering::AcqRel) {
            // Fails only when the worker is gone, and then nobody needs waking.
            let _ = self.gate.waker.wake();
        }
    }
}

impl CommandReceiver {
    /// Takes everything that waits: commands in order, then closings. A leg is opened and told
    /// things before it is closed, so the list is taken before the queue is drained.
    pub(super) fn drain(&mut self, commands: &mut Vec<Command>, closings: &mut Vec<Closing>) {
        if !self.gate.signalled.swap(false, Ordering::AcqRel) {
            return;
        }
        closings.append(&mut self.gate.closing.lock().unwrap_or_else(PoisonError::into_inner));
        while commands.len() < QUEUE_CAPACITY
            && let Ok(command) = self.queue.try_recv()
        {
            commands.push(command);
        }
        if commands.len() == QUEUE_CAPACITY {
            self.gate.signalled.store(true, Ordering::Release);
            let _ = self.gate.waker.wake();
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.gate.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::poller::{Poller, Ready};

    fn queue() -> (Poller, CommandSender, CommandReceiver) {
        woken(Wake::AtOnce)
    }

    fn woken(wake: Wake) -> (Poller, CommandSender, CommandReceiver) {
        let (poll, waker) = Poller::new().unwrap();
        let (sender, receiver) = command_queue(waker, wake);
        (poll, sender, receiver)
    }

    fn unbridge(serial: u64) -> Command {
        Command::Leg(MediaKey::new(0, serial), LegCommand::Unbridge)
    }

    #[test]
    fn a_full_queue_refuses_commands_and_still_takes_closings() {
        let (_poll, sender, mut receiver) = queue();
        for _ in 0..QUEUE_CAPACITY {
            sender.send(unbridge(1)).unwrap();
        }
        assert_eq!(sender.send(unbridge(1)), Err(CommandError::Full));
        sender.close(Closing { key: MediaKey::new(0, 1), report: None });
        let (mut commands, mut closings) = (Vec::new(), Vec::new());
        receiver.drain(&mut commands, &mut closings);
        assert_eq!((commands.len(), closings.len()), (QUEUE_CAPACITY, 1));
        assert!(sender.send(unbridge(1)).is_ok());
    }

    #[test]
    fn a_worker_that_is_gone_is_told_apart_from_a_busy_one() {
        let (_poll, sender, receiver) = queue();
        drop(receiver);
        assert_eq!(sender.send(unbridge(1)), Err(CommandError::Gone));
        sender.close(Closing { key: MediaKey::new(0, 1), report: None });
    }

    #[test]
    fn a_turn_of_commands_wakes_the_worker_once_and_when_asked() {
        let (poll, sender, mut receiver) = woken(Wake::WhenAsked);
        let mut ready = Ready::new(4);
        let mut woken = || {
            poll.wait(&mut ready, Some(std::time::Duration::ZERO)).unwrap();
            ready.tokens().next().is_some()
        };
        let (mut commands, mut closings) = (Vec::new(), Vec::new());
        sender.wake();
        assert!(!woken(), "nothing waits");
        sender.send(unbridge(1)).unwrap();
        sender.close(Closing { key: MediaKey::new(0, 1), report: None });
        assert!(!woken(), "nobody has asked yet");
        sender.wake();
        sender.wake();
        assert!(woken());
        receiver.drain(&mut commands, &mut closings);
        assert_eq!((commands.len(), closings.len()), (1, 1));
        sender.wake();
        assert!(!woken(), "all of it was taken");
    }
}
