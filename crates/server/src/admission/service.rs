//! The engine's port of admission over the directory and the Writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tandem_model::ports::{
    self, Admitted, AdmittedLeg, Answered, CallerIdentity, CarrierChannel, Decision, Extension, InviteFacts,
    LegDecision, LegRequest, Observer, Pending, RecordingSpec, Reservation, StoreUnavailable, Trace,
    TraceKind,
};
use tandem_model::{
    AccountId, ApplicationPlan, CallEnd, CallFacts, CallId, CallbackEvent, CarrierId, DialogRecord,
    ErrorCode, EventCallback, Ids, RecordingId, Refusal, clock,
};
use tandem_store::calls::{AnswerCall, LiveState, NoteDialogs, SetCallState, TickCalls};
use tandem_store::outbox::EnqueueEvents;
use tandem_store::{StoreError, Writer};

use super::bucket::Bucket;
use super::carriers::CarrierLimits;
use super::context::Context;
use super::hops::HopSigner;
use super::plan::{Planned, Planner, Refused, hangup_of};
use super::refusals::Refusals;
use super::refusing::Wire;
use crate::config::Config;
use crate::directory::Directory;
use crate::recordings::{RecordingWebhook, Recordings};

/// What every part of admission shares. Clones are handles.
#[derive(Clone)]
pub(crate) struct Admission(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) directory: Directory,
    pub(super) config: Arc<Config>,
    pub(super) writer: Writer,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) zone: TimeZone,
    pub(super) recordings: Recordings,
    hops: HopSigner,
    pub(super) limits: CarrierLimits,
    pub(super) refusals: Refusals,
    /// Business of live calls of this process.
    live: Mutex<HashMap<CallId, Arc<Context>>>,
    /// New calls per second, by account.
    buckets: Mutex<HashMap<AccountId, Bucket>>,
}

/// An API call, admitted: what the engine needs to dial it.
pub(crate) struct AdmittedCall {
    pub(crate) leg: AdmittedLeg,
    pub(crate) application: ApplicationPlan,
    /// How long until its turn of the account's calls per second.
    pub(crate) wait: Duration,
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
    /// How long it may wait for its turn.
    pub(crate) patience: Duration,
}

