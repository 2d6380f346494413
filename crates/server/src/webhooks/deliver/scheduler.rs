//! The pure heart of delivery: what to send now, what to wait for, what to give up.
//!
//! Fairness: each endpoint is a first-in-first-out line with at most [`PER_ENDPOINT_IN_FLIGHT`] on
//! the way (and [`PER_ACCOUNT_IN_FLIGHT`] per account); lines take turns. First attempts have a lane
//! of their own with [`FIRST_ATTEMPTS_RESERVED`] places that retries cannot take, so one hung
//! endpoint costs the others nothing. Per call, a later event waits for an earlier one to the same
//! endpoint, but no longer than one timeout.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, EventId};

use super::breaker::{Breaker, Permission};
use super::rotation::{EndpointKey, Rotation};
use super::schedule::{pause_after, timeout};
use super::words::{Cause, Delivery, Finish, Input, Output, Settled, Start, Verdict};

/// Attempts under way, all in all.
pub(super) const IN_FLIGHT_MAX: usize = 512;
/// Of these, places only first attempts may take.
pub(super) const FIRST_ATTEMPTS_RESERVED: usize = 128;
/// Attempts under way to one endpoint.
pub(super) const PER_ENDPOINT_IN_FLIGHT: usize = 10;
/// Attempts under way for one account.
pub(super) const PER_ACCOUNT_IN_FLIGHT: usize = 100;
/// Deliveries in memory; more stay in the outbox until there is room.
pub(super) const DELIVERIES_MAX: usize = 20_000;
/// Deliveries in memory for one endpoint.
pub(super) const PER_ENDPOINT_MAX: usize = 2_000;
/// A retry due within this time is kept in memory; a later one goes back to the outbox.
pub(super) const KEPT_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long the node keeps a row, from its commit, its lease or its kept retry.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How long an endpoint that answered 410 gets nothing. Then one event asks again: a mistake heals.
pub(super) const GONE_FOR: Duration = Duration::from_hours(1);
/// Endpoints remembered only for their breaker.
const IDLE_ENDPOINTS_MAX: usize = 10_000;

/// First attempts and retries wait in different lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    First,
    Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In its endpoint's line.
    Ready,
    /// Behind an earlier event of its call.
    Held,
    /// Between two attempts.
    Pausing,
    InFlight(Lane),
}

/// Order among the events of a call.
type CallOrder = (Timestamp, u64, EventId);

struct Item {
    delivery: Delivery,
    key: EndpointKey,
    place: Place,
    /// When a held or pausing item becomes ready.
    wake_at: Instant,
    /// An earlier event of the call is waited for until then.
    hold_until: Instant,
    offered_at: Instant,
}

impl Item {
    fn lane(&self) -> Lane {
        if self.delivery.attempts == 0 { Lane::First } else { Lane::Retry }
    }

    fn order(&self) -> CallOrder {
        let event = &self.delivery.event;
        (event.created_at, event.sequence, event.event)
    }

    fn call(&self) -> Option<CallId> {
        self.delivery.event.call
    }

    fn timeout(&self) -> Duration {
        timeout(self.delivery.event.channel, self.delivery.attempts + 1)
    }
}

/// A URL that answered 410. A customer who writes another one is heard at once.
struct Gone {
    url: String,
    until: Instant,
}

impl Gone {
    fn covers(&self, url: &str, now: Instant) -> bool {
        self.url == url && now < self.until
    }
}

struct Endpoint {
    first: VecDeque<EventId>,
    retries: VecDeque<EventId>,
    in_flight: usize,
    deliveries: usize,
    breaker: Breaker,
    gone: Option<Gone>,
    /// Events of a call that are not settled, in order.
    calls: HashMap<CallId, BTreeSet<CallOrder>>,
}

impl Endpoint {
    fn new() -> Self {
        Self {
            first: VecDeque::new(),
            retries: VecDeque::new(),
            in_flight: 0,
            deliveries: 0,
            breaker: Breaker::new(),
            gone: None,
            calls: HashMap::new(),
        }
    }

