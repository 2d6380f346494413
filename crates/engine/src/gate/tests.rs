//! The gate as a whole, in virtual time.

use std::net::Ipv4Addr;
use std::time::Duration;

use tandem_model::clock;

use super::*;

const NOBODY: IsKnown<'static> = &|| false;
const KNOWN: IsKnown<'static> = &|| true;
const WALL: u64 = 1_000_000;

fn gate(adjust: impl FnOnce(&mut EdgeLimits)) -> (Gate, Instant) {
    let mut limits = EdgeLimits::default();
    adjust(&mut limits);
    let now = clock::monotonic();
    let bans = Arc::new(Bans::new(limits.bans()));
    (Gate::new(now, limits, bans, Arc::default()), now)
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, last).into()
}

#[test]
fn a_stranger_has_its_bucket_and_a_known_peer_has_none() {
    let (mut gate, now) = gate(|limits| limits.stranger_burst = 5);
    let heard = (0..100).filter(|_| gate.admit(now, WALL, ip(1), 400, NOBODY)).count();
    assert_eq!(heard, 5);
    assert!((0..100).all(|_| gate.admit(now, WALL, ip(2), 400, KNOWN)));
    assert_eq!(gate.counters.read().over_rate, 95);
}

#[test]
fn who_has_proven_itself_or_is_called_by_us_is_no_stranger_for_a_while() {
    let (mut gate, now) = gate(|limits| {
        limits.stranger_burst = 1;
        limits.proven_burst = 50;
    });
    gate.proved(now, ip(1));
    gate.asked(now, ip(2));
    for address in [ip(1), ip(2)] {
        assert_eq!((0..100).filter(|_| gate.admit(now, WALL, address, 400, NOBODY)).count(), 50);
        assert!(gate.may_answer(now, address, 60_000, NOBODY));
    }
    let later = now + gate.limits.asked_for;
    assert!(!gate.may_answer(later, ip(2), 60_000, NOBODY));
    assert!(gate.may_answer(later, ip(1), 60_000, NOBODY));
    assert!(!gate.may_answer(now + gate.limits.proven_for, ip(1), 60_000, NOBODY));
}

#[test]
fn a_crowd_of_strangers_is_cut_and_known_and_proven_peers_are_not_in_it() {
    let (mut gate, now) = gate(|limits| limits.strangers_per_s = 10);
    gate.proved(now, ip(255));
    let heard = (0..=254).filter(|last| gate.admit(now, WALL, ip(*last), 400, NOBODY)).count();
    assert_eq!(heard, 10);
    assert!(gate.admit(now, WALL, ip(255), 400, NOBODY));
    assert!(gate.admit(now, WALL, Ipv4Addr::LOCALHOST.into(), 400, KNOWN));
    assert_eq!(gate.counters.read().crowd, 245);
}

#[test]
fn no_answer_to_a_stranger_is_larger_than_what_it_sent() {
    let (mut gate, now) = gate(|_| ());
    assert!(!gate.may_answer(now, ip(1), 1, NOBODY));
    assert!(gate.admit(now, WALL, ip(1), 300, NOBODY));
    assert!(!gate.may_answer(now, ip(1), 400, NOBODY));
    assert!(gate.admit(now, WALL, ip(1), 300, NOBODY), "it asks again");
    assert!(gate.may_answer(now, ip(1), 400, NOBODY), "and may be answered for both");
    assert!(!gate.may_answer(now, ip(1), 201, NOBODY));
    assert!(gate.may_answer(now, ip(1), 400, KNOWN));
    assert_eq!(gate.counters.read().withheld, 3);
}

#[test]
fn guessing_bans_the_source_and_peace_or_proof_ends_it() {
    let (mut gate, now) = gate(|limits| limits.ban_after = 3);
    for _ in 0..3 {
        gate.guessed(now, WALL, ip(1), NOBODY);
    }
    assert!(!gate.admit(now, WALL, ip(1), 400, NOBODY));
    assert!(!gate.admits_connection(now, WALL, ip(1), NOBODY));
    assert!(gate.admit(now, WALL, ip(2), 400, NOBODY));
    assert!(gate.admit(now, WALL, ip(1), 400, KNOWN), "put on an ACL meanwhile");
    let ends = WALL + gate.limits.ban.as_secs();
    assert!(!gate.admit(now, ends - 1, ip(1), 400, NOBODY));
    assert!(gate.admit(now, ends, ip(1), 400, NOBODY));
    let counts = gate.counters.read();
    assert_eq!((counts.banned, counts.bans, counts.wrong_answers), (3, 1, 3));
}

#[test]
fn a_good_customer_cannot_be_banned_by_guesses_from_its_address() {
    let (mut gate, now) = gate(|limits| limits.ban_after = 1);
    gate.guessed(now, WALL, ip(1), KNOWN);
    gate.proved(now, ip(2));
    gate.guessed(now, WALL, ip(2), NOBODY);
    assert!(gate.bans.list(WALL).is_empty());
    gate.guessed(now, WALL, ip(3), NOBODY);
    assert_eq!(gate.bans.list(WALL).len(), 1);
    gate.proved(now, ip(3));
    assert!(gate.bans.list(WALL).is_empty(), "a right answer, from before the ban, forgives");
}

#[test]
fn refusals_have_a_limit_a_second_that_known_and_proven_peers_do_not_share() {
    let (mut gate, now) = gate(|limits| limits.answers_per_s = 2);
    gate.proved(now, ip(1));
    assert_eq!((0..10).filter(|_| gate.may_refuse(now, ip(2), NOBODY)).count(), 2);
    assert!(gate.may_refuse(now, ip(1), NOBODY) && gate.may_refuse(now, ip(3), KNOWN));
    assert!(gate.may_refuse(now + Duration::from_secs(1), ip(2), NOBODY));
}
