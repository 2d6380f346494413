//! Test peers: a running platform, a customer's web server, a mail server, a browser, sipp, a UDP NAT, both databases. Never a dependency
//! of the product.

mod browser;
pub mod databases;
mod flood;
mod hearing;
mod lines;
mod mailbox;
mod name_server;
mod nat;
mod platform;
mod rest;
mod sink;
mod sipp;
mod softphone;
mod spray;

pub use browser::{Browser, BrowserOptions};
pub use flood::{Flood, FloodReport};
pub use hearing::Hearing;
pub use lines::{Lines, LinesReport};
pub use mailbox::{MailManners, Mailbox};
pub use name_server::NameServer;
pub use nat::{Namespace, NatBinding, NatOptions, UdpNat};
pub use platform::{Platform, PlatformOptions};
pub use rest::{Credentials, Reply, over_socket, rest};
pub use sink::{Answer, Request, Sink};
pub use sipp::{Sipp, SippOutcome};
pub use softphone::{PhonePlace, PhoneSettings, Softphone};
pub use spray::{Spray, SprayReport};
