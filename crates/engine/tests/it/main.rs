//! The engine over real sockets on loopback: peers of our own SIP core, a peer that is sipp, and an
//! in-memory service behind the ports.

#[cfg(test)]
mod support;

#[cfg(test)]
mod application;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod gateways;
#[cfg(test)]
mod ipv6;
#[cfg(test)]
mod originate;
#[cfg(test)]
mod phones;
mod recordings;
#[cfg(test)]
mod sipp;
#[cfg(test)]
mod steer;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod trunk;
#[cfg(test)]
mod verbs;
