//! The hop cookie: how often a call has passed through this platform, signed so that nobody else's word counts. It goes out with every
//! INVITE as `X-Tandem-Hops` and is read from every INVITE that comes in; a call that came round too often is a loop.
//! Who strips it only loses its protection: Max-Forwards still ends such a loop (RFC 3261 §16.3).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tandem_model::entropy;

/// A call may pass so often: a customer's PBX that forwards back to us is no loop yet.
pub(crate) const MOST_VISITS: u8 = 3;
/// The header, as written.
pub(crate) const HOPS_HEADER: &str = "X-Tandem-Hops";
/// Bytes of the signature: 64 bits are plenty for a header that lives for seconds.
const MAC_BYTES: usize = 8;

/// Signs and reads hop cookies. Every node of a platform has the same key.
pub(crate) struct HopSigner {
    key: [u8; 32],
}

impl HopSigner {
    /// A signer under this key.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The cookie of a call that has been here `visits` times.
    pub(crate) fn sign(&self, visits: u8) -> String {
        // The nonce keeps two calls' cookies apart, so that a cookie tells an outsider nothing but a number.
        let body = format!("{visits}.{:016x}", entropy::number());
        let mac = self.mac(&body);
        format!("{body}.{mac}")
    }

    /// How often a call was here before, by its cookie; never for a cookie that is not ours.
    pub(crate) fn visits(&self, cookie: Option<&str>) -> u8 {
        let Some((body, mac)) = cookie.and_then(|cookie| cookie.trim().rsplit_once('.')) else { return 0 };
        let visits = body.split('.').next().and_then(|visits| visits.parse::<u8>().ok());
        if self.mac(body) == mac { visits.unwrap_or(0).min(MOST_VISITS) } else { 0 }
    }

    fn mac(&self, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(body.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut head = [0; MAC_BYTES];
        head.copy_from_slice(&digest[..MAC_BYTES]);
        format!("{:016x}", u64::from_be_bytes(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_believed_only_from_ourselves() {
        let ours = HopSigner::new([1; 32]);
        let cookie = ours.sign(2);
        assert_eq!(ours.visits(Some(&cookie)), 2);
        assert_eq!(HopSigner::new([2; 32]).visits(Some(&cookie)), 0, "another platform's");
        assert_eq!(ours.visits(Some(&cookie.replacen('2', "3", 1))), 0, "raised on the way");
        for nonsense in ["", ".", "3", "3.x", "..", "ü.ü.ü"] {
            assert_eq!(ours.visits(Some(nonsense)), 0, "{nonsense:?}");
        }
        assert_eq!(ours.visits(None), 0);
    }

    #[test]
    fn two_cookies_of_the_same_count_differ() {
        let ours = HopSigner::new([1; 32]);
        assert_ne!(ours.sign(1), ours.sign(1));
    }
}
