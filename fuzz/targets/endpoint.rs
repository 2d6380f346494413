//! See `bodies/endpoint.rs`.
#![no_main]

#[path = "../bodies/endpoint.rs"]
mod body;

use std::sync::OnceLock;
use std::time::Instant;

/// Where virtual time starts: the same in every run of this process.
static START: OnceLock<Instant> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(*START.get_or_init(Instant::now), bytes));
