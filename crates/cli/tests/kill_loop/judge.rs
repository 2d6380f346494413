//! The judge: evidence in, violations of the promise out. Pure, and shown below to find each kind of wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::evidence::{Death, Evidence, Leg, Record};

/// Longest from start to ready.
const READY_MAX_MS: u64 = 3_000;
/// Longest from ready to the BYE at either end.
const BYE_MAX_MS: i64 = 5_000;
/// Rounding to whole seconds that a customer accepts.
const ROUNDING_S: u64 = 1;
/// A call that ended so shortly before a kill may not have been settled; it is settled at its last tick then.
const SETTLING_MS: i64 = 1_000;
/// Examples listed of one kind of wrong.
const EXAMPLES: usize = 5;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wrong {
    /// A call that left traces outside has no record.
    LostRecord,
    /// A call has more than one.
    DoubledRecord,
    /// A record of a call that nobody made.
    InventedRecord,
    /// An event of a recorded call never came.
    LostEvent,
    /// One fact came as two events.
    DoubledEvent,
    /// An event of a call without a record.
    InventedEvent,
    /// An event says another price than the record.
    DisagreeingEvent,
    /// A signature does not hold.
    BadSignature,
    /// More was charged than the other end proves.
    Overcharged,
    /// A call that no kill touched was charged too little.
    Undercharged,
    /// The price is not the rate's.
    Mispriced,
    /// The balance is not the opening one less the prices, or money is still held.
    Balance,
    /// The ledger does not verify.
    Ledger,
    /// A live call is left.
    LeftLive,
    /// A start took too long.
    SlowReady,
    /// Somebody waited too long for a BYE after a start.
    LateBye,
}

/// The outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) wrongs: BTreeMap<Wrong, Vec<String>>,
    /// Offered calls, and those of them that were admitted as seen from outside.
    pub(crate) offered: usize,
    pub(crate) admitted: usize,
    pub(crate) answered: usize,
    pub(crate) records: usize,
    pub(crate) events: usize,
    pub(crate) repeated_events: usize,
    pub(crate) cut_off: usize,
    pub(crate) billed_s: u64,
    pub(crate) proven_s: u64,
    pub(crate) worst_ready_ms: u64,
    pub(crate) worst_bye_ms: i64,
}

