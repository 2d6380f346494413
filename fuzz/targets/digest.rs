//! See `bodies/digest.rs`.
#![no_main]

#[path = "../bodies/digest.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
