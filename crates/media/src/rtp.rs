//! RTP fixed header (RFC 3550 5.1): read without copying, written in place.
//!
//! Used by every path that touches a datagram. Reading never panics and never trusts a length:
//! CSRC lists and header extensions are skipped, padding is removed. What we write is always the
//! twelve-byte header without CSRC, extension or padding.

/// Length of the header we write.
pub const HEADER_LEN: usize = 12;

/// Largest audio datagram we handle: one Ethernet frame.
pub const MAX_DATAGRAM: usize = 1_500;

/// The fields of an RTP header that anybody here looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Marker bit: start of a talk spurt or of a DTMF event.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in clock ticks.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// A parsed datagram: the header and where its payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Header fields.
    pub header: Header,
    /// First byte of the payload.
    pub payload_start: u16,
    /// Payload bytes, padding removed.
    pub payload_len: u16,
}

/// Why a datagram is not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Shorter than its header, CSRC list or extension claims.
    #[error("RTP datagram is truncated")]
    Truncated,
    /// Version is not 2: STUN, noise or another protocol.
    #[error("RTP version is not 2")]
    Version,
    /// Padding count is zero or larger than the payload.
    #[error("RTP padding count is impossible")]
    Padding,
    /// Larger than [`MAX_DATAGRAM`].
    #[error("RTP datagram is larger than a frame")]
    TooLong,
}

impl Packet {
    /// Reads the header of `datagram`.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(ParseError::TooLong);
        }
        let fixed: &[u8; HEADER_LEN] = datagram.first_chunk().ok_or(ParseError::Truncated)?;
        let [b0, b1, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if b0 >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let mut start = HEADER_LEN + usize::from(b0 & 0x0f) * 4;
        if b0 & 0x10 != 0 {
            let extension = datagram
                .get(start..)
                .and_then(|rest| rest.first_chunk::<4>())
                .ok_or(ParseError::Truncated)?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            start += 4 + usize::from(words) * 4;
        }
        let mut len = datagram.len().checked_sub(start).ok_or(ParseError::Truncated)?;
        if b0 & 0x20 != 0 {
            let count = datagram.last().copied().map_or(0, usize::from);
            if count == 0 {
                return Err(ParseError::Padding);
            }
            len = len.checked_sub(count).ok_or(ParseError::Padding)?;
        }
        Ok(Self {
            header: Header {
                marker: b1 & 0x80 != 0,
                payload_type: b1 & 0x7f,
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            },
            payload_start: start as u16,
            payload_len: len as u16,
        })
    }

    /// The payload inside the datagram this packet was parsed from.
    pub fn payload<'a>(&self, datagram: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.payload_start);
        datagram.get(start..start + usize::from(self.payload_len)).unwrap_or_default()
    }
}

impl Header {
    /// The twelve bytes on the wire.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        let b1 = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        [0x80, b1, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }

    /// Writes header and payload into `out`; `None` if they do not fit.
    pub fn write(self, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let total = HEADER_LEN + payload.len();
        let out = out.get_mut(..total)?;
        let (head, body) = out.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&self.to_bytes());
        body.copy_from_slice(payload);
        Some(total)
    }
}

/// `a - b` in sequence space: positive when `a` is newer (RFC 1982 arithmetic).
pub const fn sequence_delta(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b) as i16
}

/// `a - b` in timestamp space: positive when `a` is later.
pub const fn timestamp_delta(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Whether a datagram on a shared port is RTCP rather than RTP (RFC 5761 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [b0, b1, ..] if b0 >> 6 == 2 && (192..=223).contains(b1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header { marker: true, payload_type: 101, sequence: 65_535, timestamp: 1, ssrc: 0xdead_beef }
    }

    #[test]
    fn csrc_list_and_extension_are_skipped_and_padding_removed() {
        let mut datagram = header().to_bytes().to_vec();
        datagram[0] |= 0x20 | 0x10 | 2;
        datagram.extend([0; 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        datagram.extend([1, 2, 3, 0, 0, 3]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.payload(&datagram), &[1, 2, 3]);
        assert_eq!(packet.header, header());
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let mut datagram = header().to_bytes().to_vec();
        assert_eq!(Packet::parse(&datagram[..11]), Err(ParseError::Truncated));
        datagram[0] = 0x8f;
        assert_eq!(Packet::parse(&datagram), Err(ParseError::Truncated));
        datagram[0] = 0x90;
        assert_eq!(Packet::parse(&datagram), Err(ParseError::Truncated));
        datagram[0] = 0xa0;
        datagram.extend([1, 3]);
        assert_eq!(Packet::parse(&datagram), Err(ParseError::Padding));
        datagram[13] = 0;
        assert_eq!(Packet::parse(&datagram), Err(ParseError::Padding));
        datagram[0] = 0x40;
        assert_eq!(Packet::parse(&datagram), Err(ParseError::Version));
    }

    #[test]
    fn a_frame_is_the_largest_datagram() {
        let mut datagram = header().to_bytes().to_vec();
        datagram.resize(MAX_DATAGRAM, 0);
        assert!(Packet::parse(&datagram).is_ok());
        datagram.push(0);
        assert_eq!(Packet::parse(&datagram), Err(ParseError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut out = [0u8; MAX_DATAGRAM];
            let len = header.write(&payload, &mut out).unwrap();
            let packet = Packet::parse(&out[..len]).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.payload(&out[..len]), &payload[..]);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_payload_stays_inside(
            bytes in proptest::collection::vec(any::<u8>(), 0..1600),
        ) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(
                    usize::from(packet.payload_start) + usize::from(packet.payload_len) <= bytes.len()
                );
            }
        }
    }
}
