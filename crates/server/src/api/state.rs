//! What every handler reaches through: configuration, secrets, reads, the Writer, the directory, admission, the engine.

use std::ops::Deref;
use std::sync::Arc;

use tandem_engine::EngineHandle;
use tandem_store::{Reader, Writer};
use tokio::sync::Notify;

use super::calls::WaitingCalls;
use crate::admission::Admission;
use crate::auth::Vault;
use crate::billing::Payments;
use crate::certificate::Certificate;
use crate::config::Config;
use crate::directory::Directory;
use crate::kyc::Desk;
use crate::recordings::Recordings;
use crate::timeline::Timelines;

/// Shared by all handlers; clones are handles.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

/// See [`AppState`].
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) directory: Directory,
    pub(crate) kyc: Desk,
    pub(crate) payments: Payments,
    pub(crate) recordings: Recordings,
    /// How clients reach the API, without a path.
    pub(crate) api_url: String,
    /// Absent when an administrator works on the files of a node that does not run.
    pub(crate) live: Option<Live>,
    /// Development mode only.
    pub(crate) timelines: Option<Timelines>,
    /// Wakes the directory's feed after a configuration change.
    pub(crate) nudge: Arc<Notify>,
}

/// What only a running node has.
pub(crate) struct Live {
    pub(crate) admission: Admission,
    pub(crate) engine: EngineHandle,
    /// Calls that wait for their turn.
    pub(crate) waiting: WaitingCalls,
    /// Of SIP over TLS, where that is on.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl AppState {
    /// Gathers it.
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Waits until this node goes by what was just committed; then its answer may be given.
    pub(crate) async fn settled(&self) {
        self.directory.followed(|| self.nudge.notify_one()).await;
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
