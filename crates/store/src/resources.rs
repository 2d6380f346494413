//! Configuration resources of the REST API, one file each. Copy `application.rs`: a row struct, commands
//! that change it together with its audit entry and its directory change, reads on the [`crate::Reader`].

pub mod application;
