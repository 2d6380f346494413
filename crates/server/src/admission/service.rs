//! The engine's port of admission over the directory and the Writer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use tandem_model::ports::{
    self, Admitted, AdmittedLeg, Answered, CallerIdentity, Decision, Extension, InviteFacts, LegDecision,
    LegRequest, Observer, Pending, RecordingSpec, Reservation, Route, StoreUnavailable, Trace, TraceKind,
};
use tandem_model::{
    AccountId, ApplicationPlan, CallEnd, CallId, DialogRecord, ErrorCode, Ids, Money, RecordingId, Refusal,
    clock,
};
use tandem_store::calls::{
    AnswerCall, ExtendCall, ExtendOutcome, LiveState, NewCall, NoteDialogs, RefuseCall, ReserveCall,
    ReserveOutcome, SettleCall, SettleOutcome, TickCalls,
};
use tandem_store::{StoreError, Writer};

use super::bucket::Bucket;
use super::context::Context;
use super::plan::{Planned, Planner, Refused, hangup_of};
use super::record;
use super::routing::CarrierLimits;
use crate::config::Config;
use crate::directory::Directory;

/// What every part of admission shares. Clones are handles.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Inner>);

struct Inner {
    directory: Directory,
    config: Arc<Config>,
    writer: Writer,
    observer: Arc<dyn Observer>,
    zone: TimeZone,
    recordings: PathBuf,
    limits: CarrierLimits,
    /// Business of live calls of this process.
    live: Mutex<HashMap<CallId, Arc<Context>>>,
    /// New calls per second, by account.
    buckets: Mutex<HashMap<AccountId, Bucket>>,
}

/// An API call, admitted: what the engine needs to dial it.
pub(crate) struct AdmittedCall {
    pub(crate) leg: AdmittedLeg,
    pub(crate) application: ApplicationPlan,
}

/// The fields of an API call that admission looks at.
pub(crate) struct ApiCall {
    pub(crate) call: CallId,
    pub(crate) account: AccountId,
    pub(crate) from: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) target: ports::LegTarget,
    pub(crate) custom_headers: Vec<(String, String)>,
    pub(crate) plan: ApplicationPlan,
    pub(crate) time_limit_s: Option<u64>,
}

