//! The money of a call and its channel: reserved before an INVITE leaves, extended while it talks, settled at its end. Every step is
//! one durable command.

use tandem_model::ports::{AdmittedLeg, Extension, Reservation, Route, StoreUnavailable, TraceKind};
use tandem_model::{CallEnd, CallId, DialogRecord, ErrorCode, Money, Refusal, Shortage, clock};
use tandem_store::StoreError;
use tandem_store::calls::{
    ExtendCall, ExtendOutcome, LiveState, NewCall, ReserveCall, ReserveOutcome, SettleCall, SettleOutcome,
};

use super::context::Context;
use super::plan::Planned;
use super::record;
use super::refusing::Wire;
use super::service::{Admission, store_refusal, unavailable};
use crate::recordings::Recordings;

/// Asks for an extension: the whole, what is left, and once more when another call was faster.
const EXTENSION_TRIES: u32 = 3;

impl Admission {
    /// Takes money and a channel for a planned call; on success the business is live.
    pub(super) async fn reserve(
        &self,
        context: &Context,
        state: LiveState,
        dialogs: Vec<DialogRecord>,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let facts = &context.facts;
        let json = serde_json::to_string(context).map_err(|error| StoreError::Data(error.to_string()))?;
        let call = NewCall {
            call: facts.call,
            account: context.payer.clone(),
            parent_call: context.parent_call,
            state,
            direction: facts.direction,
            from: facts.from.clone(),
            to: facts.to.clone(),
            trunk: record::trunk_of(context),
            carrier: context.carrier_out(),
            application: context.application.as_deref().map(tandem_model::ApplicationId::new),
            currency: context.currency,
            facts: json,
            plan: String::from("{}"),
            rate: context.rate,
            hold: context.hold,
            covered_s: context.covered_s,
            started_at: facts.started_at,
            dialogs,
        };
        let events = record::initiated_event(context, None).into_iter().collect();
        let outcome = self.0.writer.submit(ReserveCall { call, events }).await?;
        Ok(match outcome {
            ReserveOutcome::Reserved => Ok(()),
            ReserveOutcome::InsufficientBalance { available, currency } => {
                let words = format!("Insufficient balance: {} {currency}", available.to_fixed(2));
                let shortage = Some(Shortage { required: context.hold, available, currency });
                Err(Refusal { shortage, ..Refusal::because(ErrorCode::InsufficientBalance, words) })
            }
            ReserveOutcome::ConcurrencyExceeded { limit } => {
                Err(Refusal::because(ErrorCode::ConcurrencyExceeded, format!("More than {limit} live calls")))
            }
            ReserveOutcome::AccountDisabled => Err(Refusal::new(ErrorCode::AccountInactive)),
        })
    }

