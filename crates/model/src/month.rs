//! Months of a rental: from the day of the purchase to the same day of each month after, in UTC. A month that has no such
//! day ends on its last one, and the month after finds the day again.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The first month's end of a rental that began at `anchor` which comes after `at`: 31 January is followed by 28 (or 29)
/// February, and that by 31 March.
pub fn month_end_after(anchor: Timestamp, at: Timestamp) -> Timestamp {
    let begun = anchor.to_zoned(TimeZone::UTC);
    let day = at.to_zoned(TimeZone::UTC);
    let whole = i64::from(day.year() - begun.year()) * 12 + i64::from(day.month() - begun.month());
    let ends = (whole.max(1) - 1..=whole.max(0) + 2).filter_map(|months| {
        let end = begun.checked_add(months.max(1).months()).ok()?.timestamp();
        (end > at).then_some(end)
    });
    // Past the year 9999 there is no month more; nobody is charged again.
    ends.min().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(anchor: &str, count: usize) -> Vec<String> {
        let anchor: Timestamp = anchor.parse().unwrap();
        let mut at = anchor;
        std::iter::repeat_with(|| {
            at = month_end_after(anchor, at);
            at.to_string()
        })
        .take(count)
        .collect()
    }

    #[test]
    fn the_31st_falls_on_each_months_last_day_and_is_kept() {
        let got = ends("2027-01-31T10:00:00Z", 4);
        let expected =
            ["2027-02-28T10:00:00Z", "2027-03-31T10:00:00Z", "2027-04-30T10:00:00Z", "2027-05-31T10:00:00Z"];
        assert_eq!(got, expected);
        assert_eq!(ends("2028-01-30T00:00:00Z", 2), ["2028-02-29T00:00:00Z", "2028-03-30T00:00:00Z"]);
        assert_eq!(ends("2028-02-29T00:00:00Z", 13)[11..], ["2029-02-28T00:00:00Z", "2029-03-29T00:00:00Z"]);
    }

    #[test]
    fn a_year_has_twelve_and_the_last_microsecond_counts() {
        let got = ends("2026-11-05T23:59:59.999999Z", 12);
        assert_eq!(got[1], "2027-01-05T23:59:59.999999Z");
        assert_eq!(got[11], "2027-11-05T23:59:59.999999Z");
    }

    #[test]
    fn whatever_the_day_it_is_asked_on_the_next_end_is_answered() {
        let anchor: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (at, end) in [
            ("2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"),
            ("2026-02-28T09:59:59Z", "2026-02-28T10:00:00Z"),
            ("2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z"),
            // Thirty days, as rentals were counted once.
            ("2026-03-02T10:00:00Z", "2026-03-31T10:00:00Z"),
            ("2025-12-24T00:00:00Z", "2026-02-28T10:00:00Z"),
        ] {
            assert_eq!(month_end_after(anchor, at.parse().unwrap()).to_string(), end, "{at}");
        }
    }
}