impl Verdict {
    /// Judges.
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let mut verdict =
            Self { offered: evidence.offers.len(), records: evidence.records.len(), ..Self::default() };
        verdict.judge_records(evidence);
        verdict.judge_charges(evidence);
        verdict.judge_events(evidence);
        verdict.judge_byes(evidence);
        verdict.judge_books(evidence);
        verdict
    }

    /// How many of a kind.
    pub(crate) fn count(&self, wrong: Wrong) -> usize {
        self.wrongs.get(&wrong).map_or(0, Vec::len)
    }

    /// Nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.wrongs.is_empty()
    }

    fn find(&mut self, wrong: Wrong, words: impl Into<String>) {
        self.wrongs.entry(wrong).or_default().push(words.into());
    }

    /// Admitted, as seen from outside: the carrier got its INVITE, or the caller heard more than that its INVITE came in.
    fn judge_records(&mut self, evidence: &Evidence) {
        let at_carrier: HashSet<u64> =
            evidence.carrier.iter().filter(|leg| leg.incoming).filter_map(|leg| leg.offer).collect();
        let mut by_call_id: HashMap<&str, Vec<&Record>> = HashMap::new();
        let mut by_call: HashMap<&str, usize> = HashMap::new();
        for record in &evidence.records {
            by_call_id.entry(&record.sip_call_id).or_default().push(record);
            *by_call.entry(&record.call).or_default() += 1;
        }
        let mut known = HashSet::new();
        for offer in &evidence.offers {
            known.insert(offer.call_id.as_str());
            let reached_carrier = at_carrier.contains(&offer.number);
            let is_admitted = reached_carrier || offer.rang || proves_admission(offer.status);
            self.admitted += usize::from(is_admitted);
            let records = by_call_id.get(offer.call_id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let words = || {
                let carrier =
                    if reached_carrier { "the carrier got its INVITE" } else { "the carrier saw nothing" };
                format!(
                    "call {} ({}): {carrier}, its caller saw {}",
                    offer.number, offer.call_id, offer.status
                )
            };
            match records {
                [] if is_admitted => self.find(Wrong::LostRecord, words()),
                [] | [_] => {}
                [_, _, ..] => {
                    self.find(Wrong::DoubledRecord, format!("{}; {} records", words(), records.len()))
                }
            }
        }
        for (call, count) in by_call.iter().filter(|(_, count)| **count > 1) {
            self.find(Wrong::DoubledRecord, format!("{call} has {count} records"));
        }
        for record in &evidence.records {
            if !known.contains(record.sip_call_id.as_str()) {
                self.find(
                    Wrong::InventedRecord,
                    format!("{} of Call-ID {:?}", record.call, record.sip_call_id),
                );
            }
        }
    }

    fn judge_charges(&mut self, evidence: &Evidence) {
        let (outbound, inbound) = evidence.books.second_micros;
        let numbers: HashMap<&str, u64> =
            evidence.offers.iter().map(|offer| (offer.call_id.as_str(), offer.number)).collect();
        let called: HashMap<u64, &Leg> = evidence
            .carrier
            .iter()
            .filter(|leg| leg.incoming && leg.answered_ms.is_some())
            .filter_map(|leg| Some((leg.offer?, leg)))
            .collect();
        let calling: HashMap<&str, &Leg> = evidence
            .carrier
            .iter()
            .filter(|leg| !leg.incoming && leg.answered_ms.is_some())
            .map(|leg| (leg.call_id.as_str(), leg))
            .collect();
        self.answered = called.len() + calling.len();
        for record in &evidence.records {
            let leg = if record.outbound {
                numbers.get(record.sip_call_id.as_str()).and_then(|number| called.get(number))
            } else {
                calling.get(record.sip_call_id.as_str())
            };
            let proven_s = leg.map_or(0, |leg| leg.talk_ms / 1000);
            self.billed_s += record.billsec;
            self.proven_s += proven_s;
            let words = || {
                format!(
                    "{}: {} s billed at {} micros, {proven_s} s proven",
                    record.call, record.billsec, record.cost_micros
                )
            };
            let second = if record.outbound { outbound } else { inbound };
            if record.billsec > leg.map_or(0, |_| proven_s + ROUNDING_S) {
                self.find(Wrong::Overcharged, words());
            }
            if record.cost_micros != second * i64::try_from(record.billsec).unwrap_or(i64::MAX) {
                self.find(Wrong::Mispriced, words());
            }
            let untouched = leg.is_some_and(|leg| !evidence.deaths.iter().any(|death| touches(death, leg)));
            if untouched && record.billsec + ROUNDING_S < proven_s {
                self.find(Wrong::Undercharged, words());
            }
        }
    }

    fn judge_events(&mut self, evidence: &Evidence) {
        let mut ids: HashMap<(&str, &str), HashSet<&str>> = HashMap::new();
        let mut seen = HashSet::new();
        let records: HashMap<&str, &Record> =
            evidence.records.iter().map(|record| (record.call.as_str(), record)).collect();
        for event in &evidence.events {
            if !event.signed {
                self.find(Wrong::BadSignature, format!("{} of {}", event.kind, event.call));
            }
            if event.taken {
                ids.entry((&event.call, &event.kind)).or_default().insert(&event.id);
                self.repeated_events += usize::from(!seen.insert(event.id.as_str()));
            }
            let Some(record) = records.get(event.call.as_str()) else {
                self.find(
                    Wrong::InventedEvent,
                    format!("{} of {}, which has no record", event.kind, event.call),
                );
                continue;
            };
            if event.cost_micros.is_some_and(|cost| cost != record.cost_micros) {
                self.find(
                    Wrong::DisagreeingEvent,
                    format!("{} of {}: {:?}", event.kind, event.call, event.cost_micros),
                );
            }
        }
        self.events = seen.len();
        for record in &evidence.records {
            let expected: &[&str] = if record.outbound { &["CallInitiated", "Hangup"] } else { &["Hangup"] };
            for kind in expected {
                match ids.get(&(record.call.as_str(), *kind)).map_or(0, HashSet::len) {
                    0 => self.find(Wrong::LostEvent, format!("{kind} of {}", record.call)),
                    1 => {}
                    more => self.find(Wrong::DoubledEvent, format!("{kind} of {}: {more} ids", record.call)),
                }
            }
        }
    }

    /// Whoever talked at a kill and did not hang up by itself must be told soon after the next start.
    /// Also a callee whose 200 fell into the milliseconds before a kill: it is acknowledged when its dialog is stored, and
    /// repeats its 200 to the next process otherwise.
    fn judge_byes(&mut self, evidence: &Evidence) {
        for death in &evidence.deaths {
            self.worst_ready_ms = self.worst_ready_ms.max(death.ready_in_ms);
            if death.ready_in_ms > READY_MAX_MS {
                self.find(Wrong::SlowReady, format!("{} ms", death.ready_in_ms));
            }
        }
        for (end, leg) in evidence
            .carrier
            .iter()
            .map(|leg| ("carrier", leg))
            .chain(evidence.pbx.iter().map(|leg| ("PBX", leg)))
        {
            let Some(answered) = leg.answered_ms else { continue };
            let Some(ended) = leg.ended_ms else {
                self.find(Wrong::LateBye, format!("the {end}'s leg {} never ended", leg.call_id));
                continue;
            };
            let during = |death: &&Death| answered <= death.killed_ms && ended > death.killed_ms;
            let deaths: Vec<&Death> = evidence.deaths.iter().filter(during).collect();
            let Some(last) = deaths.last() else { continue };
            self.cut_off += 1;
            // A kill within the five seconds starts them anew.
            let in_time = deaths.windows(2).all(|pair| pair[1].killed_ms - pair[0].ready_ms <= BYE_MAX_MS)
                && ended - last.ready_ms <= BYE_MAX_MS;
            if leg.ended_by != "us" || !in_time {
                self.worst_bye_ms = self.worst_bye_ms.max(ended - last.ready_ms);
            }
            if !in_time {
                let late = ended - deaths[0].ready_ms;
                self.find(
                    Wrong::LateBye,
                    format!(
                        "the {end}'s leg {} ended {late} ms after the start, by {}",
                        leg.call_id, leg.ended_by
                    ),
                );
            }
        }
    }

    fn judge_books(&mut self, evidence: &Evidence) {
        let books = &evidence.books;
        let spent: i64 = evidence.records.iter().map(|record| record.cost_micros).sum();
        if books.closing_micros != books.opening_micros - spent {
            let found = books.opening_micros - books.closing_micros;
            self.find(
                Wrong::Balance,
                format!("the records cost {spent} micros, the balance fell by {found}"),
            );
        }
        if books.held_micros != 0 {
            self.find(Wrong::Balance, format!("{} micros are held for nobody", books.held_micros));
        }
        if let Some(words) = &books.ledger {
            self.find(Wrong::Ledger, words.clone());
        }
        if books.live_calls != 0 || books.listed_live != 0 {
            self.find(Wrong::LeftLive, format!("{} counted, {} listed", books.live_calls, books.listed_live));
        }
    }
}

