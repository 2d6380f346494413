//! Writing our own compound: SR or RR, SDES CNAME, and BYE at the end.

use super::{GOODBYE, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo};

/// No compound of ours is longer.
pub const MAX_COMPOUND: usize = 128;

/// Whether the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It goes on.
    None,
    /// The leg ends: BYE.
    Bye,
}

/// What one compound of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound {
    /// Our SSRC.
    pub ssrc: u32,
    /// About what we sent; `None` makes it a receiver report.
    pub sender: Option<SenderInfo>,
    /// About what we received.
    pub block: Option<ReportBlock>,
    /// Whether it ends with BYE.
    pub farewell: Farewell,
}

impl Compound {
    /// Writes it; `None` if `out` is too small ([`MAX_COMPOUND`] always does).
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut cursor = Cursor { out, at: 0 };
        self.report(&mut cursor)?;
        self.description(&mut cursor)?;
        if self.farewell == Farewell::Bye {
            cursor.header(1, GOODBYE, 1)?;
            cursor.word(self.ssrc)?;
        }
        Some(cursor.at)
    }

    fn report(&self, cursor: &mut Cursor<'_>) -> Option<()> {
        let blocks = u8::from(self.block.is_some());
        let block_words = u16::from(blocks) * 6;
        match self.sender {
            Some(info) => {
                cursor.header(blocks, SENDER_REPORT, 6 + block_words)?;
                cursor.word(self.ssrc)?;
                cursor.word((info.ntp.0 >> 32) as u32)?;
                cursor.word(info.ntp.0 as u32)?;
                cursor.word(info.rtp_timestamp)?;
                cursor.word(info.packets)?;
                cursor.word(info.octets)?;
            }
            None => {
                cursor.header(blocks, RECEIVER_REPORT, 1 + block_words)?;
                cursor.word(self.ssrc)?;
            }
        }
        let Some(block) = self.block else { return Some(()) };
        cursor.word(block.ssrc)?;
        let loss = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        cursor.word((u32::from(block.fraction_lost) << 24) | loss)?;
        cursor.word(block.highest_sequence)?;
        cursor.word(block.jitter)?;
        cursor.word(block.last_sr)?;
        cursor.word(block.delay_since_last_sr)
    }

    /// CNAME as sixteen hex digits of the SSRC twice: unique per leg and telling nobody our name
    /// or address (RFC 7022 asks for both).
    fn description(&self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.header(1, SOURCE_DESCRIPTION, 6)?;
        cursor.word(self.ssrc)?;
        cursor.bytes(&[1, 16])?;
        let mut name = [0u8; 16];
        for (index, digit) in name.iter_mut().enumerate() {
            let nibble = (self.ssrc.rotate_left(index as u32 * 4) >> 28) as u8;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        cursor.bytes(&name)?;
        cursor.bytes(&[0, 0])
    }
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.bytes(&word.to_be_bytes())
    }

    /// `words` counts those after the header.
    fn header(&mut self, count: u8, kind: u8, words: u16) -> Option<()> {
        let [high, low] = words.to_be_bytes();
        self.bytes(&[0x80 | count, kind, high, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{NtpTime, RtcpPacket, packets};
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = ReportBlock> {
        (any::<u32>(), any::<u8>(), -0x80_0000i32..0x80_0000, any::<[u32; 4]>()).prop_map(
            |(ssrc, fraction_lost, cumulative_lost, rest)| ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_sequence: rest[0],
                jitter: rest[1],
                last_sr: rest[2],
                delay_since_last_sr: rest[3],
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            ssrc: u32, block in proptest::option::of(block()), sends: bool, ends: bool,
        ) {
            let sender = sends.then_some(SenderInfo {
                ntp: NtpTime(0x0123_4567_89ab_cdef), rtp_timestamp: 5, packets: 6, octets: 7,
            });
            let farewell = if ends { Farewell::Bye } else { Farewell::None };
            let mut out = [0; MAX_COMPOUND];
            let len = Compound { ssrc, sender, block, farewell }.write(&mut out).unwrap();
            prop_assert!(crate::rtp::is_rtcp(&out[..len]));
            let mut read = packets(&out[..len]);
            let blocks = match read.next().unwrap() {
                RtcpPacket::SenderReport { ssrc: from, info, blocks } => {
                    prop_assert_eq!((from, Some(info)), (ssrc, sender));
                    blocks
                }
                RtcpPacket::ReceiverReport { ssrc: from, blocks } => {
                    prop_assert_eq!((from, None), (ssrc, sender));
                    blocks
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(blocks.collect::<Vec<_>>(), block.into_iter().collect::<Vec<_>>());
            prop_assert!(matches!(read.next(), Some(RtcpPacket::SourceDescription)));
            prop_assert_eq!(matches!(read.next(), Some(RtcpPacket::Goodbye { ssrc: from }) if from == ssrc), ends);
            prop_assert!(read.next().is_none());
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | (*first & 0x3f);
            }
            for packet in packets(&bytes) {
                if let RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } = packet {
                    prop_assert!(blocks.count() < 32);
                }
            }
        }
    }

    #[test]
    fn a_buffer_too_small_is_refused() {
        let compound = Compound { ssrc: 1, sender: None, block: None, farewell: Farewell::Bye };
        let mut out = [0; MAX_COMPOUND];
        let len = compound.write(&mut out).unwrap();
        assert!(compound.write(&mut out[..len]).is_some());
        assert!(compound.write(&mut out[..len - 1]).is_none());
    }
}
