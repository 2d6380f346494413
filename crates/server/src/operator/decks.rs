//! `/admin/decks`: rate decks from CSV, replaced as a whole. Bad lines are named by number, and then
//! nothing is stored.

use std::collections::HashSet;

use axum::extract::{Path, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_model::{Currency, ErrorCode, Money, Rate, clock};
use tandem_store::resources::deck::{PrefixRate, PutDeck, PutDeckOutcome};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};

/// Longest name of a deck.
const NAME_MAX: usize = 100;
/// Bad lines named in one answer.
const NAMED_MAX: usize = 20;
/// Longest pulse or minimum: a day.
const SECONDS_MAX: u32 = 86_400;
/// The columns, in the order of the file; a sixth, `description`, is optional.
const HEADER: [&str; 5] = ["prefix", "per_minute", "pulse", "minimum", "connection_fee"];

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/decks", get(list)).route("/admin/decks/{name}", put(import))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    default: bool,
    csv: String,
}

/// Makes or replaces a deck. `default` makes it the one of its currency; without, that stays as it is.
async fn import(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: RequestId,
    body: Payload<Import>,
) -> Result<Json<Value>, ApiError> {
    let name = checks::text("name", Some(&name), NAME_MAX)?;
    let currency: Currency = body
        .value
        .currency
        .as_deref()
        .unwrap_or("INR")
        .parse()
        .map_err(|remedy| ApiError::field("currency", remedy))?;
    let rates = parse(&body.value.csv).map_err(|lines| {
        ApiError::because(ErrorCode::ValidationError, format!("Nothing was imported: {}", lines.join("; ")))
            .details(json!({ "lines": lines }))
    })?;
    let prefixes = rates.len();
    let command = PutDeck {
        id: id_of(&name),
        name: name.clone(),
        currency,
        make_default: body.value.default,
        rates,
        actor: operator(&request),
        at: clock::wall(),
    };
    match commit(&state, command).await? {
        PutDeckOutcome::Stored => Ok(Json(json!({
            "name": name, "deck_id": id_of(&name), "currency": currency, "prefixes": prefixes,
        }))),
        PutDeckOutcome::OtherCurrency(stored) => {
            let words = format!(
                "Deck {name} is in {stored} and stays so; import {currency} rates under another name"
            );
            Err(ApiError::because(ErrorCode::Conflict, words))
        }
    }
}

/// The same name is the same deck, on every node.
fn id_of(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("rate deck {name}").as_bytes()).into();
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(head).into_uuid().to_string()
}

/// Every line, or what is wrong with the first few bad ones.
fn parse(csv: &str) -> Result<Vec<PrefixRate>, Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(csv.as_bytes());
    let header = reader.headers().map_err(|error| vec![format!("line 1: {error}")])?;
    if !header.iter().zip(HEADER).all(|(found, wanted)| found.eq_ignore_ascii_case(wanted))
        || header.len() < 5
    {
        return Err(vec![format!("line 1: the header is {}", HEADER.join(","))]);
    }
    let (mut rates, mut bad, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for record in reader.records() {
        let parsed = match &record {
            Ok(record) => {
                rate_of(record).map_err(|words| (record.position().map_or(0, csv::Position::line), words))
            }
            Err(error) => Err((error.position().map_or(0, csv::Position::line), error.to_string())),
        };
        match parsed {
            Ok(rate) if seen.insert(rate.prefix.clone()) => rates.push(rate),
            Ok(rate) => {
                let line =
                    record.ok().and_then(|record| record.position().map(csv::Position::line)).unwrap_or(0);
                bad.push(format!("line {line}: prefix {:?} stands there twice", rate.prefix));
            }
            Err((line, words)) => bad.push(format!("line {line}: {words}")),
        }
        if bad.len() == NAMED_MAX {
            bad.push("and perhaps more".to_owned());
            break;
        }
    }
    if bad.is_empty() { Ok(rates) } else { Err(bad) }
}

fn rate_of(record: &csv::StringRecord) -> Result<PrefixRate, String> {
    if record.len() < HEADER.len() {
        return Err(format!("has {} columns of {}", record.len(), HEADER.len()));
    }
    let field = |index: usize| record.get(index).unwrap_or_default();
    let prefix = field(0).trim_start_matches('+').to_ascii_lowercase();
    let digits = prefix.strip_prefix("in").unwrap_or(&prefix);
    if digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("prefix {prefix:?} is digits, or in and digits, or empty for all"));
    }
    let money = |name: &str, text: &str| match text.parse::<Money>() {
        Ok(money) if money >= Money::ZERO => Ok(money),
        Ok(_) => Err(format!("{name} {text:?} is negative")),
        Err(error) => Err(format!("{name} {text:?}: {error}")),
    };
    let seconds = |name: &str, text: &str, least: u32| match text.parse::<u32>() {
        Ok(seconds) if (least..=SECONDS_MAX).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{name} {text:?} is {least} to {SECONDS_MAX} seconds")),
    };
    Ok(PrefixRate {
        rate: Rate {
            per_minute: money("per_minute", field(1))?,
            pulse_s: seconds("pulse", field(2), 1)?,
            minimum_s: seconds("minimum", field(3), 0)?,
            connection_fee: money("connection_fee", field(4))?,
        },
        description: field(5).to_owned(),
        prefix,
    })
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let decks: Vec<Value> = state
        .reader
        .decks()
        .await?
        .into_iter()
        .map(|deck| {
            json!({
                "name": deck.name, "deck_id": deck.id, "currency": deck.currency, "default": deck.is_default,
                "prefixes": deck.prefixes,
            })
        })
        .collect();
    Ok(Json(json!({ "decks": decks })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deck_reads_prefixes_inbound_prefixes_and_the_rest_of_the_world() {
        let csv = "prefix,per_minute,pulse,minimum,connection_fee\n+91,0.45,60,0,0\nin91,0,1,0,0.1\n,5,1,30,0,Everywhere\n";
        let rates = parse(csv).unwrap();
        let prefixes: Vec<&str> = rates.iter().map(|rate| rate.prefix.as_str()).collect();
        assert_eq!(prefixes, ["91", "in91", ""]);
        assert_eq!(rates[0].rate.per_minute, Money::from_micros(450_000));
        assert_eq!((rates[2].rate.minimum_s, rates[2].description.as_str()), (30, "Everywhere"));
    }

    #[test]
    fn bad_lines_are_named_by_number() {
        let csv = "prefix,per_minute,pulse,minimum,connection_fee\n91,0.45,60,0,0\n9x,1,1,0,0\n44,-1,1,0,0\n1,1,0,0,0\n91,1,1,0,0\n7,1\n";
        let lines = parse(csv).unwrap_err();
        for (line, words) in lines.iter().zip([
            "line 3: prefix",
            "line 4: per_minute",
            "line 5: pulse",
            "line 6: prefix",
            "line 7: has 2",
        ]) {
            assert!(line.starts_with(words), "{line}");
        }
        assert_eq!(lines.len(), 5);
        assert!(parse("prefix,price\n91,1\n").unwrap_err()[0].starts_with("line 1"));
    }

    #[test]
    fn a_name_is_one_deck() {
        assert_eq!(id_of("standard"), id_of("standard"));
        assert_ne!(id_of("standard"), id_of("Standard"));
    }
}
