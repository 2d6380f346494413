//! How often one may ask: token buckets on this node. An account has one for requests that read, one for those that
//! change something and one for those that make calls; a sub-account has its own limit a minute besides; sign-ins
//! have one per e-mail address and one per source. Every answer says how one stands; a refusal says when to come
//! again, and then there is a token.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use tandem_model::{AccountId, ErrorCode, clock};

use super::source::bucket_of;
use crate::api::ApiError;
use crate::config::ApiConfig;
use crate::directory::AccountEntry;

/// Above so many buckets full ones are forgotten: a full bucket remembers nothing.
const FORGET_ABOVE: usize = 10_000;
/// Most buckets of one kind. Who would need another one waits.
const BUCKETS_MAX: usize = 200_000;
/// Between two rounds of forgetting.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// What a sub-account may ask a minute unless its `rate_limit` says otherwise (REST reference §3).
const SUB_ACCOUNT_PER_MINUTE: u32 = 1000;
/// Letters with a password link to one address: three at once, then three an hour.
const FORGOTTEN: Rate = Rate { per_second: 3.0 / 3600.0, burst: 3.0 };
/// The pattern of the route that makes calls.
const MAKE_CALLS: &str = "/api/v1/Account/{auth_id}/Call";

/// So many a second, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    per_second: f64,
    burst: f64,
}

impl Rate {
    fn per_second(per_second: u32, burst: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), burst: f64::from(burst.max(1)) }
    }

    fn per_minute(per_minute: u32) -> Self {
        let burst = f64::from(per_minute.max(1));
        Self { per_second: burst / 60.0, burst }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Read,
    Write,
    Call,
    /// Anything, by a sub-account.
    Any,
}

impl Class {
    fn of(method: &Method, pattern: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Read,
            Method::POST if pattern == MAKE_CALLS => Self::Call,
            _ => Self::Write,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Read => "requests_per_second",
            Self::Write => "changes_per_second",
            Self::Call => "call_requests_per_second",
            Self::Any => "requests_per_minute",
        }
    }
}

/// How somebody stands with one of his buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    limit: u32,
    remaining: u32,
    /// Seconds until the bucket is full; of a refusal, until there is a token.
    reset_s: u32,
    refused: bool,
}

/// How the asker of one request stands, for the headers of its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted(Arc<Mutex<Option<Standing>>>);

impl Noted {
    fn note(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
    }