impl Admission {
    /// Admission of one node.
    pub(crate) fn new(
        directory: Directory,
        config: Arc<Config>,
        writer: Writer,
        observer: Arc<dyn Observer>,
        zone: TimeZone,
        hops: HopSigner,
        recordings: Recordings,
    ) -> Self {
        Self(Arc::new(Inner {
            directory,
            config,
            writer,
            observer,
            zone,
            recordings,
            hops,
            limits: CarrierLimits::default(),
            refusals: Refusals::default(),
            live: Mutex::default(),
            buckets: Mutex::default(),
        }))
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            directory: &self.0.directory,
            config: &self.0.config,
            limits: &self.0.limits,
            hops: &self.0.hops,
            now: clock::monotonic(),
        }
    }

    /// Decides an API call. A refusal of a known account is on record when this returns.
    pub(crate) async fn admit_api_call(&self, mut call: ApiCall) -> Result<AdmittedCall, Refusal> {
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
            Err(refused) => return Err(self.refuse(refused, &Wire::default()).await),
        };
        planned.context.hangup = Some(hangup_of(&call.plan));
        // Of an API call's own URLs the status URL is the most specific; without one the account's default is told.
        planned.context.status = call.plan.status.take().map(EventCallback::all).or_else(|| {
            let account = self.0.directory.account(&call.account)?;
            self.planner().default_callback(&account)
        });
        // The engine tells of the ringing, and of nothing else there.
        let status = planned.context.status.as_ref();
        call.plan.status = status.and_then(|status| status.wants(&[CallbackEvent::Ring]).cloned());
        if let Some(limit) = call.time_limit_s {
            planned.max_duration_s = planned.max_duration_s.min(limit.max(1));
        }
        let wait = match self.claim_call_of_second(&planned.context, call.patience) {
            Ok(wait) => wait,
            Err(refusal) => return Err(self.refuse_planned(planned, refusal, &Wire::default()).await),
        };
        let state = if wait.is_zero() { LiveState::Ringing } else { LiveState::Queued };
        let leg = self.reserve_leg(planned, routes, state).await?;
        Ok(AdmittedCall { leg, application: call.plan, wait })
    }

    /// A call that waited is dialled now.
    pub(crate) fn turn_came(&self, call: CallId) {
        let state = LiveState::Ringing;
        if let Err(error) = self.0.writer.submit_detached(SetCallState { call, state }) {
            tracing::warn!(call_id = %call, %error, "a call being dialled is still listed as queued");
        }
    }

    /// CPS is per account, counted in memory before anything is written: how long to wait for the call's turn.
    fn claim_call_of_second(&self, context: &Context, patience: Duration) -> Result<Duration, Refusal> {
        let Some(account) = self.0.directory.account(&context.payer) else { return Ok(Duration::ZERO) };
        let (now, limit) = (clock::monotonic(), account.cps_limit);
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(context.payer.clone()).or_insert_with(|| Bucket::new(limit, now));
        bucket.claim(limit, patience, now).ok_or_else(|| {
            Refusal::because(ErrorCode::CpsExceeded, format!("More than {limit} new calls per second"))
        })
    }

    pub(super) fn recording_for(&self, planned: &mut Planned) -> Option<RecordingSpec> {
        if !planned.record || planned.context.parent_call.is_some() {
            return None;
        }
        let recording = RecordingId(Ids::random());
        planned.context.recording = Some(recording);
        let path = self.0.recordings.path_of_call(planned.context.facts.call);
        Some(RecordingSpec { recording, path })
    }

    /// Who pays for a live call's recordings, and where the account hears of them.
    pub(crate) fn recording_business(&self, facts: &CallFacts) -> (AccountId, Option<RecordingWebhook>) {
        match self.business_of(facts.call) {
            Some(context) => (context.payer.clone(), super::record::recording_webhook(&context)),
            None => (facts.parent_account.clone(), None),
        }
    }

    pub(super) fn keep(&self, context: Context) {
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(context.facts.call, Arc::new(context));
    }

    pub(super) fn business_of(&self, call: CallId) -> Option<Arc<Context>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).get(&call).cloned()
    }

    pub(super) fn forget(&self, call: CallId) {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    pub(super) fn trace(&self, call: CallId, kind: TraceKind, text: impl FnOnce() -> String) {
        if self.0.observer.watching() {
            self.0.observer.observe(Trace { call, at: clock::wall(), kind, text: text() });
        }
    }

    /// Tells the status URL of an API call that it is answered.
    fn tell_started(&self, call: CallId) {
        let event = self.business_of(call).and_then(|context| super::record::started_event(&context));
        if let Some(event) = event
            && let Err(error) = self.0.writer.submit_detached(EnqueueEvents(vec![event]))
        {
            tracing::warn!(call_id = %call, %error, "a status callback could not be queued");
        }
    }

    async fn decide(&self, invite: InviteFacts) -> Decision {
        let wire = Wire {
            sip_call_id: invite.sip_call_id.clone(),
            user_agent: invite.user_agent.clone(),
            network_addr: Some(invite.source.ip().to_string()),
        };
        let arrival = match self.planner().arrive(&invite) {
            Ok(arrival) => arrival,
            Err(refused) => return Decision::Refuse(self.refuse(refused, &wire).await),
        };
        // A customer's own calls count against its CPS; calls to it are paced by the carrier.
        if !matches!(invite.identity, CallerIdentity::Carrier(_)) {
            let patience = Duration::from_millis(self.0.config.sip.cps_queue_ms);
            match self.claim_call_of_second(&arrival.context, patience) {
                Ok(Duration::ZERO) => {}
                Ok(wait) => tokio::time::sleep(wait).await,
                Err(refusal) => {
                    let refused = Refused { refusal, context: Some(Box::new(arrival.context)) };
                    return Decision::Refuse(self.refuse(refused, &wire).await);
                }
            }
        }
        let mut planned = match self.planner().invite(&invite, arrival) {
            Ok(planned) => planned,
            Err(refused) => return Decision::Refuse(self.refuse(refused, &wire).await),
        };
        let recording = self.recording_for(&mut planned);
        match self.reserve(&planned.context, LiveState::Ringing, vec![invite.dialog]).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return Decision::Refuse(self.refuse_planned(planned, refusal, &wire).await),
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
        let visits = self.business_of(request.parent.call).map_or(1, |parent| parent.visits.max(1));
        match self.planner().leg(&request, visits) {
            Ok((planned, routes)) => match self.reserve_leg(planned, routes, LiveState::Ringing).await {
                Ok(leg) => LegDecision::Admit(Box::new(leg)),
                Err(refusal) => LegDecision::Refuse(refusal),
            },
            Err(mut refused) => {
                if let Some(context) = &mut refused.context {
                    context.parent_call = Some(request.parent.call);
                }
                LegDecision::Refuse(self.refuse(refused, &Wire::default()).await)
            }
        }
    }

    /// How many nodes share the carriers.
    pub(crate) fn nodes_alive(&self, nodes: u32) {
        self.0.limits.set_nodes(nodes);
    }

    /// What the store says of calls to carriers that are not this process's.
    pub(crate) fn carriers_elsewhere(&self, counts: &HashMap<CarrierId, u64>) {
        self.0.limits.set_elsewhere(counts);
    }

    /// Whether any carrier limits its live calls.
    pub(crate) fn limits_carriers(&self) -> bool {
        self.0
            .directory
            .carriers()
            .iter()
            .any(|carrier| carrier.concurrent_limit > 0 || carrier.cps_limit > 0)
    }
}

