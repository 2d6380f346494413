//! See `bodies/uri.rs`.
#![no_main]

#[path = "../bodies/uri.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
