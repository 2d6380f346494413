//! The service, in memory: scripted admissions, canned documents, everything that was asked kept.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use secrecy::SecretString;
use tandem_model::ports::*;
use tandem_model::{
    AccountId, ApplicationPlan, CallDirection, CallEnd, CallFacts, CallId, CarrierId, ErrorCode, HttpMethod,
    Refusal, TrunkId, UrlCall, clock,
};
use tokio::sync::{Notify, Semaphore};

use super::PATIENCE;

type Script<A, B> = Box<dyn FnMut(A) -> B + Send>;

/// Everything that was asked, in order.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) admits: Vec<InviteFacts>,
    pub(crate) legs: Vec<LegRequest>,
    pub(crate) dialling: Vec<(CallId, Vec<tandem_model::DialogRecord>)>,
    pub(crate) answered: Vec<Answered>,
    pub(crate) extends: Vec<(CallId, u64)>,
    pub(crate) ticks: Vec<(CallId, u64)>,
    pub(crate) ends: Vec<CallEnd>,
    pub(crate) fetches: Vec<FetchRequest>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) spoken: Vec<String>,
    pub(crate) saves: Vec<BindingChange>,
    pub(crate) marks: Vec<(Gateway, GatewayHealth)>,
    pub(crate) traces: Vec<Trace>,
    pub(crate) recordings: Vec<(RecordingBegin, RecordingPlace)>,
    pub(crate) recorded: Vec<RecordingOutcome>,
    pub(crate) lost: Vec<tandem_model::RecordingId>,
}

struct Scripts {
    admit: Script<InviteFacts, Decision>,
    admit_leg: Script<LegRequest, LegDecision>,
    extend: Script<u64, Extension>,
    /// Ends refused before one is stored.
    end_failures: usize,
    documents: HashMap<String, String>,
    sources: HashMap<SocketAddr, Located>,
    hosts: HashMap<std::net::IpAddr, Located>,
    gateways: Vec<Gateway>,
    domains: HashMap<String, Located>,
    passwords: HashMap<String, String>,
    bindings: Vec<StoredBinding>,
    /// Carriers without a free channel.
    full_carriers: Vec<CarrierId>,
    /// Fetches of this URL never come back.
    hanging: Option<String>,
    /// Answers become durable as permits are added here.
    answers: Option<Arc<Semaphore>>,
    routes: Vec<Route>,
}

/// The service.
pub(crate) struct World {
    seen: Mutex<Seen>,
    scripts: Mutex<Scripts>,
    changed: Notify,
    unwatched: AtomicBool,
}

