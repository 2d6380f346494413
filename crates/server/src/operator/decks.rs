//! `/admin/decks`: rate decks from CSV, replaced as a whole or not at all. What would change can be looked at first
//! (`dry_run`), and what was looked at is what is applied (`base`).

use axum::extract::{Path, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_model::{Currency, ErrorCode, clock};
use tandem_store::resources::deck::{Expected, PutDeck, PutDeckOutcome};

use super::deck_csv::{self, BadField};
use super::deck_diff::Diff;
use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};

/// Longest name of a deck.
const NAME_MAX: usize = 100;
/// The revision of a deck that is not there yet.
const NO_BASE: &str = "none";

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
    /// Say what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The `base` of the dry run that was looked at: refused if the deck has changed since.
    #[serde(default)]
    base: Option<String>,
}

/// Makes or replaces a deck; the answer says what changes by it, price by price. `default` makes it the one of its
/// currency; without, that stays as it is.
async fn import(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: RequestId,
    body: Payload<Import>,
) -> Result<Json<Value>, ApiError> {
    let wanted = body.value;
    let name = checks::text("name", Some(&name), NAME_MAX)?;
    let currency: Currency = wanted
        .currency
        .as_deref()
        .unwrap_or("INR")
        .parse()
        .map_err(|remedy| ApiError::field("currency", remedy))?;
    let rates = deck_csv::parse(&wanted.csv).map_err(|bad| refused(&bad))?;
    let id = id_of(&name);
    // The revision first: a change between the two reads makes the diff stale, and then it is not applied.
    let revision = state.reader.deck_revision(&id).await?;
    let base = base_of(revision);
    if wanted.base.as_ref().is_some_and(|seen| *seen != base) {
        return Err(changed(&name));
    }
    let stored = state.reader.directory_rates_of(&id).await?;
    let diff = Diff::between(&stored, &rates);
    let mut answer = json!({
        "name": name, "deck_id": id, "currency": currency, "prefixes": rates.len(), "base": base,
        "applied": !wanted.dry_run, "diff": diff.view(),
    });
    if wanted.dry_run {
        other_currency(&state, &name, &id, currency).await?;
        return Ok(Json(answer));
    }
    let command = PutDeck {
        id: id.clone(),
        name: name.clone(),
        currency,
        make_default: wanted.default,
        rates,
        expected: Expected::Revision(revision),
        actor: operator(&request),
        at: clock::wall(),
    };
    match commit(&state, command).await? {
        PutDeckOutcome::Stored => {
            answer["base"] = base_of(state.reader.deck_revision(&id).await?).into();
            Ok(Json(answer))
        }
        PutDeckOutcome::OtherCurrency(stored) => Err(stays(&name, stored, currency)),
        PutDeckOutcome::Changed => Err(changed(&name)),
    }
}

async fn other_currency(state: &AppState, name: &str, id: &str, currency: Currency) -> Result<(), ApiError> {
    match state.reader.directory_deck(id).await? {
        Some(stored) if stored.currency != currency => Err(stays(name, stored.currency, currency)),
        Some(_) | None => Ok(()),
    }
}

fn base_of(revision: Option<Timestamp>) -> String {
    revision.map_or_else(|| NO_BASE.to_owned(), |revision| revision.as_microsecond().to_string())
}

fn refused(bad: &[BadField]) -> ApiError {
    let lines: Vec<String> = bad.iter().map(ToString::to_string).collect();
    let errors: Vec<Value> = bad
        .iter()
        .map(|bad| json!({ "row": bad.row, "column": bad.column, "problem": bad.problem }))
        .collect();
    ApiError::because(ErrorCode::ValidationError, format!("Nothing was imported: {}", lines.join("; ")))
        .details(json!({ "lines": lines, "errors": errors }))
}

fn stays(name: &str, stored: Currency, currency: Currency) -> ApiError {
    let words =
        format!("Deck {name} is in {stored} and stays so; import {currency} rates under another name");
    ApiError::because(ErrorCode::Conflict, words)
}

fn changed(name: &str) -> ApiError {
    let words = format!("Deck {name} has changed since it was looked at: look at what would change again");
    ApiError::because(ErrorCode::Conflict, words)
}

/// The same name is the same deck, on every node.
fn id_of(name: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("rate deck {name}").as_bytes()).into();
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(head).into_uuid().to_string()
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
    fn a_name_is_one_deck() {
        assert_eq!(id_of("standard"), id_of("standard"));
        assert_ne!(id_of("standard"), id_of("Standard"));
    }
}
