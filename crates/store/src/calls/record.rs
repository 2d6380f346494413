//! The call record as stored: Vobiz's 43 keys of a CDR, and what only we keep.

use jiff::Timestamp;
use tandem_model::{
    AccountId, ApplicationId, CallDirection, CallId, CarrierId, Currency, ErrorCode, Money, Rate,
    RecordingId, TrunkId,
};

use crate::calls::live::json;
use crate::value::Row;
use crate::{StoreError, Tx};

/// What a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallContext {
    /// Steered by XML or the API.
    VoiceApi,
    /// Through a trunk.
    SipTrunking,
}

impl CallContext {
    /// `voice-api` or `sip-trunking`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VoiceApi => "voice-api",
            Self::SipTrunking => "sip-trunking",
        }
    }
}

/// One admission decision, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Integer id, given by the database; 0 before it is written.
    pub id: u64,
    /// The call.
    pub uuid: CallId,
    /// Who paid.
    pub account: AccountId,
    /// When billing began.
    pub answer_time: Option<Timestamp>,
    /// Billed seconds before pulses.
    pub billsec: u64,
    /// The other call of the bridge.
    pub bridge_uuid: Option<CallId>,
    /// Direction.
    pub call_direction: CallDirection,
    /// Caller's display name.
    pub caller_id_name: String,
    /// Caller.
    pub caller_id_number: String,
    /// Campaign, if any.
    pub campaign_id: Option<String>,
    /// Address of the carrier's leg.
    pub carrier_ip: Option<String>,
    /// Codec of the caller's leg.
    pub codec: Option<String>,
    /// What it belongs to.
    pub context: CallContext,
    /// Price of the talk.
    pub cost: Money,
    /// When the record was made.
    pub created_at: Timestamp,
    /// Currency of the prices.
    pub currency: Currency,
    /// The customer's SIP endpoint.
    pub customer_endpoint: Option<String>,
    /// Callee.
    pub destination_number: String,
    /// Seconds from INVITE to end.
    pub duration: u64,
    /// When it ended.
    pub end_time: Timestamp,
    /// SIP status or own code of a failure.
    pub failure_code: Option<String>,
    /// Words of a failure.
    pub failure_reason: Option<String>,
    /// `NORMAL_CLEARING`, …
    pub hangup_cause: Option<String>,
    /// Number of the catalogue.
    pub hangup_cause_code: Option<u32>,
    /// Name of the catalogue.
    pub hangup_cause_name: Option<String>,
    /// `send_bye`, `recv_bye`, …
    pub hangup_disposition: Option<String>,
    /// Who ended it.
    pub hangup_source: Option<String>,
    /// Jitter, µs.
    pub jitter_micros: Option<u64>,
    /// MOS × 1000.
    pub mos_milli: Option<u64>,
    /// Caller's signalling address.
    pub network_addr: Option<String>,
    /// Where the caller is.
    pub origination_region: String,
    /// Packets lost, percent × 1000.
    pub packet_loss_milli: Option<u64>,
    /// First ringing.
    pub progress_time: Option<Timestamp>,
    /// Where the callee is.
    pub region: String,
    /// Seconds of ringing.
    pub ring_time: u64,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// User-Agent of the caller's leg.
    pub sip_user_agent: Option<String>,
    /// When it began.
    pub start_time: Timestamp,
    /// Price of audio streaming.
    pub streaming_cost: Money,
    /// The URI that answered.
    pub terminated_to: Option<String>,
    /// The trunk.
    pub trunk: Option<TrunkId>,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// The A leg's call, on a B leg.
    pub parent_call: Option<CallId>,
    /// The application that steered it.
    pub application: Option<ApplicationId>,
    /// The carrier that took it.
    pub carrier: Option<CarrierId>,
    /// Refused at admission.
    pub refused: bool,
    /// Why, from the catalogue.
    pub code: Option<ErrorCode>,
    /// Refusals this one record stands for.
    pub occurrences: u64,
    /// The tariff, so that the price can be computed again.
    pub rate: Rate,
    /// Its recording.
    pub recording: Option<RecordingId>,
    /// The callee answered while CANCEL was in flight: nothing charged.
    pub answered_while_cancelling: bool,
    /// The sub-account whose call it was, when not the account's own.
    pub sub_account: Option<AccountId>,
}

impl CallRecord {
    /// `cost + streaming_cost`: what was debited.
    pub fn total_cost(&self) -> Money {
        self.cost + self.streaming_cost
    }
}

const INSERT: &str = "insert into call_record (uuid, account_id, answer_time, billsec, bridge_uuid, call_direction,
    caller_id_name, caller_id_number, campaign_id, carrier_ip, codec, context, cost, created_at, currency,
    customer_endpoint, destination_number, duration, end_time, failure_code, failure_reason, hangup_cause,
    hangup_cause_code, hangup_cause_name, hangup_disposition, hangup_source, jitter_micros, mos_milli,
    network_addr, origination_region, packet_loss_milli, progress_time, region, ring_time, sip_call_id,
    sip_user_agent, start_time, streaming_cost, terminated_to, trunk_id, updated_at, parent_call_id,
    application_id, carrier_id, refused, code, occurrences, rate, recording_id, answered_while_cancelling,
    sub_account)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
    $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45,
    $46, $47, $48, $49, $50, $51)
  on conflict (uuid) do nothing";

