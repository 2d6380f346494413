//! A circuit breaker per endpoint: after [`FAILURES_TO_OPEN`] failures in a row nothing is sent for
//! a while; then one probe decides.

use std::time::{Duration, Instant};

/// Failures in a row that open the circuit: more than one event's quick attempts.
pub(super) const FAILURES_TO_OPEN: u32 = 10;
/// How long it stays open at first; doubled by every failed probe.
const OPEN_FIRST: Duration = Duration::from_secs(5);
/// How long it stays open at most.
const OPEN_MAX: Duration = Duration::from_mins(1);

/// What an endpoint's history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Send; this many failures in a row so far.
    Closed { failures: u32 },
    /// Do not send before `until`.
    Open { until: Instant, pause: Duration },
    /// One probe is on its way.
    HalfOpen { pause: Duration },
}

/// May something be sent?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    /// Yes.
    Send,
    /// Yes, this one alone: call [`Breaker::probing`] with it.
    Probe,
    /// Not before the probe on its way is back.
    Wait,
    /// No: fail at once.
    Fail,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::new();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::Open { until: now + OPEN_FIRST, pause: OPEN_FIRST },
            Self::HalfOpen { pause } => {
                let pause = (pause * 2).min(OPEN_MAX);
                Self::Open { until: now + pause, pause }
            }
            // One that was under way when the circuit opened.
            Self::Open { .. } => *self,
        };
    }

    pub(super) fn probing(&mut self) {
        if let Self::Open { pause, .. } = *self {
            *self = Self::HalfOpen { pause };
        }
    }

    pub(super) fn permission(&self, now: Instant) -> Permission {
        match *self {
            Self::Closed { .. } => Permission::Send,
            Self::Open { until, .. } if now < until => Permission::Fail,
            Self::Open { .. } => Permission::Probe,
            Self::HalfOpen { .. } => Permission::Wait,
        }
    }

    /// Nothing worth remembering.
    pub(super) const fn is_pristine(&self) -> bool {
        matches!(self, Self::Closed { failures: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_ten_failures_in_a_row_and_a_success_counts_anew() {
        let now = tandem_model::clock::monotonic();
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES_TO_OPEN - 1 {
            breaker.failed(now);
        }
        assert_eq!(breaker.permission(now), Permission::Send);
        breaker.succeeded();
        for _ in 0..FAILURES_TO_OPEN {
            assert_eq!(breaker.permission(now), Permission::Send);
            breaker.failed(now);
        }
        assert_eq!(breaker.permission(now), Permission::Fail);
    }

    #[test]
    fn one_probe_decides_and_failed_probes_double_the_pause_up_to_a_minute() {
        let mut now = tandem_model::clock::monotonic();
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES_TO_OPEN {
            breaker.failed(now);
        }
        for pause_s in [5, 10, 20, 40, 60, 60] {
            now += Duration::from_millis(pause_s * 1000 - 1);
            assert_eq!(breaker.permission(now), Permission::Fail);
            now += Duration::from_millis(1);
            assert_eq!(breaker.permission(now), Permission::Probe);
            breaker.probing();
            assert_eq!(breaker.permission(now), Permission::Wait);
            breaker.failed(now);
        }
        now += OPEN_MAX;
        breaker.probing();
        breaker.succeeded();
        assert!(breaker.is_pristine());
    }
}
