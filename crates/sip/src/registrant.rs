//! Registering at somebody else's registrar (RFC 3261 §10.2): when to ask, what to do with the answer, how long to wait
//! after a refusal.
//!
//! Used by the driver for gateways that expect their customers to register. It sends what this says and reports what came;
//! passwords and sockets stay outside. Promises: a binding is refreshed well before it runs out; a registrar that refuses
//! or is silent is asked again ever more rarely, from half a minute to half an hour (RFC 5626 §4.5).

use std::time::Duration;

/// Asked for where nothing else is said.
pub const DEFAULT_INTERVAL_SECONDS: u32 = 3_600;
/// Longest interval agreed to, whatever a registrar's Min-Expires says.
const MAX_INTERVAL_SECONDS: u32 = 86_400;
/// First pause after a failure; doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);
/// Shortest time between two refreshes, whatever a registrar grants.
const SHORTEST_REFRESH: Duration = Duration::from_secs(5);
/// Challenges answered for one REGISTER: one, and one more for a stale nonce.
const MAX_CHALLENGES: u8 = 2;

/// What came back to a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What our Contact, or the Expires header, was granted.
    pub expires: Option<u32>,
    /// Min-Expires.
    pub min_expires: Option<u32>,
    /// Retry-After.
    pub retry_after: Option<u32>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Registered; ask again after this long.
    Registered(Duration),
    /// Ask again at once with the answer to the challenge.
    Authorize,
    /// Ask again at once, with the new interval.
    Again,
    /// Not registered; ask again after this long.
    Later(Duration),
}

/// One registration of ours.
#[derive(Clone, Debug)]
pub struct Registrant {
    cseq: u32,
    interval_seconds: u32,
    failures: u32,
    challenges: u8,
    adjusted: bool,
}

impl Default for Registrant {
    fn default() -> Self {
        Self::new(DEFAULT_INTERVAL_SECONDS)
    }
}

impl Registrant {
    /// A registration for this long at a time.
    pub fn new(interval_seconds: u32) -> Self {
        Self { cseq: 0, interval_seconds, failures: 0, challenges: 0, adjusted: false }
    }

    /// The CSeq number of the next REGISTER: all have one Call-ID (§10.2).
    pub fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }

    /// The interval to ask for.
    pub fn interval_seconds(&self) -> u32 {
        self.interval_seconds
    }

    /// A final response has come.
    pub fn on_answer(&mut self, answer: Answer) -> Next {
        match answer.status {
            200..=299 => {
                (self.failures, self.challenges, self.adjusted) = (0, 0, false);
                let granted = answer.expires.unwrap_or(self.interval_seconds).min(MAX_INTERVAL_SECONDS);
                // A tenth before its end, and at least a few seconds: an answer may take a retransmission or two.
                let lead = (granted / 10).max(5);
                let refresh = Duration::from_secs(u64::from(granted.saturating_sub(lead)));
                Next::Registered(refresh.max(SHORTEST_REFRESH))
            }
            401 | 407 if self.challenges < MAX_CHALLENGES => {
                self.challenges += 1;
                Next::Authorize
            }
            423 if !self.adjusted => match answer.min_expires {
                Some(least) if least > self.interval_seconds && least <= MAX_INTERVAL_SECONDS => {
                    self.adjusted = true;
                    self.interval_seconds = least;
                    Next::Again
                }
                _ => self.failed(None),
            },
            _ => self.failed(answer.retry_after),
        }
    }

    /// Nothing came back, the connection failed, or the challenge cannot be answered.
    pub fn on_failure(&mut self) -> Next {
        self.failed(None)
    }

    fn failed(&mut self, retry_after: Option<u32>) -> Next {
        (self.challenges, self.adjusted) = (0, false);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let asked = retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Next::Later(asked.map_or(pause, |asked| asked.clamp(Duration::from_secs(1), LONGEST_PAUSE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status, expires: None, min_expires: None, retry_after: None }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_binding_is_refreshed_a_tenth_before_its_end() {
        let mut ours = Registrant::default();
        assert_eq!(ours.on_answer(answer(200)), Next::Registered(seconds(3_240)));
        let granted = |expires| Answer { expires: Some(expires), ..answer(200) };
        assert_eq!(ours.on_answer(granted(60)), Next::Registered(seconds(54)));
        assert_eq!(ours.on_answer(granted(8)), Next::Registered(SHORTEST_REFRESH));
        assert_eq!(ours.on_answer(granted(0)), Next::Registered(SHORTEST_REFRESH));
    }

    #[test]
    fn a_challenge_is_answered_once_and_once_more_if_the_nonce_was_stale() {
        let mut ours = Registrant::default();
        assert_eq!(ours.on_answer(answer(401)), Next::Authorize);
        assert_eq!(ours.on_answer(answer(401)), Next::Authorize);
        assert_eq!(ours.on_answer(answer(401)), Next::Later(FIRST_PAUSE));
        assert_eq!(ours.on_answer(answer(407)), Next::Authorize, "the next attempt is a new one");
    }

    #[test]
    fn a_longer_interval_is_agreed_to_once() {
        let mut ours = Registrant::new(60);
        let brief = |least| Answer { min_expires: Some(least), ..answer(423) };
        assert_eq!(ours.on_answer(brief(1_800)), Next::Again);
        assert_eq!(ours.interval_seconds(), 1_800);
        assert_eq!(ours.on_answer(brief(3_600)), Next::Later(FIRST_PAUSE));
        let mut ours = Registrant::new(60);
        assert_eq!(ours.on_answer(brief(MAX_INTERVAL_SECONDS + 1)), Next::Later(FIRST_PAUSE));
    }

    #[test]
    fn a_registrar_that_refuses_is_asked_ever_more_rarely_and_one_that_names_a_time_then() {
        let mut ours = Registrant::default();
        let pauses: Vec<_> = (0..8)
            .map(|_| match ours.on_failure() {
                Next::Later(pause) => pause.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_800, 1_800]);
        let busy = Answer { retry_after: Some(7), ..answer(503) };
        assert_eq!(ours.on_answer(busy), Next::Later(seconds(7)));
        let rude = Answer { retry_after: Some(1_000_000), ..answer(503) };
        assert_eq!(ours.on_answer(rude), Next::Later(LONGEST_PAUSE));
        assert!(matches!(ours.on_answer(answer(200)), Next::Registered(_)));
        assert_eq!(ours.on_failure(), Next::Later(FIRST_PAUSE));
    }

    #[test]
    fn numbers_rise_with_every_request() {
        let mut ours = Registrant::default();
        assert_eq!((ours.next_cseq(), ours.next_cseq()), (1, 2));
    }
}
