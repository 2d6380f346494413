//! Nonces without memory: a timestamp, a serial and a MAC over both, the source and the realm.
//!
//! Only *use* is remembered, in a bounded table, and only for nonces whose digest verified.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a nonce may be answered.
pub const NONCE_LIFE_SECONDS: u64 = 300;
/// Most nonces whose use is remembered; beyond it the oldest are retired early.
pub const MAX_TRACKED_NONCES: usize = 65_536;

const SECONDS_BYTES: usize = 4;
const SERIAL_BYTES: usize = 8;
const MAC_BYTES: usize = 12;
const NONCE_BYTES: usize = SECONDS_BYTES + SERIAL_BYTES + MAC_BYTES;

/// How far `nc` may come out of order: a client's requests overtake each other over UDP.
const REPLAY_WINDOW: u32 = 64;

/// Mints nonces and recognises its own, also across restarts with the same key.
pub struct NonceMint {
    key: [u8; 32],
    serial: u64,
}

/// A nonce that has been recognised: when it was minted and its serial. The order is that of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NonceId {
    minted_at: u64,
    serial: u64,
}

impl NonceMint {
    /// A mint under a durable `key`. `seed` starts the serial: any number that differs between
    /// processes, so that two challenges in one second never share a nonce.
    pub fn new(key: [u8; 32], seed: u64) -> Self {
        Self { key, serial: seed }
    }

    /// A fresh nonce for one source and realm at `now` (seconds since the epoch).
    pub fn mint(&mut self, now: u64, source: IpAddr, realm: &str) -> String {
        self.serial = self.serial.wrapping_add(1);
        // Thirty-two bits of seconds last until 2106.
        let seconds = (now as u32).to_be_bytes();
        let serial = self.serial.to_be_bytes();
        let mac = self.mac(seconds, serial, source, realm);
        let mut text = hex::encode(seconds);
        text.push_str(&hex::encode(serial));
        text.push_str(&hex::encode(mac));
        text
    }

    /// Recognises a live nonce of this mint for this source and realm.
    pub(super) fn recognise(&self, now: u64, source: IpAddr, realm: &str, nonce: &str) -> Option<NonceId> {
        let mut bytes = [0_u8; NONCE_BYTES];
        hex::decode_to_slice(nonce, &mut bytes).ok()?;
        let (seconds, rest) = bytes.split_first_chunk::<SECONDS_BYTES>()?;
        let (serial, mac) = rest.split_first_chunk::<SERIAL_BYTES>()?;
        if !bool::from(self.mac(*seconds, *serial, source, realm).as_slice().ct_eq(mac)) {
            return None;
        }
        let minted_at = u64::from(u32::from_be_bytes(*seconds));
        let alive = minted_at <= now && now - minted_at <= NONCE_LIFE_SECONDS;
        alive.then(|| NonceId { minted_at, serial: u64::from_be_bytes(*serial) })
    }