impl World {
    /// Admits nobody yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            scripts: Mutex::new(Scripts {
                admit: Box::new(|_| Decision::Refuse(Refusal::new(ErrorCode::NoRoute))),
                admit_leg: Box::new(|_| LegDecision::Refuse(Refusal::new(ErrorCode::NoRoute))),
                extend: Box::new(|elapsed| Extension::Covered(Reservation { covered_s: Some(elapsed + 60) })),
                end_failures: 0,
                documents: HashMap::new(),
                sources: HashMap::new(),
                hosts: HashMap::new(),
                gateways: Vec::new(),
                domains: HashMap::new(),
                passwords: HashMap::new(),
                bindings: Vec::new(),
                full_carriers: Vec::new(),
                hanging: None,
                answers: None,
                routes: Vec::new(),
            }),
            changed: Notify::new(),
            unwatched: AtomicBool::new(false),
        })
    }

    /// All ports.
    pub(crate) fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            directory: Arc::clone(self) as _,
            admission: Arc::clone(self) as _,
            documents: Arc::clone(self) as _,
            recordings: Arc::clone(self) as _,
            sounds: Arc::clone(self) as _,
            registrations: Arc::clone(self) as _,
            observer: Arc::clone(self) as _,
        }
    }

    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap()
    }

    /// Every INVITE is decided by `script`.
    pub(crate) fn on_admit(&self, script: impl FnMut(InviteFacts) -> Decision + Send + 'static) {
        self.scripts().admit = Box::new(script);
    }

    /// Every INVITE becomes a trunk call over `routes`.
    pub(crate) fn bridge_to(&self, routes: Vec<Route>) {
        self.scripts().routes.clone_from(&routes);
        self.on_admit(move |facts| {
            let plan = Plan::Bridge { routes: routes.clone(), ring_timeout_s: 30 };
            Decision::Admit(Box::new(admitted(&facts, plan)))
        });
    }

    /// The routes of the last [`Self::bridge_to`].
    pub(crate) fn routes(&self) -> Vec<Route> {
        self.scripts().routes.clone()
    }

    /// Every INVITE runs the document at `http://app/answer`.
    pub(crate) fn run_document(&self, document: &str) {
        self.document("http://app.test/answer", document);
        self.on_admit(|facts| Decision::Admit(Box::new(admitted(&facts, Plan::Application(application())))));
    }

    /// What a URL returns.
    pub(crate) fn document(&self, url: &str, document: &str) {
        self.scripts().documents.insert(url.to_owned(), document.to_owned());
    }

    /// Fetches of this URL never come back.
    pub(crate) fn hang(&self, url: &str) {
        self.scripts().hanging = Some(url.to_owned());
    }

    /// Answers are stored when permits are added to what this returns, one each.
    pub(crate) fn hold_answers(&self) -> Arc<Semaphore> {
        let answers = Arc::new(Semaphore::new(0));
        self.scripts().answers = Some(Arc::clone(&answers));
        answers
    }

    /// Every Dial leg is decided by `script`.
    pub(crate) fn on_leg(&self, script: impl FnMut(LegRequest) -> LegDecision + Send + 'static) {
        self.scripts().admit_leg = Box::new(script);
    }

    /// Every Dial leg goes over `routes`.
    pub(crate) fn dial_to(&self, routes: Vec<Route>) {
        self.on_leg(move |request| LegDecision::Admit(Box::new(admitted_leg(&request, routes.clone()))));
    }

    /// What a request for more money gets.
    pub(crate) fn on_extend(&self, script: impl FnMut(u64) -> Extension + Send + 'static) {
        self.scripts().extend = Box::new(script);
    }

    /// The store refuses this many ends before it takes one.
    pub(crate) fn fail_ends(&self, times: usize) {
        self.scripts().end_failures = times;
    }

    /// A carrier's address.
    pub(crate) fn carrier(&self, source: SocketAddr) {
        self.scripts().sources.insert(source, Located::Carrier(CarrierId(TrunkId::random().0)));
    }

    /// A trunk that is known by its address.
    pub(crate) fn acl_trunk(&self, source: SocketAddr) {
        let access =
            TrunkAccess { trunk: TrunkId::random(), account: account(), acl_match: true, digest: None };
        self.scripts().sources.insert(source, Located::Trunk(access));
    }

    /// A gateway in use.
    pub(crate) fn watch_gateway(&self, gateway: Gateway) {
        self.scripts().gateways.push(gateway);
    }

    /// A trunk that is known by its address, whatever the port.
    pub(crate) fn acl_trunk_at(&self, source: std::net::IpAddr) {
        let access =
            TrunkAccess { trunk: TrunkId::random(), account: account(), acl_match: true, digest: None };
        self.scripts().hosts.insert(source, Located::Trunk(access));
    }

    /// What requests to a host are.
    pub(crate) fn domain(&self, host: &str, located: Located) {
        self.scripts().domains.insert(host.to_owned(), located);
    }

    /// A trunk's domain whose callers authenticate.
    pub(crate) fn digest_trunk(&self, host: &str) {
        let digest = Some((host.to_owned(), DigestPolicy::Md5));
        let access = TrunkAccess { trunk: TrunkId::random(), account: account(), acl_match: false, digest };
        self.domain(host, Located::Trunk(access));
    }

    /// The registrar's host.
    pub(crate) fn registrar(&self, host: &str) {
        self.domain(host, Located::Endpoint { realm: host.to_owned(), policy: DigestPolicy::Md5 });
    }

    /// A user.
    pub(crate) fn user(&self, name: &str, password: &str) {
        self.scripts().passwords.insert(name.to_owned(), password.to_owned());
    }

    /// What is stored of phones.
    pub(crate) fn bindings(&self) -> Vec<StoredBinding> {
        self.scripts().bindings.clone()
    }

    /// Nobody watches: as in production.
    pub(crate) fn unwatch(&self) {
        self.unwatched.store(true, Ordering::Relaxed);
    }

    fn see(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
        self.changed.notify_waiters();
    }

    /// Looks at what was asked so far.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// Waits until `look` finds something.
    pub(crate) async fn eventually<T>(&self, what: &str, look: impl Fn(&Seen) -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = self.seen(&look) {
                    return found;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("never happened: {what}\n{}", self.timeline()))
    }

    /// How many calls have ended by now.
    pub(crate) fn ends_so_far(&self) -> usize {
        self.seen(|seen| seen.ends.len())
    }

    /// The end of the only call, or of the `count`th.
    pub(crate) async fn ends(&self, count: usize) -> Vec<CallEnd> {
        self.eventually("the call's end is stored", |seen| {
            (seen.ends.len() >= count).then(|| seen.ends.clone())
        })
        .await
    }

    /// The timeline, for failures.
    pub(crate) fn timeline(&self) -> String {
        let line = |trace: &Trace| format!("  {:?} {}", trace.kind, trace.text);
        self.seen(|seen| seen.traces.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// The customer.
pub(crate) fn account() -> AccountId {
    AccountId::new("MA_TEST0001")
}

/// URLs of a test application.
pub(crate) fn application() -> ApplicationPlan {
    let url = |url: &str| UrlCall { url: url.to_owned(), method: HttpMethod::Post };
    ApplicationPlan {
        answer: url("http://app.test/answer"),
        fallback: None,
        hangup: Some(url("http://app.test/hangup")),
        ring: Some(url("http://app.test/ring")),
        status: None,
        input: None,
    }
}

/// Facts of a call.
pub(crate) fn call_facts(call: CallId, direction: CallDirection, from: &str, to: &str) -> CallFacts {
    CallFacts {
        call,
        account: account(),
        direction,
        from: from.to_owned(),
        to: to.to_owned(),
        caller_name: from.to_owned(),
        started_at: clock::wall(),
        bill_rate: "0.60".to_owned(),
        parent_account: account(),
        a_leg: call,
        forwarded_from: None,
        custom_headers: Vec::new(),
    }
}

/// An admitted call.
pub(crate) fn admitted(facts: &InviteFacts, plan: Plan) -> Admitted {
    Admitted {
        facts: call_facts(facts.call, CallDirection::Inbound, &facts.from_user, &facts.dialled),
        plan,
        reservation: Reservation { covered_s: Some(60) },
        max_duration_s: 14_400,
        recording: None,
        nat: false,
    }
}

/// An admitted Dial leg.
pub(crate) fn admitted_leg(request: &LegRequest, routes: Vec<Route>) -> AdmittedLeg {
    let to = match &request.target {
        LegTarget::Number(to) | LegTarget::User(to) => to.clone(),
    };
    let mut facts = call_facts(request.call, CallDirection::Outbound, &request.parent.from, &to);
    facts.a_leg = request.parent.call;
    AdmittedLeg {
        facts,
        routes,
        reservation: Reservation { covered_s: Some(60) },
        max_duration_s: 14_400,
        recording: None,
    }
}

impl Directory for World {
    fn locate(&self, facts: &EdgeFacts<'_>) -> Located {
        let scripts = self.scripts();
        if let Some(located) = scripts.sources.get(&facts.source) {
            return located.clone();
        }
        if let Some(located) = scripts.hosts.get(&facts.source.ip()) {
            return located.clone();
        }
        scripts.domains.get(facts.request_host).cloned().unwrap_or(Located::Stranger)
    }

    fn knows(&self, source: SocketAddr, _transport: Transport) -> bool {
        let scripts = self.scripts();
        let located = scripts.sources.get(&source).or_else(|| scripts.hosts.get(&source.ip()));
        match located {
            Some(Located::Trunk(access)) => access.acl_match,
            Some(Located::Carrier(_) | Located::UnknownDomain) => true,
            _ => false,
        }
    }

    fn password(&self, _scope: &DigestScope, username: &str) -> Option<SecretString> {
        self.scripts().passwords.get(username).cloned().map(SecretString::from)
    }

    fn may_send_to(&self, address: SocketAddr) -> bool {
        address.ip().is_loopback()
    }

    fn gateways(&self) -> Vec<Gateway> {
        self.scripts().gateways.clone()
    }

    fn mark_gateway(&self, gateway: &Gateway, health: GatewayHealth) {
        self.see(|seen| seen.marks.push((gateway.clone(), health)));
    }
}

impl Admission for World {
    fn admit(&self, facts: InviteFacts) -> Pending<'_, Decision> {
        self.see(|seen| seen.admits.push(facts.clone()));
        Box::pin(async move { (self.scripts().admit)(facts) })
    }

    fn admit_leg(&self, request: LegRequest) -> Pending<'_, LegDecision> {
        self.see(|seen| seen.legs.push(request.clone()));
        Box::pin(async move { (self.scripts().admit_leg)(request) })
    }

    fn seize(&self, _call: CallId, carrier: CarrierId) -> Option<CarrierChannel> {
        (!self.scripts().full_carriers.contains(&carrier)).then(CarrierChannel::uncounted)
    }

    fn dialling(&self, call: CallId, dialogs: Vec<tandem_model::DialogRecord>) {
        self.see(|seen| seen.dialling.push((call, dialogs)));
    }

    fn answered(&self, answered: Answered) -> Pending<'_, Result<(), StoreUnavailable>> {
        self.see(|seen| seen.answered.push(answered));
        let gate = self.scripts().answers.clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            Ok(())
        })
    }

    fn extend(&self, call: CallId, elapsed_s: u64) -> Pending<'_, Result<Extension, StoreUnavailable>> {
        self.see(|seen| seen.extends.push((call, elapsed_s)));
        Box::pin(async move { Ok((self.scripts().extend)(elapsed_s)) })
    }

    fn ticked(&self, elapsed: Vec<(CallId, u64)>) {
        self.see(|seen| seen.ticks.extend(elapsed));
    }

    fn ended(&self, end: CallEnd) -> Pending<'_, Result<(), StoreUnavailable>> {
        let mut scripts = self.scripts();
        if scripts.end_failures > 0 {
            scripts.end_failures -= 1;
            return Box::pin(async { Err(StoreUnavailable("the disk is full".to_owned())) });
        }
        drop(scripts);
        self.see(|seen| seen.ends.push(end));
        Box::pin(async { Ok(()) })
    }

    fn account_of(&self, _call: CallId) -> Option<AccountId> {
        Some(account())
    }
}

