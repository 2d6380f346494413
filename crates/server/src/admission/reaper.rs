//! Calls of processes that are gone: ended at their peers, settled at their last tick, reported. Takes no
//! input, is idempotent, runs at start and every few seconds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tandem_model::{CallEnd, HangupCause, HangupSource, clock};
use tandem_store::calls::LiveCall;
use tandem_store::{Reader, StoreError};

use super::context::Context;
use super::service::Admission;

/// Without a heartbeat for so long, a node is dead (it beats every 5 s).
pub(crate) const DEAD_AFTER: Duration = Duration::from_secs(15);
/// Orphans settled in one sweep.
const SWEEP: u32 = 500;

/// The reaper of one node.
pub(crate) struct Reaper {
    reader: Reader,
    admission: Admission,
}

impl Reaper {
    /// A reaper over the store.
    pub(crate) fn new(reader: Reader, admission: Admission) -> Self {
        Self { reader, admission }
    }

    /// The dialogs of calls whose process is gone, to be ended at their peers before anything is settled: people wait there.
    pub(crate) async fn find(&self) -> Result<Vec<LiveCall>, StoreError> {
        let silence = SignedDuration::try_from(DEAD_AFTER).unwrap_or(SignedDuration::from_secs(15));
        self.reader.orphans(clock::wall() - silence, SWEEP).await
    }

    /// Settles what [`Self::find`] found. A call that somebody settled meanwhile is passed over by the store.
    pub(crate) async fn settle(&self, calls: Vec<LiveCall>) -> Result<usize, StoreError> {
        let mut settled = 0;
        let ends: Vec<_> = calls
            .into_iter()
            .filter_map(|call| match serde_json::from_str::<Context>(&call.call.facts) {
                Ok(context) => Some((call, context)),
                Err(error) => {
                    tracing::error!(call_id = %call.call.call, %error, "an orphan's business cannot be read; it stays for the operator");
                    None
                }
            })
            .collect();
        let settlements = ends.iter().map(|(call, context)| {
            let context = Context { hold: call.call.hold, covered_s: call.call.covered_s, ..context.clone() };
            let end = end_of(call);
            let end = CallEnd { recording: context.recording.filter(|_| end.answered_at.is_some()), ..end };
            let node = call.node.name.clone();
            async move { self.admission.settle(&context, &end, Some(&node)).await }
        });
        for outcome in futures_util::future::join_all(settlements).await {
            outcome?;
            settled += 1;
        }
        Ok(settled)
    }
}

/// An orphan ended when it was last seen: never billed upward later.
fn end_of(call: &LiveCall) -> CallEnd {
    let last_seen: Timestamp = call.answered_at.map_or(call.call.started_at, |answered| {
        answered + SignedDuration::from_secs(i64::try_from(call.elapsed_s).unwrap_or_default())
    });
    let ring_s = call
        .answered_at
        .map_or(0, |answered| answered.as_second().saturating_sub(call.call.started_at.as_second()).max(0));
    CallEnd {
        call: call.call.call,
        ended_at: last_seen,
        progress_at: None,
        answered_at: call.answered_at,
        billsec: if call.answered_at.is_some() { call.elapsed_s } else { 0 },
        ring_s: u64::try_from(ring_s).unwrap_or_default(),
        cause: HangupCause::InternalError,
        cause_text: None,
        source: HangupSource::Error,
        disposition: "send_bye".to_owned(),
        reason: "The process that carried the call ended".to_owned(),
        sip_call_id: sip_call_id(call),
        sip_user_agent: None,
        codec: None,
        quality: None,
        network_addr: None,
        carrier_addr: None,
        terminated_to: None,
        bridge: None,
        recording: None,
        answered_while_cancelling: false,
    }
}

/// The A leg's Call-ID, from the SIP core's own document.
fn sip_call_id(call: &LiveCall) -> String {
    call.call
        .dialogs
        .first()
        .and_then(|dialog| serde_json::from_str::<serde_json::Value>(&dialog.snapshot).ok())
        .and_then(|snapshot| snapshot["call_id"].as_str().map(str::to_owned))
        .unwrap_or_default()
}
