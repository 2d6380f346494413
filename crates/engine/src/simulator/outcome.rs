//! What came of a call: the judge's verdict, in plain data.

use std::time::Instant;

use serde::Serialize;
use tandem_media::energy::SILENCE_DBFS;

/// What came of a call that the simulator placed.
#[derive(Clone, Debug)]
pub struct CallOutcome {
    /// SIP Call-ID.
    pub call_id: String,
    /// 200 if it was answered, else how it failed.
    pub status: FinalStatus,
    /// A 180 (or a 183 without SDP) came.
    pub rang: bool,
    /// A provisional response with SDP came.
    pub early_media: bool,
    /// When the 200 came.
    pub answered_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Instant,
    /// From the 200 to the end.
    pub talk_seconds: f64,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// The step that did not go as the script demanded, and why.
    pub failed_step: Option<String>,
    /// DTMF received by SIP INFO.
    pub info_digits: String,
    /// What was sent and heard.
    pub rtp: RtpFacts,
    /// What was heard, 8 kHz, in order of arrival, where
    /// [`LineUse::Record`](super::LineUse::Record) asked for it.
    pub recording: Vec<i16>,
    /// What happened, with milliseconds since the INVITE.
    pub timeline: Vec<(u64, String)>,
}

/// The final SIP response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FinalStatus {
    /// Status code; 0 while there is none, 408 where no response ever came.
    pub code: u16,
    /// Reason phrase.
    pub phrase: String,
    /// The Reason header of the failure or of the BYE, as `Q.850;cause=16;text=…`.
    pub reason: Option<String>,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// The simulator: BYE, CANCEL or a refusal.
    Us,
    /// The platform: BYE, CANCEL or a refusal.
    Peer,
    /// Neither: no response, no ACK, a broken answer.
    Failure,
}

/// How far a placed call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing but perhaps a 100.
    Inviting,
    /// It rings, or early media came.
    Ringing,
    /// It was answered.
    Answered,
    /// It is over.
    Ended,
}

/// What one telephone sent and heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RtpFacts {
    /// Packets sent.
    pub packets_sent: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// RTP packets received, duplicates included.
    pub packets_received: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Sequence numbers that never came.
    pub lost: u64,
    /// Times the sequence jumped ahead.
    pub sequence_gaps: u64,
    /// Packets older than one before them, or seen twice.
    pub out_of_order: u64,
    /// Audio packets whose timestamp did not advance though their sequence did.
    pub timestamp_steps_back: u64,
    /// Different SSRCs heard: 1 on a healthy call.
    pub ssrc_count: usize,
    /// Packets with a payload type that was not agreed, and datagrams that are not RTP.
    pub unexpected: u64,
    /// Packets received before the answer.
    pub packets_early: u64,
    /// Packets received while we had said that we do not listen.
    pub packets_on_hold: u64,
    /// RTCP packets received on the RTP port.
    pub rtcp_received: u64,
    /// Name of the codec that we sent last.
    pub codec: Option<&'static str>,
    /// Milliseconds of audio in the last audio packet received.
    pub ptime_ms: Option<u16>,
    /// Longest silence on the wire between two packets.
    pub longest_gap_ms: u64,
    /// Mean level of all audio heard; −96 is silence.
    pub heard_rms_dbfs: f64,
    /// Milliseconds louder than −45 dBFS.
    pub loud_ms: u64,
    /// Tones heard for at least 100 ms, in order of appearance.
    pub tones: Vec<HeardTone>,
    /// DTMF received as telephone-events.
    pub dtmf: String,
}

/// A steady tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeardTone {
    /// Frequency, to about 5 Hz.
    pub hz: u16,
    /// For how long altogether.
    pub ms: u32,
}

impl RtpFacts {
    /// Whether a tone within 15 Hz of this one was heard.
    pub fn heard_tone(&self, hz: u16) -> bool {
        self.tones.iter().any(|tone| tone.hz.abs_diff(hz) <= 15)
    }
}

impl Default for RtpFacts {
    fn default() -> Self {
        Self {
            packets_sent: 0,
            bytes_sent: 0,
            packets_received: 0,
            bytes_received: 0,
            lost: 0,
            sequence_gaps: 0,
            out_of_order: 0,
            timestamp_steps_back: 0,
            ssrc_count: 0,
            unexpected: 0,
            packets_early: 0,
            packets_on_hold: 0,
            rtcp_received: 0,
            codec: None,
            ptime_ms: None,
            longest_gap_ms: 0,
            heard_rms_dbfs: SILENCE_DBFS,
            loud_ms: 0,
            tones: Vec::new(),
            dtmf: String::new(),
        }
    }
}