impl Documents for World {
    fn fetch(&self, request: FetchRequest) -> Pending<'_, Result<Fetched, FetchError>> {
        let body = self.scripts().documents.get(&request.url).cloned();
        let hangs = self.scripts().hanging.as_deref() == Some(request.url.as_str());
        let url = request.url.clone();
        self.see(|seen| seen.fetches.push(request));
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            match body {
                Some(body) => Ok(Fetched { body: body.into_bytes(), url }),
                None => Err(FetchError { failure: FetchFailure::Status(404), words: "404".to_owned() }),
            }
        })
    }

    fn notify(&self, notice: Notice) {
        self.see(|seen| seen.notices.push(notice));
    }
}

impl Sounds for World {
    fn speak(&self, request: SpeechRequest) -> Pending<'_, Result<Arc<Clip>, SoundError>> {
        self.see(|seen| seen.spoken.push(request.text));
        // 200 ms of a square wave: loud, and unlike silence in every sample.
        let samples = (0..1_600).map(|n| if n % 16 < 8 { 8_000 } else { -8_000 }).collect();
        Box::pin(async move { Ok(Arc::new(Clip { samples })) })
    }

    fn load(&self, _account: AccountId, url: String) -> Pending<'_, Result<Arc<Clip>, SoundError>> {
        Box::pin(async move { Err(SoundError(format!("no such file: {url}"))) })
    }
}

