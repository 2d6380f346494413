//! One side of one call: everything RTP that belongs to it, in one small value.
//!
//! The cast: `facts` holds the types that go in and out, `receive` judges datagrams, `transmit`
//! produces them, `reports` does RTCP and quality. A worker thread drives thousands of legs:
//! datagrams go into [`MediaLeg::on_datagram`], due packets come out of [`MediaLeg::tick`] and
//! [`MediaLeg::rtcp`], what the leg noticed comes out of [`MediaLeg::poll`], and
//! [`MediaLeg::deadline`] says when to come back. The parts that few legs need (playout queue,
//! dialler, jitter buffer, in-band detector) are boxed.

mod facts;
mod receive;
mod reports;
mod transmit;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use facts::{
    Incoming, LegConfig, LegEvent, LegStats, Negotiated, Received, Reject, RtcpFacts, UNPROVEN_PACKETS,
};

use crate::codec::Codec;
use crate::dtmf::{DigitEvent, DtmfSender, EventReceiver};
use crate::g711::Law;
use crate::latch::Latch;
use crate::listener::Listener;
use crate::overlay::Overlay;
use crate::playout::Playout;
use crate::receiver::RtpReceiver;
use crate::repacketise::PTIME_MS;
use crate::rewriter::RelayRewriter;
use crate::sender::RtpSender;
use crate::start_gate::StartGate;
use crate::watch::MediaWatch;
use receive::Listening;
use reports::Reports;

/// One side of one call.
#[derive(Debug)]
pub struct MediaLeg {
    negotiated: Negotiated,
    latch: Latch,
    gate: StartGate,
    watch: MediaWatch,
    receiver: RtpReceiver,
    events: EventReceiver,
    sender: RtpSender,
    rewriter: RelayRewriter,
    reports: Reports,
    /// Packets that may still go to an address that never answered; `None` once it did.
    unproven: Option<u16>,
    unproven_limit: Option<u16>,
    rejected: u64,
    /// The next playout frame is due then: an absolute 20 ms (or ptime) grid.
    next_frame_at: Instant,
    playout: Option<Box<Playout>>,
    overlay: Option<Box<Overlay>>,
    dialler: Option<Box<DtmfSender>>,
    listening: Option<Box<Listening>>,
    inband_event: Option<DigitEvent>,
    digits_sent: bool,
}

impl MediaLeg {
    /// A leg, silent until told otherwise.
    pub fn new(now: Instant, config: LegConfig) -> Self {
        let negotiated = config.negotiated.bounded();
        let clock_rate = negotiated.send.codec.clock_rate();
        let receive_rate = negotiated.receive.codec.clock_rate();
        Self {
            latch: Latch::new(config.latch, negotiated.remote, config.signalling_ip),
            gate: StartGate::new(config.start),
            watch: MediaWatch::new(now, config.media_timeout, negotiated.direction.receives()),
            receiver: RtpReceiver::new(now, receive_rate),
            events: EventReceiver::new(receive_rate),
            sender: RtpSender::new(config.ssrc, config.first_sequence, config.first_timestamp, clock_rate),
            rewriter: RelayRewriter::new(),
            reports: Reports::new(now, config.unix_time, config.ssrc),
            unproven: config.unproven_packets,
            unproven_limit: config.unproven_packets,
            rejected: 0,
            next_frame_at: now,
            playout: None,
            overlay: None,
            dialler: None,
            listening: None,
            inband_event: None,
            digits_sent: false,
            negotiated,
        }
    }

    /// A re-INVITE settled something new; identity and counters go on. A new address is unproven
    /// again and opens the latch; the same one keeps it.
    pub fn renegotiate(&mut self, now: Instant, negotiated: Negotiated) {
        let negotiated = negotiated.bounded();
        if negotiated.remote.is_some() && negotiated.remote != self.negotiated.remote {
            self.unproven = self.unproven_limit;
            self.reports.forget_address();
        }
        self.latch.announce(negotiated.remote);
        self.watch.expect(now, negotiated.direction.receives());
        self.sender.set_clock_rate(now, negotiated.send.codec.clock_rate());
        let receive_rate = negotiated.receive.codec.clock_rate();
        if receive_rate != self.negotiated.receive.codec.clock_rate() {
            self.receiver.set_clock_rate(receive_rate);
            self.events = EventReceiver::new(receive_rate);
        }
        self.negotiated = negotiated;
        if self.law().is_none() {
            // What was queued cannot be said in the new codec.
            self.clear_playout();
        }
    }

