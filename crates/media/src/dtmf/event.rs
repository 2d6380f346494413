//! The four-byte telephone-event payload (RFC 4733 2.3).

/// One telephone-event packet's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Event code; 0–15 are DTMF.
    pub event: u8,
    /// The E bit: the event is over.
    pub end: bool,
    /// Power below 0 dBm0, 0–63.
    pub volume: u8,
    /// Clock ticks since the event's timestamp.
    pub duration: u16,
}

/// Bytes of one event.
const EVENT_LEN: usize = 4;

impl TelephoneEvent {
    /// Reads the first event of a payload; trailing bytes (redundant blocks) are ignored.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = payload.first_chunk::<EVENT_LEN>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The bytes on the wire.
    pub fn to_bytes(self) -> [u8; EVENT_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | (self.volume & 0x3f), high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(event: u8, end: bool, volume in 0u8..64, duration: u16) {
            let event = TelephoneEvent { event, end, volume, duration };
            prop_assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        }

        #[test]
        fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            prop_assert_eq!(TelephoneEvent::parse(&payload).is_some(), payload.len() >= EVENT_LEN);
        }
    }
}
