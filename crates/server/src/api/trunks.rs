//! Trunks (REST reference §9.1) and their signing secrets, which are our own addition.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Value, json};
use tandem_model::{CallbackEvents, E164, ErrorCode, HttpMethod, Ids, TrunkId, clock};
use tandem_store::resources::acl::Acl;
use tandem_store::resources::credential::Credential;
use tandem_store::resources::trunk::{
    CreateTrunk, CreateTrunkOutcome, DeleteTrunk, RotateTrunkSecret, SecretOutcome, ShowTrunkSecret, Trunk,
    UpdateTrunk,
};
use tandem_store::resources::{Removed, Updated};

use super::callable;
use super::callback_events;
use super::ip_acl::network;
use super::json::instant;
use super::lenient::{Fields, Given, invalid};
use super::revision::{self, after};
use super::window::WindowQuery;
use super::{ApiError, AppState, Dialect, Effect, Payload, Posted, Query, Reply, Routes};
use crate::auth::{Scoped, context, mint_signing_secret};

/// Ids drawn for one trunk before giving up: with a million trunks one draw in 4,000 collides.
const DRAWS: usize = 8;
/// How long a rotated secret still signs.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Characters of a name at most.
const NAME_MAX: usize = 255;
/// Where its events go, under both names.
const WEBHOOK_URL: [&str; 2] = ["webhook_url", "status_callback"];
/// How numbers are written to a PBX that has not said otherwise.
const USUAL_FORMAT: &str = "e164-plus";
/// Addresses of `ip_whitelist` at most.
const WHITELIST_MAX: usize = 50;

/// The routes of trunks.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/trunks", get(list).post(create))
        .route("/Account/{auth_id}/trunks/{trunk_id}", get(read).put(update).delete(remove))
        .route("/Account/{auth_id}/trunks/{trunk_id}/signing-secret", get(show_secret))
        .route("/Account/{auth_id}/trunks/{trunk_id}/signing-secret/rotate", post(rotate_secret))
}

/// One trunk, in exactly the keys the typed clients know.
#[derive(Debug, Serialize)]
struct TrunkView {
    trunk_id: TrunkId,
    account_id: String,
    name: String,
    trunk_domain: String,
    trunk_status: &'static str,
    secure: bool,
    trunk_direction: String,
    concurrent_calls_limit: u64,
    cps_limit: u64,
    description: String,
    transport: String,
    recording: bool,
    enable_transcription: bool,
    pii_redaction: bool,
    webhook_method: String,
    recording_webhook_enabled: bool,
    created_at: String,
    updated_at: String,
}

/// A trunk in a list, where more may be said of it.
#[derive(Debug, Serialize)]
struct TrunkItem {
    #[serde(flatten)]
    trunk: TrunkView,
    credential_uuid: Option<String>,
    primary_uri_uuid: Option<String>,
    inbound_destination: Option<String>,
    pii_entity_types: Option<String>,
    webhook_url: Option<String>,
    /// Said only where it is not the usual, like the next two: the typed clients do not know them.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_callback_events: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_id: Option<String>,
}

fn view(domain: &str, trunk: Trunk) -> TrunkView {
    TrunkView {
        trunk_id: trunk.id,
        account_id: trunk.account.to_string(),
        name: trunk.name,
        trunk_domain: format!("{}.{}", trunk.domain_label, domain),
        trunk_status: if trunk.enabled { "active" } else { "disabled" },
        secure: trunk.secure,
        trunk_direction: trunk.direction,
        concurrent_calls_limit: trunk.concurrent_calls_limit,
        cps_limit: trunk.cps_limit,
        description: trunk.description,
        transport: trunk.transport,
        recording: trunk.recording,
        enable_transcription: trunk.enable_transcription,
        pii_redaction: trunk.pii_redaction,
        webhook_method: trunk.webhook_method,
        recording_webhook_enabled: trunk.recording_webhook_enabled,
        created_at: instant(trunk.created_at),
        updated_at: instant(trunk.updated_at),
    }
}

fn item(state: &AppState, trunk: Trunk) -> TrunkItem {
    TrunkItem {
        credential_uuid: trunk.credential_id.clone(),
        primary_uri_uuid: trunk.primary_uri_id.clone(),
        inbound_destination: trunk.inbound_destination.clone(),
        pii_entity_types: trunk.pii_entity_types.clone(),
        webhook_url: trunk.webhook_url.clone(),
        status_callback_events: callback_events::shown(trunk.webhook_events),
        number_format: Some(trunk.number_format.clone()).filter(|format| format != USUAL_FORMAT),
        caller_id: trunk.caller_id.map(|number| number.plus()),
        trunk: view(&state.config.sip.domain, trunk),
    }
}

