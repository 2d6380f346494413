//! Nonces without memory: a timestamp, a serial and a MAC over both, the source and the realm.
//!
//! Only *use* is remembered, in a bounded table, and only for nonces whose digest verified.

use std::net::IpAddr;

/// How long a nonce may be answered.
pub const NONCE_LIFE_SECONDS: u64 = 300;
/// Most nonces whose use is remembered; beyond it the oldest are retired early.
pub const MAX_TRACKED_NONCES: usize = 65_536;

/// Mints nonces and recognises its own, also across restarts with the same key.
pub struct NonceMint {
    key: [u8; 32],
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
        let _ = (now, source, realm, self.key, self.serial);
        todo!()
    }
}
