//! Call records (REST reference §13): list, search, recent, one; [`export`] writes them as CSV.

mod csv;
mod export;

use axum::extract::{Path, State};
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, CallDirection, CallId};
use tandem_store::calls::{
    CallContext, CallRecord, RecordFilter, RecordPage, RecordStatus, RecordSummary, RecordsOf,
};

use super::json::{instant, money, optional_instant};
use super::lenient::{Fields, invalid};
use super::{ApiError, AppState, Query, Reply, Routes};
use crate::auth::Scoped;
pub(super) use export::Exports;

/// Rows of a page: by default, and at most.
const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
/// Characters of a filter at most.
const TEXT_MAX: usize = 255;

/// The routes of call records; `cdrs` is an alias of the canonicaliser.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/cdr", get(list))
        .route("/Account/{auth_id}/cdr/search", get(search))
        .route("/Account/{auth_id}/cdr/recent", get(recent))
        .route("/Account/{auth_id}/cdr/export", get(export::export))
        .route("/Account/{auth_id}/cdr/{call_uuid}", get(read))
}

/// The 43 keys of a record.
#[derive(Debug, Serialize)]
struct RecordView {
    account_id: String,
    answer_time: Value,
    billsec: u64,
    bridge_uuid: Option<CallId>,
    call_direction: &'static str,
    caller_id_name: String,
    caller_id_number: String,
    campaign_id: Option<String>,
    carrier_ip: Option<String>,
    codec: Option<String>,
    context: &'static str,
    cost: Value,
    created_at: String,
    currency: String,
    customer_endpoint: Option<String>,
    destination_number: String,
    duration: u64,
    end_time: String,
    failure_code: Option<String>,
    failure_reason: Option<String>,
    hangup_cause: Option<String>,
    hangup_cause_code: Option<u32>,
    hangup_cause_name: Option<String>,
    hangup_disposition: Option<String>,
    hangup_source: Option<String>,
    id: u64,
    jitter: Option<f64>,
    mos: Option<f64>,
    network_addr: Option<String>,
    origination_region: String,
    packet_loss: Option<f64>,
    progress_time: Value,
    region: String,
    ring_time: u64,
    sip_call_id: String,
    sip_user_agent: Option<String>,
    start_time: String,
    streaming_cost: Value,
    terminated_to: Option<String>,
    total_cost: Value,
    trunk_id: Option<String>,
    updated_at: String,
    uuid: CallId,
    /// How many refusals of a flood the record stands for, when it is more than its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrences: Option<u64>,
}

fn view(record: CallRecord) -> RecordView {
    let total_cost = money(record.total_cost());
    RecordView {
        account_id: record.account.to_string(),
        answer_time: optional_instant(record.answer_time),
        billsec: record.billsec,
        bridge_uuid: record.bridge_uuid,
        call_direction: record.call_direction.as_str(),
        caller_id_name: record.caller_id_name,
        caller_id_number: record.caller_id_number,
        campaign_id: record.campaign_id,
        carrier_ip: record.carrier_ip,
        codec: record.codec,
        context: record.context.as_str(),
        cost: money(record.cost),
        created_at: instant(record.created_at),
        currency: record.currency.as_str().to_owned(),
        customer_endpoint: record.customer_endpoint,
        destination_number: record.destination_number,
        duration: record.duration,
        end_time: instant(record.end_time),
        failure_code: record.failure_code,
        failure_reason: record.failure_reason,
        hangup_cause: record.hangup_cause,
        hangup_cause_code: record.hangup_cause_code,
        hangup_cause_name: record.hangup_cause_name,
        hangup_disposition: record.hangup_disposition,
        hangup_source: record.hangup_source,
        id: record.id,
        jitter: record.jitter_micros.map(|micros| micros as f64 / 1000.0),
        mos: record.mos_milli.map(|milli| milli as f64 / 1000.0),
        network_addr: record.network_addr,
        origination_region: record.origination_region,
        packet_loss: record.packet_loss_milli.map(|milli| milli as f64 / 1000.0),
        progress_time: optional_instant(record.progress_time),
        region: record.region,
        ring_time: record.ring_time,
        sip_call_id: record.sip_call_id,
        sip_user_agent: record.sip_user_agent,
        start_time: instant(record.start_time),
        streaming_cost: money(record.streaming_cost),
        terminated_to: record.terminated_to,
        total_cost,
        trunk_id: record.trunk.map(|trunk| trunk.to_string()),
        updated_at: instant(record.updated_at),
        uuid: record.uuid,
        occurrences: (record.occurrences > 1).then_some(record.occurrences),
    }
}