/// Inserts a record; false when the call has one already.
pub(crate) async fn insert(tx: &mut Tx<'_>, record: &CallRecord) -> Result<bool, StoreError> {
    let params = [
        record.uuid.into(),
        (&record.account).into(),
        record.answer_time.into(),
        record.billsec.into(),
        record.bridge_uuid.into(),
        record.call_direction.as_str().into(),
        (&record.caller_id_name).into(),
        (&record.caller_id_number).into(),
        record.campaign_id.as_ref().into(),
        record.carrier_ip.as_ref().into(),
        record.codec.as_ref().into(),
        record.context.as_str().into(),
        record.cost.into(),
        record.created_at.into(),
        (&record.currency).into(),
        record.customer_endpoint.as_ref().into(),
        (&record.destination_number).into(),
        record.duration.into(),
        record.end_time.into(),
        record.failure_code.as_ref().into(),
        record.failure_reason.as_ref().into(),
        record.hangup_cause.as_ref().into(),
        record.hangup_cause_code.into(),
        record.hangup_cause_name.as_ref().into(),
        record.hangup_disposition.as_ref().into(),
        record.hangup_source.as_ref().into(),
        record.jitter_micros.into(),
        record.mos_milli.into(),
        record.network_addr.as_ref().into(),
        (&record.origination_region).into(),
        record.packet_loss_milli.into(),
        record.progress_time.into(),
        (&record.region).into(),
        record.ring_time.into(),
        (&record.sip_call_id).into(),
        record.sip_user_agent.as_ref().into(),
        record.start_time.into(),
        record.streaming_cost.into(),
        record.terminated_to.as_ref().into(),
        record.trunk.into(),
        record.updated_at.into(),
        record.parent_call.into(),
        record.application.as_ref().into(),
        record.carrier.into(),
        record.refused.into(),
        record.code.map(ErrorCode::slug).into(),
        record.occurrences.into(),
        json(&record.rate)?.into(),
        record.recording.into(),
        record.answered_while_cancelling.into(),
        record.sub_account.as_ref().into(),
    ];
    Ok(tx.execute(INSERT, &params).await? == 1)
}

fn count(row: &Row, column: &str) -> Result<Option<u64>, StoreError> {
    row.opt_int(column)?
        .map(|n| u64::try_from(n).map_err(|_| StoreError::Data(format!("column {column} below zero"))))
        .transpose()
}

/// A row of `call_record` in full.
pub(super) fn record_of(row: &Row) -> Result<CallRecord, StoreError> {
    let unknown = |column: &str| StoreError::Data(format!("column {column} has an unknown word"));
    Ok(CallRecord {
        id: row.count("id")?,
        uuid: row.parsed("uuid")?,
        account: row.account("account_id")?,
        answer_time: row.opt_instant("answer_time")?,
        billsec: row.count("billsec")?,
        bridge_uuid: row.opt_parsed("bridge_uuid")?,
        call_direction: match row.text("call_direction")? {
            "inbound" => CallDirection::Inbound,
            "outbound" => CallDirection::Outbound,
            _ => return Err(unknown("call_direction")),
        },
        caller_id_name: row.string("caller_id_name")?,
        caller_id_number: row.string("caller_id_number")?,
        campaign_id: row.opt_string("campaign_id")?,
        carrier_ip: row.opt_string("carrier_ip")?,
        codec: row.opt_string("codec")?,
        context: match row.text("context")? {
            "voice-api" => CallContext::VoiceApi,
            "sip-trunking" => CallContext::SipTrunking,
            _ => return Err(unknown("context")),
        },
        cost: row.money("cost")?,
        created_at: row.instant("created_at")?,
        currency: row.parsed("currency")?,
        customer_endpoint: row.opt_string("customer_endpoint")?,
        destination_number: row.string("destination_number")?,
        duration: row.count("duration")?,
        end_time: row.instant("end_time")?,
        failure_code: row.opt_string("failure_code")?,
        failure_reason: row.opt_string("failure_reason")?,
        hangup_cause: row.opt_string("hangup_cause")?,
        hangup_cause_code: count(row, "hangup_cause_code")?
            .map(|code| u32::try_from(code).map_err(|_| unknown("hangup_cause_code")))
            .transpose()?,
        hangup_cause_name: row.opt_string("hangup_cause_name")?,
        hangup_disposition: row.opt_string("hangup_disposition")?,
        hangup_source: row.opt_string("hangup_source")?,
        jitter_micros: count(row, "jitter_micros")?,
        mos_milli: count(row, "mos_milli")?,
        network_addr: row.opt_string("network_addr")?,
        origination_region: row.string("origination_region")?,
        packet_loss_milli: count(row, "packet_loss_milli")?,
        progress_time: row.opt_instant("progress_time")?,
        region: row.string("region")?,
        ring_time: row.count("ring_time")?,
        sip_call_id: row.string("sip_call_id")?,
        sip_user_agent: row.opt_string("sip_user_agent")?,
        start_time: row.instant("start_time")?,
        streaming_cost: row.money("streaming_cost")?,
        terminated_to: row.opt_string("terminated_to")?,
        trunk: row.opt_parsed("trunk_id")?,
        updated_at: row.instant("updated_at")?,
        parent_call: row.opt_parsed("parent_call_id")?,
        application: row.opt_text("application_id")?.map(ApplicationId::new),
        carrier: row.opt_parsed("carrier_id")?,
        refused: row.flag("refused")?,
        code: row
            .opt_text("code")?
            .map(|slug| {
                ErrorCode::ALL.iter().copied().find(|code| code.slug() == slug).ok_or_else(|| unknown("code"))
            })
            .transpose()?,
        occurrences: row.count("occurrences")?,
        rate: row.json("rate")?,
        recording: row.opt_parsed("recording_id")?,
        answered_while_cancelling: row.flag("answered_while_cancelling")?,
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
    })
}
