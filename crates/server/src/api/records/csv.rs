//! Lines of call records as CSV (RFC 4180). Instants and amounts are written by hand: an export writes six of one and three of
//! the other a line, a hundred thousand lines a second.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use tandem_store::Value;
use tandem_store::calls::{EXPORT_COLUMNS, ExportKind};

const DAY_MICROS: i64 = 86_400_000_000;
const LINE_END: &str = "\r\n";
/// Identifiers of others, written as they are; every other text that a spreadsheet would take for a formula gets a quote.
const VERBATIM: &str = "sip_call_id";

/// Writes lines.
pub(super) struct Sheet {
    /// Written for every record's account, for a sub-account's export.
    account: Option<String>,
    /// The last day written, and its text.
    day: (i64, String),
}

impl Sheet {
    pub(super) fn new(account: Option<String>) -> Self {
        Self { account, day: (i64::MIN, String::new()) }
    }

    /// The line of names.
    pub(super) fn head() -> String {
        EXPORT_COLUMNS.map(|(name, _)| name).join(",") + LINE_END
    }

    /// Adds the line of one record.
    pub(super) fn line(&mut self, values: &[Value<'_>], out: &mut String) {
        for (index, (value, (name, kind))) in values.iter().zip(EXPORT_COLUMNS).enumerate() {
            if index > 0 {
                out.push(',');
            }
            match (kind, value) {
                (_, Value::Null | Value::Bytes(_)) => {}
                (_, Value::Text(_)) if index == 0 && self.account.is_some() => {
                    out.push_str(self.account.as_deref().unwrap_or_default());
                }
                (_, Value::Text(text)) => push_text(text, name == VERBATIM, out),
                (ExportKind::Plain, Value::Int(n)) => push(out, *n),
                (ExportKind::Instant, Value::Int(micros)) => self.push_instant(*micros, out),
                (ExportKind::Money, Value::Int(micros)) => push_decimal(*micros, 6, out),
                (ExportKind::Milli, Value::Int(milli)) => push_decimal(*milli, 3, out),
            }
        }
        out.push_str(LINE_END);
    }

    /// `2026-01-05T06:10:00.120000Z`.
    fn push_instant(&mut self, micros: i64, out: &mut String) {
        let (day, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
        if self.day.0 != day {
            let midnight = Timestamp::from_microsecond(day.saturating_mul(DAY_MICROS));
            let text = midnight.map(|at| at.strftime("%Y-%m-%dT").to_string()).unwrap_or_default();
            self.day = (day, text);
        }
        out.push_str(&self.day.1);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let _ =
            write!(out, "{:02}:{:02}:{:02}.{micros:06}Z", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
}

fn push(out: &mut String, n: i64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

/// A number of so many decimals, without those it does not need.
fn push_decimal(n: i64, decimals: u32, out: &mut String) {
    let unit = 10_i64.pow(decimals).unsigned_abs();
    if n < 0 {
        out.push('-');
    }
    let (whole, mut part) = (n.unsigned_abs() / unit, n.unsigned_abs() % unit);
    let _ = write!(out, "{whole}");
    if part == 0 {
        return;
    }
    let mut width = decimals as usize;
    while part % 10 == 0 {
        part /= 10;
        width -= 1;
    }
    let _ = write!(out, ".{part:0width$}");
}

fn push_text(text: &str, is_verbatim: bool, out: &mut String) {
    let begins_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    // A sign and digits are a telephone number; a spreadsheet takes it for a number at worst.
    let is_number =
        text.strip_prefix(['+', '-']).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let guarded = begins_formula && !is_number && !is_verbatim;
    let text = if guarded { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if !text.contains(['"', ',', '\r', '\n']) {
        out.push_str(&text);
        return;
    }
    out.push('"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_lists_show_them() {
        let decimal = |n, decimals| {
            let mut out = String::new();
            push_decimal(n, decimals, &mut out);
            out
        };
        assert_eq!(
            [decimal(412_350_000, 6), decimal(-1, 6), decimal(7_000_000, 6)],
            ["412.35", "-0.000001", "7"]
        );
        assert_eq!([decimal(4380, 3), decimal(0, 3), decimal(20, 3)], ["4.38", "0", "0.02"]);
        let mut sheet = Sheet::new(None);
        for text in
            ["2026-01-05T06:10:00.120000Z", "2026-12-31T23:59:59.999999Z", "1969-12-31T00:00:00.000001Z"]
        {
            let mut out = String::new();
            sheet.push_instant(text.parse::<Timestamp>().unwrap().as_microsecond(), &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn texts_are_quoted_where_csv_needs_it_and_defused_where_a_spreadsheet_would_calculate() {
        let text = |text: &str, is_verbatim| {
            let mut out = String::new();
            push_text(text, is_verbatim, &mut out);
            out
        };
        assert_eq!(text("plain", false), "plain");
        assert_eq!(text("a,b", false), "\"a,b\"");
        assert_eq!(text("say \"hi\"\r\n", false), "\"say \"\"hi\"\"\r\n\"");
        assert_eq!(text("=HYPERLINK(\"x\")", false), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(text("-abc@host", true), "-abc@host");
    }

    #[test]
    fn a_line_has_a_field_for_each_name() {
        assert_eq!(Sheet::head().split(',').count(), 43);
        let values = vec![Value::Null; 43];
        let mut out = String::new();
        Sheet::new(None).line(&values, &mut out);
        assert_eq!(out, ",".repeat(42) + "\r\n");
    }
}
