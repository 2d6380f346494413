//! Documents of sub-accounts shown over the API (REST reference §4), and the same in test mode, where the contract's magic
//! inputs count, results say `mock` and rows are real.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::ErrorCode;
use tandem_model::kyc::{CheckState, Document, holds_aadhaar};

use super::sub_account::SubAccount;
use crate::api::calls::claim::{Claimed, claim};
use crate::api::{ApiError, AppState, Effect, Posted, Reply, Routes, checks};
use crate::egress::EgressTarget;
use crate::kyc::checks::Shown;
use crate::kyc::mode::{KycMode, blocks_calls, business_type, is_complete};
use crate::kyc::verifier::VerifierError;

const PAN_LENGTH: usize = 10;
const GSTIN_LENGTH: usize = 15;
/// Longest company name, request id, magic word.
const TEXT_MAX: usize = 200;
const STATE_MAX: usize = 500;

/// Real or test mode: the two sets of routes differ in nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Real,
    Test,
}

pub(super) fn routes() -> Routes {
    let routes = Routes::new()
        .route("/sub-accounts/{sub_auth_id}/kyc/status", get(status))
        .route("/sub-accounts/test/{sub_auth_id}/kyc/finalize-pending", post(finalize));
    let sets = [
        (Mode::Real, "/sub-accounts/{sub_auth_id}/kyc"),
        (Mode::Test, "/sub-accounts/test/{sub_auth_id}/kyc"),
    ];
    sets.into_iter().fold(routes, |routes, (mode, prefix)| {
        let route = |routes: Routes, path: &str, methods: MethodRouter<AppState>| {
            routes.route(&format!("{prefix}/{path}"), methods)
        };
        let routes = route(
            routes,
            "verify-pan",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Pan>| {
                pan(state, sub, posted, mode).await
            }),
        );
        let routes = route(
            routes,
            "verify-gst",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Gst>| {
                gst(state, sub, posted, mode).await
            }),
        );
        let routes = route(
            routes,
            "cin/search",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Search>| {
                search(state, sub, posted, mode).await
            }),
        );
        let routes = route(
            routes,
            "cin/confirm",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Confirm>| {
                confirm(state, sub, posted, mode).await
            }),
        );
        let routes = route(
            routes,
            "digilocker/initiate",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Initiate>| {
                initiate(state, sub, posted, mode).await
            }),
        );
        route(
            routes,
            "digilocker/verify",
            post(async move |State(state): State<AppState>, sub: SubAccount, posted: Posted<Verify>| {
                verify(state, sub, posted, mode).await
            }),
        )
    })
}

/// `GET /sub-accounts/{SA}/kyc/status`.
async fn status(State(state): State<AppState>, sub: SubAccount) -> Result<Json<Value>, ApiError> {
    let row = &sub.row;
    let current = state.reader.kyc_current(&row.id).await?;
    let of = |document: Document| {
        let found = current.iter().find(|check| check.document == document);
        found.map_or("not_started", |check| check.state.as_str())
    };
    let states: Vec<_> = current.iter().map(|check| (check.document, check.state)).collect();
    let business = business_type(&row.profile);
    let overall = match business.overall(&states) {
        _ if is_complete(&row.kyc_status) => "verified",
        Some(state) => state.as_str(),
        None => "not_started",
    };
    Ok(Json(json!({
        "sub_account_id": row.id,
        "kyc_mode": KycMode::of_profile(&row.profile).as_str(),
        "business_type": business,
        "overall_status": overall,
        "kyc_calls_blocked": blocks_calls(&row.kind, &row.profile, &row.kyc_status),
        "verifications": {
            "pan": of(Document::Pan), "gst": of(Document::Gst), "cin": of(Document::Cin),
            "aadhaar": of(Document::Aadhaar),
        },
    })))
}

