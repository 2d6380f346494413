//! Requests of ours outside any call: OPTIONS that ask whether a gateway lives, REGISTER where a gateway wants it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use tandem_model::ports::{Gateway, GatewayHealth, Transport as ModelTransport};
use tandem_model::{CarrierId, clock, entropy};
use tandem_sip::digest::{Attempt, ChallengeKind, Credentials, authorize, parse_challenge};
use tandem_sip::message::{Address, FieldName, HeaderField, Method, OwnedUri};
use tandem_sip::{
    Flow, Next, OutgoingRequest, RegisterAnswer, Registrant, RequestId, ResponseFacts, Transport,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Shard;
use crate::config::host_text;
use crate::gateway::{GatewayAccount, RegistrationBoard, RegistrationState};

/// Most gateways asked in one round.
const MAX_PROBES: usize = 1_024;

/// What a shard keeps of gateways.
#[derive(Default)]
pub(super) struct Gateways {
    /// Who waits for the response to a request of ours.
    waiting: RefCell<HashMap<RequestId, oneshot::Sender<Option<Box<ResponseFacts>>>>>,
    /// Probes in a row that came to nothing.
    failures: RefCell<HashMap<Gateway, u32>>,
    next_round: Cell<Option<Instant>>,
    held: RefCell<HashMap<CarrierId, (GatewayAccount, CancellationToken)>>,
    board: RegistrationBoard,
}

/// How much is kept of gateways.
pub(super) struct GatewaySizes {
    pub(super) waiting: usize,
    pub(super) failing: usize,
    pub(super) held: usize,
}

impl Gateways {
    pub(super) fn sizes(&self) -> GatewaySizes {
        let failing = self.failures.borrow().values().filter(|count| **count > 0).count();
        let (waiting, held) = (self.waiting.borrow().len(), self.held.borrow().len());
        GatewaySizes { waiting, failing, held }
    }

    pub(super) fn new(board: RegistrationBoard) -> Self {
        Self { board, ..Self::default() }
    }
}

impl Shard {
    /// A request of ours outside a dialog has come to its end.
    pub(super) fn request_over(&self, request: RequestId, facts: Option<Box<ResponseFacts>>) {
        let waiting = self.gateways.waiting.borrow_mut().remove(&request);
        if let Some(waiting) = waiting {
            // One who no longer waits needs no answer.
            let _ = waiting.send(facts);
        }
    }

    /// Sends a request outside a dialog; `None` when nothing comes back.
    async fn ask(self: &Rc<Self>, request: OutgoingRequest) -> Option<Box<ResponseFacts>> {
        let sent = self.endpoint.borrow_mut().request(clock::monotonic(), request);
        let (tell, told) = oneshot::channel();
        self.gateways.waiting.borrow_mut().insert(sent.ok()?, tell);
        self.flush();
        told.await.ok().flatten()
    }

    /// Asks the gateways in use whether they live (RFC 3261 §11), when it is time; called every second.
    pub(super) fn tend_gateways(self: &Rc<Self>) {
        let Some(probing) = self.config.probing else { return };
        let now = clock::monotonic();
        let is_due = self.gateways.next_round.get().is_none_or(|at| now >= at);
        if !is_due {
            return;
        }
        self.gateways.next_round.set(Some(now + probing.interval));
        let gateways = self.ports.directory.gateways();
        self.gateways.failures.borrow_mut().retain(|gateway, _| gateways.contains(gateway));
        for gateway in gateways.into_iter().take(MAX_PROBES) {
            let shard = Rc::clone(self);
            self.tasks.spawn_local(async move {
                // Silence for too long is an answer as well.
                let asked =
                    tokio::time::timeout(probing.timeout, shard.probe(&gateway)).await.unwrap_or(Some(None));
                if let Some(status) = asked {
                    shard.heard_of(&gateway, status, probing.failures);
                }
            });
        }
    }

    /// What a gateway answers OPTIONS with: a status, or nothing. `None` when it cannot be asked: which name a TLS peer
    /// has to prove is known from the first call on.
    async fn probe(self: &Rc<Self>, gateway: &Gateway) -> Option<Option<u16>> {
        if gateway.transport == ModelTransport::Tls && !self.knows_name(gateway.address) {
            return None;
        }
        let flow = self.flow_over(sip_transport(gateway.transport), gateway.address)?;
        let us = format!("sip:ping@{}", host_text(self.config.advertised_to(gateway.address.ip())));
        let them = format!("sip:{}", gateway.address);
        let uri = OwnedUri::parse(&them).ok()?;
        let (from, to) = (Address::parse(&us).ok()?, Address::parse(&them).ok()?);
        let answer = self.ask(OutgoingRequest::new(flow, Method::Options, uri, from, to)).await;
        Some(answer.map(|facts| facts.status))
    }

    /// Whatever a gateway answers, it lives; 408 and 503 are what a proxy says of one that does not.
    fn heard_of(&self, gateway: &Gateway, status: Option<u16>, limit: u32) {
        let mut failures = self.gateways.failures.borrow_mut();
        let count = failures.entry(gateway.clone()).or_insert(0);
        if status.is_some_and(|status| !matches!(status, 408 | 503)) {
            if std::mem::take(count) >= limit {
                tracing::warn!(gateway = %gateway.address, "a gateway answers again");
                self.ports.directory.mark_gateway(gateway, GatewayHealth::Up);
            }
            return;
        }
        *count = count.saturating_add(1);
        if *count == limit {
            tracing::warn!(gateway = %gateway.address, ?status, "a gateway does not answer and is tried last");
            self.ports.directory.mark_gateway(gateway, GatewayHealth::Down);
        }
    }

    /// Keeps exactly these accounts registered from now on.
    pub(super) fn hold_registrations(self: &Rc<Self>, accounts: Vec<GatewayAccount>) {
        let mut held = self.gateways.held.borrow_mut();
        held.retain(|carrier, (kept, stop)| {
            let wanted = accounts.iter().any(|account| account.is_same(kept));
            if !wanted {
                stop.cancel();
                self.gateways.board.set(*carrier, None);
            }
            wanted
        });
        for account in accounts {
            let carrier = account.carrier;
            if held.contains_key(&carrier) {
                continue;
            }
            let stop = CancellationToken::new();
            self.gateways.board.set(carrier, Some(RegistrationState::Trying));
            let shard = Rc::clone(self);
            let (task, ended) = (account.clone(), stop.clone());
            self.tasks.spawn_local(async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = shard.stay_registered(&task) => {}
                }
            });
            held.insert(carrier, (account, stop));
        }
    }

    async fn stay_registered(self: &Rc<Self>, account: &GatewayAccount) {
        let carrier = account.carrier;
        let mut ours = Registrant::default();
        let call_id = format!("{:016x}{:016x}", entropy::number(), entropy::number());
        let mut proof = None;
        loop {
            let (next, state, challenges) =
                match self.register(account, &mut ours, &call_id, proof.take()).await {
                    Some(facts) => {
                        let next = ours.on_answer(RegisterAnswer {
                            status: facts.status,
                            expires: granted(&facts, &account.username),
                            min_expires: facts.min_expires,
                            retry_after: facts.retry_after,
                        });
                        (next, facts.status, facts.challenges)
                    }
                    None => (ours.on_failure(), 408, Vec::new()),
                };
            let pause = match next {
                Next::Again => continue,
                Next::Registered(pause) => {
                    self.gateways.board.set(carrier, Some(RegistrationState::Registered));
                    pause
                }
                Next::Authorize => {
                    proof = answer_challenge(account, state, &challenges);
                    if proof.is_some() {
                        continue;
                    }
                    self.refused(account, state);
                    match ours.on_failure() {
                        Next::Later(pause) => pause,
                        _ => Duration::from_mins(1),
                    }
                }
                Next::Later(pause) => {
                    self.refused(account, state);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn refused(&self, account: &GatewayAccount, status: u16) {
        tracing::warn!(gateway = %account.host, status, "a gateway does not register us; it is asked again");
        self.gateways.board.set(account.carrier, Some(RegistrationState::Refused(status)));
    }

    async fn register(
        self: &Rc<Self>,
        account: &GatewayAccount,
        ours: &mut Registrant,
        call_id: &str,
        proof: Option<HeaderField>,
    ) -> Option<Box<ResponseFacts>> {
        let flow = self.flow_to_registrar(account)?;
        let aor = Address::parse(&format!("sip:{}@{}", account.username, bracketed(&account.host))).ok()?;
        let uri = OwnedUri::parse(&registrar_uri(account)).ok()?;
        let mut request = OutgoingRequest::new(flow, Method::Register, uri, aor.clone(), aor);
        request.call_id = Some(call_id.to_owned());
        request.cseq = ours.next_cseq();
        request.contact_user = Some(account.username.clone());
        request.headers =
            vec![HeaderField::new(FieldName::Expires, ours.interval_seconds().to_string()).ok()?];
        request.headers.extend(proof);
        self.ask(request).await
    }

    fn flow_to_registrar(&self, account: &GatewayAccount) -> Option<Flow> {
        if !self.ports.directory.may_send_to(account.address) {
            return None;
        }
        let transport = sip_transport(account.transport);
        if transport == Transport::Tls && !self.expect_name(account.address, &account.host) {
            return None;
        }
        self.flow_over(transport, account.address)
    }
}

fn sip_transport(transport: ModelTransport) -> Transport {
    match transport {
        ModelTransport::Udp => Transport::Udp,
        ModelTransport::Tcp => Transport::Tcp,
        ModelTransport::Tls => Transport::Tls,
    }
}

/// What our Contact was granted, else what all were.
fn granted(facts: &ResponseFacts, username: &str) -> Option<u32> {
    let own = format!("sip:{username}@");
    let contact = facts.contacts.iter().find(|contact| contact.contains(&own))?;
    let parameters = contact.rsplit('>').next().unwrap_or_default();
    let expires = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("expires="));
    expires.and_then(|text| text.trim().parse().ok()).or(facts.expires)
}

fn answer_challenge(account: &GatewayAccount, status: u16, challenges: &[String]) -> Option<HeaderField> {
    let (kind, name) = match status {
        401 => (ChallengeKind::Www, FieldName::Authorization),
        _ => (ChallengeKind::Proxy, FieldName::ProxyAuthorization),
    };
    let parsed: Vec<_> = challenges.iter().filter_map(|value| parse_challenge(kind, value).ok()).collect();
    let credentials = Credentials {
        username: account.username.clone(),
        password: account.password.expose_secret().to_owned(),
        expected_realm: account.realm.clone(),
    };
    let cnonce = format!("{:016x}", entropy::number());
    // The registrant counts the challenges; a second one is answered if it is of a new nonce.
    authorize(&parsed, &credentials, Attempt::First, "REGISTER", &registrar_uri(account), b"", &cnonce, 1)
        .inspect_err(
            |error| tracing::warn!(gateway = %account.host, %error, "a gateway's challenge is not answered"),
        )
        .ok()
        .and_then(|answer| HeaderField::new(name, answer.value).ok())
}

fn registrar_uri(account: &GatewayAccount) -> String {
    format!("sip:{}", bracketed(&account.host))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
