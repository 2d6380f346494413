//! The one place that asks the operating system for randomness: secrets, seeds for the pure
//! crates, public ids.

use rand::TryRng as _;

/// `N` bytes from the operating system.
///
/// # Panics
/// When the kernel cannot deliver randomness: nothing that follows would be safe.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut out).expect("the kernel delivers randomness");
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