/// A final status that only an admission decision leads to. 401 and 407 ask for a password, 503 refuses without a record
/// (the store is away, the node drains), 408 and 487 are the caller's own doing.
fn proves_admission(status: u16) -> bool {
    status >= 200 && !matches!(status, 401 | 407 | 408 | 487 | 503)
}

fn touches(death: &Death, leg: &Leg) -> bool {
    let from = leg.answered_ms.unwrap_or(i64::MAX);
    let until = leg.ended_ms.unwrap_or(i64::MAX).saturating_add(SETTLING_MS);
    from <= death.ready_ms && until >= death.killed_ms
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wrong| self.count(wrong);
        write!(
            f,
            "{} calls offered, {} admitted, {} answered, {} legs talking at a kill; {} records: {} lost, {} doubled; \
             {} events ({} repeats): {} lost, {} doubled; {} s billed of {} s proven: {} overcharged; \
             worst ready {} ms, worst BYE {} ms after it",
            self.offered,
            self.admitted,
            self.answered,
            self.cut_off,
            self.records,
            count(Wrong::LostRecord),
            count(Wrong::DoubledRecord),
            self.events,
            self.repeated_events,
            count(Wrong::LostEvent),
            count(Wrong::DoubledEvent),
            self.billed_s,
            self.proven_s,
            count(Wrong::Overcharged),
            self.worst_ready_ms,
            self.worst_bye_ms,
        )?;
        for (wrong, words) in &self.wrongs {
            write!(f, "\n  {wrong:?}: {}", words.len())?;
            for example in words.iter().take(EXAMPLES) {
                write!(f, "\n    {example}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