impl Admission {
    /// Admission of one node.
    pub(crate) fn new(
        directory: Directory,
        config: Arc<Config>,
        writer: Writer,
        observer: Arc<dyn Observer>,
        zone: TimeZone,
    ) -> Self {
        let recordings = config.node.data.join("recordings");
        Self(Arc::new(Inner {
            directory,
            config,
            writer,
            observer,
            zone,
            recordings,
            limits: CarrierLimits::default(),
            live: Mutex::default(),
            buckets: Mutex::default(),
        }))
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            directory: &self.0.directory,
            config: &self.0.config,
            limits: &self.0.limits,
            now: clock::monotonic(),
        }
    }

    /// Decides an API call. A refusal of a known account is on record when this returns.
    pub(crate) async fn admit_api_call(&self, call: ApiCall) -> Result<AdmittedCall, Refusal> {
        let now = clock::wall();
        let planned = self.planner().originate(
            call.call,
            &call.account,
            &call.from,
            call.caller_name.as_deref(),
            &call.target,
            &call.custom_headers,
            now,
        );
        let (mut planned, routes) = match planned {
            Ok(planned) => planned,
            Err(refused) => return Err(self.refuse(refused, "", None, None).await),
        };
        planned.context.hangup = Some(hangup_of(&call.plan));
        if let Some(limit) = call.time_limit_s {
            planned.max_duration_s = planned.max_duration_s.min(limit.max(1));
        }
        if let Err(refusal) = self.take_call_of_second(&planned.context) {
            return Err(self.refuse_planned(planned, refusal, "", None, None).await);
        }
        let leg = self.reserve_leg(planned, routes, LiveState::Queued).await?;
        Ok(AdmittedCall { leg, application: call.plan })
    }

    /// CPS is per account, counted in memory before anything is written.
    fn take_call_of_second(&self, context: &Context) -> Result<(), Refusal> {
        let Some(account) = self.0.directory.account(&context.payer) else { return Ok(()) };
        let now = clock::monotonic();
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket =
            buckets.entry(context.payer.clone()).or_insert_with(|| Bucket::new(account.cps_limit, now));
        if bucket.take(account.cps_limit, now) {
            return Ok(());
        }
        let words = format!("More than {} new calls per second", account.cps_limit);
        Err(Refusal::because(ErrorCode::CpsExceeded, words))
    }

    /// Takes money and a channel for a planned call; on success the business is live.
    async fn reserve(
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
            ReserveOutcome::InsufficientBalance { available, currency } => Err(Refusal::because(
                ErrorCode::InsufficientBalance,
                format!("Insufficient balance: {} {currency}", available.to_fixed(2)),
            )),
            ReserveOutcome::ConcurrencyExceeded { limit } => {
                Err(Refusal::because(ErrorCode::ConcurrencyExceeded, format!("More than {limit} live calls")))
            }
            ReserveOutcome::AccountDisabled => Err(Refusal::new(ErrorCode::AccountInactive)),
        })
    }

    async fn reserve_leg(
        &self,
        mut planned: Planned,
        routes: Vec<Route>,
        state: LiveState,
    ) -> Result<AdmittedLeg, Refusal> {
        let recording = self.recording_for(&mut planned);
        match self.reserve(&planned.context, state, Vec::new()).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return Err(self.refuse_planned(planned, refusal, "", None, None).await),
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

    fn recording_for(&self, planned: &mut Planned) -> Option<RecordingSpec> {
        if !planned.record || planned.context.parent_call.is_some() {
            return None;
        }
        let recording = RecordingId(Ids::random());
        planned.context.recording = Some(recording);
        let path = self.0.recordings.join(format!("{}.wav", planned.context.facts.call));
        Some(RecordingSpec { recording, path })
    }

    fn keep(&self, context: Context) {
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(context.facts.call, Arc::new(context));
    }

    fn business_of(&self, call: CallId) -> Option<Arc<Context>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).get(&call).cloned()
    }

    fn forget(&self, call: CallId) {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    async fn refuse_planned(
        &self,
        planned: Planned,
        refusal: Refusal,
        sip_call_id: &str,
        user_agent: Option<&str>,
        network_addr: Option<String>,
    ) -> Refusal {
        let refused = Refused { refusal, context: Some(Box::new(planned.context)) };
        self.refuse(refused, sip_call_id, user_agent, network_addr).await
    }

    /// Puts a refusal on record with its event. When even that fails the refusal still stands.
    async fn refuse(
        &self,
        refused: Refused,
        sip_call_id: &str,
        user_agent: Option<&str>,
        network_addr: Option<String>,
    ) -> Refusal {
        let Some(mut context) = refused.context else { return refused.refusal };
        context.hold = Money::ZERO;
        let record = record::of_refusal(
            &context,
            &refused.refusal,
            sip_call_id,
            user_agent,
            network_addr,
            clock::wall(),
        );
        let mut events: Vec<_> =
            record::initiated_event(&context, Some(&refused.refusal)).into_iter().collect();
        if context.parent_call.is_some() {
            events.clear();
        }
        if let Err(error) = self.0.writer.submit(RefuseCall { record, events }).await {
            tracing::error!(call_id = %context.facts.call, %error, "a refusal could not be put on record");
        }
        self.trace(context.facts.call, TraceKind::Record, || {
            format!("refused: {} ({})", refused.refusal.reason, refused.refusal.code.slug())
        });
        refused.refusal
    }

    /// Settles an ended call from its business; used for this process's calls and for orphans.
    pub(crate) async fn settle(&self, context: &Context, end: &CallEnd) -> Result<SettleOutcome, StoreError> {
        let (mut billsec, mut cost) = record::cost(context, end);
        let mut outcome = self.settle_at(context, end, billsec, cost).await?;
        if let SettleOutcome::CostExceedsFunds { chargeable, .. } = outcome {
            // Cannot happen while holds cover what is talked; if it does, the customer pays what was held and no more.
            tracing::error!(call_id = %end.call, %cost, %chargeable, "a call cost more than its hold; billed down to it");
            billsec = context.rate.seconds_for(chargeable).unwrap_or(0).min(billsec);
            cost = context.rate.cost(billsec);
            outcome = self.settle_at(context, end, billsec, cost).await?;
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
        billsec: u64,
        cost: Money,
    ) -> Result<SettleOutcome, StoreError> {
        let events = record::ended_events(context, end, billsec, cost, &self.0.zone);
        let record = record::of_end(context, end, billsec, cost, clock::wall());
        let direction = context.facts.direction.as_str();
        let description = format!("Call {direction} to {}, {billsec} s", record.destination_number);
        self.0.writer.submit(SettleCall { record, description, events }).await
    }

    fn trace(&self, call: CallId, kind: TraceKind, text: impl FnOnce() -> String) {
        if self.0.observer.watching() {
            self.0.observer.observe(Trace { call, at: clock::wall(), kind, text: text() });
        }
    }

    async fn decide(&self, invite: InviteFacts) -> Decision {
        let network_addr = Some(invite.source.ip().to_string());
        let (sip_call_id, user_agent) = (invite.sip_call_id.clone(), invite.user_agent.clone());
        let mut planned = match self.planner().invite(&invite) {
            Ok(planned) => planned,
            Err(refused) => {
                return Decision::Refuse(
                    self.refuse(refused, &sip_call_id, user_agent.as_deref(), network_addr).await,
                );
            }
        };
        // A customer's own calls count against its CPS; calls to it are paced by the carrier.
        if !matches!(invite.identity, CallerIdentity::Carrier(_))
            && let Err(refusal) = self.take_call_of_second(&planned.context)
        {
            return Decision::Refuse(
                self.refuse_planned(planned, refusal, &sip_call_id, user_agent.as_deref(), network_addr)
                    .await,
            );
        }
        let recording = self.recording_for(&mut planned);
        match self.reserve(&planned.context, LiveState::Ringing, vec![invite.dialog]).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => {
                return Decision::Refuse(
                    self.refuse_planned(planned, refusal, &sip_call_id, user_agent.as_deref(), network_addr)
                        .await,
                );
            }
            Err(error) => return Decision::Refuse(store_refusal(&error)),
        }
        self.trace(planned.context.facts.call, TraceKind::Charge, || {
            let covered =
                planned.context.covered_s.map_or_else(|| "free".to_owned(), |s| format!("{s} s of talk"));
            format!("held {} {} ({covered})", planned.context.hold, planned.context.currency)
        });
        let admitted = Admitted {
            facts: planned.context.facts.clone(),
            plan: planned.plan,
            reservation: Reservation { covered_s: planned.context.covered_s },
            max_duration_s: planned.max_duration_s,
            recording,
            nat: planned.nat,
        };
        self.keep(planned.context);
        Decision::Admit(Box::new(admitted))
    }

    async fn decide_leg(&self, request: LegRequest) -> LegDecision {
        match self.planner().leg(&request) {
            Ok((planned, routes)) => match self.reserve_leg(planned, routes, LiveState::Ringing).await {
                Ok(leg) => LegDecision::Admit(Box::new(leg)),
                Err(refusal) => LegDecision::Refuse(refusal),
            },
            Err(mut refused) => {
                if let Some(context) = &mut refused.context {
                    context.parent_call = Some(request.parent.call);
                }
                LegDecision::Refuse(self.refuse(refused, "", None, None).await)
            }
        }
    }

    async fn grow(&self, call: CallId, elapsed_s: u64) -> Result<Extension, StoreUnavailable> {
        let Some(context) = self.business_of(call) else { return Ok(Extension::Exhausted) };
        let Some(covered) = context.covered_s else {
            return Ok(Extension::Covered(Reservation { covered_s: None }));
        };
        let wanted = covered.max(elapsed_s) + self.0.config.billing.reserve_s.max(1);
        let hold = context.rate.cost(wanted);
        let extend = ExtendCall {
            call,
            account: context.payer.clone(),
            extra_hold: hold - context.hold,
            covered_s: wanted,
        };
        match self.0.writer.submit(extend).await {
            Ok(ExtendOutcome::Extended { hold }) => {
                self.keep(Context { hold, covered_s: Some(wanted), ..(*context).clone() });
                self.trace(call, TraceKind::Charge, || {
                    format!("hold extended to {hold}, covering {wanted} s")
                });
                Ok(Extension::Covered(Reservation { covered_s: Some(wanted) }))
            }
            Ok(ExtendOutcome::Exhausted | ExtendOutcome::Gone) => Ok(Extension::Exhausted),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

impl ports::Admission for Admission {
    fn admit(&self, facts: InviteFacts) -> Pending<'_, Decision> {
        Box::pin(self.decide(facts))
    }

    fn admit_leg(&self, request: LegRequest) -> Pending<'_, LegDecision> {
        Box::pin(self.decide_leg(request))
    }

    fn dialling(&self, call: CallId, dialogs: Vec<DialogRecord>) {
        // A note for crashes before the answer: under overload it is the first thing to go.
        if let Err(error) = self.0.writer.submit_detached(NoteDialogs { call, dialogs }) {
            tracing::warn!(call_id = %call, %error, "the dialogs of a call being dialled are not noted");
        }
    }

    fn answered(&self, answered: Answered) -> Pending<'_, Result<(), StoreUnavailable>> {
        Box::pin(async move {
            let Answered { call, at, dialogs } = answered;
            match self.0.writer.submit(AnswerCall { call, at, dialogs }).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(StoreUnavailable(format!("call {call} is not live in the store"))),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn extend(&self, call: CallId, elapsed_s: u64) -> Pending<'_, Result<Extension, StoreUnavailable>> {
        Box::pin(self.grow(call, elapsed_s))
    }

    fn ticked(&self, elapsed: Vec<(CallId, u64)>) {
        if let Err(error) = self.0.writer.submit_detached(TickCalls(elapsed)) {
            tracing::warn!(%error, "a tick of live calls is not noted; the next one covers it");
        }
    }

    fn ended(&self, end: CallEnd) -> Pending<'_, Result<(), StoreUnavailable>> {
        Box::pin(async move {
            let Some(context) = self.business_of(end.call) else {
                // Settled before: the engine repeats what it got no answer to.
                return Ok(());
            };
            self.settle(&context, &end).await.map_err(|error| unavailable(&error))?;
            self.forget(end.call);
            Ok(())
        })
    }

    fn account_of(&self, call: CallId) -> Option<AccountId> {
        self.business_of(call).map(|context| context.facts.account.clone())
    }
}

fn unavailable(error: &StoreError) -> StoreUnavailable {
    StoreUnavailable(error.to_string())
}

fn store_refusal(error: &StoreError) -> Refusal {
    tracing::error!(%error, "admission is closed: the store cannot be written");
    Refusal { retry_after_s: Some(5), ..Refusal::new(ErrorCode::StoreUnavailable) }
}
