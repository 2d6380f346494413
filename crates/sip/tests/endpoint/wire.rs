//! Two endpoints over a wire that loses, doubles, delays and reorders: every call either comes up and
//! ends on both sides, or fails on both, and nothing is left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tandem_sip::message::{Address, OwnedUri};
use tandem_sip::{Endpoint, EndpointConfig, Event, Flow, Input, LegId, OutgoingInvite, Output, Transport};

use crate::bench::{SDP, start_of_time};

const CALLER: usize = 0;
const CALLEE: usize = 1;
const CALLS: usize = 6;

struct Wire {
    random: StdRng,
    now: Instant,
    endpoints: [Endpoint; 2],
    flows: [Flow; 2],
    in_flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sequence: u64,
    loss_percent: u64,
    actions: BTreeMap<(Instant, u64), (usize, LegId, Action)>,
    ended: [BTreeMap<LegId, &'static str>; 2],
    answered: [Vec<LegId>; 2],
    legs: [Vec<LegId>; 2],
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Trying,
    Ring,
    Answer,
    Reject,
    Cancel,
    Bye,
    Reinvite,
    AcceptReinvite,
}

impl Wire {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let addresses = ["192.0.2.1:5060", "198.51.100.7:5060"].map(|text| text.parse().expect("address"));
        let endpoint = |host: &str, index: u8| {
            let mut config = EndpointConfig::new(host, 5060);
            config.shard = u16::from(index);
            Endpoint::new(config, [index ^ seed as u8; 32])
        };
        let flow = |from: usize, to: usize| Flow {
            transport: Transport::Udp,
            local: addresses[from],
            remote: addresses[to],
        };
        let loss_percent = random.next_u64() % 35;
        Self {
            random,
            now: start_of_time(),
            endpoints: [endpoint("192.0.2.1", 1), endpoint("198.51.100.7", 2)],
            flows: [flow(CALLER, CALLEE), flow(CALLEE, CALLER)],
            in_flight: BTreeMap::new(),
            sequence: 0,
            loss_percent,
            actions: BTreeMap::new(),
            ended: Default::default(),
            answered: Default::default(),
            legs: Default::default(),
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.next_u64() % 100 < percent
    }

    fn soon(&mut self, most_ms: u64) -> (Instant, u64) {
        self.sequence += 1;
        (self.now + Duration::from_millis(self.random.next_u64() % most_ms), self.sequence)
    }

    fn plan(&mut self, side: usize, leg: LegId, action: Action, most_ms: u64) {
        let at = self.soon(most_ms);
        self.actions.insert(at, (side, leg, action));
    }

    fn drain(&mut self, side: usize) {
        while let Some(output) = self.endpoints[side].poll() {
            match output {
                Output::Transmit { bytes, .. } => self.transmit(1 - side, &bytes),
                Output::Event(event) => self.react(side, event),
            }
        }
    }

    fn transmit(&mut self, to: usize, bytes: &[u8]) {
        if self.chance(self.loss_percent) {
            return;
        }
        let copies = 1 + usize::from(self.chance(10));
        for _ in 0..copies {
            let most = if self.chance(10) { 3000 } else { 120 };
            let at = self.soon(most);
            self.in_flight.insert(at, (to, bytes.to_vec()));
        }
    }