/// List trunks, newest first.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    Query(query): Query<WindowQuery>,
) -> Result<Reply, ApiError> {
    let window = query.window();
    let (trunks, total) = state.reader.trunks(scoped.id(), window.offset, window.limit).await?;
    let objects: Vec<TrunkItem> = trunks.into_iter().map(|trunk| item(&state, trunk)).collect();
    Ok(Reply::ok(json!({ "meta": window.trunk_meta(total, dialect), "objects": objects })))
}

/// Read one trunk.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let trunk = find(&state, &scoped, &id).await?;
    Ok(Reply::ok(json!(view(&state.config.sip.domain, trunk))))
}

async fn find(state: &AppState, scoped: &Scoped, id: &str) -> Result<Trunk, ApiError> {
    let id: TrunkId = id.parse().map_err(|_| not_found())?;
    state.reader.trunk(scoped.id(), id).await?.ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::because(ErrorCode::TrunkNotFound, "No trunk with that id on this account")
}

/// Create a trunk: its domain is the first eight hex digits of its id; its signing secret is minted, and may
/// be read once.
async fn create(
    State(state): State<AppState>,
    scoped: Scoped,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let now = clock::wall();
    let draws: Vec<TrunkId> = (0..DRAWS).map(|_| TrunkId::random()).collect();
    let mut trunk = Trunk {
        id: TrunkId::random(),
        account: scoped.id().clone(),
        domain_label: String::new(),
        name: fields.required(&["name"], NAME_MAX),
        description: String::new(),
        direction: "both".to_owned(),
        enabled: true,
        secure: false,
        transport: "udp".to_owned(),
        inbound_destination: None,
        concurrent_calls_limit: 10,
        cps_limit: 2,
        credential_id: None,
        acl_id: None,
        primary_uri_id: None,
        fallback_uri_id: None,
        recording: false,
        enable_transcription: false,
        pii_redaction: false,
        pii_entity_types: None,
        webhook_url: None,
        webhook_method: "POST".to_owned(),
        webhook_events: CallbackEvents::ALL,
        recording_webhook_enabled: false,
        number_format: USUAL_FORMAT.to_owned(),
        caller_id: None,
        secret_sealed: Some(state.vault.seal(context::TRUNK_SECRET, &mint_signing_secret())),
        created_at: now,
        updated_at: now,
    };
    let _ = apply(&mut fields, &mut trunk);
    let credential = own_credential(&state, &scoped, &mut fields);
    let whitelist = whitelist(&state, &mut fields);
    refuse_wrong(&state, &fields, &trunk).await?;
    let acls = whitelist.into_iter().map(|cidr| Acl {
        id: Ids::random().to_string(),
        account: scoped.id().clone(),
        trunk: None,
        cidr,
        description: String::new(),
        enabled: true,
        created_at: now,
        updated_at: now,
    });
    let actor = scoped.caller.actor.clone();
    let command = CreateTrunk { trunk: trunk.clone(), draws, credential, acls: acls.collect(), actor };
    let domain = state.config.sip.domain.clone();
    effect
        .run(scoped.id(), command, move |outcome| match *outcome {
            CreateTrunkOutcome::Created(id) => {
                let made = Trunk { id, domain_label: id.label(), ..trunk.clone() };
                Ok(Reply::created(json!(view(&domain, made))))
            }
            CreateTrunkOutcome::Unknown(field) => Err(unknown(field)),
            CreateTrunkOutcome::DomainsTaken => Err(ApiError::internal("no free trunk domain was drawn")),
        })
        .await
}

/// `username` and `password`, which older clients send with the trunk.
fn own_credential(state: &AppState, scoped: &Scoped, fields: &mut Fields) -> Option<Credential> {
    let _ = fields.text(&["password"], super::credentials::PASSWORD_MAX);
    let username = fields.text(&["username"], super::credentials::USERNAME_MAX).value()?;
    let password = fields.required(&["password"], super::credentials::PASSWORD_MAX);
    super::credentials::check(fields, &username, &password);
    let now = clock::wall();
    Some(Credential {
        id: Ids::random().to_string(),
        account: scoped.id().clone(),
        trunk: None,
        username,
        password_sealed: state.vault.seal(context::TRUNK_PASSWORD, &password),
        description: String::new(),
        enabled: true,
        domain_label: None,
        created_at: now,
        updated_at: now,
    })
}

