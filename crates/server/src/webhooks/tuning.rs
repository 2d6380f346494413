//! Retry tuning in a URL's fragment, `#ct=2000&rt=5000&rc=2`: how Plivo's customers write it and
//! what Vobiz calls "callback-retry configurable". The fragment is cut before sending and signing.
//!
//! Values out of range are clamped; unknown keys and unreadable values are ignored, because a
//! fragment may just be a fragment.

use std::time::Duration;

use crate::egress::EgressError;

/// Connect time without `ct`.
const CONNECT_DEFAULT: Duration = Duration::from_secs(2);
/// Time of one try without `rt` and `tt`.
const TRY_DEFAULT: Duration = Duration::from_secs(10);
/// Longest time of one try.
const TRY_MAX: Duration = Duration::from_secs(55);
/// Further tries without `rc`.
const RETRIES_DEFAULT: u32 = 2;

/// Which failures are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// DNS, connect and TLS failures.
    pub connect: bool,
    /// Passed deadlines and broken connections.
    pub read: bool,
    /// 5xx.
    pub server_errors: bool,
    /// 4xx.
    pub client_errors: bool,
}

impl RetryOn {
    const DEFAULT: Self = Self { connect: true, read: true, server_errors: true, client_errors: false };
    const NOTHING: Self = Self { connect: false, read: false, server_errors: false, client_errors: false };

    /// Whether a failed connection or exchange is tried again.
    pub fn covers(self, error: &EgressError) -> bool {
        match error {
            EgressError::Dns { .. }
            | EgressError::Connect { .. }
            | EgressError::ConnectTimeout { .. }
            | EgressError::Tls(_) => self.connect,
            EgressError::Timeout | EgressError::Protocol(_) => self.read,
            // The same answer would come again.
            EgressError::Url(_)
            | EgressError::Refused { .. }
            | EgressError::TooLarge { .. }
            | EgressError::Redirect(_) => false,
        }
    }

    /// Whether this status is tried again.
    pub fn covers_status(self, status: u16) -> bool {
        match status {
            400..=499 => self.client_errors,
            500..=599 => self.server_errors,
            _ => false,
        }
    }
}

/// Deadlines and retries of one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// TCP connect (`ct`).
    pub connect: Duration,
    /// One try, connect and body included (`tt`, or `ct` + `rt`).
    pub attempt: Duration,
    /// Further tries (`rc`).
    pub retries: u32,
    /// Which failures are tried again (`rp`).
    pub retry_on: RetryOn,
}

impl Tuning {
    /// Reads the fragment of a URL as written.
    pub fn of(url: &str) -> Self {
        let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
        let (mut connect, mut read, mut total) = (None, None, None);
        let (mut retries, mut retry_on) = (RETRIES_DEFAULT, RetryOn::DEFAULT);
        // Plivo joins with `&`; `..` and `;` have been seen.
        for pair in fragment.split(['&', ';']).flat_map(|part| part.split("..")) {
            let Some((key, value)) = pair.split_once('=') else { continue };
            match key.trim() {
                "ct" => connect = millis(value, 100, 10_000).or(connect),
                "rt" => read = millis(value, 100, 40_000).or(read),
                "tt" => total = millis(value, 100, 55_000).or(total),
                "rc" => retries = value.trim().parse::<u32>().map_or(retries, |count| count.min(5)),
                "rp" => retry_on = policy(value).unwrap_or(retry_on),
                _ => {}
            }
        }
        let connect = connect.unwrap_or(CONNECT_DEFAULT);
        let attempt = total.or_else(|| read.map(|read| read + connect)).unwrap_or(TRY_DEFAULT.max(connect));
        Self { connect, attempt: attempt.min(TRY_MAX), retries, retry_on }
    }
}

fn millis(value: &str, min: u64, max: u64) -> Option<Duration> {
    value.trim().parse::<u64>().ok().map(|ms| Duration::from_millis(ms.clamp(min, max)))
}

fn policy(value: &str) -> Option<RetryOn> {
    let mut on = RetryOn::NOTHING;
    let mut known = false;
    for word in value.split([',', '+']) {
        let all = RetryOn { connect: true, read: true, server_errors: true, client_errors: true };
        known = true;
        match word.trim().to_ascii_lowercase().as_str() {
            "ct" => on.connect = true,
            "rt" => on.read = true,
            "4xx" => on.client_errors = true,
            "5xx" => on.server_errors = true,
            "all" => on = all,
            _ => known = false,
        }
    }
    known.then_some(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_fragment_the_defaults_hold() {
        let tuning = Tuning::of("https://app.example/a?ct=1");
        assert_eq!(tuning, Tuning::of("https://app.example/a#top"));
        assert_eq!(tuning.connect, Duration::from_secs(2));
        assert_eq!(tuning.attempt, Duration::from_secs(10));
        assert_eq!(tuning.retries, 2);
        assert_eq!(tuning.retry_on, RetryOn::DEFAULT);
    }

    #[test]
    fn values_are_read_and_clamped() {
        let tuning = Tuning::of("https://app.example/#ct=500&rt=1500&rc=5&rp=4xx,5xx");
        assert_eq!(tuning.connect, Duration::from_millis(500));
        assert_eq!(tuning.attempt, Duration::from_secs(2));
        assert_eq!(tuning.retries, 5);
        assert!(tuning.retry_on.covers_status(404) && tuning.retry_on.covers_status(503));
        assert!(!tuning.retry_on.covers(&EgressError::Timeout));
        let clamped = Tuning::of("https://app.example/#ct=99&tt=55001&rc=6&rp=nonsense");
        assert_eq!(clamped.connect, Duration::from_millis(100));
        assert_eq!(clamped.attempt, Duration::from_secs(55));
        assert_eq!(clamped.retries, 5);
        assert_eq!(clamped.retry_on, RetryOn::DEFAULT);
        assert_eq!(Tuning::of("https://app.example/#rc=0..ct=10001").retries, 0);
        assert_eq!(Tuning::of("https://app.example/#rc=0..ct=10001").connect, Duration::from_secs(10));
    }
}
