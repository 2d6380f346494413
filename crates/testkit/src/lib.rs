//! Test peers: virtual clock, wire, NAT, database harness. Never a dependency of the product.

pub mod databases;