    /// A stored hash for users who do not exist: stable, unguessable, as long as a true one.
    pub(super) fn decoy(&self, username: &str, realm: &str) -> [u8; 32] {
        let mut mac = self.keyed(b"decoy");
        mac.update(username.as_bytes());
        mac.update(b"\0");
        mac.update(realm.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn mac(
        &self,
        seconds: [u8; SECONDS_BYTES],
        serial: [u8; SERIAL_BYTES],
        source: IpAddr,
        realm: &str,
    ) -> [u8; MAC_BYTES] {
        let mut mac = self.keyed(b"nonce");
        mac.update(&seconds);
        mac.update(&serial);
        // One form for an IPv4 peer, whether the socket was dual-stack or not.
        match source.to_canonical() {
            IpAddr::V4(address) => mac.update(&address.octets()),
            IpAddr::V6(address) => mac.update(&address.octets()),
        }
        mac.update(b"\0");
        mac.update(realm.as_bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(full.first_chunk::<MAC_BYTES>().expect("12 of 32 bytes"));
        short
    }

    fn keyed(&self, purpose: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(purpose);
        mac.update(b"\0");
        mac
    }
}

/// Which `nc` of which nonce have been used.
///
/// When full, the oldest nonce is retired, and every nonce that is not younger becomes unusable
/// unless it is still in the table: forgetting never opens a way for a replay.
pub(super) struct ReplayTable {
    used: BTreeMap<NonceId, Window>,
    retired: Option<NonceId>,
    capacity: usize,
}

/// The highest `nc` and which of the [`REPLAY_WINDOW`] up to it have been seen.
struct Window {
    highest: u32,
    seen: u64,
}

impl ReplayTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self { used: BTreeMap::new(), retired: None, capacity }
    }

    /// Whether this `nc` has not been used with this nonce.
    pub(super) fn is_fresh(&self, id: NonceId, nc: u32) -> bool {
        match self.used.get(&id) {
            Some(window) => window.is_fresh(nc),
            None => nc > 0 && self.retired.is_none_or(|retired| id > retired),
        }
    }

    /// Marks an `nc` used; called only after its digest verified.
    pub(super) fn mark(&mut self, now: u64, id: NonceId, nc: u32) {
        match self.used.get_mut(&id) {
            Some(window) => window.mark(nc),
            None => {
                self.drop_expired(now);
                self.used.insert(id, Window { highest: nc, seen: 1 });
                if self.used.len() > self.capacity
                    && let Some((oldest, _)) = self.used.pop_first()
                {
                    self.retired = Some(oldest);
                }
            }
        }
    }

    fn drop_expired(&mut self, now: u64) {
        while let Some(oldest) = self.used.first_entry() {
            if now.saturating_sub(oldest.key().minted_at) <= NONCE_LIFE_SECONDS {
                break;
            }
            oldest.remove();
        }
    }
}

impl Window {
    fn is_fresh(&self, nc: u32) -> bool {
        match self.highest.checked_sub(nc) {
            None => true,
            Some(behind) => nc > 0 && behind < REPLAY_WINDOW && self.seen & (1 << behind) == 0,
        }
    }

    fn mark(&mut self, nc: u32) {
        match self.highest.checked_sub(nc) {
            None => {
                let ahead = nc - self.highest;
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = nc;
            }
            Some(behind) => self.seen |= 1_u64.checked_shl(behind).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(minted_at: u64, serial: u64) -> NonceId {
        NonceId { minted_at, serial }
    }

    #[test]
    fn full_table_retires_the_oldest_and_refuses_what_it_forgot() {
        let mut table = ReplayTable::new(2);
        for serial in 1..=2 {
            table.mark(100, id(100, serial), 1);
        }
        assert!(table.is_fresh(id(100, 1), 2));
        table.mark(101, id(101, 3), 1);
        assert_eq!(table.used.len(), 2);
        // Retired: neither the used nc nor a later one passes.
        assert!(!table.is_fresh(id(100, 1), 1));
        assert!(!table.is_fresh(id(100, 1), 2));
        assert!(table.is_fresh(id(100, 2), 2));
        assert!(table.is_fresh(id(102, 9), 1));
    }

    #[test]
    fn expired_entries_make_room_without_retiring_live_ones() {
        let mut table = ReplayTable::new(1);
        table.mark(100, id(100, 1), 1);
        table.mark(100 + NONCE_LIFE_SECONDS + 1, id(400, 2), 1);
        assert_eq!(table.retired, None);
    }

    proptest! {
        /// Against a plain set: no `nc` passes twice, and none within the window is refused unused.
        #[test]
        fn window_agrees_with_a_plain_set(counts in proptest::collection::vec(1_u32..200, 1..60)) {
            let mut table = ReplayTable::new(4);
            let nonce = id(1, 1);
            let mut used = std::collections::BTreeSet::new();
            for nc in counts {
                let highest = used.last().copied().unwrap_or(0);
                let in_window = nc > highest || highest - nc < REPLAY_WINDOW;
                let fresh = table.is_fresh(nonce, nc);
                prop_assert_eq!(fresh, in_window && !used.contains(&nc));
                if fresh {
                    table.mark(1, nonce, nc);
                    used.insert(nc);
                }
            }
        }
    }
}
