//! Judging what arrives.

use std::net::SocketAddr;
use std::time::Instant;

use super::MediaLeg;
use super::facts::{Incoming, Received, Reject};
use crate::codec::{Codec, PayloadKind};
use crate::dtmf::{InbandDetector, TelephoneEvent};
use crate::jitter_buffer::{FRAME, JitterBuffer};
use crate::latch::LatchVerdict;
use crate::listener::{ListenFor, Listener};
use crate::rtp::{MAX_DATAGRAM, Packet, is_rtcp};

/// What only a leg whose audio is decoded needs.
#[derive(Debug, Default)]
pub(super) struct Listening {
    jitter: Option<JitterBuffer>,
    inband: Option<InbandBlocks>,
    pub(super) listener: Option<Listener>,
}

/// Cuts decoded audio into the detector's blocks.
#[derive(Debug)]
struct InbandBlocks {
    detector: InbandDetector,
    block: [i16; FRAME],
    filled: usize,
}

impl MediaLeg {
    /// Judges a datagram from the leg's RTP or RTCP socket. Never panics, never allocates.
    pub fn on_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Received {
        let received = if is_rtcp(datagram) {
            self.on_rtcp(now, source, datagram)
        } else {
            self.on_rtp(now, source, datagram)
        };
        match received {
            Ok(received) => {
                self.watch.on_life(now);
                self.unproven = None;
                received
            }
            Err(reject) => {
                self.rejected += 1;
                Received::Rejected(reject)
            }
        }
    }

    /// Starts or stops decoding what arrives, for mixers and streams.
    pub fn listen(&mut self, listening: bool) {
        if listening {
            self.listening.get_or_insert_default().jitter.get_or_insert_default();
        } else if let Some(parts) = &mut self.listening {
            parts.jitter = None;
            self.drop_idle_listening();
        }
    }

    /// The next decoded 20 ms frame (silence for loss and DTX); call once per 20 ms. `None` while
    /// not listening and before the first packet.
    pub fn next_frame(&mut self) -> Option<[i16; FRAME]> {
        self.listening.as_mut()?.jitter.as_mut()?.pull()
    }

    /// Hears DTMF tones in the audio itself; for peers with neither telephone-event nor INFO.
    pub fn detect_inband(&mut self, detect: bool) {
        if detect {
            self.listening.get_or_insert_default().inband.get_or_insert_with(InbandBlocks::new);
        } else if let Some(parts) = &mut self.listening {
            parts.inband = None;
            self.drop_idle_listening();
        }
    }

    /// Waits for silence or a beep, then tells [`super::LegEvent::Noticed`] once; `None` ends that.
    pub fn listen_for(&mut self, now: Instant, wanted: Option<ListenFor>) {
        if let Some(wanted) = wanted {
            self.listening.get_or_insert_default().listener = Some(Listener::new(now, wanted));
        } else if let Some(parts) = &mut self.listening {
            parts.listener = None;
            self.drop_idle_listening();
        }
    }

    /// The listener, while there is one.
    pub(super) fn listener(&self) -> Option<&Listener> {
        self.listening.as_ref()?.listener.as_ref()
    }

    /// Whether what was waited for has been heard; the listener goes then.
    pub(super) fn take_notice(&mut self, now: Instant) -> bool {
        let heard = self.listening.as_mut().and_then(|parts| parts.listener.as_mut());
        let noticed = heard.is_some_and(|listener| listener.poll(now));
        if noticed {
            self.listen_for(now, None);
        }
        noticed
    }

    fn drop_idle_listening(&mut self) {
        let is_idle =
            |parts: &Listening| parts.jitter.is_none() && parts.inband.is_none() && parts.listener.is_none();
        if self.listening.as_deref().is_some_and(is_idle) {
            self.listening = None;
        }
    }

    fn on_rtp(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Result<Received, Reject> {
        let packet = Packet::parse(datagram).map_err(|_| Reject::Malformed)?;
        let header = packet.header;
        let kind = self.negotiated.receive.kind(header.payload_type).ok_or(Reject::PayloadType)?;
        if self.latch.judge(now, source, header.ssrc, header.sequence) == LatchVerdict::Refuse {
            return Err(Reject::Source);
        }
        let arrival = self.receiver.on_packet(header);
        if !arrival.is_accepted() {
            let stray = arrival == crate::receiver::Arrival::Stray;
            return Err(if stray { Reject::Stray } else { Reject::Duplicate });
        }
        self.gate.on_packet(now);
        let incoming = Incoming { packet, kind };
        match kind {
            PayloadKind::Audio(codec) => {
                self.receiver.on_audio_time(now, header.timestamp);
                self.hear(now, codec, packet, datagram);
                Ok(Received::Audio(incoming))
            }
            PayloadKind::TelephoneEvent => {
                let event = TelephoneEvent::parse(packet.payload(datagram)).ok_or(Reject::Malformed)?;
                let news = self.events.on_event(now, header.ssrc, header.timestamp, header.marker, event);
                Ok(Received::Digit(incoming, news))
            }
            PayloadKind::ComfortNoise => Ok(Received::ComfortNoise(incoming)),
        }
    }

    fn hear(&mut self, now: Instant, codec: Codec, packet: Packet, datagram: &[u8]) {
        let (Some(parts), Some(law)) = (&mut self.listening, codec.law()) else { return };
        let mut samples = [0; MAX_DATAGRAM];
        let count = law.decode_into(packet.payload(datagram), &mut samples);
        let samples = samples.get(..count).unwrap_or_default();
        if let Some(jitter) = &mut parts.jitter {
            jitter.push(packet.header.ssrc, packet.header.timestamp, samples);
        }
        if let Some(listener) = &mut parts.listener {
            listener.hear(now, samples);
        }
        if let Some(inband) = &mut parts.inband
            && let Some(event) = inband.push(samples)
        {
            self.inband_event = Some(event);
        }
    }
}

impl InbandBlocks {
    fn new() -> Self {
        Self { detector: InbandDetector::new(), block: [0; FRAME], filled: 0 }
    }

    /// The last news of these samples; a packet is too short to hold two.
    fn push(&mut self, samples: &[i16]) -> Option<crate::dtmf::DigitEvent> {
        let mut news = None;
        for sample in samples {
            if let Some(slot) = self.block.get_mut(self.filled) {
                *slot = *sample;
            }
            self.filled += 1;
            if self.filled == FRAME {
                self.filled = 0;
                news = self.detector.on_block(&self.block).or(news);
            }
        }
        news
    }
}
