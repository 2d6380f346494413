//! What the script's web server was asked, and whether that is what must have been asked.

use std::time::Duration;

use serde::Serialize;

use crate::outcome::{Outcome, Verdict};
use crate::script::{RequestExpectation, RequestMatch, Served, Since, Webhooks};
use crate::values;

/// Requests remembered; more are answered and forgotten.
pub const MAX_RECEIVED: usize = 10_000;
/// Requests told in a message.
const TOLD: usize = 8;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Milliseconds since the script's start.
    pub at_ms: u64,
    /// GET, POST.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Of query and form, in their order.
    pub parameters: Vec<(String, String)>,
    /// Whether its signature is right.
    pub signature: Signature,
}

/// What a request's signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// Made with the script's token.
    Valid,
    /// Made with another, or for another URL.
    Wrong,
    /// There is none.
    Missing,
    /// The script has no token.
    Unchecked,
}

impl Signature {
    fn words(self) -> &'static str {
        match self {
            Self::Valid => "a valid signature",
            Self::Wrong => "a wrong signature",
            Self::Missing => "no signature",
            Self::Unchecked => "an unchecked signature",
        }
    }
}

impl Received {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn told(&self) -> String {
        let event = self.parameter("Event").map(|event| format!(" ({event})")).unwrap_or_default();
        format!("{} {}{event} at {}", self.method, self.path, values::told(Duration::from_millis(self.at_ms)))
    }
}

/// Whether a request is one that is meant.
pub fn fits(wanted: &RequestMatch, request: &Received) -> bool {
    wanted.path.as_ref().is_none_or(|path| *path == request.path)
        && wanted.method.as_ref().is_none_or(|method| *method == request.method)
        && wanted.parameters.iter().all(|(name, matcher)| matcher.holds(request.parameter(name)))
}

/// Requests for people.
pub(crate) fn told<'a>(requests: impl Iterator<Item = &'a Received>) -> String {
    let all: Vec<String> = requests.map(Received::told).collect();
    match all.len() {
        0 => "no request".to_owned(),
        count if count > TOLD => {
            format!("{} and {} more", all.get(..TOLD).unwrap_or_default().join(", "), count - TOLD)
        }
        _ => all.join(", "),
    }
}

impl Webhooks {
    /// What is answered to the nth request (from 0) of a path.
    pub fn answer(&self, path: &str, nth: usize) -> Option<&crate::script::Answer> {
        let served: &Served = self.serve.iter().find(|served| served.path == path)?;
        served.answers.get(nth).or_else(|| served.answers.last())
    }

    /// Whether a request to this path is expected, though nothing is served there.
    pub fn awaits(&self, path: &str) -> bool {
        self.expect.iter().any(|one| one.request.path.as_deref().is_none_or(|known| known == path))
    }

    /// Nothing that is expected is still to come.
    pub fn is_settled(&self, received: &[Received]) -> bool {
        self.expect.iter().all(|one| {
            let count = received.iter().filter(|request| fits(&one.request, request)).count() as u64;
            one.count.at_least.is_none_or(|least| count >= least)
        })
    }

    /// One outcome for each demand; the last call ended at `end_ms`.
    pub fn judge(&self, received: &[Received], end_ms: u64, now_ms: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut from = 0;
        for (index, one) in self.expect.iter().enumerate() {
            let title = format!("webhook {}: {}", index + 1, title(&one.request));
            let mut verdict = judge_one(one, received, end_ms);
            if self.ordered && matches!(verdict, Verdict::Held { .. }) {
                let next = received.iter().skip(from).position(|request| fits(&one.request, request));
                match next {
                    Some(next) => from += next + 1,
                    // None at all may be what is expected.
                    None if one.count.at_least.unwrap_or(0) == 0 => {}
                    None => {
                        verdict = Verdict::missed(
                            "it comes after the one before it in the list",
                            told(received.iter()),
                        );
                    }
                }
            }
            outcomes.push(Outcome::at_end(one.place, title, now_ms, verdict));
        }
        outcomes
    }
}

fn judge_one(one: &RequestExpectation, received: &[Received], end_ms: u64) -> Verdict {
    let fitting: Vec<&Received> = received.iter().filter(|request| fits(&one.request, request)).collect();
    let count = fitting.len() as u64;
    if !one.count.hold(count) {
        let elsewhere = match one.request.path.as_deref() {
            Some(path) => received.iter().filter(|request| request.path == path).collect::<Vec<_>>(),
            None => Vec::new(),
        };
        return Verdict::missed(
            format!("{} such requests", one.count.words(|count| count.to_string())),
            if elsewhere.is_empty() || count > 0 {
                format!("{count} of {}", told(received.iter()))
            } else {
                format!("{count}; {}", differences(&one.request, &elsewhere))
            },
        );
    }
    if one.signed
        && let Some(bad) = fitting.iter().find(|request| request.signature != Signature::Valid)
    {
        return Verdict::missed(
            "a valid signature",
            format!("{} with {}", bad.told(), bad.signature.words()),
        );
    }
    // The last of those that were needed.
    let needed = one.count.at_least.unwrap_or(count).max(1) as usize;
    if let (Some(within), Some(last)) = (one.within, fitting.get(needed - 1)) {
        let origin = match one.of {
            Since::Start => 0,
            Since::End => end_ms,
        };
        let late = Duration::from_millis(last.at_ms.saturating_sub(origin));
        if late > within {
            return Verdict::missed(
                format!("within {}", values::told(within)),
                format!("after {}", values::told(late)),
            );
        }
    }
    Verdict::held(told(fitting.into_iter()))
}

/// Which parameters made requests to the right path unfit.
fn differences(wanted: &RequestMatch, requests: &[&Received]) -> String {
    let of = |request: &&Received| {
        let wrong: Vec<String> = wanted
            .parameters
            .iter()
            .filter(|(name, matcher)| !matcher.holds(request.parameter(name)))
            .map(|(name, matcher)| {
                let value = request.parameter(name).map_or("absent".to_owned(), |value| format!("{value:?}"));
                format!("{name} is {value}, not {}", matcher.words())
            })
            .collect();
        let wrong = if wrong.is_empty() { "another method".to_owned() } else { wrong.join(", ") };
        format!("{}: {wrong}", request.told())
    };
    requests.iter().take(TOLD).map(of).collect::<Vec<_>>().join("; ")
}

fn title(wanted: &RequestMatch) -> String {
    let mut title = wanted.method.clone().unwrap_or_else(|| "any request to".to_owned());
    title.push(' ');
    title.push_str(wanted.path.as_deref().unwrap_or("any path"));
    for (name, matcher) in &wanted.parameters {
        title.push_str(&format!(", {name} {}", matcher.words()));
    }
    title
}

#[cfg(test)]
mod tests;