impl ports::Admission for Admission {
    fn admit(&self, facts: InviteFacts) -> Pending<'_, Decision> {
        Box::pin(self.decide(facts))
    }

    fn admit_leg(&self, request: LegRequest) -> Pending<'_, LegDecision> {
        Box::pin(self.decide_leg(request))
    }

    fn seize(&self, call: CallId, carrier: CarrierId) -> Option<CarrierChannel> {
        let Some(entry) = self.0.directory.carrier(carrier) else {
            // Removed since the call was planned: nobody's limit.
            return Some(CarrierChannel::uncounted());
        };
        let channel = self.0.limits.seize(&entry, clock::monotonic())?;
        if let Some(context) = self.business_of(call)
            && context.carrier_out() != Some(carrier)
        {
            self.keep(Context { carrier: Some(carrier.to_string()), ..(*context).clone() });
        }
        Some(channel)
    }

    fn dialling(&self, call: CallId, dialogs: Vec<DialogRecord>) {
        let carrier = self.business_of(call).and_then(|context| context.carrier_out());
        // A note for crashes before the answer: under overload it is the first thing to go.
        if let Err(error) = self.0.writer.submit_detached(NoteDialogs { call, carrier, dialogs }) {
            tracing::warn!(call_id = %call, %error, "the dialogs of a call being dialled are not noted");
        }
    }

    fn answered(&self, answered: Answered) -> Pending<'_, Result<(), StoreUnavailable>> {
        Box::pin(async move {
            let Answered { call, at, dialogs } = answered;
            match self.0.writer.submit(AnswerCall { call, at, dialogs }).await {
                Ok(true) => {
                    self.tell_started(call);
                    Ok(())
                }
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
            self.settle(&context, &end, None).await.map_err(|error| unavailable(&error))?;
            self.forget(end.call);
            Ok(())
        })
    }

    fn backlog(&self) -> usize {
        self.0.writer.backlog()
    }

    fn account_of(&self, call: CallId) -> Option<AccountId> {
        self.business_of(call).map(|context| context.facts.account.clone())
    }
}

pub(super) fn unavailable(error: &StoreError) -> StoreUnavailable {
    StoreUnavailable(error.to_string())
}

pub(super) fn store_refusal(error: &StoreError) -> Refusal {
    tracing::error!(%error, "admission is closed: the store cannot be written");
    Refusal { retry_after_s: Some(5), ..Refusal::new(ErrorCode::StoreUnavailable) }
}