/// Change a trunk: fields that are not sent stay.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Payload { value: sent, .. }: Payload<Fields>,
) -> Result<Reply, ApiError> {
    for _ in 0..revision::ATTEMPTS {
        let mut trunk = find(&state, &scoped, &id).await?;
        let mut fields = sent.clone();
        let mut changed = apply(&mut fields, &mut trunk);
        if fields.text(&["name"], NAME_MAX).put(&mut trunk.name) {
            changed.push("name");
        }
        fields.check_known()?;
        refuse_wrong(&state, &fields, &trunk).await?;
        let expected = trunk.updated_at;
        trunk.updated_at = after(expected);
        let actor = scoped.caller.actor.clone();
        let command = UpdateTrunk { trunk: trunk.clone(), expected, fields: changed, actor };
        match state.writer.submit(command).await? {
            Updated::Updated => {
                state.settled().await;
                return Ok(Reply::ok(json!(view(&state.config.sip.domain, trunk))));
            }
            Updated::Unknown(field) => return Err(unknown(field)),
            Updated::Stale => {}
        }
    }
    Err(revision::stale())
}

fn unknown(field: &'static str) -> ApiError {
    invalid(format!("{field}: nothing with that id on this account"))
}

/// Puts what was sent into a trunk, under every name it is sent by; returns what differs.
fn apply(fields: &mut Fields, trunk: &mut Trunk) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut note = |name: &'static str, differs: bool| {
        if differs {
            changed.push(name);
        }
    };
    let owned = |given: Given<&'static str>| given.map(str::to_owned);
    if let Given::Null = fields.text(&["description"], 500) {
        note("description", Given::Value(String::new()).put(&mut trunk.description));
    }
    note("description", fields.text(&["description"], 500).put(&mut trunk.description));
    let direction = fields.word(&["trunk_direction", "trunk_type"], &["inbound", "outbound", "both"]);
    note("trunk_direction", owned(direction).put(&mut trunk.direction));
    note("transport", owned(fields.word(&["transport"], &["udp", "tcp", "tls"])).put(&mut trunk.transport));
    match fields.word(&["trunk_status"], &["active", "enabled", "disabled", "inactive"]) {
        Given::Value(word) => {
            let enabled = matches!(word, "active" | "enabled");
            note("trunk_status", Given::Value(enabled).put(&mut trunk.enabled));
        }
        Given::Absent | Given::Null => note("enabled", fields.flag(&["enabled"]).put(&mut trunk.enabled)),
    }
    note("secure", fields.flag(&["secure"]).put(&mut trunk.secure));
    let destination = fields.text(&["inbound_destination"], 255);
    if let Given::Value(destination) = &destination
        && (destination.contains(char::is_whitespace) || destination.contains('@'))
    {
        fields.refuse("inbound_destination", "Must be host or host:port");
    }
    note("inbound_destination", destination.put_optional(&mut trunk.inbound_destination));
    let concurrent = fields.number(&["concurrent_calls_limit", "max_concurrent_calls"], 0, 1000);
    note("concurrent_calls_limit", concurrent.put(&mut trunk.concurrent_calls_limit));
    note("cps_limit", fields.number(&["cps_limit"], 0, 100).put(&mut trunk.cps_limit));
    note("credential_uuid", fields.text(&["credential_uuid"], 64).put_optional(&mut trunk.credential_id));
    note("ipacl_uuid", fields.text(&["ipacl_uuid"], 64).put_optional(&mut trunk.acl_id));
    note("primary_uri_uuid", fields.text(&["primary_uri_uuid"], 64).put_optional(&mut trunk.primary_uri_id));
    note(
        "fallback_uri_uuid",
        fields.text(&["fallback_uri_uuid"], 64).put_optional(&mut trunk.fallback_uri_id),
    );
    note("recording", fields.flag(&["recording"]).put(&mut trunk.recording));
    note("enable_transcription", fields.flag(&["enable_transcription"]).put(&mut trunk.enable_transcription));
    note("pii_redaction", fields.flag(&["pii_redaction"]).put(&mut trunk.pii_redaction));
    note(
        "pii_entity_types",
        fields.text(&["pii_entity_types"], 500).put_optional(&mut trunk.pii_entity_types),
    );
    let webhook = fields.text(&WEBHOOK_URL, 500);
    note("webhook_url", webhook.put_optional(&mut trunk.webhook_url));
    let method = fields.method(&["webhook_method", "status_callback_method"]);
    let method = method.map(|method| HttpMethod::as_str(method).to_owned());
    note("webhook_method", method.put(&mut trunk.webhook_method));
    let events = callback_events::events(fields, "status_callback_events");
    note("status_callback_events", events.put(&mut trunk.webhook_events));
    let recordings = fields.flag(&["recording_webhook_enabled"]);
    note("recording_webhook_enabled", recordings.put(&mut trunk.recording_webhook_enabled));
    let format = fields.word(&["number_format"], &["e164-plus", "e164", "national"]);
    note("number_format", owned(format).put(&mut trunk.number_format));
    let caller_id = match fields.text(&["caller_id"], 16) {
        Given::Value(text) => text.parse::<E164>().map_or_else(
            |_| {
                fields.refuse("caller_id", "Must be a number of the account with country code");
                Given::Absent
            },
            Given::Value,
        ),
        Given::Null => Given::Null,
        Given::Absent => Given::Absent,
    };
    note("caller_id", caller_id.put_optional(&mut trunk.caller_id));
    changed
}