    /// ACK arrived (or was sent): playout may start.
    pub fn on_ack(&mut self, now: Instant) {
        self.gate.on_ack(now);
    }

    /// What the leg noticed by itself; call until `None` after `on_datagram` and `tick`.
    pub fn poll(&mut self, now: Instant) -> Option<LegEvent> {
        if let Some(event) = self.playout.as_mut().and_then(|playout| playout.poll()) {
            return Some(event.into());
        }
        if let Some(overlay) = &mut self.overlay {
            let event = overlay.poll();
            if !overlay.is_busy() && !overlay.has_events() {
                self.overlay = None;
            }
            if let Some(event) = event {
                return Some(event.into());
            }
        }
        if let Some(event) = self.inband_event.take().or_else(|| self.events.poll(now)) {
            return Some(LegEvent::Digit(event));
        }
        if std::mem::take(&mut self.digits_sent) {
            return Some(LegEvent::DigitsSent);
        }
        if self.take_notice(now) {
            return Some(LegEvent::Noticed);
        }
        self.watch.poll(now).then_some(LegEvent::MediaTimeout)
    }

    /// When `tick`, `rtcp` or `poll` next has something to do; an instant long past if `poll` has
    /// something already.
    pub fn deadline(&self) -> Option<Instant> {
        if self.has_events() {
            return Some(self.reports.born());
        }
        let dialler = self.dialler.as_ref().and_then(|dialler| dialler.deadline());
        let playout = if dialler.is_none() { self.playout_deadline() } else { None };
        let listener = self.listener().and_then(Listener::deadline);
        [dialler, playout, listener, self.report_deadline(), self.events.deadline(), self.watch.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where RTP goes; `None` while unknown or while the guard against reflection is spent.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.latch.destination().filter(|_| self.unproven != Some(0))
    }

    /// What was negotiated.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// The audio codec we send.
    pub fn codec(&self) -> Codec {
        self.negotiated.send.codec
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// Counters.
    pub fn stats(&self) -> LegStats {
        let received = self.receiver.stats();
        LegStats {
            packets_received: received.received,
            packets_sent: self.sender.packets(),
            octets_sent: self.sender.octets(),
            packets_lost: received.lost,
            duplicates: received.duplicates,
            reordered: received.reordered,
            rejected: self.rejected,
            ssrc_changes: received.restarts,
        }
    }

    fn has_events(&self) -> bool {
        self.digits_sent
            || self.inband_event.is_some()
            || self.listener().is_some_and(Listener::is_ready)
            || self.playout.as_ref().is_some_and(|playout| playout.has_events())
            || self.overlay.as_ref().is_some_and(|overlay| overlay.has_events())
    }

    /// The law we send in, if it is one.
    fn law(&self) -> Option<Law> {
        self.negotiated.send.codec.law()
    }

    fn ptime(&self) -> Duration {
        Duration::from_millis(u64::from(self.negotiated.ptime_ms))
    }

    /// Samples of one packet we send, at 8 kHz.
    fn frame_samples(&self) -> usize {
        usize::from(self.negotiated.ptime_ms) * 8
    }

    /// Whether a packet may leave: direction, address and guard permit.
    fn may_send(&self) -> bool {
        self.negotiated.direction.sends() && self.destination().is_some()
    }

    /// Counts a packet that leaves.
    fn sent(&mut self, payload_len: usize) {
        self.sender.count(payload_len);
        self.unproven = self.unproven.map(|left| left.saturating_sub(1));
    }
}

impl Negotiated {
    fn bounded(self) -> Self {
        Self { ptime_ms: self.ptime_ms.clamp(*PTIME_MS.start(), *PTIME_MS.end()), ..self }
    }
}

#[cfg(test)]
mod tests;
