//! Number policy: what may be dialled, and as whom. Pure over the directory.

use jiff::Timestamp;
use tandem_model::{AccountId, CountryRules, Dialled, E164, ErrorCode, NumberSeries, Refusal, normalise};

use crate::directory::{AccountEntry, Directory};

/// A dialled string as a subscriber number the account may call.
pub(crate) fn destination(
    directory: &Directory,
    account: &AccountEntry,
    open_codes: &[String],
    dialled: &str,
) -> Result<E164, Refusal> {
    let number = match normalise(dialled, account.country_rules()) {
        Ok(Dialled::Number(number)) => number,
        Ok(Dialled::Short(_)) => return Err(Refusal::new(ErrorCode::ShortCodeBarred)),
        Err(error) => {
            return Err(Refusal::because(
                ErrorCode::InvalidDestinationNumber,
                format!("{}: {error}", ErrorCode::InvalidDestinationNumber.title()),
            ));
        }
    };
    if !is_open(directory, account, open_codes, &number) {
        return Err(Refusal::new(ErrorCode::CountryBarred));
    }
    if directory.is_barred(&account.id, &number) {
        return Err(Refusal::new(ErrorCode::PrefixBarred));
    }
    Ok(number)
}

/// Countries are closed unless opened: the account's own is open, others by rule or configuration.
fn is_open(directory: &Directory, account: &AccountEntry, open_codes: &[String], number: &E164) -> bool {
    let digits = number.digits();
    digits.starts_with(account.country_rules().code)
        || open_codes.iter().any(|code| code == "*" || digits.starts_with(code.trim_start_matches('+')))
        || (1..=3).any(|length| directory.is_open(&account.id, &digits[..length]))
        || directory.is_open(&account.id, "*")
}

/// A caller id as a number the account owns.
pub(crate) fn owned_caller(
    directory: &Directory,
    account: &AccountId,
    rules: CountryRules,
    caller: &str,
    at: Timestamp,
) -> Result<E164, Refusal> {
    let refusal = || {
        Refusal::because(
            ErrorCode::CallerIdNotOwned,
            format!("The from number {} is not owned by this account", shown(caller)),
        )
    };
    let Ok(Dialled::Number(number)) = normalise(caller, rules) else { return Err(refusal()) };
    if !owns(directory, account, &number) {
        return Err(refusal());
    }
    if NumberSeries::of(number) == NumberSeries::Promotional && !is_daytime_in_india(at) {
        return Err(Refusal::new(ErrorCode::OutsideCallingHours));
    }
    Ok(number)
}

/// Promotional calls disturb nobody's night: 09:00 to 21:00 where they go (TRAI, TCCCPR 2018). India has one time, 5 h 30 min
/// before UTC, all the year.
fn is_daytime_in_india(at: Timestamp) -> bool {
    const OFFSET_S: i64 = 19_800;
    const HOUR_S: i64 = 3_600;
    let second = (at.as_second() + OFFSET_S).rem_euclid(24 * HOUR_S);
    (9 * HOUR_S..21 * HOUR_S).contains(&second)
}

/// The number is in service with this account, or with an account of the same main account.
pub(crate) fn owns(directory: &Directory, account: &AccountId, number: &E164) -> bool {
    let Some(entry) = directory.number(number) else { return false };
    let root =
        |id: &AccountId| directory.account(id).map_or_else(|| id.clone(), |entry| entry.payer().clone());
    entry.active && (entry.account == *account || root(&entry.account) == root(account))
}

/// A caller's text cut to what a reason may hold.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_for_the_daytime_of_india() {
        for (at, is_day) in [
            ("2026-11-22T03:29:59Z", false),
            ("2026-11-22T03:30:00Z", true),
            ("2026-11-22T15:29:59Z", true),
            ("2026-11-22T15:30:00Z", false),
        ] {
            assert_eq!(is_daytime_in_india(at.parse().unwrap()), is_day, "{at}");
        }
    }
}