/// Shows a document under the request's idempotency key and answers the result object.
async fn show(
    state: &AppState,
    sub: SubAccount,
    effect: &Effect,
    document: Document,
    fields: &[(&str, &str)],
    mode: Mode,
) -> Result<Reply, ApiError> {
    if fields.iter().any(|(_, text)| holds_aadhaar(text)) {
        return Err(ApiError::field("body", "must not hold an Aadhaar number"));
    }
    let hold = match claim(state, effect, sub.parent()).await? {
        Claimed::Replay(reply) => return Ok(reply),
        Claimed::Go(hold) => hold,
    };
    let fields: BTreeMap<String, String> =
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let customer = KycMode::of_profile(&sub.row.profile) == KycMode::CustomerUse;
    let shown = Shown {
        business: business_type(&sub.row.profile),
        account: sub.row.id,
        document,
        fields,
        mock: mode == Mode::Test,
        actor: sub.caller.actor,
    };
    let answer = match state.kyc.show(shown).await {
        Ok(verdict) => Ok(Reply::ok(result(
            document,
            verdict.state,
            customer && verdict.overall != CheckState::Verified,
            mode,
        ))),
        Err(error) => Err(failed(error, mode)),
    };
    hold.keep(state, &answer).await;
    if answer.is_ok() {
        state.settled().await;
    }
    answer
}

/// In test mode a verifier that was told to fail is 500, as the contract has it.
fn failed(error: crate::kyc::KycError, mode: Mode) -> ApiError {
    match error {
        crate::kyc::KycError::Verifier(error @ VerifierError::Unavailable(_)) if mode == Mode::Test => {
            ApiError::internal(error)
        }
        error => error.into(),
    }
}

fn result(document: Document, state: CheckState, blocked: bool, mode: Mode) -> Value {
    let mut result = json!({ "verification_type": document, "status": state, "kyc_calls_blocked": blocked });
    if let (Mode::Test, Some(result)) = (mode, result.as_object_mut()) {
        result.insert("mock".to_owned(), true.into());
    }
    result
}

