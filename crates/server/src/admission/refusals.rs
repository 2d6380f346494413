//! Refusals in a flood: past so many a second on one trunk they are counted on one record instead of writing one each, or a
//! misconfigured dialler would fill the disk. Asked by [`super::service`] about each refusal; what was counted is written every second.
//!
//! A kill -9 loses at most the count of the second it happens in; each of those calls has had its SIP answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, ErrorCode};
use tandem_store::calls::CountRefusals;

use super::context::Context;

/// Refusals of one trunk (or of one account's other calls) that get a record and an event of their own, each second.
pub(crate) const RECORDS_PER_SECOND: u32 = 10;
/// A counted record takes no more after this; a flood that goes on gets the next one.
const COUNTED_FOR: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// Whose refusals: a trunk's, or those of an account's calls without one.
type Source = (AccountId, Option<String>);

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It gets its record.
    Record,
    /// It was counted on another's record.
    Counted,
}

/// The refusals of one node.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Source, Window>>);

struct Window {
    began: Instant,
    recorded: u32,
    counted: HashMap<ErrorCode, Counted>,
}

/// A record that stands for many.
struct Counted {
    record: CallId,
    since: Instant,
    more: u64,
    last: Timestamp,
}

impl Refusals {
    /// Decides about a refusal.
    pub(crate) fn treat(&self, context: &Context, code: ErrorCode, now: Instant, at: Timestamp) -> Treatment {
        let source = source_of(context);
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(source).or_insert_with(|| Window {
            began: now,
            recorded: 0,
            counted: HashMap::new(),
        });
        if now.saturating_duration_since(window.began) >= SECOND {
            window.began = now;
            window.recorded = 0;
        }
        if window.recorded < RECORDS_PER_SECOND {
            window.recorded += 1;
            return Treatment::Record;
        }
        if let Some(counted) = window.counted.get_mut(&code)
            && (now.saturating_duration_since(counted.since) < COUNTED_FOR || counted.more > 0)
        {
            counted.more += 1;
            counted.last = at;
            return Treatment::Counted;
        }
        let record = context.facts.call;
        window.counted.insert(code, Counted { record, since: now, more: 0, last: at });
        Treatment::Record
    }

    /// A record that was to stand for others could not be written: nothing may be counted on it.
    pub(crate) fn failed(&self, context: &Context) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(&source_of(context)) {
            window.counted.retain(|_, counted| counted.record != context.facts.call);
        }
    }

    /// What was counted since the last time, and forgets whose floods are over.
    pub(crate) fn take(&self, now: Instant) -> Vec<CountRefusals> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        windows.retain(|_, window| {
            for counted in window.counted.values_mut().filter(|counted| counted.more > 0) {
                let more = std::mem::take(&mut counted.more);
                due.push(CountRefusals { record: counted.record, more, at: counted.last });
            }
            window.counted.retain(|_, counted| now.saturating_duration_since(counted.since) < COUNTED_FOR);
            !window.counted.is_empty() || now.saturating_duration_since(window.began) < SECOND
        });
        due
    }
}

fn source_of(context: &Context) -> Source {
    (context.payer.clone(), context.trunk.as_ref().map(|trunk| trunk.trunk_id.clone()))
}

#[cfg(test)]
mod tests {
    use tandem_model::{
        CallDirection, CallFacts, Currency, EventCallback, HttpMethod, Money, Rate, Refusal, UrlCall, clock,
    };

    use super::super::context::Product;
    use super::super::payload::TrunkFacts;
    use super::super::record::initiated_event;
    use super::*;

    fn refused_on(trunk: &str) -> Context {
        let call = CallId::random();
        let account = AccountId::new("MA_TEST");
        Context {
            facts: CallFacts {
                call,
                account: account.clone(),
                direction: CallDirection::Outbound,
                from: String::new(),
                to: String::new(),
                caller_name: String::new(),
                started_at: clock::wall(),
                bill_rate: String::new(),
                parent_account: account.clone(),
                a_leg: call,
                forwarded_from: None,
                custom_headers: Vec::new(),
            },
            payer: account,
            product: Product::SipTrunking,
            rate: Rate::FREE,
            currency: Currency::INR,
            hold: Money::ZERO,
            covered_s: None,
            visits: 1,
            trunk: Some(TrunkFacts {
                trunk_id: trunk.to_owned(),
                domain: String::new(),
                source_ip: String::new(),
                sip_call_id: String::new(),
            }),
            trunk_webhook: None,
            trunk_hears_recordings: false,
            default_callback: None,
            hangup: None,
            status: None,
            application: None,
            carrier: None,
            endpoint: None,
            parent_call: None,
            recording: None,
        }
    }

