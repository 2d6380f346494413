//! Ending, at the peers, calls whose process is gone: from the snapshots the store kept.

use std::collections::HashMap;
use std::rc::Rc;

use tandem_model::ports::RouteCredentials;
use tandem_model::{CallId, OrphanCall, clock};
use tandem_sip::{DialogSnapshot, Outcome, SnapshotRole, SnapshotState};

use super::Shard;
use crate::session::credentials_of;

impl Shard {
    /// BYE for answered dialogs; CANCEL for those we dialled, 500 for callers still waiting.
    /// Returns how many dialogs got a message.
    pub(super) fn end_orphans(
        self: &Rc<Self>,
        orphans: &[OrphanCall],
        credentials: &HashMap<CallId, RouteCredentials>,
    ) -> usize {
        let now = clock::monotonic();
        let mut ended = 0;
        for orphan in orphans {
            for record in &orphan.dialogs {
                let snapshot: DialogSnapshot = match serde_json::from_str(&record.snapshot) {
                    Ok(snapshot) => snapshot,
                    Err(error) => {
                        tracing::warn!(call_id = %orphan.call, %error, "a stored dialog cannot be read and is left to its peer");
                        continue;
                    }
                };
                let mut endpoint = self.endpoint.borrow_mut();
                if snapshot.state == SnapshotState::Answered && snapshot.pending_invite.is_some() {
                    // Written down as answered just before its 200: did it leave? A 500 ends the INVITE if not.
                    let _ = endpoint.orphan_reject(now, &snapshot, 500);
                }
                let outcome = match (snapshot.state, snapshot.role) {
                    (SnapshotState::Answered, role) => {
                        // What we know of a carrier proves us to it only.
                        let ours = credentials.get(&orphan.call).filter(|_| role == SnapshotRole::Uac);
                        endpoint.orphan_bye(now, &snapshot, ours.map(credentials_of))
                    }
                    (SnapshotState::Pending, SnapshotRole::Uac) => endpoint.orphan_cancel(now, &snapshot),
                    (SnapshotState::Pending, SnapshotRole::Uas) => {
                        endpoint.orphan_reject(now, &snapshot, 500)
                    }
                };
                ended += usize::from(outcome == Outcome::Sent);
            }
        }
        self.flush();
        ended
    }
}