/// A record read by itself: the typed clients take no null there but in a few keys, and whole numbers for
/// `packet_loss` and `streaming_cost`.
pub(super) fn single(record: CallRecord) -> Value {
    const NUMBERS: [&str; 3] = ["jitter", "mos", "hangup_cause_code"];
    let packet_loss = record.packet_loss_milli.unwrap_or_default().saturating_add(500) / 1000;
    let streaming_cost = record.streaming_cost.to_fixed(0).parse::<i64>().unwrap_or_default();
    let mut body = json!(view(record));
    body["packet_loss"] = packet_loss.into();
    body["streaming_cost"] = streaming_cost.into();
    if let Some(members) = body.as_object_mut() {
        for (name, value) in members.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = if NUMBERS.contains(&name.as_str()) { 0.into() } else { "".into() };
        }
    }
    body
}

/// Whose records a request is for: a main account's include its sub-accounts', which it pays for.
fn whose(scoped: &Scoped) -> RecordsOf<'_> {
    match scoped.account.parent {
        Some(_) => RecordsOf::SubAccount(scoped.id()),
        None => RecordsOf::Account(scoped.id()),
    }
}

/// The record of a call, if it is the account's.
pub(super) async fn find(
    state: &AppState,
    scoped: &Scoped,
    call: CallId,
) -> Result<Option<CallRecord>, ApiError> {
    let found = state.reader.call_record(whose(scoped), call).await?;
    Ok(found.map(|record| CallRecord { account: scoped.id().clone(), ..record }))
}

/// Reads the filters of list and search.
fn filter(fields: &mut Fields) -> Result<RecordFilter, ApiError> {
    let mut text = |names: &[&'static str]| fields.text(names, TEXT_MAX).value();
    let mut filter = RecordFilter {
        from_number: text(&["from_number"]).map(digits),
        to_number: text(&["to_number"]).map(digits),
        sip_call_id: text(&["sip_call_id"]),
        hangup_cause: text(&["hangup_cause"]),
        hangup_disposition: text(&["hangup_disposition"]),
        campaign_id: text(&["campaign_id"]),
        search: text(&["search"]),
        ..RecordFilter::default()
    };
    let dates = (text(&["start_date", "from_date"]), text(&["end_date", "to_date"]));
    let bridge = text(&["bridge_uuid"]);
    let direction = fields.word(&["call_direction", "direction"], &["inbound", "outbound"]).value();
    filter.direction = direction.map(|word| match word {
        "inbound" => CallDirection::Inbound,
        _ => CallDirection::Outbound,
    });
    let context = fields.word(&["context"], &["voice-api", "sip-trunking"]).value();
    filter.context = context.map(|word| match word {
        "voice-api" => CallContext::VoiceApi,
        _ => CallContext::SipTrunking,
    });
    filter.min_duration = fields.number(&["min_duration"], 0, u64::from(u32::MAX)).value();
    let status =
        fields.word(&["status"], &["answered", "completed", "busy", "no_answer", "no-answer", "failed"]);
    filter.status = status.value().map(|word| match word {
        "busy" => RecordStatus::Busy,
        "failed" => RecordStatus::Failed,
        "answered" | "completed" => RecordStatus::Answered,
        _ => RecordStatus::NoAnswer,
    });
    fields.check_sentence()?;
    filter.bridge_uuid = bridge
        .map(|text| text.parse().map_err(|_| invalid("bridge_uuid: Must be a call's id")))
        .transpose()?;
    match dates {
        (None, None) => {}
        (Some(first), Some(last)) => {
            let (first, last) = (date("start_date", &first)?, date("end_date", &last)?);
            if last < first {
                return Err(invalid("end_date: Must not be before start_date"));
            }
            filter.started_from = Some(midnight(first)?);
            filter.started_before = Some(midnight(last.saturating_add(1.day()))?);
        }
        _ => return Err(invalid("start_date and end_date go together")),
    }
    Ok(filter)
}

/// Numbers are kept without `+`, which a query may also have turned into a space.
fn digits(text: String) -> String {
    text.trim_start_matches(['+', ' ']).to_owned()
}

fn date(name: &str, text: &str) -> Result<Date, ApiError> {
    Date::strptime("%Y-%m-%d", text).map_err(|_| invalid(format!("{name}: Must be YYYY-MM-DD")))
}

/// The first instant of a day, UTC.
fn midnight(date: Date) -> Result<Timestamp, ApiError> {
    let zoned = date.to_zoned(TimeZone::UTC).map_err(|_| invalid("start_date: Out of range"))?;
    Ok(zoned.timestamp())
}

/// Which page, and whether the client speaks `limit` and `offset`.
struct Paging {
    number: u64,
    size: u64,
    offset: u64,
    /// `offset` without `page`: the older envelope.
    by_offset: bool,
}

fn paging(fields: &mut Fields) -> Paging {
    // Zero and less count as absent; what is no number is refused with the filters.
    let mut number = |name: &'static str| {
        let text = fields.text(&[name], 20).value()?;
        if text.parse::<i64>().is_err() {
            fields.refuse(name, "Must be a whole number");
        }
        text.parse::<u64>().ok()
    };
    let size = number("per_page").or(number("limit")).filter(|size| *size > 0).unwrap_or(PER_PAGE);
    let size = size.min(PER_PAGE_MAX);
    let (page, offset) = (number("page"), number("offset"));
    let by_offset = page.is_none() && offset.is_some();
    let page = page.unwrap_or(1).clamp(1, u64::from(u32::MAX));
    let offset = if by_offset { offset.unwrap_or_default() } else { (page - 1) * size };
    Paging { number: if by_offset { offset / size + 1 } else { page }, size, offset, by_offset }
}

