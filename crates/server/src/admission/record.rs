//! From a call's business and its end to what is stored: the record and the events. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tandem_model::{
    ApplicationId, CallEnd, CallStatus, CallbackEvent, EventCallback, EventId, EventKind, HangupSource,
    Money, Refusal, TrunkId, UrlCall,
};
use tandem_store::OutboxEvent;
use tandem_store::calls::{CallContext, CallRecord};

use tandem_model::ports::Notice;

use super::context::{Context, Product};
use super::payload::{self, TrunkFacts};
use crate::recordings::RecordingWebhook;
use crate::webhooks::callback_event;

/// The name of our only region so far.
const REGION: &str = "local";

/// What an ended call costs: nothing unless it was answered and talked, and never more than was held.
pub(crate) fn cost(context: &Context, end: &CallEnd) -> (u64, Money) {
    if end.answered_at.is_none() || end.answered_while_cancelling {
        return (0, Money::ZERO);
    }
    // The engine hangs up where the reservation ends; rounding may see half a second more, nobody pays for it.
    let billsec = context.covered_s.map_or(end.billsec, |covered| end.billsec.min(covered));
    (billsec, context.rate.cost(billsec))
}

/// The record of an ended call. `billsec` and `cost` come from [`cost`].
pub(crate) fn of_end(
    context: &Context,
    end: &CallEnd,
    billsec: u64,
    cost: Money,
    now: Timestamp,
) -> CallRecord {
    let facts = &context.facts;
    // A call may be answered and yet fail: for want of a document, with an apology spoken.
    let failed = end.answered_at.is_none() || end.source == HangupSource::Error;
    let text = end.cause_text.clone().unwrap_or_else(|| end.cause.text().as_str().to_owned());
    CallRecord {
        answer_time: end.answered_at,
        billsec,
        bridge_uuid: end.bridge,
        carrier_ip: end.carrier_addr.map(|address| address.ip().to_string()),
        codec: end.codec.clone(),
        cost,
        duration: end.ring_s + billsec,
        end_time: end.ended_at,
        failure_code: failed.then(|| end.cause.code().to_string()),
        failure_reason: failed.then(|| end.reason.clone()),
        hangup_cause: Some(text),
        hangup_cause_code: Some(u32::from(end.cause.code())),
        hangup_cause_name: Some(end.cause.name().to_owned()),
        hangup_disposition: Some(end.disposition.clone()),
        hangup_source: Some(end.source.as_str().to_owned()),
        jitter_micros: end.quality.map(|quality| (quality.jitter_ms.max(0.0) * 1000.0).round() as u64),
        mos_milli: end.quality.map(|quality| (quality.mos.max(0.0) * 1000.0).round() as u64),
        network_addr: end.network_addr.map(|address| address.ip().to_string()),
        packet_loss_milli: end.quality.map(|quality| (quality.loss_percent.max(0.0) * 1000.0).round() as u64),
        progress_time: end.progress_at,
        ring_time: end.ring_s,
        sip_call_id: end.sip_call_id.clone(),
        sip_user_agent: end.sip_user_agent.clone(),
        terminated_to: end.terminated_to.clone(),
        recording: end.recording,
        answered_while_cancelling: end.answered_while_cancelling,
        ..blank(context, facts.started_at, now)
    }
}

/// The record of a refused call.
pub(crate) fn of_refusal(
    context: &Context,
    refusal: &Refusal,
    sip_call_id: &str,
    user_agent: Option<&str>,
    network_addr: Option<String>,
    now: Timestamp,
) -> CallRecord {
    let cause = refusal.code.hangup_cause();
    CallRecord {
        end_time: now,
        failure_code: Some(cause.code().to_string()),
        failure_reason: Some(refusal.reason.clone()),
        hangup_cause: Some(cause.text().as_str().to_owned()),
        hangup_cause_code: Some(u32::from(cause.code())),
        hangup_cause_name: Some(cause.name().to_owned()),
        hangup_disposition: Some("send_refuse".to_owned()),
        hangup_source: Some(HangupSource::Vobiz.as_str().to_owned()),
        network_addr,
        sip_call_id: sip_call_id.to_owned(),
        sip_user_agent: user_agent.map(str::to_owned),
        refused: true,
        code: Some(refusal.code),
        ..blank(context, context.facts.started_at, now)
    }
}

fn blank(context: &Context, start_time: Timestamp, now: Timestamp) -> CallRecord {
    let facts = &context.facts;
    CallRecord {
        id: 0,
        uuid: facts.call,
        account: context.payer.clone(),
        answer_time: None,
        billsec: 0,
        bridge_uuid: None,
        call_direction: facts.direction,
        caller_id_name: facts.caller_name.clone(),
        caller_id_number: with_plus(&facts.from),
        campaign_id: None,
        carrier_ip: None,
        codec: None,
        context: match context.product {
            Product::VoiceApi => CallContext::VoiceApi,
            Product::SipTrunking => CallContext::SipTrunking,
        },
        cost: Money::ZERO,
        created_at: now,
        currency: context.currency,
        customer_endpoint: context.endpoint.clone(),
        destination_number: with_plus(&facts.to),
        duration: 0,
        end_time: now,
        failure_code: None,
        failure_reason: None,
        hangup_cause: None,
        hangup_cause_code: None,
        hangup_cause_name: None,
        hangup_disposition: None,
        hangup_source: None,
        jitter_micros: None,
        mos_milli: None,
        network_addr: None,
        origination_region: REGION.to_owned(),
        packet_loss_milli: None,
        progress_time: None,
        region: REGION.to_owned(),
        ring_time: 0,
        sip_call_id: String::new(),
        sip_user_agent: None,
        start_time,
        streaming_cost: Money::ZERO,
        terminated_to: None,
        trunk: trunk_of(context),
        updated_at: now,
        parent_call: context.parent_call,
        application: context.application.as_deref().map(ApplicationId::new),
        carrier: context.carrier.as_deref().and_then(|carrier| carrier.parse().ok()),
        refused: false,
        code: None,
        occurrences: 1,
        rate: context.rate,
        recording: None,
        answered_while_cancelling: false,
        sub_account: (facts.account != context.payer).then(|| facts.account.clone()),
    }
}