    /// `RateLimit-…` as the IETF draft has them (Reset in seconds from now), `X-RateLimit-…` as generated SDKs read
    /// them (Reset as Unix seconds). Nothing when nobody was counted.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(standing) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return };
        // Whole seconds round up: who comes back at that second finds a token.
        let now = clock::wall();
        let second = now.as_second() + i64::from(now.subsec_nanosecond() > 0);
        headers.insert("ratelimit-limit", HeaderValue::from(standing.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(standing.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(standing.reset_s));
        headers.insert("x-ratelimit-limit", HeaderValue::from(standing.limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(standing.remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(second + i64::from(standing.reset_s)));
    }
}

/// All limits of one node.
pub(crate) struct Limits {
    read: Rate,
    write: Rate,
    call: Rate,
    login: Rate,
    login_source: Rate,
    accounts: Buckets<(AccountId, Class)>,
    emails: Buckets<String>,
    sources: Buckets<IpAddr>,
}

impl Limits {
    /// As configured.
    pub(crate) fn new(api: &ApiConfig) -> Self {
        let as_read = |per_second: u32, burst: u32| {
            let or = |own: u32, usual: u32| if own == 0 { usual } else { own };
            Rate::per_second(or(per_second, api.rate_limit_per_s), or(burst, api.rate_limit_burst))
        };
        Self {
            read: Rate::per_second(api.rate_limit_per_s, api.rate_limit_burst),
            write: as_read(api.write_rate_limit_per_s, api.write_rate_limit_burst),
            call: as_read(api.call_rate_limit_per_s, api.call_rate_limit_burst),
            login: Rate::per_minute(api.logins_per_minute),
            login_source: Rate::per_minute(api.logins_per_minute_source),
            accounts: Buckets::default(),
            emails: Buckets::default(),
            sources: Buckets::default(),
        }
    }

    /// Counts a request of an account, or refuses it.
    pub(super) fn admit(
        &self,
        account: &AccountEntry,
        method: &Method,
        pattern: &str,
        noted: Option<&Noted>,
        now: Instant,
    ) -> Result<(), ApiError> {
        let class = Class::of(method, pattern);
        let rate = match class {
            Class::Read => self.read,
            Class::Call => self.call,
            Class::Write | Class::Any => self.write,
        };
        let mut tightest = (class, rate, self.accounts.take(&(account.id.clone(), class), rate, now));
        if let Some(per_minute) = account.requests_per_minute.filter(|_| !tightest.2.refused) {
            let rate = Rate::per_minute(per_minute);
            let own = self.accounts.take(&(account.id.clone(), Class::Any), rate, now);
            if own.refused || own.remaining < tightest.2.remaining {
                tightest = (Class::Any, rate, own);
            }
        }
        let (class, rate, standing) = tightest;
        if let Some(noted) = noted {
            noted.note(standing);
        }
        let shown = if class == Class::Any { rate.burst } else { rate.per_second };
        refused(class.word(), shown as u32, standing)
    }

    /// Counts a request of somebody unknown that makes this node work: a sign-in, a renewal, a forgotten password.
    pub(crate) fn admit_stranger(&self, source: Option<IpAddr>, now: Instant) -> Result<(), ApiError> {
        let Some(source) = source else { return Ok(()) };
        let standing = self.sources.take(&bucket_of(source), self.login_source, now);
        refused("logins_per_minute_source", self.login_source.burst as u32, standing)
    }

    /// Counts a sign-in with an e-mail address: guessing one person's password from everywhere is slow too.
    pub(crate) fn admit_login(&self, email: &str, noted: &Noted, now: Instant) -> Result<(), ApiError> {
        let standing = self.emails.take(email, self.login, now);
        noted.note(standing);
        refused("logins_per_minute", self.login.burst as u32, standing)
    }
}

impl Limits {
    /// Counts a letter asked for, whether or not anybody has the address: its owner is not to be flooded.
    pub(crate) fn admit_forgotten(&self, email: &str, noted: &Noted, now: Instant) -> Result<(), ApiError> {
        let standing = self.emails.take(format!("forgot {email}").as_str(), FORGOTTEN, now);
        noted.note(standing);
        refused("password_links_per_hour", FORGOTTEN.burst as u32, standing)
    }
}

/// What a sub-account may ask a minute, from its `rate_limit`.
pub(crate) fn requests_per_minute(kind: &str, profile: &str) -> Option<u32> {
    if kind != "sub" {
        return None;
    }
    let profile: Value = serde_json::from_str(profile).unwrap_or_default();
    let given = profile.get("rate_limit").and_then(Value::as_u64).and_then(|limit| u32::try_from(limit).ok());
    Some(given.unwrap_or(SUB_ACCOUNT_PER_MINUTE))
}

fn refused(what: impl Display, limit: u32, standing: Standing) -> Result<(), ApiError> {
    if !standing.refused {
        return Ok(());
    }
    let seconds = standing.reset_s;
    Err(ApiError::new(ErrorCode::RateLimited).retry_after(seconds).details(serde_json::json!({
        "limitType": what.to_string(), "limit": limit, "current": limit, "retryAfter": seconds,
    })))
}

struct Buckets<K>(Mutex<Table<K>>);

struct Table<K> {
    buckets: HashMap<K, Bucket>,
    forgotten_at: Option<Instant>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::new(Table { buckets: HashMap::new(), forgotten_at: None }))
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    counted_at: Instant,
}

impl Bucket {
    fn refilled(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        (self.tokens + passed * self.rate.per_second).min(self.rate.burst)
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Takes one token, if there is one.
    fn take<Q>(&self, key: &Q, rate: Rate, now: Instant) -> Standing
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { buckets, forgotten_at } = &mut *table;
        if buckets.len() > FORGET_ABOVE
            && forgotten_at.is_none_or(|at| now.saturating_duration_since(at) >= FORGET_EVERY)
        {
            buckets.retain(|_, bucket| bucket.refilled(now) < bucket.rate.burst);
            *forgotten_at = Some(now);
        }
        let limit = rate.burst as u32;
        let before = match buckets.get(key) {
            // A limit that was changed meanwhile counts from now on.
            Some(bucket) => bucket.refilled(now).min(rate.burst),
            None if buckets.len() >= BUCKETS_MAX => {
                return Standing { limit, remaining: 0, reset_s: 1, refused: true };
            }
            None => rate.burst,
        };
        let refused = before < 1.0;
        let tokens = if refused { before } else { before - 1.0 };
        buckets.insert(key.to_owned(), Bucket { rate, tokens, counted_at: now });
        let missing = if refused { 1.0 - tokens } else { rate.burst - tokens };
        let reset_s = (missing / rate.per_second).ceil().max(1.0) as u32;
        Standing { limit, remaining: tokens as u32, reset_s, refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gets_his_burst_then_his_rate_and_takes_nothing_from_others() {
        let buckets = Buckets::<String>::default();
        let rate = Rate::per_second(2, 5);
        let start = clock::monotonic();
        let taken = |who: &str, at| (0..20).filter(|_| !buckets.take(who, rate, at).refused).count();
        let first = buckets.take("c", rate, start);
        assert_eq!(first, Standing { limit: 5, remaining: 4, reset_s: 1, refused: false });
        assert_eq!(taken("a", start), 5);
        let past = buckets.take("a", rate, start);
        assert_eq!(past, Standing { limit: 5, remaining: 0, reset_s: 1, refused: true });
        assert_eq!(taken("b", start), 5);
        assert_eq!(taken("a", start + Duration::from_secs(1)), 2);
        assert_eq!(taken("a", start + Duration::from_mins(10)), 5);
    }

    #[test]
    fn who_waits_as_long_as_he_is_told_gets_in() {
        let buckets = Buckets::<String>::default();
        for per_minute in [1, 7, 10, 59, 61, 1000] {
            let (who, rate) = (per_minute.to_string(), Rate::per_minute(per_minute));
            let mut now = clock::monotonic();
            for _ in 0..per_minute {
                assert!(!buckets.take(&who, rate, now).refused);
            }
            for _ in 0..5 {
                let refused = loop {
                    let standing = buckets.take(&who, rate, now);
                    if standing.refused {
                        break standing;
                    }
                };
                now += Duration::from_secs(u64::from(refused.reset_s));
                assert!(!buckets.take(&who, rate, now).refused, "{per_minute}");
            }
        }
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_for_ever_nor_locks_out_who_is_in_it() {
        let buckets = Buckets::<u32>::default();
        let rate = Rate::per_minute(2);
        let start = clock::monotonic();
        for name in 0..u32::try_from(BUCKETS_MAX).unwrap() {
            assert!(!buckets.take(&name, rate, start).refused);
        }
        assert!(buckets.take(&u32::MAX, rate, start).refused, "one past");
        assert!(!buckets.take(&7, rate, start).refused);
        assert!(
            !buckets.take(&u32::MAX, rate, start + Duration::from_secs(31)).refused,
            "full ones are forgotten"
        );
        assert!(buckets.0.lock().unwrap().buckets.len() < 10);
    }

    #[test]
    fn a_sub_account_has_its_own_limit_or_the_usual_one() {
        assert_eq!(requests_per_minute("master", r#"{"rate_limit":5}"#), None);
        assert_eq!(requests_per_minute("sub", r#"{"rate_limit":5}"#), Some(5));
        assert_eq!(requests_per_minute("sub", r#"{"rate_limit":-5}"#), Some(1000));
        assert_eq!(requests_per_minute("sub", ""), Some(1000));
    }
}
