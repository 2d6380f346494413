//! A call record as lists need it to be found and added up: numbers, times, money, how it ended. Packed into the lines of a
//! slice by the fold, unpacked and matched by searches.

use std::fmt::Write as _;

use jiff::Timestamp;
use tandem_model::{CallDirection, HangupText, Money};

use super::record::CallContext;
use super::records::{RecordFilter, RecordStatus, RecordSummary};
use crate::StoreError;
use crate::value::Row;

const ANSWERED: u8 = 1;
const OUTBOUND: u8 = 2;
const VOICE_API: u8 = 4;

/// The columns of a record that make an entry.
pub(super) const ENTRY_COLUMNS: &str =
    "id, start_time, duration, billsec, cost + streaming_cost as price, answer_time, call_direction, context,
    caller_id_number, destination_number, hangup_cause, hangup_disposition";

/// One record. Texts are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'e> {
    pub(super) id: u64,
    pub(super) start_micros: i64,
    pub(super) duration_s: u64,
    pub(super) billsec: u64,
    pub(super) cost: Money,
    flags: u8,
    pub(super) caller: &'e str,
    pub(super) callee: &'e str,
    cause: &'e str,
    disposition: &'e str,
}

/// The texts of a record's row, owned for its entry.
pub(super) struct EntryTexts {
    caller: String,
    callee: String,
    cause: String,
    disposition: String,
}

impl EntryTexts {
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        let ending = |column: &str| Ok::<_, StoreError>(word(row.opt_text(column)?.unwrap_or_default()));
        Ok(Self {
            caller: line(row.text("caller_id_number")?),
            callee: line(row.text("destination_number")?),
            cause: ending("hangup_cause")?,
            disposition: ending("hangup_disposition")?,
        })
    }
}

/// As it may stand in a line: no line ends.
fn line(text: &str) -> String {
    text.to_lowercase().replace(['\n', '\r'], " ")
}

/// As it may stand between commas.
fn word(text: &str) -> String {
    text.to_lowercase().replace(['\n', '\r', ','], " ")
}

impl<'e> Entry<'e> {
    /// A row with [`ENTRY_COLUMNS`].
    pub(super) fn of(row: &Row, texts: &'e EntryTexts) -> Result<Self, StoreError> {
        let mut flags = 0;
        if row.opt_int("answer_time")?.is_some() {
            flags |= ANSWERED;
        }
        if row.text("call_direction")? == CallDirection::Outbound.as_str() {
            flags |= OUTBOUND;
        }
        if row.text("context")? == CallContext::VoiceApi.as_str() {
            flags |= VOICE_API;
        }
        Ok(Self {
            id: row.count("id")?,
            start_micros: row.int("start_time")?,
            duration_s: row.count("duration")?,
            billsec: row.count("billsec")?,
            cost: row.money("price")?,
            flags,
            caller: &texts.caller,
            callee: &texts.callee,
            cause: &texts.cause,
            disposition: &texts.disposition,
        })
    }

    /// Adds its line of facts.
    pub(super) fn pack(&self, facts: &mut String) {
        let Self { id, start_micros, duration_s, billsec, cost, flags, cause, disposition, .. } = self;
        // Writing to a String cannot fail.
        let _ = writeln!(
            facts,
            "{id},{start_micros},{duration_s},{billsec},{},{flags},{cause},{disposition}",
            cost.micros
        );
    }

    /// Reads a line of each text.
    pub(super) fn unpack(facts: &'e str, caller: &'e str, callee: &'e str) -> Result<Self, StoreError> {
        let wrong = || StoreError::Data("a packed record cannot be read".to_owned());
        let mut parts = facts.split(',');
        let mut next = || parts.next().ok_or_else(wrong);
        Ok(Self {
            id: next()?.parse().map_err(|_| wrong())?,
            start_micros: next()?.parse().map_err(|_| wrong())?,
            duration_s: next()?.parse().map_err(|_| wrong())?,
            billsec: next()?.parse().map_err(|_| wrong())?,
            cost: Money::from_micros(next()?.parse().map_err(|_| wrong())?),
            flags: next()?.parse().map_err(|_| wrong())?,
            caller,
            callee,
            cause: next()?,
            disposition: next()?,
        })
    }

    pub(super) fn is_answered(&self) -> bool {
        self.flags & ANSWERED != 0
    }
}

/// A filter whose every part an entry can answer, its texts in lower case.
#[derive(Clone, Debug)]
pub(super) struct EntryFilter {
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    pub(super) either: Option<String>,
    pub(super) from_micros: i64,
    pub(super) before_micros: i64,
    direction: Option<CallDirection>,
    context: Option<CallContext>,
    min_duration_s: u64,
    cause: Option<String>,
    disposition: Option<String>,
    status: Option<RecordStatus>,
}

