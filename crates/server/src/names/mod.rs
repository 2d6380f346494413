//! From what a SIP URI or an operator names to addresses, as RFC 3263 has it: NAPTR, SRV, A and AAAA, kept in memory.
//!
//! The cast: [`Place`] is what is named, [`Target`] an address to send to, with its transport. `locate` walks the records
//! of one place; [`Dns`] answers it, [`SystemDns`] from name servers. [`Names`] keeps the answers: who plans a call asks it
//! and never waits; its own task looks up what is new, expired or failed. The directory names the places and uses the
//! targets, which the address guard has yet to judge.

mod dns;
mod locate;
mod order;
mod place;
mod table;

pub(crate) use dns::{SystemDns, asking, name_servers};
pub(crate) use order::Target;
pub(crate) use place::Place;
pub(crate) use table::Names;

/// What this node can send with: answers that need something else are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    /// IPv4.
    pub(crate) v4: bool,
    /// IPv6.
    pub(crate) v6: bool,
    /// SIP over TCP.
    pub(crate) tcp: bool,
    /// SIP over TLS.
    pub(crate) tls: bool,
}

impl Means {
    /// Everything.
    pub(crate) const ALL: Self = Self { v4: true, v6: true, tcp: true, tls: true };
}
