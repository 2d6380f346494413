//! A node's sign of life: without it other nodes end its calls, and with another process's it must stop.

use std::time::Duration;

use tandem_model::clock;
use tandem_store::nodes::Heartbeat;
use tandem_store::{StoreError, Writer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A node says that it lives this often.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Says it until cancelled, or until another process runs under this node's name.
pub(crate) async fn beat(writer: Writer, fail: watch::Sender<Option<String>>, cancel: CancellationToken) {
    loop {
        match writer.submit(Heartbeat { at: clock::wall() }).await {
            Ok(()) => {}
            Err(error @ StoreError::Fenced { .. }) => {
                fail.send_replace(Some(format!("another process runs under this node's name: {error}")));
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the heartbeat could not be written; admission is closed meanwhile")
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
}
