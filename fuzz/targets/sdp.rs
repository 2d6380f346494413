//! See `bodies/sdp.rs`.
#![no_main]

#[path = "../bodies/sdp.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
