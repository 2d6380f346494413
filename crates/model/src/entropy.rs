//! The one place that randomness comes from: secrets, seeds for the pure crates, public ids.
//!
//! A generator per thread (ChaCha12, fit for keys), seeded by the operating system and again after
//! every 64 KiB: a call takes eight numbers, and a system call for each costs more than the number.

use rand::Rng as _;

/// `N` bytes nobody can foretell.
///
/// # Panics
/// When the kernel cannot deliver a seed: nothing that follows would be safe.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    rand::rng().fill_bytes(&mut out);
    out
}

/// A random 64-bit number.
pub fn number() -> u64 {
    u64::from_le_bytes(bytes())
}

/// `digits` random decimal digits, as nonces and numeric public ids want them. At most 20.
pub fn decimal(digits: usize) -> String {
    let mut out = String::with_capacity(digits);
    while out.len() < digits {
        let n = number();
        // 10^19 is the largest power of ten below 2^64: rejecting the rest keeps digits uniform.
        if n < 10_000_000_000_000_000_000 {
            let block = format!("{n:019}");
            let take = (digits - out.len()).min(block.len());
            out.push_str(&block[..take]);
        }
    }
    out
}