pub(crate) fn trunk_of(context: &Context) -> Option<TrunkId> {
    context.trunk.as_ref().and_then(|trunk| trunk.trunk_id.parse().ok())
}

/// Records show numbers with `+`, other identities as they are.
fn with_plus(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("+{text}")
    } else {
        text.to_owned()
    }
}

/// `CallInitiated`, when the call went through a trunk that wants to know (outbound attempts).
pub(crate) fn initiated_event(context: &Context, refusal: Option<&Refusal>) -> Option<OutboxEvent> {
    let (trunk, webhook) = trunk_webhook(context)?;
    let names = [CallbackEvent::Ring, CallbackEvent::CallFailed];
    let webhook = webhook.wants(if refusal.is_some() { &names } else { &names[..1] })?;
    if context.facts.direction != tandem_model::CallDirection::Outbound {
        return None;
    }
    let body = payload::call_initiated(&context.facts, trunk, refusal);
    Some(trunk_event(context, trunk, webhook, EventKind::CallInitiated, body, 0, context.facts.started_at))
}

/// The events of an ended call: the trunk's `Hangup`, or `Event=Hangup` to the application.
pub(crate) fn ended_events(
    context: &Context,
    end: &CallEnd,
    billsec: u64,
    cost: Money,
    zone: &TimeZone,
) -> Vec<OutboxEvent> {
    let end = &CallEnd { billsec, ..end.clone() };
    let names = [CallbackEvent::Hangup, CallbackEvent::CallFailed];
    let names = if end.answered_at.is_none() { &names } else { &names[..1] };
    let mut events = Vec::new();
    if let Some((trunk, webhook)) = trunk_webhook(context)
        && let Some(webhook) = webhook.wants(names)
    {
        let body = payload::trunk_hangup(&context.facts, trunk, end, cost, context.currency);
        events.push(trunk_event(context, trunk, webhook, EventKind::TrunkHangup, body, 1, end.ended_at));
    }
    // There is no hangup webhook for a B leg: its Dial tells of it.
    let default = context.default_callback.as_ref().filter(|_| context.trunk.is_none());
    if context.parent_call.is_none() {
        // The list of the place that was chosen decides; what it leaves out falls to no other.
        let wanted = |place: &'_ EventCallback| place.wants(names).cloned();
        let hangup = context.hangup.as_ref().or(default).and_then(wanted);
        let status =
            context.status.as_ref().and_then(wanted).filter(|status| hangup.as_ref() != Some(status));
        let form = payload::hangup_form(&context.facts, end, &context.rate, cost, zone);
        for told in hangup.into_iter().chain(status) {
            events.push(callback_event(Notice {
                account: context.facts.account.clone(),
                call: context.facts.call,
                event: EventKind::Hangup,
                url: told.url,
                method: told.method,
                params: form.clone(),
            }));
        }
    }
    events
}

/// `StartApp`, to the status URL of an API call; its answer URL is asked for a document with the same words.
pub(crate) fn started_event(context: &Context) -> Option<OutboxEvent> {
    let status = context.status.as_ref()?.wants(&[CallbackEvent::StartApp])?;
    let event = EventKind::StartApp;
    let params = tandem_callflow::parameters::standard(&context.facts, event.name(), CallStatus::InProgress);
    Some(callback_event(Notice {
        account: context.facts.account.clone(),
        call: context.facts.call,
        event,
        url: status.url.clone(),
        method: status.method,
        params,
    }))
}

/// Where the account hears of the call's recordings: the trunk's webhook if it wants them, or what is told of calls that have
/// none (Vobiz voice reference 3.14).
pub(crate) fn recording_webhook(context: &Context) -> Option<RecordingWebhook> {
    let names = [CallbackEvent::RecordingCompleted];
    let place = match (&context.trunk, &context.trunk_webhook) {
        (Some(_), Some(webhook)) => context.trunk_hears_recordings.then_some(webhook)?,
        _ => context.status.as_ref().or(context.default_callback.as_ref())?,
    };
    let call = place.wants(&names)?.clone();
    let trunk = context.trunk.as_ref().map(|trunk| trunk.trunk_id.clone());
    Some(RecordingWebhook { call, account: context.payer.clone(), trunk })
}

fn trunk_webhook(context: &Context) -> Option<(&TrunkFacts, &EventCallback)> {
    context.trunk.as_ref().zip(context.trunk_webhook.as_ref().or(context.default_callback.as_ref()))
}

fn trunk_event(
    context: &Context,
    trunk: &TrunkFacts,
    webhook: &UrlCall,
    kind: EventKind,
    body: String,
    sequence: u64,
    at: Timestamp,
) -> OutboxEvent {
    OutboxEvent {
        event: EventId::random(),
        account: context.payer.clone(),
        call: Some(context.facts.call),
        endpoint_key: format!("trunk:{}", trunk.trunk_id),
        kind: kind.name().to_owned(),
        channel: kind.channel(),
        url: webhook.url.clone(),
        method: webhook.method,
        content_type: "application/json".to_owned(),
        body,
        secret_kind: "trunk".to_owned(),
        secret_ref: trunk.trunk_id.clone(),
        sequence,
        created_at: at,
    }
}
