//! The filters that lists, bulk deletion and exports share.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use tandem_model::RecordingId;
use tandem_store::recordings::{RecordingFilter, RecordingKind};

use super::super::ApiError;
use super::super::lenient::{Fields, invalid};

/// Characters of a filter at most.
const TEXT_MAX: usize = 255;
/// Days a recording may have been kept, as filters say it.
const DAYS_MAX: u64 = 36_500;
/// Every name a filter has.
pub(super) const NAMES: &[&str] = &[
    "call_uuid",
    "recording_type",
    "recording_id",
    "from_number",
    "to_number",
    "conference_name",
    "recording_format",
    "add_time",
    "add_time__gte",
    "add_time__gt",
    "add_time__lte",
    "add_time__lt",
    "recording_storage_duration",
    "recording_storage_duration__gte",
    "recording_storage_duration__gt",
    "recording_storage_duration__lte",
    "recording_storage_duration__lt",
];

/// Reads them; days a recording was kept count back from `now`.
pub(super) fn read(fields: &mut Fields, now: Timestamp) -> Result<RecordingFilter, ApiError> {
    let mut text = |name: &'static str| fields.text(&[name], TEXT_MAX).value();
    let digits = |number: String| number.trim_start_matches(['+', ' ']).to_owned();
    let mut filter = RecordingFilter {
        from_number: text("from_number").map(digits),
        to_number: text("to_number").map(digits),
        conference: text("conference_name"),
        ..RecordingFilter::default()
    };
    let (call, id) = (text("call_uuid"), text("recording_id"));
    let times: Vec<_> = ["add_time__gte", "add_time__gt", "add_time__lte", "add_time__lt", "add_time"]
        .into_iter()
        .filter_map(|name| Some((name, text(name)?)))
        .collect();
    filter.format = fields.word(&["recording_format"], &["wav", "mp3"]).value().map(str::to_owned);
    let kind = fields.word(&["recording_type"], &["call", "conference", "trunk", "extension"]).value();
    filter.kind = kind.map(|kind| match kind {
        "conference" => RecordingKind::Conference,
        "trunk" => RecordingKind::Trunk,
        _ => RecordingKind::Call,
    });
    let mut range = Range::default();
    for (name, bound) in [
        ("recording_storage_duration__gte", Bound::Gte),
        ("recording_storage_duration__gt", Bound::Gt),
        ("recording_storage_duration__lte", Bound::Lte),
        ("recording_storage_duration__lt", Bound::Lt),
        ("recording_storage_duration", Bound::Is),
    ] {
        if let Some(days) = fields.number(&[name], 0, DAYS_MAX).value() {
            range.kept(days, bound, now);
        }
    }
    fields.check_sentence()?;
    filter.call =
        call.map(|text| text.parse().map_err(|_| invalid("call_uuid: Must be a call's id"))).transpose()?;
    filter.id = id
        .map(|text| {
            text.parse::<RecordingId>().map_err(|_| invalid("recording_id: Must be a recording's id"))
        })
        .transpose()?;
    for (name, text) in times {
        let at = instant(&text).ok_or_else(|| {
            invalid(format!("{name}: Must be a time such as 2026-05-07 09:45:35, or with an offset"))
        })?;
        let bound = match name {
            "add_time__gte" => Bound::Gte,
            "add_time__gt" => Bound::Gt,
            "add_time__lte" => Bound::Lte,
            "add_time__lt" => Bound::Lt,
            _ => Bound::Is,
        };
        range.added(at, bound);
    }
    filter.added_from = range.from;
    filter.added_before = range.before;
    Ok(filter)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Gte,
    Gt,
    Lte,
    Lt,
    Is,
}

