//! What one admitted call leaves behind: the facts gathered while it lives, and the [`CallEnd`] made
//! of them, stored exactly once however long that takes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tandem_callflow::End;
use tandem_model::ports::{Admission, RecordingSpec};
use tandem_model::{CallEnd, CallFacts, CallId, LegQuality, clock};

use super::meter::Meter;
use crate::rtp::{LegReport, RecordName};

/// Longest pause between two tries to store an end.
const MAX_RETRY_PAUSE: Duration = Duration::from_mins(1);

/// The final figures of a media leg, once its worker has them.
pub(crate) type Closing = Pin<Box<dyn Future<Output = Option<LegReport>> + Send>>;

/// How the signalling of the caller-side ended, in the words of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// We hung up.
    SendBye,
    /// The peer hung up.
    RecvBye,
    /// We gave up dialling.
    SendCancel,
    /// The caller gave up.
    RecvCancel,
    /// We refused.
    SendRefuse,
    /// The peer refused.
    RecvRefuse,
}

impl Disposition {
    fn as_str(self) -> &'static str {
        match self {
            Self::SendBye => "send_bye",
            Self::RecvBye => "recv_bye",
            Self::SendCancel => "send_cancel",
            Self::RecvCancel => "recv_cancel",
            Self::SendRefuse => "send_refuse",
            Self::RecvRefuse => "recv_refuse",
        }
    }
}

/// An instant on both clocks: the monotonic one counts, the wall one is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { instant: clock::monotonic(), wall: clock::wall() }
    }
}

/// A recording under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenRecording {
    pub(crate) name: RecordName,
    /// The leg on whose media it runs, by its place.
    pub(crate) tapped: usize,
}

/// One admitted call in the making.
pub(crate) struct Record {
    pub(crate) facts: CallFacts,
    pub(crate) meter: Meter,
    pub(crate) max_duration: Duration,
    pub(crate) recording: Option<RecordingSpec>,
    pub(crate) began: Instant,
    pub(crate) progress_at: Option<Timestamp>,
    pub(crate) answered: Option<Moment>,
    pub(crate) ended: Option<Moment>,
    pub(crate) end: Option<End>,
    pub(crate) disposition: Disposition,
    pub(crate) reason: Option<String>,
    pub(crate) sip_call_id: String,
    pub(crate) user_agent: Option<String>,
    pub(crate) network_addr: Option<SocketAddr>,
    pub(crate) carrier_addr: Option<SocketAddr>,
    pub(crate) terminated_to: Option<String>,
    pub(crate) bridge: Option<CallId>,
    pub(crate) codec: Option<&'static str>,
    pub(crate) answered_while_cancelling: bool,
    /// A recording was started and is not complete on disk yet.
    pub(crate) recording_open: Option<OpenRecording>,
    /// A recording is complete on disk.
    pub(crate) recorded: bool,
    /// It has been handed to the store.
    pub(crate) settled: bool,
    /// Media legs of this call that have closed.
    pub(crate) closings: Vec<Closing>,
}

impl Record {
    /// A call that began at `began`.
    pub(crate) fn new(
        facts: CallFacts,
        meter: Meter,
        max_duration_s: u64,
        recording: Option<RecordingSpec>,
        began: Instant,
    ) -> Self {
        Self {
            facts,
            meter,
            max_duration: Duration::from_secs(max_duration_s),
            recording,
            began,
            progress_at: None,
            answered: None,
            ended: None,
            end: None,
            disposition: Disposition::SendRefuse,
            reason: None,
            sip_call_id: String::new(),
            user_agent: None,
            network_addr: None,
            carrier_addr: None,
            terminated_to: None,
            bridge: None,
            codec: None,
            answered_while_cancelling: false,
            recording_open: None,
            recorded: false,
            settled: false,
            closings: Vec::new(),
        }
    }

    /// The call has ended, now unless it had before.
    pub(crate) fn close(&mut self, end: End, disposition: Disposition) {
        if self.end.is_none() {
            self.end = Some(end);
            self.disposition = disposition;
        }
        self.ended.get_or_insert_with(Moment::now);
    }

    /// Seconds of talk at `now`.
    pub(crate) fn elapsed(&self, now: Instant) -> Option<Duration> {
        self.answered.map(|answered| now.saturating_duration_since(answered.instant))
    }

    /// The end to store, without quality.
    pub(crate) fn call_end(&self, fallback: End) -> CallEnd {
        let end = self.end.unwrap_or(fallback);
        let ended = self.ended.unwrap_or_else(Moment::now);
        // A callee that answered while CANCEL was in flight is flagged and costs nothing.
        let answered = self.answered.filter(|_| !self.answered_while_cancelling);
        let talk = answered.map(|answered| ended.instant.saturating_duration_since(answered.instant));
        let ring_until = answered.map_or(ended.instant, |answered| answered.instant);
        CallEnd {
            call: self.facts.call,
            ended_at: ended.wall,
            progress_at: self.progress_at,
            answered_at: answered.map(|answered| answered.wall),
            billsec: talk.map_or(0, seconds_half_up),
            ring_s: seconds_half_up(ring_until.saturating_duration_since(self.began)),
            cause: end.cause,
            cause_text: (end.text != end.cause.text()).then(|| end.text.as_str().to_owned()),
            source: end.source,
            disposition: self.disposition.as_str().to_owned(),
            reason: self.reason.clone().unwrap_or_else(|| end.cause.name().to_owned()),
            sip_call_id: self.sip_call_id.clone(),
            sip_user_agent: self.user_agent.clone(),
            codec: self.codec.map(str::to_owned),
            quality: None,
            network_addr: self.network_addr,
            carrier_addr: self.carrier_addr,
            terminated_to: self.terminated_to.clone(),
            bridge: self.bridge,
            recording: self.recording.as_ref().filter(|_| self.recorded).map(|recording| recording.recording),
            answered_while_cancelling: self.answered_while_cancelling,
        }
    }
}

/// Stores an end, trying again for as long as it takes; the caller's task lives on until then.
pub(crate) async fn store(
    admission: Arc<dyn Admission>,
    mut end: CallEnd,
    closings: Vec<Closing>,
    first_pause: Duration,
) -> (CallId, Vec<LegReport>) {
    let mut reports = Vec::with_capacity(closings.len());
    for closing in closings {
        reports.extend(closing.await);
    }
    end.quality = worst_heard(&reports);
    let mut pause = first_pause;
    while let Err(error) = admission.ended(end.clone()).await {
        tracing::error!(call_id = %end.call, %error, pause_ms = pause.as_millis() as u64, "the end of a call could not be stored and is kept");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_RETRY_PAUSE);
    }
    (end.call, reports)
}

/// The quality at the leg that heard worse, of those that heard anything.
fn worst_heard(reports: &[LegReport]) -> Option<LegQuality> {
    reports
        .iter()
        .filter(|report| report.stats.packets_received > 0)
        .map(|report| report.quality)
        .min_by(|a, b| a.mos.total_cmp(&b.mos))
        .map(|quality| LegQuality {
            mos: quality.mos,
            jitter_ms: quality.jitter_ms,
            loss_percent: quality.loss_percent,
        })
}

/// Whole seconds, rounded half up.
pub(crate) fn seconds_half_up(time: Duration) -> u64 {
    u64::try_from((time.as_millis() + 500) / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talk_time_is_rounded_half_up() {
        for (ms, seconds) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2), (59_999, 60)] {
            assert_eq!(seconds_half_up(Duration::from_millis(ms)), seconds, "{ms} ms");
        }
    }
}
