//! A rate deck as CSV: every row, or what is wrong by row and column. Pure.

use std::collections::HashSet;
use std::fmt;

use tandem_model::{Money, Rate};
use tandem_store::resources::deck::PrefixRate;

/// Bad fields named in one answer.
const NAMED_MAX: usize = 20;
/// Longest pulse or minimum: a day.
const SECONDS_MAX: u32 = 86_400;
/// Most digits of a prefix.
const PREFIX_MAX: usize = 15;
/// The columns, in the order of the file; a sixth, `description`, is optional.
const COLUMNS: [&str; 5] = ["prefix", "per_minute", "pulse", "minimum", "connection_fee"];

/// A field that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadField {
    /// Line of the file, the header's being 1.
    pub(super) row: u64,
    /// Column by name; empty when the row as a whole is wrong.
    pub(super) column: &'static str,
    /// What is wrong.
    pub(super) problem: String,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            "" => write!(f, "row {}: {}", self.row, self.problem),
            column => write!(f, "row {}, column {column}: {}", self.row, self.problem),
        }
    }
}

/// Every rate of a file, or the first few bad fields.
pub(super) fn parse(csv: &str) -> Result<Vec<PrefixRate>, Vec<BadField>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(csv.as_bytes());
    let whole = |row, problem: String| BadField { row, column: "", problem };
    let header = reader.headers().map_err(|error| vec![whole(1, error.to_string())])?;
    let named = header.iter().zip(COLUMNS).filter(|(found, wanted)| found.eq_ignore_ascii_case(wanted));
    if named.count() < COLUMNS.len() {
        return Err(vec![whole(1, format!("the header is {}", COLUMNS.join(",")))]);
    }
    let (mut rates, mut bad, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for record in reader.records() {
        match &record {
            Ok(record) => {
                let row = record.position().map_or(0, csv::Position::line);
                match rate_of(row, record) {
                    Ok(rate) if seen.insert(rate.prefix.clone()) => rates.push(rate),
                    Ok(rate) => bad.push(BadField {
                        row,
                        column: "prefix",
                        problem: format!("{:?} stands there twice", rate.prefix),
                    }),
                    Err(fields) => bad.extend(fields),
                }
            }
            Err(error) => bad.push(whole(error.position().map_or(0, csv::Position::line), error.to_string())),
        }
        if bad.len() >= NAMED_MAX {
            bad.truncate(NAMED_MAX);
            bad.push(whole(0, "and perhaps more".to_owned()));
            break;
        }
    }
    if bad.is_empty() { Ok(rates) } else { Err(bad) }
}

/// One row, or every field of it that is wrong.
fn rate_of(row: u64, record: &csv::StringRecord) -> Result<PrefixRate, Vec<BadField>> {
    if record.len() < COLUMNS.len() {
        let problem = format!("it has {} columns of {}", record.len(), COLUMNS.len());
        return Err(vec![BadField { row, column: "", problem }]);
    }
    let field = |index: usize| record.get(index).unwrap_or_default();
    let mut bad = Vec::new();
    let mut note = |column, problem| bad.push(BadField { row, column, problem });
    let prefix = field(0).trim_start_matches('+').to_ascii_lowercase();
    let digits = prefix.strip_prefix("in").unwrap_or(&prefix);
    if digits.len() > PREFIX_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        note("prefix", format!("{prefix:?} is not digits, in and digits, or empty for all"));
    }
    let mut money = |index: usize| match field(index).parse::<Money>() {
        Ok(money) if money >= Money::ZERO => money,
        Ok(_) => {
            note(COLUMNS[index], format!("{:?} is negative", field(index)));
            Money::ZERO
        }
        Err(error) => {
            note(COLUMNS[index], format!("{:?}: {error}", field(index)));
            Money::ZERO
        }
    };
    let (per_minute, connection_fee) = (money(1), money(4));
    let mut seconds = |index: usize, least: u32| match field(index).parse::<u32>() {
        Ok(seconds) if (least..=SECONDS_MAX).contains(&seconds) => seconds,
        _ => {
            note(COLUMNS[index], format!("{:?} is not {least} to {SECONDS_MAX} seconds", field(index)));
            least
        }
    };
    let (pulse_s, minimum_s) = (seconds(2, 1), seconds(3, 0));
    if !bad.is_empty() {
        bad.sort_by_key(|bad| COLUMNS.iter().position(|column| *column == bad.column));
        return Err(bad);
    }
    let rate = Rate { per_minute, pulse_s, minimum_s, connection_fee };
    Ok(PrefixRate { rate, description: field(5).to_owned(), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "prefix,per_minute,pulse,minimum,connection_fee\n";

    fn bad(rows: &str) -> Vec<String> {
        parse(&format!("{HEADER}{rows}")).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_deck_reads_prefixes_inbound_prefixes_and_the_rest_of_the_world() {
        let rates =
            parse(&format!("{HEADER}+91,0.45,60,0,0\nin91,0,1,0,0.1\n,5,1,30,0,Everywhere\n")).unwrap();
        let prefixes: Vec<&str> = rates.iter().map(|rate| rate.prefix.as_str()).collect();
        assert_eq!(prefixes, ["91", "in91", ""]);
        assert_eq!(rates[0].rate.per_minute, Money::from_micros(450_000));
        assert_eq!((rates[2].rate.minimum_s, rates[2].description.as_str()), (30, "Everywhere"));
    }

    #[test]
    fn every_bad_field_is_named_by_row_and_column() {
        let found = bad("91,0.45,60,0,0\n9x,1,1,0,0\n44,-1,0,0,zz\n91,1,1,0,0\n7,1\n1,1,1,86401,0\n");
        let wanted = [
            "row 3, column prefix: ",
            "row 4, column per_minute: \"-1\" is negative",
            "row 4, column pulse: ",
            "row 4, column connection_fee: ",
            "row 5, column prefix: \"91\" stands there twice",
            "row 6: it has 2 columns of 5",
            "row 7, column minimum: ",
        ];
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.starts_with(wanted), "{found}");
        }
    }

    #[test]
    fn a_wrong_header_is_row_one_and_a_long_list_is_cut() {
        assert!(parse("prefix,price\n91,1\n").unwrap_err()[0].to_string().starts_with("row 1: the header"));
        assert_eq!(bad(&"x,1,1,0,0\n".repeat(NAMED_MAX - 1)).len(), NAMED_MAX - 1);
        assert_eq!(bad(&"x,1,1,0,0\n".repeat(NAMED_MAX)).len(), NAMED_MAX + 1);
    }

    #[test]
    fn a_prefix_may_be_as_long_as_a_number_and_no_longer() {
        assert!(parse(&format!("{HEADER}{},1,1,0,0\n", "9".repeat(PREFIX_MAX))).is_ok());
        assert_eq!(bad(&format!("{},1,1,0,0\n", "9".repeat(PREFIX_MAX + 1))).len(), 1);
    }
}
