//! What must be so when a call is over.

use std::time::{Duration, Instant};

use super::CallFacts;
use crate::outcome::{Outcome, Verdict};
use crate::script::Ending;
use crate::values::{Bounds, told};

/// One outcome for each demand.
pub(super) fn judge(expect: &Ending, call: &CallFacts, keys: &str, at_ms: u64) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut note = |title: &str, verdict: Verdict| {
        outcomes.push(Outcome::at_end(expect.place, format!("at the end: {title}"), at_ms, verdict));
    };
    let end = call.ended.as_ref().map(|(_, end)| end);
    if let Some(wanted) = expect.answered {
        note("answered", same(&wanted, &call.answered.is_some()));
    }
    if let Some(wanted) = expect.status {
        let status = end.map(|end| end.status).unwrap_or_default();
        let heard = end.map_or_else(|| "none".to_owned(), |end| format!("{} {}", end.status, end.phrase));
        note("status", judged(wanted == status, wanted.to_string(), heard));
    }
    if let Some(wanted) = expect.cause {
        let reason = end.and_then(|end| end.reason.as_deref());
        let heard = reason.unwrap_or("no Reason header").to_owned();
        note(
            "cause",
            judged(reason.and_then(cause_of) == Some(wanted), format!("Q.850 cause {wanted}"), heard),
        );
    }
    if let Some(wanted) = expect.ended_by {
        let by = end.map(|end| end.by);
        let heard = by.map_or("nobody: it is not over", |by| by.word()).to_owned();
        note("ended_by", judged(by == Some(wanted), wanted.word().to_owned(), heard));
    }
    let began = call.dialled.or(call.called);
    let ringing = call.rang.or(call.early_media).or(call.answered);
    let ended = call.ended.as_ref().map(|(at, _)| *at);
    for (title, bounds, from, to) in [
        ("post_dial_delay", expect.post_dial_delay_ms, began, ringing),
        ("answered_within", expect.answered_ms, began, call.answered),
        ("first_audio_within", expect.first_audio_ms, call.answered, call.first_audio),
        ("duration", expect.duration_ms, call.answered, ended),
    ] {
        if let Some(bounds) = bounds {
            note(title, time(bounds, from, to));
        }
    }
    if let Some(wanted) = &expect.digits {
        note("digits", judged(wanted == keys, format!("{wanted:?}"), format!("{keys:?}")));
    }
    if let Some(wanted) = expect.early_media {
        note("early_media", same(&wanted, &call.early_audio));
    }
    outcomes
}

fn judged(holds: bool, expected: String, heard: String) -> Verdict {
    if holds { Verdict::held(heard) } else { Verdict::missed(expected, heard) }
}

fn same(wanted: &bool, heard: &bool) -> Verdict {
    judged(wanted == heard, wanted.to_string(), heard.to_string())
}

fn time(bounds: Bounds<u64>, from: Option<Instant>, to: Option<Instant>) -> Verdict {
    let words = bounds.words(|ms| told(Duration::from_millis(ms)));
    let (Some(from), Some(to)) = (from, to) else { return Verdict::missed(words, "it did not happen") };
    let length = to.saturating_duration_since(from);
    judged(bounds.hold(length.as_millis() as u64), words, told(length))
}

/// The cause of `Q.850;cause=16;text="…"`.
fn cause_of(reason: &str) -> Option<u16> {
    let rest = reason.strip_prefix("Q.850")?;
    rest.split(';').find_map(|word| word.trim().strip_prefix("cause="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::cause_of;

    #[test]
    fn the_cause_is_read_from_the_reason_header() {
        assert_eq!(cause_of("Q.850;cause=16;text=\"Normal\""), Some(16));
        assert_eq!(cause_of("SIP;cause=486"), None);
        assert_eq!(cause_of("Q.850"), None);
    }
}