    fn react(&mut self, side: usize, event: Event) {
        let what = match &event {
            Event::Invite { leg, .. } => {
                let leg = *leg;
                self.legs[side].push(leg);
                self.plan(side, leg, Action::Trying, 100);
                self.plan(side, leg, Action::Ring, 800);
                let verdict = if self.chance(75) { Action::Answer } else { Action::Reject };
                self.plan(side, leg, verdict, 4000);
                return;
            }
            Event::Answered { leg, .. } => {
                let leg = *leg;
                self.answered[side].push(leg);
                self.plan(side, leg, Action::Bye, 40_000);
                if self.chance(40) {
                    self.plan(side, leg, Action::Reinvite, 10_000);
                }
                return;
            }
            Event::Acked { leg, .. } => {
                let leg = *leg;
                if !self.answered[side].contains(&leg) {
                    self.answered[side].push(leg);
                    self.plan(side, leg, Action::Bye, 40_000);
                    if self.chance(40) {
                        self.plan(side, leg, Action::Reinvite, 10_000);
                    }
                }
                return;
            }
            Event::Reinvited { leg, .. } => {
                let leg = *leg;
                return self.plan(side, leg, Action::AcceptReinvite, 500);
            }
            Event::Rejected { .. } => "rejected",
            Event::Cancelled { .. } => "cancelled",
            Event::AckTimeout { .. } => "ack timeout",
            Event::Bye { .. } => "bye",
            Event::Terminated { .. } => "terminated",
            Event::LateAnswerAfterCancel { .. } => "late answer",
            _ => return,
        };
        let (Event::Rejected { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::AckTimeout { leg }
        | Event::Bye { leg, .. }
        | Event::Terminated { leg, .. }
        | Event::LateAnswerAfterCancel { leg }) = event
        else {
            return;
        };
        let before = self.ended[side].insert(leg, what);
        assert_eq!(before, None, "{leg:?} ended twice: {before:?}, then {what}");
    }

    fn act(&mut self, side: usize, leg: LegId, action: Action) {
        let (now, endpoint) = (self.now, &mut self.endpoints[side]);
        let is_ours_to_end = match action {
            Action::Trying => (endpoint.trying(now, leg), false).1,
            Action::Ring => (endpoint.ringing(now, leg), false).1,
            Action::Answer => (endpoint.answer(now, leg, SDP.as_bytes()), false).1,
            Action::Reject => endpoint.reject(now, leg, 486, None, &[]) == tandem_sip::Outcome::Sent,
            Action::Cancel => (endpoint.cancel(now, leg, None), false).1,
            Action::Bye => endpoint.bye(now, leg, None) == tandem_sip::Outcome::Sent,
            Action::Reinvite => (endpoint.reinvite(now, leg, Some(SDP.as_bytes())), false).1,
            Action::AcceptReinvite => (endpoint.accept_reinvite(now, leg, SDP.as_bytes()), false).1,
        };
        if is_ours_to_end {
            let before = self.ended[side].insert(leg, "ours");
            assert_eq!(before, None, "{leg:?} was over, yet {action:?} was taken");
        }
    }

    fn call(&mut self) {
        let to = OwnedUri::parse("sip:callee@198.51.100.7").expect("uri");
        let from = Address::parse("sip:caller@192.0.2.1").expect("uri");
        let mut invite = OutgoingInvite::new(self.flows[CALLER], to.clone(), from, Address::new(to));
        invite.sdp = Some(SDP.as_bytes().to_vec());
        invite.ring_timeout = Duration::from_secs(20);
        let leg = self.endpoints[CALLER].invite(self.now, invite).expect("room");
        self.legs[CALLER].push(leg);
        if self.chance(30) {
            self.plan(CALLER, leg, Action::Cancel, 5000);
        }
    }

    /// Run until nothing is in flight, planned or timed.
    fn run(&mut self) {
        for step in 0.. {
            assert!(step < 200_000, "the wire never falls silent");
            self.drain(CALLER);
            self.drain(CALLEE);
            let packet = self.in_flight.keys().next().copied();
            let action = self.actions.keys().next().copied();
            let timers = self.endpoints.each_ref().map(|endpoint| endpoint.deadline());
            let next = [packet.map(|key| key.0), action.map(|key| key.0), timers[0], timers[1]];
            let Some(at) = next.into_iter().flatten().min() else { return };
            self.now = self.now.max(at);
            if packet.is_some_and(|key| key.0 == at) {
                let (_, (to, bytes)) = self.in_flight.pop_first().expect("a packet");
                let input = Input::Datagram { flow: self.flows[to], bytes: &bytes };
                self.endpoints[to].handle(self.now, input);
            } else if action.is_some_and(|key| key.0 == at) {
                let (_, (side, leg, action)) = self.actions.pop_first().expect("an action");
                self.act(side, leg, action);
            } else {
                let side = if timers[0] == Some(at) { CALLER } else { CALLEE };
                self.endpoints[side].handle(self.now, Input::Timeout);
            }
        }
    }
}

#[test]
fn calls_over_a_bad_wire_end_on_both_sides_and_leave_nothing() {
    let mut established = 0;
    for seed in 0..200 {
        let mut wire = Wire::new(seed);
        for _ in 0..CALLS {
            wire.call();
        }
        wire.run();
        for side in [CALLER, CALLEE] {
            let stats = wire.endpoints[side].stats();
            let left = (stats.legs, stats.server_transactions, stats.client_transactions);
            assert_eq!(left, (0, 0, 0), "seed {seed}, side {side}: {stats:?}");
            for leg in &wire.legs[side] {
                assert!(wire.ended[side].contains_key(leg), "seed {seed}, side {side}: {leg:?} has no end");
            }
            established += wire.answered[side].len();
        }
    }
    // The wire must not be so bad that the test proves nothing.
    assert!(established > 800, "only {established} call sides came up");
}

#[test]
fn over_a_perfect_wire_every_answered_call_is_answered_on_both_sides() {
    for seed in 0..50 {
        let mut wire = Wire::new(seed);
        wire.loss_percent = 0;
        for _ in 0..CALLS {
            wire.call();
        }
        wire.run();
        // An answer may cross a CANCEL: then the callee's side comes up and is ended at once.
        let late = wire.ended[CALLER].values().filter(|what| **what == "late answer").count();
        // A BYE may overtake the ACK: then the callee's side was up all the same.
        let was_up =
            |leg: &&LegId| wire.answered[CALLEE].contains(leg) || wire.ended[CALLEE].get(leg) == Some(&"bye");
        let callee_sides = wire.legs[CALLEE].iter().filter(was_up).count();
        assert_eq!(wire.answered[CALLER].len() + late, callee_sides, "seed {seed}");
    }
}
