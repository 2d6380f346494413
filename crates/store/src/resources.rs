//! Configuration resources of the REST API, one file each. Copy `application.rs`: a row struct, commands
//! that change it together with its audit entry and its directory change, reads on the [`crate::Reader`].

pub mod account;
pub mod acl;
pub mod application;
pub mod carrier;
mod change;
pub mod country_rule;
pub mod credential;
pub mod deck;
pub mod endpoint;
pub mod number;
pub mod origination_uri;
pub mod trunk;

pub use change::{Removed, Updated};
