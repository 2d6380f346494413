//! Test peers: a running platform, a customer's web server, sipp, a UDP NAT, both databases. Never a dependency
//! of the product.

pub mod databases;
mod platform;
mod rest;
mod sink;
mod sipp;

pub use platform::{Platform, PlatformOptions};
pub use rest::{Credentials, Reply, rest};
pub use sink::{Answer, Request, Sink};
pub use sipp::{Sipp, SippOutcome};
