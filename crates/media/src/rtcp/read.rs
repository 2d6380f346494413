//! Reading compound packets, bounds-checked and without copying.

use super::{GOODBYE, NtpTime, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, SenderInfo};

const BLOCK_LEN: usize = 24;

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum RtcpPacket<'a> {
    /// SR.
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// About itself.
        info: SenderInfo,
        /// About others.
        blocks: Blocks<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// About others.
        blocks: Blocks<'a>,
    },
    /// SDES; its text is nobody's business here.
    SourceDescription,
    /// BYE of the first source named.
    Goodbye {
        /// Who leaves.
        ssrc: u32,
    },
    /// Feedback, extended reports, application packets.
    Other(u8),
}

/// The packets of a compound datagram; ends at the first that is malformed.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: datagram }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// Report blocks of one packet.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let &[first, kind, high, low] = self.rest.first_chunk::<4>()?;
        if first >> 6 != 2 {
            return None;
        }
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (whole, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        let body = whole.get(4..)?;
        let count = usize::from(first & 0x1f);
        match kind {
            SENDER_REPORT => {
                let (ssrc, body) = word(body)?;
                let (info, body) = body.split_at_checked(20)?;
                let blocks = Blocks { rest: body.get(..count * BLOCK_LEN)? };
                Some(RtcpPacket::SenderReport { ssrc, info: sender_info(info)?, blocks })
            }
            RECEIVER_REPORT => {
                let (ssrc, body) = word(body)?;
                Some(RtcpPacket::ReceiverReport {
                    ssrc,
                    blocks: Blocks { rest: body.get(..count * BLOCK_LEN)? },
                })
            }
            SOURCE_DESCRIPTION => Some(RtcpPacket::SourceDescription),
            // A BYE without sources is legal and says nothing.
            GOODBYE => {
                Some(word(body).map_or(RtcpPacket::Other(kind), |(ssrc, _)| RtcpPacket::Goodbye { ssrc }))
            }
            other => Some(RtcpPacket::Other(other)),
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (ssrc, rest) = word(self.rest)?;
        let (loss, rest) = word(rest)?;
        let (highest_sequence, rest) = word(rest)?;
        let (jitter, rest) = word(rest)?;
        let (last_sr, rest) = word(rest)?;
        let (delay_since_last_sr, rest) = word(rest)?;
        self.rest = rest;
        Some(ReportBlock {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            // Sign-extend 24 bits: duplicates make it negative.
            cumulative_lost: ((loss << 8) as i32) >> 8,
            highest_sequence,
            jitter,
            last_sr,
            delay_since_last_sr,
        })
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), rest))
}

fn sender_info(bytes: &[u8]) -> Option<SenderInfo> {
    let (high, rest) = word(bytes)?;
    let (low, rest) = word(rest)?;
    let (rtp_timestamp, rest) = word(rest)?;
    let (packets, rest) = word(rest)?;
    let (octets, _) = word(rest)?;
    Some(SenderInfo {
        ntp: NtpTime((u64::from(high) << 32) | u64::from(low)),
        rtp_timestamp,
        packets,
        octets,
    })
}
