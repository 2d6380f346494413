//! Ending legs, and closing the records of what has ended.

use std::time::Instant;

use tandem_callflow::{End, Input, Leg as Name};
use tandem_model::{CallId, HangupCause, HangupSource, HangupText, clock};
use tandem_sip::{Reason, ReasonProtocol};

use super::leg::Stage;
use super::meter::Demand;
use super::record::{Disposition, store};
use super::{Done, Session};

impl Session {
    /// The call flow is done; what is open gets a little time.
    pub(super) fn finish(&mut self, end: End) {
        if self.finished.is_none() {
            self.finished = Some(end);
            self.settle_deadline = Some(clock::monotonic() + self.shard.config.timing.settle_grace);
            if let Some(record) = self.legs.first_mut().and_then(|a| a.record.as_deref_mut()) {
                // The call flow knows best why the call ended; the wire knew how.
                record.end = Some(end);
            }
        }
    }

    /// `Effect::Hangup`, in whatever state A is.
    pub(super) fn hang_up_a(&mut self, end: End) {
        let Some(a) = self.legs.first() else { return };
        let disposition = match a.stage {
            Stage::Talking => Disposition::SendBye,
            Stage::Dialling | Stage::Cancelling => Disposition::SendCancel,
            _ => Disposition::SendRefuse,
        };
        if let Some(sip) = a.sip() {
            let reason = q850_reason(end);
            let status = end.cause.sip_status();
            let _ = self.shard.command(|endpoint, now| endpoint.hang_up(now, sip, status, Some(&reason)));
        }
        self.leg_over(0, end, disposition, None);
    }

    /// Ends the whole call for a reason from above.
    pub(super) fn end_a(&mut self, end: End) {
        if self.call.is_some() {
            self.tell(Input::HangupRequested { end });
            return;
        }
        // An API call before its document.
        match self.legs.first().map(|a| a.stage) {
            Some(Stage::Dialling) => {
                self.hang_up_leg(0, end);
                self.finish(end);
            }
            Some(Stage::Talking) => self.hang_up_a(end),
            Some(Stage::Waiting) => self.refuse_a(end, end.cause.sip_status()),
            _ => {}
        }
    }

    /// `Effect::HangupLeg`: CANCEL or BYE, as the leg's state wants.
    pub(super) fn hang_up_leg(&mut self, position: usize, end: End) {
        let Some(leg) = self.legs.get_mut(position) else { return };
        match leg.stage {
            Stage::Admitting => leg.unwanted = Some(end),
            Stage::Dialling => {
                leg.stage = Stage::Cancelling;
                leg.routes.clear();
                leg.no_response_at = None;
                leg.cancel_deadline = Some(clock::monotonic() + self.shard.config.timing.settle_grace);
                if let Some(record) = leg.record.as_deref_mut() {
                    record.close(end, Disposition::SendCancel);
                }
                let branches: Vec<_> = leg.branches.iter().map(|branch| branch.sip).collect();
                let reason = if end.cause == HangupCause::LostRace { elsewhere() } else { q850_reason(end) };
                for sip in branches {
                    let _ = self.shard.command(|endpoint, now| {
                        endpoint.hang_up(now, sip, end.cause.sip_status(), Some(&reason))
                    });
                }
            }
            Stage::Talking => {
                let reason = q850_reason(end);
                if let Some(sip) = leg.sip() {
                    let _ = self.shard.command(|endpoint, now| endpoint.bye(now, sip, Some(&reason)));
                }
                self.leg_over(position, end, Disposition::SendBye, None);
            }
            Stage::Waiting | Stage::Answering | Stage::Cancelling | Stage::Over => {}
        }
    }

    /// Ends a dialled leg for a reason of ours and tells the call flow.
    pub(super) fn fail_leg(&mut self, position: usize, end: End, status: Option<u16>) {
        let Some(leg) = self.legs.get(position) else { return };
        let name = leg.name;
        if let Some(sip) = leg.sip().filter(|_| leg.stage == Stage::Dialling && status.is_some()) {
            // Answered at the peer, useless to us.
            let reason = q850_reason(end);
            let _ = self.shard.command(|endpoint, now| endpoint.hang_up(now, sip, 488, Some(&reason)));
            return self.leg_over(position, end, Disposition::SendBye, status);
        }
        self.hang_up_leg(position, end);
        self.tell(Input::LegEnded { leg: name, end, sip_status: status });
    }

    /// A leg's signalling is over: its media closes, its record stops, the call flow learns of it.
    pub(super) fn leg_over(
        &mut self,
        position: usize,
        end: End,
        disposition: Disposition,
        status: Option<u16>,
    ) {
        let Some(leg) = self.legs.get_mut(position).filter(|leg| leg.stage != Stage::Over) else { return };
        leg.stage = Stage::Over;
        leg.no_response_at = None;
        leg.channel = None;
        let name = leg.name;
        let branches: Vec<_> = leg.branches.iter().map(|branch| branch.sip).collect();
        if let Some(record) = leg.record.as_deref_mut() {
            record.close(end, disposition);
            self.shard.falls_silent(record.facts.call);
        }
        let media = leg.media.take();
        self.stop_recording_of(position);
        for sip in branches {
            self.seat.drop_sip(sip);
        }
        if let Some(media) = media {
            let closing = Box::pin(media.close());
            if let Some(record) = self.record_of(position) {
                record.closings.push(closing);
            }
        }
        if self.call.is_some() {
            self.tell(Input::LegEnded { leg: name, end, sip_status: status });
        } else if position == 0 {
            self.finish(end);
        }
    }