    fn line(&mut self, lane: Lane) -> &mut VecDeque<EventId> {
        match lane {
            Lane::First => &mut self.first,
            Lane::Retry => &mut self.retries,
        }
    }

    fn is_forgettable(&self) -> bool {
        self.deliveries == 0 && self.breaker.is_pristine() && self.gone.is_none()
    }
}

/// Decides what is delivered when. See the module's words.
#[derive(Default)]
pub(super) struct Scheduler {
    items: HashMap<EventId, Item>,
    endpoints: HashMap<EndpointKey, Endpoint>,
    accounts_in_flight: HashMap<AccountId, usize>,
    /// Endpoints passed over because their account was at its limit.
    parked: HashMap<AccountId, Vec<EndpointKey>>,
    first: Rotation,
    retries: Rotation,
    first_in_flight: usize,
    retries_in_flight: usize,
    retry_turn: bool,
    stopping: bool,
    timers: BinaryHeap<Reverse<(Instant, EventId)>>,
    outputs: VecDeque<Output>,
}

impl Scheduler {
    /// Takes what happened.
    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Offer(delivery) => self.offer(now, delivery),
            Input::Finished(event, finish) => self.finish(now, event, finish),
            Input::Tick => {}
            Input::Stop => self.stopping = true,
        }
        self.wake(now);
        self.start_all(now);
    }

    /// The next thing to do.
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tick next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Deliveries that may be offered before memory is full.
    pub(super) fn room(&self) -> usize {
        DELIVERIES_MAX.saturating_sub(self.items.len())
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> usize {
        self.first_in_flight + self.retries_in_flight
    }

    fn offer(&mut self, now: Instant, delivery: Delivery) {
        let event = delivery.event.event;
        if let Some(known) = self.items.get_mut(&event) {
            // Leased again while it waited here: the same delivery.
            known.delivery.lease_until = known.delivery.lease_until.max(delivery.lease_until);
            return;
        }
        let key = EndpointKey {
            account: delivery.event.account.clone(),
            endpoint: delivery.event.endpoint_key.as_str().into(),
        };
        if self.room() == 0 {
            return;
        }
        let endpoint = self.endpoints.entry(key.clone()).or_insert_with(Endpoint::new);
        if endpoint.deliveries >= PER_ENDPOINT_MAX {
            return;
        }
        endpoint.deliveries += 1;
        let mut item =
            Item { delivery, key, place: Place::Ready, wake_at: now, hold_until: now, offered_at: now };
        item.hold_until = now + item.timeout();
        if let Some(call) = item.call() {
            endpoint.calls.entry(call).or_default().insert(item.order());
        }
        self.items.insert(event, item);
        self.make_ready(event);
    }

    fn finish(&mut self, now: Instant, event: EventId, finish: Finish) {
        let Some(item) = self.items.get_mut(&event) else { return };
        let Place::InFlight(lane) = item.place else { return };
        let (key, url) = (item.key.clone(), item.delivery.event.url.clone());
        item.delivery.attempts += 1;
        match lane {
            Lane::First => self.first_in_flight -= 1,
            Lane::Retry => self.retries_in_flight -= 1,
        }
        self.free_account(&key.account);
        if let Some(endpoint) = self.endpoints.get_mut(&key) {
            endpoint.in_flight -= 1;
            match finish {
                Finish::Answered { status: 410, .. } => {
                    endpoint.breaker.succeeded();
                    endpoint.gone = Some(Gone { url, until: now + GONE_FOR });
                }
                Finish::Answered { status: 429 | 500.., .. } | Finish::Unreachable => {
                    endpoint.breaker.failed(now)
                }
                Finish::Answered { .. } => {
                    endpoint.breaker.succeeded();
                    endpoint.gone = None;
                }
                // Says nothing about the endpoint.
                Finish::Impossible => {}
            }
        }
        let verdict = match finish {
            Finish::Answered { status: 200..=299, .. } => Verdict::Delivered,
            Finish::Answered { status: 410, .. } | Finish::Impossible => Verdict::Dead,
            Finish::Answered { retry_after, .. } => self.retry(now, event, retry_after),
            Finish::Unreachable => self.retry(now, event, None),
        };
        self.settle(now, event, verdict, Cause::Attempted);
        self.enter_lines(&key);
    }

    /// The verdict on a failed attempt (already counted).
    fn retry(&self, now: Instant, event: EventId, retry_after: Option<Duration>) -> Verdict {
        let Some(item) = self.items.get(&event) else { return Verdict::Dead };
        let delivery = &item.delivery;
        let life_left = delivery.life_left.saturating_sub(now.saturating_duration_since(item.offered_at));
        match pause_after(delivery.event.channel, delivery.attempts, event, retry_after, life_left) {
            None => Verdict::Dead,
            Some(pause) if pause <= KEPT_PAUSE_MAX && !self.stopping => Verdict::RetryHere { pause },
            Some(pause) => Verdict::RetryLater { pause },
        }
    }

    fn settle(&mut self, now: Instant, event: EventId, verdict: Verdict, cause: Cause) {
        let Some(item) = self.items.get_mut(&event) else { return };
        let attempt = item.delivery.attempts;
        if let Verdict::RetryHere { pause } = verdict {
            item.place = Place::Pausing;
            item.wake_at = now + pause;
            item.delivery.lease_until = now + pause + LEASE;
            self.timers.push(Reverse((item.wake_at, event)));
        } else {
            self.forget(event);
        }
        self.outputs.push_back(Output::Settled(Settled { event, attempt, verdict, cause }));
    }

    fn forget(&mut self, event: EventId) {
        let Some(item) = self.items.remove(&event) else { return };
        let Some(endpoint) = self.endpoints.get_mut(&item.key) else { return };
        endpoint.deliveries -= 1;
        let mut freed = Vec::new();
        if let Some(call) = item.call()
            && let Some(order) = endpoint.calls.get_mut(&call)
        {
            order.remove(&item.order());
            freed.extend(order.iter().map(|(_, _, id)| *id));
            if order.is_empty() {
                endpoint.calls.remove(&call);
            }
        }
        if endpoint.is_forgettable()
            || (endpoint.deliveries == 0 && self.endpoints.len() > IDLE_ENDPOINTS_MAX)
        {
            self.endpoints.remove(&item.key);
        }
        for id in freed {
            if self.items.get(&id).is_some_and(|waiting| waiting.place == Place::Held) {
                self.make_ready(id);
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some(Reverse((at, event))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            // A timer of an item that has moved on since is stale.
            let due = self.items.get(&event).is_some_and(|item| {
                matches!(item.place, Place::Held | Place::Pausing) && item.wake_at <= now
            });
            if due {
                self.make_ready(event);
            }
        }
    }

    fn make_ready(&mut self, event: EventId) {
        let Some(item) = self.items.get_mut(&event) else { return };
        item.place = Place::Ready;
        let lane = item.lane();
        let Some(endpoint) = self.endpoints.get_mut(&item.key) else { return };
        endpoint.line(lane).push_back(event);
        match lane {
            Lane::First => self.first.enter(&item.key),
            Lane::Retry => self.retries.enter(&item.key),
        }
    }

    fn start_all(&mut self, now: Instant) {
        while self.in_flight() < IN_FLIGHT_MAX && !self.stopping {
            let lanes = if self.retry_turn { [Lane::Retry, Lane::First] } else { [Lane::First, Lane::Retry] };
            let started = lanes.into_iter().any(|lane| self.has_place(lane) && self.start_one(now, lane));
            if !started {
                return;
            }
            self.retry_turn = !self.retry_turn;
        }
    }

    fn has_place(&self, lane: Lane) -> bool {
        lane == Lane::First || self.retries_in_flight < IN_FLIGHT_MAX - FIRST_ATTEMPTS_RESERVED
    }

    /// Starts one delivery of a lane, if any may start.
    fn start_one(&mut self, now: Instant, lane: Lane) -> bool {
        loop {
            let next = match lane {
                Lane::First => self.first.next(),
                Lane::Retry => self.retries.next(),
            };
            let Some(key) = next else { return false };
            if self.accounts_in_flight.get(&key.account).copied().unwrap_or(0) >= PER_ACCOUNT_IN_FLIGHT {
                self.parked.entry(key.account.clone()).or_default().push(key);
                continue;
            }
            let Some(endpoint) = self.endpoints.get_mut(&key) else { continue };
            let permission = endpoint.breaker.permission(now);
            match permission {
                Permission::Fail => self.fail_line(now, &key),
                // Comes back when one of those under way is.
                Permission::Wait => {}
                _ if endpoint.in_flight >= PER_ENDPOINT_IN_FLIGHT => {}
                Permission::Send | Permission::Probe => {
                    if self.start_next(now, &key, lane, permission) {
                        return true;
                    }
                }
            }
        }
    }

    /// Starts the first of a line that may start; those that may not are held or forgotten.
    fn start_next(&mut self, now: Instant, key: &EndpointKey, lane: Lane, permission: Permission) -> bool {
        while let Some(event) =
            self.endpoints.get_mut(key).and_then(|endpoint| endpoint.line(lane).pop_front())
        {
            let Some(item) = self.items.get_mut(&event) else { continue };
            if item.delivery.lease_until < now + item.timeout() {
                // Another node may take the row before we could have an answer.
                self.forget(event);
                continue;
            }
            let Some(endpoint) = self.endpoints.get_mut(key) else { continue };
            if endpoint.gone.as_ref().is_some_and(|gone| gone.covers(&item.delivery.event.url, now)) {
                item.delivery.attempts += 1;
                self.settle(now, event, Verdict::Dead, Cause::EndpointGone);
                continue;
            }
            let earlier = item
                .call()
                .and_then(|call| endpoint.calls.get(&call))
                .and_then(|order| order.first())
                .is_some_and(|first| *first < item.order());
            if earlier && now < item.hold_until {
                item.place = Place::Held;
                item.wake_at = item.hold_until;
                self.timers.push(Reverse((item.wake_at, event)));
                continue;
            }
            item.place = Place::InFlight(lane);
            if permission == Permission::Probe {
                endpoint.breaker.probing();
            }
            endpoint.in_flight += 1;
            *self.accounts_in_flight.entry(key.account.clone()).or_default() += 1;
            match lane {
                Lane::First => self.first_in_flight += 1,
                Lane::Retry => self.retries_in_flight += 1,
            }
            let start = Start {
                event: item.delivery.event.clone(),
                attempt: item.delivery.attempts + 1,
                timeout: item.timeout(),
            };
            self.outputs.push_back(Output::Start(start));
            self.enter_lines(key);
            return true;
        }
        false
    }

    /// Fails all that waits in the lines of an endpoint whose circuit is open, without sending.
    fn fail_line(&mut self, now: Instant, key: &EndpointKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        let waiting: Vec<_> = endpoint.first.drain(..).chain(endpoint.retries.drain(..)).collect();
        for event in waiting {
            let Some(item) = self.items.get_mut(&event) else { continue };
            item.delivery.attempts += 1;
            let verdict = self.retry(now, event, None);
            self.settle(now, event, verdict, Cause::CircuitOpen);
        }
    }

    fn free_account(&mut self, account: &AccountId) {
        if let Some(count) = self.accounts_in_flight.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                self.accounts_in_flight.remove(account);
            }
        }
        for key in self.parked.remove(account).unwrap_or_default() {
            self.enter_lines(&key);
        }
    }

    fn enter_lines(&mut self, key: &EndpointKey) {
        let Some(endpoint) = self.endpoints.get(key) else { return };
        if !endpoint.first.is_empty() {
            self.first.enter(key);
        }
        if !endpoint.retries.is_empty() {
            self.retries.enter(key);
        }
    }
}

#[cfg(test)]
mod tests;
