//! The hot path: a datagram in, a datagram out on the other leg.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tandem_media::dtmf::DigitEvent;
use tandem_media::{Incoming, PayloadKind, Received, RelayDrop, Side};

use super::super::event::MediaEvent;
use super::leg::Progress;
use super::{BUNCHED, BURST, Socket, Worker};

impl Worker {
    /// Takes one datagram from a socket, or what waits there when it comes in bunches. What is left is reported again.
    pub(super) fn receive(&mut self, now: Instant, slot: usize, socket: Socket) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let bunched = socket == Socket::Rtp && now.saturating_duration_since(leg.read) < BUNCHED;
        if socket == Socket::Rtp {
            leg.read = now;
        }
        for _ in 0..if bunched { BURST } else { 1 } {
            let Some(leg) = self.legs.get(slot) else { return };
            let from = match socket {
                Socket::Rtp => &leg.rtp,
                Socket::Rtcp => &leg.rtcp,
            };
            match from.recv_from(&mut *self.buffer) {
                Ok((len, source)) => self.on_datagram(now, slot, source, len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of an earlier datagram, now consumed: the next one may be fine.
                Err(_) => {}
            }
        }
    }

    fn on_datagram(&mut self, now: Instant, slot: usize, source: SocketAddr, len: usize) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let Some(media) = &mut leg.media else { return };
        let datagram = self.buffer.get(..len).unwrap_or_default();
        let received = media.on_datagram(now, source, datagram);
        let incoming = match received {
            Received::Audio(incoming) | Received::ComfortNoise(incoming) => Some(incoming),
            Received::Digit(incoming, event) => {
                if let Some(DigitEvent::Began(digit)) = event {
                    let leg_key = leg.key;
                    leg.tell(&mut self.outbox, MediaEvent::Digit { leg: leg_key, digit });
                }
                Some(incoming)
            }
            Received::Rtcp(_) => None,
            Received::Rejected(_) => return,
        };
        leg.guard.prove();
        if let Some(incoming) = &incoming {
            leg.accepted(now, source, incoming, &mut self.outbox);
            if !leg.recordings.is_empty()
                && let PayloadKind::Audio(codec) = incoming.kind
            {
                leg.tap(now, Side::Caller, incoming.packet, codec, datagram, &self.recorder);
            }
        }
        leg.drain(now, &mut self.outbox);
        self.arm(slot, now);
        if let Some(incoming) = &incoming {
            self.relay(now, slot, incoming);
        }
    }

    /// Passes the datagram in the buffer to the leg that listens to `slot`.
    fn relay(&mut self, now: Instant, slot: usize, incoming: &Incoming) {
        let Some(listener) = self.legs.get(slot).and_then(|leg| leg.onward.as_ref()).map(|onward| onward.to)
        else {
            return;
        };
        let Some((from, to)) = self.legs.get2_mut(slot, listener) else { return };
        let (Some(onward), Some(media)) = (&mut from.onward, &mut to.media) else { return };
        let relayed = onward.bridge.relay(now, &mut *self.buffer, incoming, media);
        match relayed {
            Ok(len) => to.transmit(now, self.buffer.get(..len).unwrap_or_default(), &self.recorder),
            Err(RelayDrop::Kept) => {}
            Err(_) => from.relay_dropped += 1,
        }
        while let Some(media) = &mut to.media
            && let Some(len) = onward.bridge.poll(now, media, &mut *self.buffer)
        {
            to.transmit(now, self.buffer.get(..len).unwrap_or_default(), &self.recorder);
        }
        if relayed.is_ok() && onward.progress == Progress::Waiting {
            // A leg that is only spoken to would otherwise never be asked for its reports.
            onward.progress = Progress::Speaking;
            self.arm(listener, now);
        }
    }
}
