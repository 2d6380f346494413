//! Configuration resources of the REST API, one file each. Copy `application.rs`: a row struct, commands
//! that change it together with its audit entry and its directory change, reads on the [`crate::Reader`].

pub mod acl;
pub mod application;
mod change;
pub mod credential;
pub mod endpoint;
pub mod origination_uri;
pub mod trunk;

pub use change::{Removed, Updated};