impl Recordings for World {
    fn begin(&self, begin: RecordingBegin) -> RecordingPlace {
        let recording = tandem_model::RecordingId(tandem_model::Ids::random());
        let path = std::env::temp_dir().join(format!("tandem-{recording}.wav"));
        let place = RecordingPlace { recording, path, url: format!("http://media.test/{recording}") };
        self.see(|seen| seen.recordings.push((begin, place.clone())));
        place
    }

    fn ended(&self, outcome: RecordingOutcome) {
        self.see(|seen| seen.recorded.push(outcome));
    }

    fn lost(&self, recording: tandem_model::RecordingId) {
        self.see(|seen| seen.lost.push(recording));
    }
}

impl Registrations for World {
    fn load(&self) -> Pending<'_, Result<Vec<StoredBinding>, StoreUnavailable>> {
        Box::pin(async { Ok(self.bindings()) })
    }

    fn save(&self, changes: Vec<BindingChange>) -> Pending<'_, Result<(), StoreUnavailable>> {
        let mut scripts = self.scripts();
        for change in &changes {
            let (username, contact) = match change {
                BindingChange::Upsert(binding) => (&binding.username, &binding.contact),
                BindingChange::Remove { username, contact } => (username, contact),
            };
            scripts.bindings.retain(|kept| (&kept.username, &kept.contact) != (username, contact));
            if let BindingChange::Upsert(binding) = change {
                scripts.bindings.push(binding.clone());
            }
        }
        drop(scripts);
        self.see(|seen| seen.saves.extend(changes));
        Box::pin(async { Ok(()) })
    }
}

impl Observer for World {
    fn watching(&self) -> bool {
        !self.unwatched.load(Ordering::Relaxed)
    }

    fn observe(&self, trace: Trace) {
        self.see(|seen| seen.traces.push(trace));
    }
}
