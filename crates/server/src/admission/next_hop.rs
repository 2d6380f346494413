//! The addresses a route leaves to, over which transport, and which name their far end has to prove.

use tandem_model::ports::{Directory as _, NextHop};

use crate::directory::Directory;
use crate::names::Place;

/// Where calls to a carrier go: the place and the transport are the operator's word.
pub(super) fn to_carrier(directory: &Directory, place: &Place) -> Vec<NextHop> {
    hops(directory, place, false)
}

/// Where calls to a customer's URI go, as far as the address guard lets them. Where it names no transport, what is too long
/// for a datagram goes by TCP (RFC 3261 §18.1.1).
pub(super) fn to_customer(directory: &Directory, place: &Place) -> Vec<NextHop> {
    let mut hops = hops(directory, place, place.transport().is_none());
    hops.retain(|hop| directory.may_send_to(hop.address));
    hops
}

fn hops(directory: &Directory, place: &Place, may_use_tcp: bool) -> Vec<NextHop> {
    let targets = directory.targets(place).into_iter();
    targets
        .map(|target| NextHop {
            address: target.address,
            transport: target.transport,
            name: place.name(),
            may_use_tcp,
        })
        .collect()
}

/// Whether the probes of all of them fail.
pub(super) fn are_down(directory: &Directory, hops: &[NextHop]) -> bool {
    hops.iter().all(|hop| directory.is_down(hop.address))
}