    #[test]
    fn a_trunk_without_a_webhook_tells_the_accounts_default_callback_and_one_with_its_own_does_not() {
        let call = |url: &str, method| Some(EventCallback::all(UrlCall { url: url.to_owned(), method }));
        let mut context = refused_on("7f6f0d3e-0000-4000-8000-000000000001");
        context.facts.direction = CallDirection::Outbound;
        assert_eq!(initiated_event(&context, None), None, "nobody wants to know");
        context.default_callback = call("https://shop.example/default", HttpMethod::Get);
        let event = initiated_event(&context, None).unwrap();
        assert_eq!((event.url.as_str(), event.method), ("https://shop.example/default", HttpMethod::Get));
        context.trunk_webhook = call("https://shop.example/trunk", HttpMethod::Post);
        let event = initiated_event(&context, None).unwrap();
        assert_eq!((event.url.as_str(), event.method), ("https://shop.example/trunk", HttpMethod::Post));
    }

    #[test]
    fn the_list_of_the_place_that_was_chosen_decides_and_what_it_leaves_out_falls_to_no_other() {
        let place = |url: &str, events: &str| {
            let call = UrlCall { url: format!("https://shop.example/{url}"), method: HttpMethod::Post };
            Some(EventCallback { call, events: events.parse().unwrap() })
        };
        let barred = Refusal::new(ErrorCode::CountryBarred);
        let told = |context: &Context| {
            let url = |refusal| initiated_event(context, refusal).map(|event| event.url);
            (url(None), url(Some(&barred)))
        };
        let default = || Some("https://shop.example/default".to_owned());
        let mut context = refused_on("7f6f0d3e-0000-4000-8000-000000000001");
        for (events, expected) in [
            ("", (default(), default())),
            ("Ring", (default(), default())),
            ("call.failed", (None, default())),
            ("Hangup,StartApp,recording.completed", (None, None)),
        ] {
            context.default_callback = place("default", events);
            assert_eq!(told(&context), expected, "{events}");
        }
        context.default_callback = place("default", "");
        context.trunk_webhook = place("trunk", "Hangup");
        assert_eq!(told(&context), (None, None), "the trunk's list, not the account's");
    }

    fn flood(refusals: &Refusals, trunk: &str, count: u32, code: ErrorCode, now: Instant) -> u32 {
        (0..count)
            .map(|_| refusals.treat(&refused_on(trunk), code, now, clock::wall()))
            .filter(|treatment| *treatment == Treatment::Record)
            .count() as u32
    }

    #[test]
    fn past_the_bound_one_record_stands_for_all_others_of_its_kind() {
        let (refusals, now) = (Refusals::default(), clock::monotonic());
        assert_eq!(
            flood(&refusals, "a", RECORDS_PER_SECOND, ErrorCode::CountryBarred, now),
            RECORDS_PER_SECOND
        );
        assert!(refusals.take(now).is_empty(), "at the bound every refusal has its own record");
        assert_eq!(flood(&refusals, "a", 50, ErrorCode::CountryBarred, now), 1);
        assert_eq!(flood(&refusals, "a", 5, ErrorCode::NoRoute, now), 1, "a record tells one cause");
        assert_eq!(
            flood(&refusals, "b", 3, ErrorCode::CountryBarred, now),
            3,
            "another trunk's calls are its own"
        );
        let mut counted: Vec<_> = refusals.take(now).into_iter().map(|due| due.more).collect();
        counted.sort_unstable();
        assert_eq!(counted, [4, 49]);
        assert!(refusals.take(now).is_empty(), "counted once");
    }

    #[test]
    fn the_counted_record_goes_on_for_a_minute_and_the_flood_after_it_gets_the_next() {
        let (refusals, start) = (Refusals::default(), clock::monotonic());
        flood(&refusals, "a", RECORDS_PER_SECOND + 1, ErrorCode::CpsExceeded, start);
        let records: u32 = (1..=59)
            .map(|second| {
                let now = start + SECOND * second;
                let records = flood(&refusals, "a", 100, ErrorCode::CpsExceeded, now);
                assert_eq!(
                    refusals.take(now).iter().map(|due| due.more).sum::<u64>() + u64::from(records),
                    100
                );
                records
            })
            .sum();
        assert_eq!(records, 59 * RECORDS_PER_SECOND);
        let later = start + SECOND * 61;
        assert!(refusals.take(later).is_empty());
        assert_eq!(flood(&refusals, "a", 100, ErrorCode::CpsExceeded, later), RECORDS_PER_SECOND + 1);
    }

    #[test]
    fn nothing_is_counted_on_a_record_that_was_not_written() {
        let (refusals, now) = (Refusals::default(), clock::monotonic());
        flood(&refusals, "a", RECORDS_PER_SECOND, ErrorCode::NoRoute, now);
        let lost = refused_on("a");
        assert_eq!(refusals.treat(&lost, ErrorCode::NoRoute, now, clock::wall()), Treatment::Record);
        refusals.failed(&lost);
        assert_eq!(flood(&refusals, "a", 2, ErrorCode::NoRoute, now), 1);
        let due = refusals.take(now);
        assert!(due.len() == 1 && due[0].record != lost.facts.call);
    }

    #[test]
    fn sources_whose_floods_are_over_are_forgotten() {
        let (refusals, now) = (Refusals::default(), clock::monotonic());
        for trunk in ["a", "b", "c"] {
            flood(&refusals, trunk, 1, ErrorCode::NoRoute, now);
        }
        refusals.take(now + SECOND);
        assert!(refusals.0.lock().unwrap().is_empty());
    }
}