/// From here, to before there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    from: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Range {
    fn from(&mut self, at: Timestamp) {
        self.from = Some(self.from.map_or(at, |from| from.max(at)));
    }

    fn before(&mut self, at: Timestamp) {
        self.before = Some(self.before.map_or(at, |before| before.min(at)));
    }

    /// Added at a time, to the microsecond.
    fn added(&mut self, at: Timestamp, bound: Bound) {
        let after = at.saturating_add(1.microseconds()).unwrap_or(at);
        match bound {
            Bound::Gte => self.from(at),
            Bound::Gt => self.from(after),
            Bound::Lte => self.before(after),
            Bound::Lt => self.before(at),
            Bound::Is => {
                self.from(at);
                self.before(after);
            }
        }
    }

    /// Kept for so many whole days.
    fn kept(&mut self, days: u64, bound: Bound, now: Timestamp) {
        let back = |days: u64| {
            let hours = i64::try_from(days.saturating_mul(24)).unwrap_or(i64::MAX);
            now.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN)
        };
        // Kept for n days is added after n + 1 days ago, until n days ago.
        let tick = |at: Timestamp| at.saturating_add(1.microseconds()).unwrap_or(at);
        let (oldest, newest) = (tick(back(days + 1)), tick(back(days)));
        match bound {
            Bound::Gte => self.before(newest),
            Bound::Gt => self.before(oldest),
            Bound::Lte => self.from(oldest),
            Bound::Lt => self.from(newest),
            Bound::Is => {
                self.from(oldest);
                self.before(newest);
            }
        }
    }
}

/// With an offset, or in UTC; a date is its first instant.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    // A query turns the plus of an offset into a space.
    let restored = match text.rsplit_once(' ') {
        Some((rest, offset)) if rest.contains(' ') => format!("{rest}+{offset}"),
        _ => text.to_owned(),
    };
    let zone = || TimeZone::UTC;
    restored
        .parse::<Timestamp>()
        .ok()
        .or_else(|| Some(restored.parse::<DateTime>().ok()?.to_zoned(zone()).ok()?.timestamp()))
        .or_else(|| {
            let minute = DateTime::strptime("%Y-%m-%d %H:%M", &restored).ok()?;
            Some(minute.to_zoned(zone()).ok()?.timestamp())
        })
        .or_else(|| Some(restored.parse::<Date>().ok()?.to_zoned(zone()).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-05-07T12:00:00Z".parse().unwrap()
    }

    fn filter(json: Value) -> Result<RecordingFilter, ApiError> {
        read(&mut serde_json::from_value(json).unwrap(), now())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_read_as_clients_write_them() {
        let nine = at("2026-05-07T09:45:35Z");
        for text in [
            "2026-05-07T09:45:35Z",
            "2026-05-07 09:45:35",
            "2026-05-07 09:45:35.000000+00:00",
            "2026-05-07 15:15:35+05:30",
            "2026-05-07 15:15:35 05:30",
        ] {
            assert_eq!(instant(text), Some(nine), "{text}");
        }
        assert_eq!(instant("2026-05-07 09:45"), Some(at("2026-05-07T09:45:00Z")));
        assert_eq!(instant("2026-05-07"), Some(at("2026-05-07T00:00:00Z")));
        for text in ["", "yesterday", "2026-13-01", "2026-05-07 25:00:00"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_meet_where_they_should() {
        let read = |json| filter(json).map(|filter| (filter.added_from, filter.added_before)).unwrap();
        let exact = read(json!({"add_time": "2026-05-07 09:00:00"}));
        assert_eq!(exact, (Some(at("2026-05-07T09:00:00Z")), Some(at("2026-05-07T09:00:00.000001Z"))));
        let between = read(json!({"add_time__gte": "2026-05-01", "add_time__lt": "2026-05-02"}));
        assert_eq!(between, (Some(at("2026-05-01T00:00:00Z")), Some(at("2026-05-02T00:00:00Z"))));
        let three = read(json!({"recording_storage_duration": 3}));
        assert_eq!(three, (Some(at("2026-05-03T12:00:00.000001Z")), Some(at("2026-05-04T12:00:00.000001Z"))));
        assert_eq!(read(json!({"recording_storage_duration__gt": "3"})).1, three.0);
        assert_eq!(read(json!({"recording_storage_duration__lt": "3"})).0, three.1);
    }

    #[test]
    fn nonsense_is_named_and_a_number_needs_no_plus() {
        for name in ["call_uuid", "recording_id", "add_time__gte", "recording_type", "recording_format"] {
            let error = filter(json!({ (name): "nonsense" })).unwrap_err();
            assert!(error.shown_word().starts_with(name), "{name}: {}", error.shown_word());
        }
        let read = filter(json!({"from_number": " 918012340000"})).unwrap();
        assert_eq!(read.from_number.as_deref(), Some("918012340000"));
        assert!(filter(json!({"limit": 3})).unwrap().is_empty());
    }
}
