//! Our own offers: first INVITE to B, the 200 of a late-offer INVITE, re-INVITEs for hold.

use std::net::IpAddr;

use super::codec::AudioCapabilities;
use super::description::{Direction, SessionDescription};
use super::negotiated::DEFAULT_PTIME_MS;

/// Where and how we take part in a leg's media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address to announce (the public one, behind a one-to-one NAT).
    pub address: IpAddr,
    /// RTP port. RTCP is the next one unless multiplexed.
    pub port: u16,
    /// Packet time to ask for.
    pub ptime_ms: u16,
    /// What we want: `SendOnly` or `Inactive` to hold the peer.
    pub direction: Direction,
    /// Whether RTP and RTCP may share the port.
    pub rtcp_mux: RtcpMux,
}

/// Our stand on RFC 5761.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RtcpMux {
    /// Neither offer nor accept.
    #[default]
    Never,
    /// Accept when the peer offers it.
    Accept,
    /// Offer and accept.
    Offer,
}

/// The identity of our description within a dialog: `id` stays, `version` rises by one with each
/// description that differs from the last (RFC 3264 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSession {
    /// Session identifier, any number unique to the call leg.
    pub id: u64,
    /// Version of this description.
    pub version: u64,
}

impl LocalMedia {
    /// `sendrecv`, 20 ms, RTCP on the next port.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port,
            ptime_ms: DEFAULT_PTIME_MS,
            direction: Direction::SendRecv,
            rtcp_mux: RtcpMux::Never,
        }
    }
}

/// Offers one audio section with these codecs, most wanted first, and `telephone-event`.
pub fn make_offer(
    local: &LocalMedia,
    capabilities: &AudioCapabilities,
    session: LocalSession,
) -> SessionDescription {
    let _ = (local, capabilities, session);
    todo!()
}