    pub(super) async fn reserve_leg(
        &self,
        mut planned: Planned,
        routes: Vec<Route>,
        state: LiveState,
    ) -> Result<AdmittedLeg, Refusal> {
        let recording = self.recording_for(&mut planned);
        match self.reserve(&planned.context, state, Vec::new()).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return Err(self.refuse_planned(planned, refusal, &Wire::default()).await),
            Err(error) => return Err(store_refusal(&error)),
        }
        let leg = AdmittedLeg {
            facts: planned.context.facts.clone(),
            routes,
            reservation: Reservation { covered_s: planned.context.covered_s },
            max_duration_s: planned.max_duration_s,
            recording,
        };
        self.keep(planned.context);
        Ok(leg)
    }

    /// Settles an ended call from its business; used for this process's calls and for orphans, which ran on `node`.
    pub(crate) async fn settle(
        &self,
        context: &Context,
        end: &CallEnd,
        node: Option<&str>,
    ) -> Result<SettleOutcome, StoreError> {
        let (mut billsec, mut cost) = record::cost(context, end);
        let mut outcome = self.settle_at(context, end, node, billsec, cost).await?;
        if let SettleOutcome::CostExceedsFunds { chargeable, .. } = outcome {
            // Cannot happen while holds cover what is talked; if it does, the customer pays what was held and no more.
            tracing::error!(call_id = %end.call, %cost, %chargeable, "a call cost more than its hold; billed down to it");
            billsec = context.rate.seconds_for(chargeable).unwrap_or(0).min(billsec);
            cost = context.rate.cost(billsec);
            outcome = self.settle_at(context, end, node, billsec, cost).await?;
        }
        let traced = (self.0.observer.watching() && matches!(outcome, SettleOutcome::Settled { .. }))
            .then(|| (Some(end.cause.name().to_owned()), Some(end.source.as_str().to_owned())));
        if let Some((cause, source)) = traced {
            let call = context.facts.call;
            self.trace(call, TraceKind::Record, || {
                format!(
                    "record written: {billsec} s billed, {} by {}",
                    cause.unwrap_or_default(),
                    source.unwrap_or_default()
                )
            });
            self.trace(call, TraceKind::Charge, || {
                format!(
                    "charged {cost} {} ({} per minute, pulse {} s); hold {} released",
                    context.currency, context.rate.per_minute, context.rate.pulse_s, context.hold
                )
            });
        }
        Ok(outcome)
    }

    async fn settle_at(
        &self,
        context: &Context,
        end: &CallEnd,
        node: Option<&str>,
        billsec: u64,
        cost: Money,
    ) -> Result<SettleOutcome, StoreError> {
        let mut events = record::ended_events(context, end, billsec, cost, &self.0.zone);
        let now = clock::wall();
        let mut record = record::of_end(context, end, billsec, cost, now);
        let webhook = record::recording_webhook(context);
        let recording = match record.recording {
            Some(id) => self.0.recordings.of_call(&record, id, node, webhook.as_ref(), now).await,
            None => None,
        };
        if let Some(webhook) = &webhook
            && let (Some(id), true) = (context.recording, record.answer_time.is_some())
        {
            events.extend(match &recording {
                Some(made) if made.bytes.is_some() => Some(self.0.recordings.completed(made, webhook, now)),
                // Its node measures it and tells.
                Some(_) => None,
                None => Some(Recordings::failed(id, &context.facts, webhook, now)),
            });
        }
        record.recording = recording.as_ref().map(|recording| recording.id);
        let direction = context.facts.direction.as_str();
        let description = format!("Call {direction} to {}, {billsec} s", record.destination_number);
        self.0.writer.submit(SettleCall { record, description, recording, events }).await
    }

    /// More talk time for a live call: a whole stretch of it, or as much as the account's money still pays for.
    pub(super) async fn grow(&self, call: CallId, elapsed_s: u64) -> Result<Extension, StoreUnavailable> {
        let Some(context) = self.business_of(call) else { return Ok(Extension::Exhausted) };
        let Some(covered) = context.covered_s else {
            return Ok(Extension::Covered(Reservation { covered_s: None }));
        };
        let wanted = covered.max(elapsed_s) + self.0.config.billing.reserve_s.max(1);
        let mut hold = context.rate.cost(wanted);
        for _ in 0..EXTENSION_TRIES {
            // A pulse is paid for as a whole, so it is talked as a whole.
            let covers = context.rate.seconds_for(hold).unwrap_or(wanted);
            let extend = ExtendCall {
                call,
                account: context.payer.clone(),
                extra_hold: hold - context.hold,
                covered_s: covers,
            };
            match self.0.writer.submit(extend).await.map_err(|error| unavailable(&error))? {
                ExtendOutcome::Extended { hold } => {
                    self.keep(Context { hold, covered_s: Some(covers), ..(*context).clone() });
                    self.trace(call, TraceKind::Charge, || {
                        format!("hold extended to {hold}, covering {covers} s")
                    });
                    return Ok(Extension::Covered(Reservation { covered_s: Some(covers) }));
                }
                ExtendOutcome::Exhausted { available } => {
                    // The last of the money: whole seconds of talk, none that would go unpaid.
                    let affordable = context.rate.seconds_for(context.hold + available).unwrap_or(covered);
                    if affordable <= covered {
                        break;
                    }
                    hold = context.rate.cost(affordable);
                }
                ExtendOutcome::Gone => break,
            }
        }
        self.trace(call, TraceKind::Charge, || format!("no more money: it ends after {covered} s"));
        Ok(Extension::Exhausted)
    }
}