    /// Hands every record that has nothing left to wait for to the store.
    pub(super) fn settle_what_is_over(&mut self) {
        let now = clock::monotonic();
        for position in 1..self.legs.len() {
            let leg = &self.legs[position];
            let ready = leg.record.as_ref().is_some_and(|record| {
                leg.stage == Stage::Over
                    && !record.settled
                    && (record.recording_open.is_none()
                        || self.past_grace(record.ended.map(|m| m.instant), now))
            });
            if ready {
                self.settle(position);
            }
        }
        let Some(a) = self.legs.first().filter(|_| self.finished.is_some() && !self.settling) else { return };
        let recording = a.record.as_ref().is_some_and(|record| record.recording_open.is_some());
        let sharing = self.is_bridge && self.legs.iter().any(super::leg::Leg::is_alive);
        let open = a.is_alive() || recording || sharing;
        if !open || self.settle_deadline.is_some_and(|at| at <= now) {
            // Whatever has not ended by now is ended without further waiting.
            for position in 0..self.legs.len() {
                let end = self.finished.unwrap_or(unknown_end());
                self.hang_up_leg(position, end);
                self.leg_over(position, end, Disposition::SendBye, None);
            }
            self.settling = true;
            self.settle(0);
            self.settle_what_is_over();
        }
    }

    fn past_grace(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_none_or(|since| now >= since + self.shard.config.timing.settle_grace)
    }

    fn settle(&mut self, position: usize) {
        let fallback = self.finished.unwrap_or(unknown_end());
        let Some(record) = self.legs.get_mut(position).and_then(|leg| leg.record.as_deref_mut()) else {
            return;
        };
        record.settled = true;
        let end = record.call_end(fallback);
        let closings = std::mem::take(&mut record.closings);
        let admission = self.shard.ports.admission.clone();
        let pause = self.shard.config.timing.end_retry;
        // The record says it all; a line a call is for those who look closer.
        tracing::debug!(
            call_id = %end.call, cause = end.cause.name(), source = end.source.as_str(), billsec = end.billsec,
            "a call ended"
        );
        self.spawn(async move {
            let (call, reports) = store(admission, end, closings, pause).await;
            Done::Settled { call, reports }
        });
    }

    /// Something is due on a leg: money, a limit, a silent route, an open CANCEL.
    pub(super) fn on_leg_deadline(&mut self, position: usize, now: Instant) {
        let Some(leg) = self.legs.get_mut(position) else { return };
        match leg.stage {
            Stage::Cancelling if leg.cancel_deadline.is_some_and(|at| at <= now) => {
                let end = leg.record.as_ref().and_then(|record| record.end).unwrap_or(unknown_end());
                self.leg_over(position, end, Disposition::SendCancel, None);
            }
            Stage::Dialling if leg.no_response_at.is_some_and(|at| at <= now) => {
                self.on_no_response(position)
            }
            Stage::Talking => self.on_money(position, now),
            _ => {}
        }
    }

    fn on_money(&mut self, position: usize, now: Instant) {
        let Some(leg) = self.legs.get_mut(position) else { return };
        let is_a = leg.name == Name::A;
        let Some(record) = leg.record.as_deref_mut() else { return };
        let Some(answered) = record.answered else { return };
        let call = record.facts.call;
        if !is_a && record.elapsed(now).is_some_and(|elapsed| elapsed >= record.max_duration) {
            return self.fail_leg(
                position,
                End::new(HangupCause::ScheduledHangup, HangupSource::Vobiz),
                None,
            );
        }
        match record.meter.look(now, answered.instant) {
            Demand::Nothing => {}
            Demand::Extend(elapsed_s) => {
                let admission = self.shard.ports.admission.clone();
                self.spawn(async move {
                    Done::Extended { call, result: admission.extend(call, elapsed_s).await }
                });
            }
            Demand::HangUp => {
                let end = End::new(HangupCause::OutOfCredits, HangupSource::Vobiz);
                if is_a { self.end_a(end) } else { self.fail_leg(position, end, None) }
            }
        }
    }

    /// The record of a call is stored.
    pub(super) fn on_settled(&mut self, call: CallId, reports: &[crate::rtp::LegReport]) {
        for report in reports {
            self.shard.trace(call, tandem_model::ports::TraceKind::Audio, || {
                let (stats, quality) = (&report.stats, &report.quality);
                format!(
                    "heard {} packets, sent {}, lost {}, MOS {:.2}, jitter {:.1} ms",
                    stats.packets_received,
                    stats.packets_sent,
                    stats.packets_lost,
                    quality.mos,
                    quality.jitter_ms
                )
            });
        }
        self.shard.live.remove(call);
    }
}

/// Nobody said why.
pub(super) fn unknown_end() -> End {
    End::new(HangupCause::Unknown, HangupSource::Unknown)
}

/// The peer broke the protocol.
pub(super) fn protocol_error() -> End {
    End { cause: HangupCause::Unknown, text: HangupText::ProtocolError, source: HangupSource::Carrier }
}

/// The Reason of a CANCEL to those who lost the race (RFC 3326 §3.1).
pub(super) fn elsewhere() -> Reason {
    Reason { protocol: ReasonProtocol::Sip, cause: 200, text: Some("Call completed elsewhere".to_owned()) }
}

fn q850_reason(end: End) -> Reason {
    Reason {
        protocol: ReasonProtocol::Q850,
        cause: u16::from(end.cause.q850()),
        text: Some(end.cause.name().to_owned()),
    }
}
