//! The scheduler in virtual time.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use tandem_model::{DeliveryChannel, HttpMethod};
use tandem_store::OutboxEvent;

use super::super::breaker::FAILURES_TO_OPEN;
use super::super::schedule::DURABLE_LIFE;
use super::*;

const OK: Finish = Finish::Answered { status: 200, retry_after: None };
const ERROR: Finish = Finish::Answered { status: 500, retry_after: None };

fn event(account: &str, endpoint: &str, channel: DeliveryChannel) -> OutboxEvent {
    OutboxEvent {
        event: EventId::random(),
        account: AccountId::new(account),
        call: None,
        endpoint_key: endpoint.to_owned(),
        kind: "Hangup".to_owned(),
        channel,
        url: "https://app.example/hook".to_owned(),
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: "{}".to_owned(),
        secret_kind: "trunk".to_owned(),
        secret_ref: String::new(),
        sequence: 0,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// Virtual time and a scheduler; what it started and settled.
struct World {
    now: Instant,
    scheduler: Scheduler,
    settled: Vec<Settled>,
}

impl World {
    fn new() -> Self {
        Self { now: tandem_model::clock::monotonic(), scheduler: Scheduler::default(), settled: Vec::new() }
    }

    fn offer(&mut self, event: &OutboxEvent, attempts: u32) -> Vec<Start> {
        let delivery = Delivery {
            event: Arc::new(event.clone()),
            attempts,
            lease_until: self.now + LEASE,
            life_left: DURABLE_LIFE,
        };
        self.feed(Input::Offer(delivery))
    }

    fn finish(&mut self, event: EventId, finish: Finish) -> Vec<Start> {
        self.feed(Input::Finished(event, finish))
    }

    fn pass(&mut self, time: Duration) -> Vec<Start> {
        let until = self.now + time;
        let mut started = Vec::new();
        while let Some(deadline) = self.scheduler.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            started.extend(self.feed(Input::Tick));
        }
        self.now = until;
        started.extend(self.feed(Input::Tick));
        started
    }

    fn feed(&mut self, input: Input) -> Vec<Start> {
        self.scheduler.handle(self.now, input);
        let mut started = Vec::new();
        while let Some(output) = self.scheduler.poll() {
            match output {
                Output::Start(start) => started.push(start),
                Output::Settled(settled) => self.settled.push(settled),
            }
        }
        started
    }

    fn verdicts(&self, event: EventId) -> Vec<Verdict> {
        self.settled.iter().filter(|settled| settled.event == event).map(|settled| settled.verdict).collect()
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_delivery_starts_at_once_and_is_settled_by_a_2xx() {
    let mut world = World::new();
    let event = event("A", "e", DeliveryChannel::Trunk);
    let started = world.offer(&event, 0);
    assert_eq!((started.len(), started[0].attempt, started[0].timeout), (1, 1, seconds(10)));
    world.finish(event.event, Finish::Answered { status: 204, retry_after: None });
    assert_eq!(world.verdicts(event.event), [Verdict::Delivered]);
    assert!(
        world.scheduler.items.is_empty() && world.scheduler.endpoints.is_empty(),
        "nothing is left behind"
    );
}

#[test]
fn a_callback_is_tried_four_times_at_1_2_4_seconds_then_dead() {
    let mut world = World::new();
    let event = event("A", "e", DeliveryChannel::Callback);
    assert_eq!(world.offer(&event, 0).len(), 1);
    for (attempt, pause_s) in [(2, 1), (3, 2), (4, 4)] {
        assert!(world.finish(event.event, ERROR).is_empty());
        assert!(world.pass(Duration::from_millis(pause_s * 1000 - 1)).is_empty());
        let started = world.pass(Duration::from_millis(1));
        assert_eq!((started.len(), started[0].attempt), (1, attempt));
    }
    world.finish(event.event, ERROR);
    assert_eq!(world.verdicts(event.event).last(), Some(&Verdict::Dead));
    assert!(world.pass(seconds(100)).is_empty());
}

#[test]
fn a_durable_event_goes_back_to_the_outbox_after_the_quick_attempts() {
    let mut world = World::new();
    let event = event("A", "e", DeliveryChannel::DurableTrunk);
    world.offer(&event, 3);
    world.finish(event.event, Finish::Unreachable);
    let [Verdict::RetryLater { pause }] = world.verdicts(event.event)[..] else {
        panic!("{:?}", world.settled)
    };
    assert!(pause >= seconds(30) && pause < seconds(34), "{pause:?}");
    assert!(world.scheduler.items.is_empty());
    let started = world.offer(&event, 4);
    assert_eq!((started[0].attempt, started[0].timeout), (5, seconds(15)));
}

#[test]
fn redirects_and_client_errors_fail_and_410_ends_the_endpoint() {
    let mut world = World::new();
    for status in [301, 302, 307, 400, 404, 500] {
        let event = event("A", "e", DeliveryChannel::Callback);
        world.offer(&event, 0);
        world.finish(event.event, Finish::Answered { status, retry_after: None });
        assert_eq!(world.verdicts(event.event), [Verdict::RetryHere { pause: seconds(1) }], "{status}");
    }
    let gone = event("A", "gone", DeliveryChannel::DurableTrunk);
    world.offer(&gone, 0);
    world.finish(gone.event, Finish::Answered { status: 410, retry_after: None });
    assert_eq!(world.verdicts(gone.event), [Verdict::Dead]);
    let next = event("A", "gone", DeliveryChannel::DurableTrunk);
    assert!(world.offer(&next, 0).is_empty(), "nothing is sent to an endpoint that is gone");
    assert_eq!(world.verdicts(next.event), [Verdict::Dead]);
    assert_eq!(world.settled.last().unwrap().cause, Cause::EndpointGone);
    let mut moved = event("A", "gone", DeliveryChannel::DurableTrunk);
    moved.url = "https://app.example/moved".to_owned();
    assert_eq!(world.offer(&moved, 0).len(), 1, "the customer wrote another URL");
    let other = event("A", "other", DeliveryChannel::DurableTrunk);
    assert_eq!(world.offer(&other, 0).len(), 1);
    world.pass(GONE_FOR);
    let later = event("A", "gone", DeliveryChannel::DurableTrunk);
    assert_eq!(world.offer(&later, 0).len(), 1);
}

#[test]
fn an_endpoint_has_ten_on_the_way_and_an_account_a_hundred() {
    let mut world = World::new();
    let one: Vec<_> = (0..=PER_ENDPOINT_IN_FLIGHT).map(|_| event("A", "e", DeliveryChannel::Trunk)).collect();
    let started: usize = one.iter().map(|event| world.offer(event, 0).len()).sum();
    assert_eq!(started, PER_ENDPOINT_IN_FLIGHT);
    assert_eq!(world.finish(one[0].event, OK).len(), 1, "the next one follows");

    let mut world = World::new();
    let many: Vec<_> =
        (0..=PER_ACCOUNT_IN_FLIGHT).map(|n| event("B", &n.to_string(), DeliveryChannel::Trunk)).collect();
    let started: usize = many.iter().map(|event| world.offer(event, 0).len()).sum();
    assert_eq!(started, PER_ACCOUNT_IN_FLIGHT);
    assert_eq!(
        world.offer(&event("C", "c", DeliveryChannel::Trunk), 0).len(),
        1,
        "another account has its own"
    );
    assert_eq!(world.finish(many[0].event, OK).len(), 1);
}

#[test]
fn an_endpoints_deliveries_start_in_the_order_they_came() {
    let mut world = World::new();
    let events: Vec<_> = (0..50).map(|_| event("A", "e", DeliveryChannel::Trunk)).collect();
    let mut order: Vec<EventId> = Vec::new();
    let mut under_way = VecDeque::new();
    for event in &events {
        under_way.extend(world.offer(event, 0).into_iter().map(|start| start.event.event));
    }
    while let Some(id) = under_way.pop_front() {
        order.push(id);
        under_way.extend(world.finish(id, OK).into_iter().map(|start| start.event.event));
    }
    assert_eq!(order, events.iter().map(|event| event.event).collect::<Vec<_>>());
}

#[test]
fn hangup_waits_for_call_initiated_but_no_longer_than_one_timeout() {
    let call = CallId::random();
    let of_call = |sequence| {
        let mut event = event("A", "e", DeliveryChannel::DurableTrunk);
        (event.call, event.sequence) = (Some(call), sequence);
        event
    };
    let (initiated, hangup) = (of_call(1), of_call(2));
    let mut world = World::new();
    world.offer(&initiated, 0);
    assert!(world.offer(&hangup, 0).is_empty());
    let started = world.finish(initiated.event, OK);
    assert_eq!(started[0].event.event, hangup.event, "as soon as the first is through");

    let mut world = World::new();
    world.offer(&initiated, 0);
    assert!(world.offer(&hangup, 0).is_empty());
    assert!(
        world.finish(initiated.event, ERROR).is_empty(),
        "it still waits between two attempts of the first"
    );
    let started = world.pass(seconds(10));
    assert!(started.iter().any(|start| start.event.event == hangup.event), "one timeout is enough");

    let mut world = World::new();
    world.offer(&initiated, 0);
    let another_call = event("A", "e", DeliveryChannel::DurableTrunk);
    assert_eq!(world.offer(&another_call, 0).len(), 1);
}

#[test]
fn the_circuit_opens_after_ten_failures_and_one_probe_closes_it() {
    let mut world = World::new();
    for _ in 0..FAILURES_TO_OPEN {
        let event = event("A", "e", DeliveryChannel::DurableTrunk);
        // The fifth attempt: its retry goes back to the outbox and out of this test's way.
        world.offer(&event, 4);
        world.finish(event.event, Finish::Unreachable);
    }
    let spared = event("A", "e", DeliveryChannel::DurableTrunk);
    assert!(world.offer(&spared, 4).is_empty());
    let settled = world.settled.last().unwrap();
    assert_eq!((settled.event, settled.attempt, settled.cause), (spared.event, 5, Cause::CircuitOpen));
    assert_eq!(world.offer(&event("A", "other", DeliveryChannel::Trunk), 0).len(), 1);

    world.pass(seconds(5));
    let (probe, waiting) = (event("A", "e", DeliveryChannel::Trunk), event("A", "e", DeliveryChannel::Trunk));
    assert_eq!(world.offer(&probe, 0).len(), 1);
    assert!(world.offer(&waiting, 0).is_empty(), "one probe at a time");
    let started = world.finish(probe.event, OK);
    assert_eq!(started[0].event.event, waiting.event);
}

#[test]
fn a_delivery_whose_lease_is_nearly_over_is_left_to_the_next_holder() {
    let mut world = World::new();
    let stale = event("A", "e", DeliveryChannel::Trunk);
    let delivery = Delivery {
        event: Arc::new(stale.clone()),
        attempts: 0,
        lease_until: world.now + Duration::from_millis(9_999),
        life_left: DURABLE_LIFE,
    };
    assert!(world.feed(Input::Offer(delivery.clone())).is_empty());
    assert!(world.settled.is_empty() && world.scheduler.items.is_empty());
    let just = Delivery { lease_until: world.now + seconds(10), ..delivery };
    assert_eq!(world.feed(Input::Offer(just)).len(), 1);
}

#[test]
fn after_a_stop_nothing_starts_and_retries_are_left_to_others() {
    let mut world = World::new();
    let events: Vec<_> =
        (0..=PER_ENDPOINT_IN_FLIGHT).map(|_| event("A", "e", DeliveryChannel::Trunk)).collect();
    for event in &events {
        world.offer(event, 0);
    }
    world.feed(Input::Stop);
    for event in &events {
        assert!(world.finish(event.event, ERROR).is_empty());
    }
    assert_eq!(world.settled.len(), PER_ENDPOINT_IN_FLIGHT, "the one in the line is left as it is");
    assert!(world.settled.iter().all(|settled| settled.verdict == Verdict::RetryLater { pause: seconds(1) }));
    assert!(world.pass(seconds(60)).is_empty());
}

#[test]
fn an_event_offered_twice_is_sent_once() {
    let mut world = World::new();
    let event = event("A", "e", DeliveryChannel::Trunk);
    assert_eq!(world.offer(&event, 0).len(), 1);
    assert!(world.offer(&event, 0).is_empty());
    world.finish(event.event, OK);
    assert_eq!(world.settled.len(), 1);
    assert!(world.finish(event.event, OK).is_empty());
    assert_eq!(world.settled.len(), 1);
}

#[test]
fn memory_is_bounded_per_endpoint() {
    let mut world = World::new();
    for _ in 0..PER_ENDPOINT_MAX + 50 {
        world.offer(&event("A", "hung", DeliveryChannel::DurableTrunk), 0);
    }
    assert_eq!(world.scheduler.items.len(), PER_ENDPOINT_MAX);
    assert_eq!(world.offer(&event("B", "e", DeliveryChannel::Trunk), 0).len(), 1);
}

#[test]
fn retries_never_take_the_places_of_first_attempts() {
    let mut world = World::new();
    for n in 0..IN_FLIGHT_MAX {
        world.offer(&event(&format!("R{n}"), "e", DeliveryChannel::DurableTrunk), 4);
    }
    assert_eq!(world.scheduler.in_flight(), IN_FLIGHT_MAX - FIRST_ATTEMPTS_RESERVED);
    let started: usize = (0..IN_FLIGHT_MAX)
        .map(|n| world.offer(&event(&format!("F{n}"), "e", DeliveryChannel::Trunk), 0).len())
        .sum();
    assert_eq!(started, FIRST_ATTEMPTS_RESERVED);
}

#[test]
fn one_hung_endpoint_among_a_thousand_does_not_delay_the_others() {
    // 200 events a second for a minute; endpoint 0 never answers, the others answer in 20 ms.
    const ENDPOINTS: u64 = 1_000;
    let answer = Duration::from_millis(20);
    let mut world = World::new();
    let mut answers: BinaryHeap<Reverse<(Instant, EventId, bool)>> = BinaryHeap::new();
    let mut offered_at: HashMap<EventId, Instant> = HashMap::new();
    let mut delays: Vec<Duration> = Vec::new();
    let begin = world.now;
    let mut next_offer = begin;
    let end = begin + seconds(60);
    let mut n = 0_u64;
    while next_offer < end {
        let next_answer = answers.peek().map(|Reverse((at, ..))| *at);
        let deadline = world.scheduler.deadline();
        world.now =
            [Some(next_offer), next_answer, deadline].into_iter().flatten().min().unwrap().max(world.now);
        let started = if next_answer == Some(world.now) {
            let Reverse((_, id, healthy)) = answers.pop().unwrap();
            world.finish(id, if healthy { OK } else { Finish::Unreachable })
        } else if next_offer == world.now {
            next_offer += Duration::from_millis(5);
            n += 1;
            // Every fifth event goes to the hung endpoint.
            let endpoint = if n.is_multiple_of(5) { 0 } else { 1 + n % (ENDPOINTS - 1) };
            let event =
                event(&format!("A{}", endpoint % 100), &endpoint.to_string(), DeliveryChannel::DurableTrunk);
            offered_at.insert(event.event, world.now);
            world.offer(&event, 0)
        } else {
            world.feed(Input::Tick)
        };
        for start in started {
            let healthy = start.event.endpoint_key != "0";
            if healthy && start.attempt == 1 {
                delays.push(world.now - offered_at[&start.event.event]);
            }
            let takes = if healthy { answer } else { start.timeout };
            answers.push(Reverse((world.now + takes, start.event.event, healthy)));
        }
    }
    assert!(delays.len() > 9_000, "{}", delays.len());
    assert_eq!(delays.iter().max(), Some(&Duration::ZERO), "healthy endpoints never wait");
    assert!(world.scheduler.items.len() <= PER_ENDPOINT_MAX + IN_FLIGHT_MAX);
}

#[derive(Clone, Debug)]
enum Step {
    Offer { account: u8, endpoint: u8, call: u8, durable: bool, attempts: u8 },
    Finish { which: u16, status: u16 },
    Pass { ms: u32 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_u8, 0..4_u8, 0..4_u8, any::<bool>(), 0..6_u8).prop_map(
            |(account, endpoint, call, durable, attempts)| Step::Offer { account, endpoint, call, durable, attempts }
        ),
        4 => (any::<u16>(), prop::sample::select(vec![0_u16, 200, 204, 302, 404, 410, 429, 500]))
            .prop_map(|(which, status)| Step::Finish { which, status }),
        1 => (0..40_000_u32).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn limits_hold_no_event_is_lost_and_none_is_sent_twice_at_once(steps in steps()) {
        let mut world = World::new();
        let mut under_way: Vec<Start> = Vec::new();
        let mut ids: HashSet<EventId> = HashSet::new();
        for step in steps {
            let started = match step {
                Step::Offer { account, endpoint, call, durable, attempts } => {
                    let channel =
                        if durable { DeliveryChannel::DurableTrunk } else { DeliveryChannel::Callback };
                    let mut event = event(&account.to_string(), &endpoint.to_string(), channel);
                    event.call = (call > 0).then(|| CallId(uuid::Uuid::from_u128(u128::from(call))));
                    event.sequence = ids.len() as u64;
                    ids.insert(event.event);
                    world.offer(&event, u32::from(attempts))
                }
                Step::Finish { which, status } => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let start = under_way.swap_remove(usize::from(which) % under_way.len());
                    let finish = match status {
                        0 => Finish::Unreachable,
                        status => Finish::Answered { status, retry_after: None },
                    };
                    world.finish(start.event.event, finish)
                }
                Step::Pass { ms } => world.pass(Duration::from_millis(u64::from(ms))),
            };
            for start in started {
                prop_assert!(!under_way.iter().any(|other| other.event.event == start.event.event));
                under_way.push(start);
            }
            prop_assert_eq!(world.scheduler.in_flight(), under_way.len());
            let mut per_endpoint: HashMap<(String, String), usize> = HashMap::new();
            for start in &under_way {
                let key = (start.event.account.to_string(), start.event.endpoint_key.clone());
                *per_endpoint.entry(key).or_default() += 1;
            }
            prop_assert!(per_endpoint.values().all(|count| *count <= PER_ENDPOINT_IN_FLIGHT));
        }
        // Let everything end: all that is in memory settles, and memory is empty.
        for _ in 0..10_000 {
            let Some(start) = under_way.pop() else {
                if world.scheduler.items.is_empty() {
                    break;
                }
                under_way.extend(world.pass(seconds(20)));
                continue;
            };
            under_way.extend(world.finish(start.event.event, OK));
        }
        prop_assert!(world.scheduler.items.is_empty(), "stuck: {}", world.scheduler.items.len());
        prop_assert_eq!(world.scheduler.in_flight(), 0);
        prop_assert!(world.scheduler.accounts_in_flight.is_empty());
    }
}
