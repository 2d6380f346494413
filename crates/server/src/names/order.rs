//! The order in which the addresses of a place are tried: by priority; within one, a draw by weight (RFC 2782); the
//! addresses of one host after each other.

use std::net::SocketAddr;

use tandem_model::ports::Transport;

/// Most addresses of one place that are tried for one call.
pub(super) const MOST_TARGETS: usize = 6;

/// An address of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

/// One host of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) transport: Transport,
    /// Not empty.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The targets of one call; `draw` gives a number between 0 and 1.
pub(super) fn drawn(steps: &[Step], mut draw: impl FnMut() -> f64) -> Vec<Target> {
    let mut order: Vec<_> = steps
        .iter()
        .map(|step| {
            // The order of u^(1/w) is a weighted draw without replacement; weight 0 comes after all others of its priority.
            let place =
                if step.weight == 0 { draw() - 1.0 } else { draw().powf(1.0 / f64::from(step.weight)) };
            (step, place)
        })
        .collect();
    order.sort_by(|(a, drawn_a), (b, drawn_b)| a.priority.cmp(&b.priority).then(drawn_b.total_cmp(drawn_a)));
    let mut targets: Vec<Target> = Vec::new();
    for (step, _) in order {
        // Several addresses of one host share its load; IPv4 comes first, as it stands in the step.
        let mut addresses: Vec<_> =
            step.addresses.iter().map(|address| (address.is_ipv6(), draw(), address)).collect();
        addresses.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (_, _, address) in addresses {
            let target = Target { address: *address, transport: step.transport };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets.truncate(MOST_TARGETS);
    targets
}

/// All addresses, in an order that is the same every time: for probes, registrations and lists of sources.
pub(super) fn listed(steps: &[Step]) -> Vec<Target> {
    let mut order: Vec<&Step> = steps.iter().collect();
    order.sort_by_key(|step| (step.priority, u16::MAX - step.weight));
    let mut targets = Vec::new();
    for step in order {
        let mut addresses = step.addresses.clone();
        addresses.sort_by_key(|address| (address.is_ipv6(), *address));
        for address in addresses {
            let target = Target { address, transport: step.transport };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(priority: u16, weight: u16, last: &[u8]) -> Step {
        let addresses = last.iter().map(|last| SocketAddr::from(([192, 0, 2, *last], 5060))).collect();
        Step { priority, weight, transport: Transport::Udp, addresses }
    }

    fn lasts(targets: &[Target]) -> Vec<u8> {
        targets
            .iter()
            .map(|target| match target.address {
                SocketAddr::V4(v4) => v4.ip().octets()[3],
                SocketAddr::V6(_) => 0,
            })
            .collect()
    }

    fn uniform() -> impl FnMut() -> f64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn priorities_come_in_order_and_weights_share_within_one() {
        let steps = [step(20, 1, &[9]), step(10, 60, &[1]), step(10, 20, &[2]), step(10, 0, &[3])];
        let mut draw = uniform();
        let mut first = [0_u32; 4];
        for _ in 0..10_000 {
            let order = lasts(&drawn(&steps, &mut draw));
            assert_eq!(order.len(), 4);
            assert_eq!(order[3], 9, "a higher number of priority comes last: {order:?}");
            assert_eq!(order[2], 3, "weight 0 comes after the others: {order:?}");
            first[usize::from(order[0])] += 1;
        }
        assert!((7_300..7_700).contains(&first[1]), "60 of 80 is three quarters: {first:?}");
    }

    #[test]
    fn addresses_of_a_host_follow_each_other_share_its_load_and_are_bounded() {
        let steps = [step(1, 0, &[1, 2]), step(2, 0, &[3, 4, 5, 6, 7])];
        let mut draw = uniform();
        let mut swapped = 0;
        for _ in 0..1_000 {
            let order = lasts(&drawn(&steps, &mut draw));
            assert_eq!(order.len(), MOST_TARGETS);
            swapped += u32::from(order[..2] == [2, 1]);
            assert!(order[..2].iter().all(|last| *last < 3));
        }
        assert!((400..600).contains(&swapped));
        assert_eq!(lasts(&listed(&steps)), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_same_address_of_two_hosts_is_tried_once() {
        let steps = [step(1, 0, &[1, 2]), step(2, 0, &[2, 3])];
        assert_eq!(lasts(&listed(&steps)), [1, 2, 3]);
        assert_eq!(drawn(&steps, uniform()).len(), 3);
    }
}
