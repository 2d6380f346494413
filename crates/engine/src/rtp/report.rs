//! What a leg leaves for the call record.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_media::{Codec, LegStats, Quality};

/// Figures of a leg: final ones from [`super::RtpLeg::close`], current ones from
/// [`super::RtpLeg::report`].
#[derive(Clone, Debug, PartialEq)]
pub struct LegReport {
    /// The codec we send; `None` if the leg was never configured.
    pub codec: Option<Codec>,
    /// Packets and losses.
    pub stats: LegStats,
    /// What we received sounded like.
    pub quality: Quality,
    /// What the peer received sounded like, as its RTCP says.
    pub remote_quality: Option<Quality>,
    /// RTP payload bytes received.
    pub octets_received: u64,
    /// Time from opening the leg to the first accepted packet.
    pub first_packet_after: Option<Duration>,
    /// Where RTP went last.
    pub destination: Option<SocketAddr>,
    /// Packets not relayed to the other leg (hold, playout, codecs that do not meet, late).
    pub relay_dropped: u64,
    /// RTP packets counted as sent but held back: their address never answered.
    pub held_back: u64,
    /// Datagrams the kernel refused to send.
    pub send_errors: u64,
    /// Events dropped because the session was slow; never an ending or a digit.
    pub events_dropped: u64,
}
