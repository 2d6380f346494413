//! Test peers: a running platform, a customer's web server, sipp, a UDP NAT, both databases. Never a dependency
//! of the product.

pub mod databases;
mod flood;
mod hearing;
mod lines;
mod name_server;
mod nat;
mod platform;
mod rest;
mod sink;
mod sipp;
mod softphone;
mod spray;

pub use flood::{Flood, FloodReport};
pub use hearing::Hearing;
pub use lines::{Lines, LinesReport};
pub use name_server::NameServer;
pub use nat::{Namespace, NatBinding, NatOptions, UdpNat};
pub use platform::{Platform, PlatformOptions};
pub use rest::{Credentials, Reply, over_socket, rest};
pub use sink::{Answer, Request, Sink};
pub use sipp::{Sipp, SippOutcome};
pub use softphone::{PhonePlace, PhoneSettings, Softphone};
pub use spray::{Spray, SprayReport};