impl EntryFilter {
    /// `None` when the filter asks for what only the whole record has.
    pub(super) fn of(filter: &RecordFilter) -> Option<Self> {
        let whole = filter.sip_call_id.is_some()
            || filter.bridge_uuid.is_some()
            || filter.campaign_id.is_some()
            || filter.search_uuid().is_some();
        if whole {
            return None;
        }
        let number = |text: &Option<String>| text.as_deref().map(line);
        let ending = |text: &Option<String>| text.as_deref().map(word);
        Some(Self {
            caller: number(&filter.from_number),
            callee: number(&filter.to_number),
            either: number(&filter.search),
            from_micros: filter.started_from.map_or(i64::MIN, Timestamp::as_microsecond),
            before_micros: filter.started_before.map_or(i64::MAX, Timestamp::as_microsecond),
            direction: filter.direction,
            context: filter.context,
            min_duration_s: filter.min_duration.unwrap_or_default(),
            cause: ending(&filter.hangup_cause),
            disposition: ending(&filter.hangup_disposition),
            status: filter.status,
        })
    }

    /// Whether the numbers alone let an entry pass.
    pub(super) fn keeps_numbers(&self, caller: &str, callee: &str) -> bool {
        let contains = |needle: &Option<String>, text: &str| {
            needle.as_deref().is_none_or(|needle| text.contains(needle))
        };
        contains(&self.caller, caller)
            && contains(&self.callee, callee)
            && self.either.as_deref().is_none_or(|needle| caller.contains(needle) || callee.contains(needle))
    }

    pub(super) fn keeps(&self, entry: &Entry<'_>) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        (self.from_micros..self.before_micros).contains(&entry.start_micros)
            && entry.duration_s >= self.min_duration_s
            && self.direction.is_none_or(|direction| {
                (direction == CallDirection::Outbound) == (entry.flags & OUTBOUND != 0)
            })
            && self
                .context
                .is_none_or(|context| (context == CallContext::VoiceApi) == (entry.flags & VOICE_API != 0))
            && self.keeps_numbers(entry.caller, entry.callee)
            && is(&self.cause, entry.cause)
            && is(&self.disposition, entry.disposition)
            && self.ended_so(entry)
    }

    fn ended_so(&self, entry: &Entry<'_>) -> bool {
        let because = |text: HangupText| entry.cause.eq_ignore_ascii_case(text.as_str());
        let (busy, unanswered) = (because(HangupText::UserBusy), because(HangupText::NoAnswer));
        match self.status {
            None => true,
            Some(RecordStatus::Answered) => entry.is_answered(),
            Some(RecordStatus::Busy) => !entry.is_answered() && busy,
            Some(RecordStatus::NoAnswer) => !entry.is_answered() && unanswered,
            Some(RecordStatus::Failed) => !entry.is_answered() && !busy && !unanswered,
        }
    }
}

impl RecordSummary {
    /// Counts an entry in.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let began = Timestamp::from_microsecond(entry.start_micros)
            .map_err(|_| StoreError::Data("a packed record begins at no instant".to_owned()))?;
        self.total += 1;
        self.answered += u64::from(entry.is_answered());
        self.duration_s += entry.duration_s;
        self.billsec += entry.billsec;
        self.cost += entry.cost;
        self.last_call_at = self.last_call_at.max(Some(began));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            id: 7,
            start_micros: 1_790_000_000_000_001,
            duration_s: 46,
            billsec: 42,
            cost: Money::from_micros(1_500_000),
            flags: ANSWERED | OUTBOUND,
            caller: "918065000000",
            callee: "9876543210",
            cause: "normal_clearing",
            disposition: "",
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_packed() {
        let mut facts = String::new();
        entry().pack(&mut facts);
        assert_eq!(facts, "7,1790000000000001,46,42,1500000,3,normal_clearing,\n");
        assert_eq!(Entry::unpack(facts.trim_end(), "918065000000", "9876543210").unwrap(), entry());
        assert!(Entry::unpack("7,x", "", "").is_err());
    }

    #[test]
    fn line_ends_and_commas_in_texts_break_no_line() {
        assert_eq!(line("A\nb\r"), "a b ");
        assert_eq!(word("A,b"), "a b");
    }

    #[test]
    fn what_only_the_record_has_is_not_asked_of_an_entry() {
        let none = RecordFilter::default;
        assert!(EntryFilter::of(&none()).is_some());
        let whole = [
            RecordFilter { sip_call_id: Some("a".to_owned()), ..none() },
            RecordFilter { campaign_id: Some("a".to_owned()), ..none() },
            RecordFilter { search: Some("3f0a9c1e-0000-4000-8000-000000000000".to_owned()), ..none() },
        ];
        assert!(whole.iter().all(|filter| EntryFilter::of(filter).is_none()));
    }

    #[test]
    fn statuses_are_told_apart_by_answer_and_cause() {
        let keeps = |status, entry: &Entry<'_>| {
            EntryFilter::of(&RecordFilter { status: Some(status), ..RecordFilter::default() })
                .unwrap()
                .keeps(entry)
        };
        let busy = Entry { flags: 0, cause: "user_busy", ..entry() };
        assert!(keeps(RecordStatus::Answered, &entry()) && !keeps(RecordStatus::Failed, &entry()));
        assert!(keeps(RecordStatus::Busy, &busy) && !keeps(RecordStatus::NoAnswer, &busy));
        assert!(keeps(RecordStatus::Failed, &Entry { flags: 0, ..entry() }));
    }
}