/// `ip_whitelist`, a list or text with commas.
fn whitelist(state: &AppState, fields: &mut Fields) -> Vec<String> {
    fields.asked(&["ip_whitelist", "ipWhitelist"]);
    let texts: Vec<String> = match fields.raw(&["ip_whitelist", "ipWhitelist"]) {
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().unwrap_or_default().trim().to_owned()).collect()
        }
        Some(Value::String(text)) => {
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        _ => Vec::new(),
    };
    if texts.len() > WHITELIST_MAX {
        fields.refuse("ip_whitelist", format!("At most {WHITELIST_MAX} addresses"));
        return Vec::new();
    }
    for text in &texts {
        if let Err(why) = network(text, &state.config.webhooks.allow_private) {
            fields.refuse("ip_whitelist", why);
        }
    }
    texts
}

/// Refuses what is wrong with the fields, and a webhook URL that may not be called.
async fn refuse_wrong(state: &AppState, fields: &Fields, trunk: &Trunk) -> Result<(), ApiError> {
    fields.check_sentence()?;
    let policy = callable::policy(state);
    match &trunk.webhook_url {
        Some(url) if fields.has(&WEBHOOK_URL) && !callable::may_call(url, &policy).await => {
            Err(invalid("invalid webhook_url"))
        }
        _ => Ok(()),
    }
}

/// Delete a trunk with its credentials, ACL entries and URIs. Refused while it carries calls.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let id: TrunkId = id.parse().map_err(|_| not_found())?;
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteTrunk { id, account, actor, at: clock::wall() };
    effect
        .run(scoped.id(), command, |outcome| match *outcome {
            Removed::Removed => Ok(Reply::no_content()),
            Removed::NotFound => Err(not_found()),
            Removed::InUse(calls) => Err(ApiError::because(
                ErrorCode::Conflict,
                format!("The trunk carries {calls} live calls: end them first"),
            )
            .hint("End its calls first.")),
        })
        .await
}

/// Read a trunk's signing secret: once after it was made.
async fn show_secret(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let id: TrunkId = id.parse().map_err(|_| not_found())?;
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = ShowTrunkSecret { id, account, actor, at: clock::wall() };
    match state.writer.submit(command).await? {
        SecretOutcome::Shown(sealed) => {
            let secret = state.vault.open_secret(context::TRUNK_SECRET, &sealed)?;
            Ok(Reply::ok(json!({ "trunk_id": id, "signing_secret": secret.expose_secret() })))
        }
        SecretOutcome::Spent => {
            let words = "The signing secret is shown once: rotate it to get a new one";
            Err(ApiError::because(ErrorCode::Conflict, words)
                .word("SECRET_ALREADY_SHOWN")
                .hint("Rotate the secret: the answer to that shows the new one.")
                .status(StatusCode::GONE))
        }
        SecretOutcome::NotFound => Err(not_found()),
    }
}

/// Give a trunk a new signing secret, shown in this answer only. The old one signs beside it for 24 hours.
async fn rotate_secret(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { effect, .. }: Posted<Value>,
) -> Result<Reply, ApiError> {
    let id: TrunkId = id.parse().map_err(|_| not_found())?;
    let at = clock::wall();
    let previous_until = at + OVERLAP;
    let secret = mint_signing_secret();
    let sealed = state.vault.seal(context::TRUNK_SECRET, &secret);
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = RotateTrunkSecret { id, account, sealed, previous_until, actor, at };
    let shown = json!({
        "trunk_id": id,
        "signing_secret": secret,
        "previous_valid_until": instant(previous_until),
    });
    effect
        .run(scoped.id(), command, move |rotated| match rotated {
            true => Ok(Reply::ok(shown.clone())),
            false => Err(not_found()),
        })
        .await
}