/// A text of exactly so many characters; in test mode a magic word of any length where the contract allows one.
fn exact(name: &str, text: Option<&str>, length: usize, magic: bool) -> Result<String, ApiError> {
    let text = checks::text(name, text, TEXT_MAX)?.to_ascii_uppercase();
    let is_magic = magic && text.starts_with("TEST");
    if !is_magic && (text.len() != length || !text.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return Err(ApiError::field(name, &format!("is exactly {length} letters and digits")));
    }
    Ok(text)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pan {
    pan: Option<String>,
}

async fn pan(state: AppState, sub: SubAccount, posted: Posted<Pan>, mode: Mode) -> Result<Reply, ApiError> {
    let pan = exact("pan", posted.value.pan.as_deref(), PAN_LENGTH, mode == Mode::Test)?;
    show(&state, sub, &posted.effect, Document::Pan, &[("pan", &pan)], mode).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Gst {
    gstin: Option<String>,
}

async fn gst(state: AppState, sub: SubAccount, posted: Posted<Gst>, mode: Mode) -> Result<Reply, ApiError> {
    // Fifteen characters in test mode too: that is what one magic word has, and others are filled up.
    let text = posted.value.gstin.as_deref().map(|text| text.replace('_', ""));
    let gstin = exact("gstin", text.as_deref(), GSTIN_LENGTH, false)?;
    show(&state, sub, &posted.effect, Document::Gst, &[("gstin", &gstin)], mode).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Search {
    company_name: Option<String>,
}

async fn search(
    state: AppState,
    _: SubAccount,
    posted: Posted<Search>,
    mode: Mode,
) -> Result<Reply, ApiError> {
    let name = checks::text("company_name", posted.value.company_name.as_deref(), TEXT_MAX)?;
    let matches =
        state.kyc.companies(&name, mode == Mode::Test).await.map_err(|error| failed(error, mode))?;
    Ok(Reply::ok(json!({ "matches": matches })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirm {
    company_name: Option<String>,
    selected_cin: Option<String>,
}

async fn confirm(
    state: AppState,
    sub: SubAccount,
    posted: Posted<Confirm>,
    mode: Mode,
) -> Result<Reply, ApiError> {
    let name = checks::text("company_name", posted.value.company_name.as_deref(), TEXT_MAX)?;
    let cin = checks::text("selected_cin", posted.value.selected_cin.as_deref(), TEXT_MAX)?;
    let fields = [("company_name", name.as_str()), ("cin", cin.as_str())];
    show(&state, sub, &posted.effect, Document::Cin, &fields, mode).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Initiate {
    redirect_url: Option<String>,
    oauth_state: Option<String>,
}

async fn initiate(
    state: AppState,
    _: SubAccount,
    posted: Posted<Initiate>,
    mode: Mode,
) -> Result<Reply, ApiError> {
    let url = checks::text("redirect_url", posted.value.redirect_url.as_deref(), 2_048)?;
    if EgressTarget::parse(&url).is_err() {
        return Err(ApiError::field("redirect_url", "is an absolute http:// or https:// URL"));
    }
    let oauth_state = posted.value.oauth_state.unwrap_or_default();
    if oauth_state.len() > STATE_MAX {
        return Err(ApiError::field("oauth_state", "is at most 500 characters"));
    }
    let visit = state.kyc.digilocker(&url, &oauth_state, mode == Mode::Test).await;
    let visit = visit.map_err(|error| failed(error, mode))?;
    Ok(Reply::ok(json!({ "auth_url": visit.auth_url, "access_request_id": visit.access_request_id })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Verify {
    access_request_id: Option<String>,
    linked_number: Option<String>,
}

async fn verify(
    state: AppState,
    sub: SubAccount,
    posted: Posted<Verify>,
    mode: Mode,
) -> Result<Reply, ApiError> {
    let request = checks::text("access_request_id", posted.value.access_request_id.as_deref(), TEXT_MAX)?;
    // The mobile number that DigiLocker knows. It is not needed and not kept; twelve digits would be an Aadhaar number.
    if let Some(number) = posted.value.linked_number.as_deref().filter(|number| !number.is_empty()) {
        let digits = number.strip_prefix("+91").unwrap_or(number);
        if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::field("linked_number", "is a mobile number of ten digits"));
        }
    }
    show(&state, sub, &posted.effect, Document::Aadhaar, &[("access_request_id", &request)], mode).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Finalize {
    verification_type: Option<String>,
    outcome: Option<String>,
}

/// `POST /sub-accounts/test/{SA}/kyc/finalize-pending`: the verdict on what is pending in test mode.
async fn finalize(
    State(state): State<AppState>,
    sub: SubAccount,
    posted: Posted<Finalize>,
) -> Result<Reply, ApiError> {
    let document = posted.value.verification_type.as_deref().and_then(Document::parse);
    let document =
        document.ok_or_else(|| ApiError::field("verification_type", "is pan, aadhaar, gst or cin"))?;
    let outcome = match posted.value.outcome.as_deref() {
        Some("verified") => CheckState::Verified,
        Some("failed") => CheckState::Failed,
        _ => return Err(ApiError::field("outcome", "is verified or failed")),
    };
    let hold = match claim(&state, &posted.effect, sub.parent()).await? {
        Claimed::Replay(reply) => return Ok(reply),
        Claimed::Go(hold) => hold,
    };
    let answer = match state.kyc.finalize(&sub.row.id, document, outcome, sub.caller.actor.clone()).await {
        Ok(true) => {
            let row = state.reader.directory_account(sub.row.id.as_str()).await?;
            let blocked = row.is_some_and(|row| blocks_calls(&row.kind, &row.profile, &row.kyc_status));
            Ok(Reply::ok(result(document, outcome, blocked, Mode::Test)))
        }
        Ok(false) => Err(ApiError::because(
            ErrorCode::Conflict,
            format!("No {document} verification of the test mode is pending"),
        )),
        Err(error) => Err(error.into()),
    };
    hold.keep(&state, &answer).await;
    state.settled().await;
    answer
}
