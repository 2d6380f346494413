//! Which source address a leg listens and speaks to.

/// How far a leg trusts the source address over SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LatchPolicy {
    /// Send to the SDP address always; accept any port of its IP address (carriers, ACL trunks).
    #[default]
    Strict,
    /// As `Strict`, but the first packet's port becomes the destination (carriers that rewrite ports).
    PortLearn,
    /// Symmetric RTP: the source that speaks first, from the signalling or SDP IP address, becomes
    /// the destination; it moves later only with the same SSRC and a continuing sequence.
    Nat,
}
