//! The handle of a running network: what tests and the command line hold.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call_log::{CallTable, SimCall};
use super::call_spec::CallSpec;
use super::config::CarrierConfig;
use super::driver::{CallKey, Command, Driver};
use super::live::{LIVE_QUEUE, LiveCall, LiveSender};
use super::outcome::{CallOutcome, Progress};
use super::phone::{RegisterError, Registration};

/// Commands waiting for the driver; who sends more waits.
const COMMAND_QUEUE: usize = 256;

/// A running network. Dropping it stops everything at once; [`shutdown`](Self::shutdown) hangs up
/// first and waits.
#[derive(Debug)]
pub struct Carrier {
    addr: SocketAddr,
    commands: mpsc::Sender<Command>,
    calls: CallTable,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Why a call was not placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CarrierError {
    /// The carrier has been shut down.
    #[error("the simulator has been shut down")]
    Stopped,
    /// A number, host or header cannot be written into a SIP message.
    #[error("{0:?} cannot be written into a SIP message")]
    Unprintable(String),
    /// All RTP ports are in use.
    #[error("no RTP port is free for another call")]
    NoPort,
    /// The endpoint's tables are full.
    #[error("too many calls at once")]
    Full,
}

/// A placed call.
#[derive(Debug)]
pub struct CallHandle {
    pub(super) call_id: String,
    pub(super) key: CallKey,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) outcome: oneshot::Receiver<CallOutcome>,
}

impl Carrier {
    /// Binds the sockets and starts the driver. Needs a tokio runtime with time and I/O.
    pub async fn start(config: CarrierConfig) -> io::Result<Self> {
        let calls = CallTable::default();
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (driver, addr) =
            Driver::bind(config, calls.clone(), (commands.clone(), inbox), stop.clone()).await?;
        tasks.spawn(driver.run());
        tasks.close();
        Ok(Self { addr, commands, calls, stop, tasks })
    }

    /// The SIP address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Places a call and waits for its end.
    pub async fn call(&self, spec: CallSpec) -> Result<CallOutcome, CarrierError> {
        self.place(spec).await?.outcome().await
    }

    /// Places a call and returns as soon as the INVITE is on its way.
    pub async fn place(&self, spec: CallSpec) -> Result<CallHandle, CarrierError> {
        Ok(self.send_place(spec, None).await?.0)
    }

    /// Places a call that its holder steers; the script of the spec is not played.
    pub async fn place_live(&self, spec: CallSpec) -> Result<LiveCall, CarrierError> {
        let (live, events) = mpsc::channel(LIVE_QUEUE);
        let (handle, call) = self.send_place(spec, Some(live)).await?;
        let (key, commands) = (handle.key, self.commands.clone());
        Ok(LiveCall { call, handle: Some(handle), key, commands, events })
    }

    async fn send_place(
        &self,
        spec: CallSpec,
        live: Option<LiveSender>,
    ) -> Result<(CallHandle, SimCall), CarrierError> {
        let (reply, placed) = oneshot::channel();
        let command = Command::Place { spec: Box::new(spec), live, reply };
        self.commands.send(command).await.map_err(|_| CarrierError::Stopped)?;
        placed.await.map_err(|_| CarrierError::Stopped)?
    }

    /// Registers a user with the platform and answers its calls from then on.
    pub async fn register(&self, registration: Registration) -> Result<(), RegisterError> {
        let (reply, registered) = oneshot::channel();
        let command = Command::Register { registration: Box::new(registration), reply };
        self.commands.send(command).await.map_err(|_| RegisterError::Stopped)?;
        registered.await.map_err(|_| RegisterError::Stopped)?
    }

    /// Every call seen so far, oldest first; at most [`MAX_LOGGED_CALLS`](super::MAX_LOGGED_CALLS).
    pub fn calls(&self) -> Vec<SimCall> {
        self.calls.snapshot()
    }

    /// One of them by its Call-ID.
    pub fn find(&self, call_id: &str) -> Option<SimCall> {
        self.calls.find(call_id)
    }

    /// Hangs up what is left and stops.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl CallHandle {
    /// The handle of a call that came in, and what its end is told through.
    pub(super) fn pair(
        call_id: String,
        key: CallKey,
        commands: mpsc::Sender<Command>,
    ) -> (Self, oneshot::Sender<CallOutcome>) {
        let (_, progress) = watch::channel(Progress::Inviting);
        let (sender, outcome) = oneshot::channel();
        (Self { call_id, key, commands, progress, outcome }, sender)
    }

    /// SIP Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Waits until the call has come this far; false if it ended before.
    pub async fn reached(&mut self, progress: Progress) -> bool {
        let Ok(now) = self.progress.wait_for(|now| *now >= progress).await else { return false };
        *now != Progress::Ended || progress == Progress::Ended
    }

    /// Hangs up (or cancels) whatever the script still wanted.
    pub async fn hang_up(&self) -> Result<(), CarrierError> {
        self.commands.send(Command::HangUp { key: self.key }).await.map_err(|_| CarrierError::Stopped)
    }

    /// Waits for the end.
    pub async fn outcome(self) -> Result<CallOutcome, CarrierError> {
        self.outcome.await.map_err(|_| CarrierError::Stopped)
    }
}