/// A page of records with all that they add up to, and how it was asked for.
pub(super) struct Listed {
    pub(super) body: Value,
    by_offset: bool,
    offset: u64,
}

fn summary(summary: &RecordSummary) -> Value {
    let rate = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 };
    let rate = (rate(summary.answered, summary.total) * 100.0).round() / 100.0;
    let average = summary.duration_s.checked_div(summary.total).unwrap_or_default();
    let rate = if rate.fract() == 0.0 { json!(rate as u64) } else { json!(rate) };
    json!({
        "answerRate": rate,
        "answeredCalls": summary.answered,
        "avgCallDuration": format!("{average}s"),
        "last_call_at": summary.last_call_at.map(instant).unwrap_or_default(),
        "totalCalls": summary.total,
        "total_billable_seconds": summary.billsec,
        "total_cost": money(summary.cost),
        "total_duration_seconds": summary.duration_s,
    })
}

/// The envelope of call records, for whom `account` stands on it.
pub(super) async fn listed(
    state: &AppState,
    whose: RecordsOf<'_>,
    account: &AccountId,
    fields: &mut Fields,
) -> Result<Listed, ApiError> {
    let paging = paging(fields);
    let filter = filter(fields)?;
    let (page, sums) = state.reader.call_list(whose, &filter, paging.offset, paging.size as u32).await?;
    let RecordPage { mut records, total } = page;
    if let RecordsOf::SubAccount(sub) = whose {
        for record in &mut records {
            record.account = sub.clone();
        }
    }
    let rows: Vec<_> = records.into_iter().map(view).collect();
    let end = paging.offset.saturating_add(paging.size);
    let body = json!({
        "account_id": account,
        "count": rows.len(),
        "data": rows,
        "pagination": {
            "page": paging.number, "per_page": paging.size, "total": total, "pages": total.div_ceil(paging.size),
            "has_next": end < total, "has_prev": paging.offset > 0,
        },
        "success": true,
        "summary": summary(&sums),
    });
    Ok(Listed { body, by_offset: paging.by_offset, offset: paging.offset })
}

/// List call records, newest first, with what all that match add up to.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let listed = listed(&state, whose(&scoped), scoped.id(), &mut fields).await?;
    let Listed { mut body, by_offset, offset } = listed;
    if !by_offset {
        return Ok(Reply::ok(body));
    }
    let pagination = &body["pagination"];
    let pagination = json!({
        "limit": pagination["per_page"], "offset": offset, "total": pagination["total"],
        "hasMore": pagination["has_next"],
    });
    Ok(Reply::ok(
        json!({ "data": { "cdrs": body["data"].take(), "pagination": pagination }, "success": true }),
    ))
}

/// Search call records: a list that repeats its filters.
async fn search(
    State(state): State<AppState>,
    scoped: Scoped,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let Listed { mut body, .. } = listed(&state, whose(&scoped), scoped.id(), &mut fields).await?;
    let mut text = |names: &[&'static str]| fields.text(names, TEXT_MAX).value().unwrap_or_default();
    body["filters"] = json!({
        "call_direction": text(&["call_direction", "direction"]),
        "from_number": text(&["from_number"]),
        "hangup_cause": text(&["hangup_cause"]),
        "to_number": text(&["to_number"]),
    });
    Ok(Reply::ok(body))
}

/// The newest call records, `limit` of them.
async fn recent(
    State(state): State<AppState>,
    scoped: Scoped,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let size = paging(&mut fields).size as u32;
    fields.check_sentence()?;
    let mut records = state.reader.newest_call_records(whose(&scoped), size).await?;
    for record in &mut records {
        record.account = scoped.id().clone();
    }
    let rows: Vec<_> = records.into_iter().map(view).collect();
    Ok(Reply::ok(json!({ "account_id": scoped.id(), "count": rows.len(), "data": rows, "success": true })))
}

/// Read one call record by its call's id.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let not_found = || ApiError::not_found("CDR not found").word("CDR not found");
    let id: CallId = id.parse().map_err(|_| not_found())?;
    let record = find(&state, &scoped, id).await?.ok_or_else(not_found)?;
    Ok(Reply::ok(json!({ "data": single(record), "success": true })))
}
