//! Test peers: a running platform, a customer's web server, sipp, a UDP NAT, both databases. Never a dependency
//! of the product.

pub mod databases;
mod hearing;
mod name_server;
mod nat;
mod platform;
mod rest;
mod sink;
mod sipp;
mod softphone;

pub use hearing::Hearing;
pub use name_server::NameServer;
pub use nat::{Namespace, NatBinding, NatOptions, UdpNat};
pub use platform::{Platform, PlatformOptions};
pub use rest::{Credentials, Reply, over_socket, rest};
pub use sink::{Answer, Request, Sink};
pub use sipp::{Sipp, SippOutcome};
pub use softphone::{PhonePlace, PhoneSettings, Softphone};
