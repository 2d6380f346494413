//! Phones: REGISTER in the registrar's realm, durable before the 200; bindings of the last process
//! life taken over at start; NAT bindings kept open.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tandem_model::clock;
use tandem_model::ports::{BindingChange as StoredChange, DigestPolicy, DigestScope, StoredBinding};
use tandem_sip::message::{Address, FieldName, HeaderField, Method, OwnedUri};
use tandem_sip::registrar::{
    Binding, BindingChange, ContactFacts, Contacts, Flow, FlowTransport, KeepAlive, Nat, RegisterFacts,
    RegisterOutcome, RegisterRefusal, RegisteredContact, Registrar,
};
use tandem_sip::{Flow as SipFlow, OutgoingRequest, RequestFacts, TransactionId, Transport};

use super::digest::{Demand, Proof};
use super::{Shard, now_s};
use crate::config::host_text;

/// Most Path values that are repeated in the answer.
const MAX_PATHS: usize = 16;
/// Most Contact values of one REGISTER that are read.
const MAX_CONTACTS: usize = 16;

/// Where a registered phone is reached.
#[derive(Clone, Debug)]
pub(crate) struct PhoneContact {
    /// Request-URI.
    pub(crate) uri: OwnedUri,
    /// The path to it: the connection it registered over, where it is still open.
    pub(crate) flow: SipFlow,
    /// Preloaded routes.
    pub(crate) path: Vec<OwnedUri>,
}

impl Shard {
    /// Serves a REGISTER for the registrar's host.
    pub(super) fn on_register(
        self: &Rc<Self>,
        transaction: TransactionId,
        request: &RequestFacts,
        realm: &str,
        policy: DigestPolicy,
    ) {
        let now = now_s();
        let demand = Demand { scope: DigestScope::Endpoints, realm, policy };
        let username = match self.judge_digest(request, &demand) {
            Proof::Is(username) => username,
            _ if !self.may_refuse(clock::monotonic(), request.flow) => {
                let _ = self.endpoint.borrow_mut().overlook_request(transaction);
                return;
            }
            Proof::Ask(challenges) => {
                let fields =
                    challenges.into_iter().map(|value| HeaderField::new(FieldName::WwwAuthenticate, value));
                let fields: Vec<_> = fields.flatten().collect();
                return self.respond_once(transaction, 401, &fields);
            }
            Proof::Banned => return self.respond_once(transaction, 403, &[]),
            Proof::Malformed => return self.respond_once(transaction, 400, &[]),
        };
        // A phone registers for itself only.
        if request.to.uri.view().user() != Some(username.as_str()) {
            return self.respond(transaction, 403, &[]);
        }
        let connection = self.streams.id_of(request.flow);
        let Some(facts) = register_facts(username, request, connection) else {
            return self.respond(transaction, 400, &[]);
        };
        match self.registrar.borrow_mut().handle(now, facts) {
            RegisterOutcome::Refused(refusal) => {
                let field = match refusal {
                    RegisterRefusal::IntervalTooBrief { min_expires } => {
                        HeaderField::new(FieldName::MinExpires, min_expires.to_string()).ok()
                    }
                    _ => None,
                };
                self.respond(transaction, refusal.status(), field.as_slice());
            }
            RegisterOutcome::Accepted { changes, contacts } => {
                let longest = contacts.iter().map(|contact| u64::from(contact.expires)).max().unwrap_or(0);
                let (now, longest) = (clock::monotonic(), Duration::from_secs(longest));
                self.gate.borrow_mut().registered(now, request.flow.remote.ip(), longest);
                let shard = Rc::clone(self);
                // RFC 3327 §5.3: the phone sees by which way it will be reached.
                let paths = request.path.iter().take(MAX_PATHS).cloned();
                let paths: Vec<_> = paths.flat_map(|path| HeaderField::new(FieldName::Path, path)).collect();
                self.tasks.spawn_local(async move {
                    let saved = shard.save(changes).await;
                    let fields: Vec<_> = contacts.iter().filter_map(contact_field).chain(paths).collect();
                    shard.respond(
                        transaction,
                        if saved { 200 } else { 503 },
                        if saved { &fields } else { &[] },
                    );
                    shard.flush();
                });
            }
        }
    }

    /// Where a registered user is reached, most recent first.
    pub(crate) fn phone_contacts(&self, username: &str) -> Vec<PhoneContact> {
        let registrar = self.registrar.borrow();
        let bindings = registrar.bindings(username, now_s());
        bindings
            .into_iter()
            .filter_map(|binding| {
                let uri = OwnedUri::parse(&binding.contact_uri).ok()?;
                Some(PhoneContact {
                    flow: self.way_to(binding, &uri)?,
                    path: binding.path.iter().filter_map(|path| OwnedUri::parse(path).ok()).collect(),
                    uri,
                })
            })
            .collect()
    }

    /// The flow that a binding registered over. A connection that is gone (ours to remember is only its address, after a
    /// restart) is best made anew to where the Contact says the phone listens, if it may be sent to; over TLS only the
    /// phone can come back, because nothing proves a phone's certificate.
    fn way_to(&self, binding: &Binding, uri: &OwnedUri) -> Option<SipFlow> {
        let remote = binding.flow.remote;
        let transport = match binding.flow.transport {
            FlowTransport::Udp => return Some(self.flow_to(remote)),
            FlowTransport::Tcp => Transport::Tcp,
            FlowTransport::Tls => Transport::Tls,
            FlowTransport::Ws | FlowTransport::Wss => return None,
        };
        let flow = self.flow_over(transport, remote)?;
        if self.streams.id_of(flow).is_some() {
            return Some(flow);
        }
        let uri = uri.view();
        let listens_at = SocketAddr::new(uri.ip()?, uri.port().unwrap_or(5060));
        let may = transport == Transport::Tcp && self.ports.directory.may_send_to(listens_at);
        may.then(|| flow.to(listens_at))
    }

    /// Drops what expired and keeps NAT bindings open; called every second.
    pub(super) fn tend_phones(self: &Rc<Self>) {
        let now = now_s();
        let (expired, keepalives) = {
            let mut registrar = self.registrar.borrow_mut();
            (registrar.expire(now), registrar.keepalives(now))
        };
        if !expired.is_empty() {
            let shard = Rc::clone(self);
            self.tasks.spawn_local(async move { shard.save(expired).await });
        }
        for keepalive in keepalives {
            match keepalive {
                KeepAlive::Options { flow, contact_uri } => self.ping(flow.remote, &contact_uri),
                KeepAlive::DoubleCrlf { flow } => {
                    let transport = match flow.transport {
                        FlowTransport::Tls => Transport::Tls,
                        _ => Transport::Tcp,
                    };
                    if let Some(flow) = self.flow_over(transport, flow.remote) {
                        self.ping_stream(flow);
                    }
                }
                // Nobody can register over one.
                KeepAlive::WebSocketPing { .. } => {}
            }
        }
        self.flush();
    }

    fn ping(&self, remote: SocketAddr, contact_uri: &str) {
        let us = format!("sip:ping@{}", host_text(self.config.advertised_to(remote.ip())));
        let (Ok(uri), Ok(from), Ok(to)) =
            (OwnedUri::parse(contact_uri), Address::parse(&us), Address::parse(contact_uri))
        else {
            return;
        };
        let request = OutgoingRequest::new(self.flow_to(remote), Method::Options, uri, from, to);
        // A full table skips this round; the next keep-alive comes in 25 s.
        let _ = self.endpoint.borrow_mut().request(clock::monotonic(), request);
    }

    pub(super) async fn save(&self, changes: Vec<BindingChange>) -> bool {
        if changes.is_empty() {
            return true;
        }
        let changes = changes.into_iter().map(stored_change).collect();
        match self.ports.registrations.save(changes).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "a registration could not be stored; the phone is told to try later");
                false
            }
        }
    }
}

/// A registrar that knows the bindings of the last process life.
pub(super) fn registrar_of(stored: Vec<StoredBinding>, local: SocketAddr) -> (Registrar, Vec<StoredChange>) {
    let mut registrar = Registrar::new();
    let bindings = stored.into_iter().filter_map(|stored| binding_of(stored, local));
    let changes = registrar.load(now_s(), bindings);
    (registrar, changes.into_iter().map(stored_change).collect())
}

/// Where the phones of stored bindings are, and how long they stay registered.
pub(super) fn registered_sources(stored: &[StoredBinding]) -> Vec<(IpAddr, Duration)> {
    let now = now_s();
    let source = |binding: &StoredBinding| {
        let (_, remote) = binding.flow.split_once(':')?;
        let left = u64::try_from(binding.expires_at).ok()?.checked_sub(now)?;
        Some((remote.parse::<SocketAddr>().ok()?.ip(), Duration::from_secs(left)))
    };
    stored.iter().filter_map(source).collect()
}

fn register_facts(
    username: String,
    request: &RequestFacts,
    connection: Option<u64>,
) -> Option<RegisterFacts> {
    let contacts = match request.contacts.as_slice() {
        [] => Contacts::Absent,
        [only] if only.trim() == "*" => Contacts::Wildcard,
        listed => {
            let listed: Option<Vec<_>> =
                listed.iter().take(MAX_CONTACTS + 1).map(|c| contact_facts(c)).collect();
            Contacts::Listed(listed?)
        }
    };
    let via_is_source = request.via_host.trim_matches(['[', ']']).parse() == Ok(request.flow.remote.ip())
        && request.via_port.unwrap_or(5060) == request.flow.remote.port();
    Some(RegisterFacts {
        aor: username,
        contacts,
        expires: request.expires,
        call_id: request.call_id.clone(),
        cseq: request.cseq,
        flow: Flow {
            transport: match request.flow.transport {
                Transport::Udp => FlowTransport::Udp,
                Transport::Tcp => FlowTransport::Tcp,
                Transport::Tls => FlowTransport::Tls,
                Transport::Ws => FlowTransport::Ws,
                Transport::Wss => FlowTransport::Wss,
            },
            local: request.flow.local,
            remote: request.flow.remote,
            connection,
            nat: if via_is_source { Nat::Direct } else { Nat::Translated },
        },
        path: request
            .path
            .iter()
            .filter_map(|path| super::sip_uri_within(path))
            .map(|uri| uri.to_string())
            .collect(),
        user_agent: request.user_agent.clone(),
    })
}

/// `"name" <uri>;expires=60;q=0.5;+sip.instance="<urn:…>";reg-id=1`.
fn contact_facts(value: &str) -> Option<ContactFacts> {
    let (uri, parameters) = match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?,
        None => value.split_once(';').unwrap_or((value, "")),
    };
    let parameter = |name: &str| {
        parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        })
    };
    Some(ContactFacts {
        uri: uri.trim().to_owned(),
        expires: parameter("expires").and_then(|text| text.parse().ok()),
        q_millis: parameter("q")
            .and_then(|text| text.parse::<f32>().ok())
            .map(|q| (q.clamp(0.0, 1.0) * 1000.0) as u16),
        instance: parameter("+sip.instance").map(str::to_owned),
        reg_id: parameter("reg-id").and_then(|text| text.parse().ok()),
    })
}

fn contact_field(contact: &RegisteredContact) -> Option<HeaderField> {
    let mut value = format!("<{}>;expires={}", contact.uri, contact.expires);
    if contact.q_millis != 1000 {
        value += &format!(";q=0.{:03}", contact.q_millis);
    }
    if let Some(instance) = &contact.instance {
        value += &format!(";+sip.instance=\"{instance}\"");
    }
    if let Some(reg_id) = contact.reg_id {
        value += &format!(";reg-id={reg_id}");
    }
    HeaderField::new(FieldName::Contact, value).ok()
}

fn stored_change(change: BindingChange) -> StoredChange {
    match change {
        BindingChange::Upsert(binding) => StoredChange::Upsert(StoredBinding {
            flow: format!("{}:{}", transport_word(binding.flow.transport), binding.flow.remote),
            username: binding.aor,
            contact: binding.contact_uri,
            expires_at: i64::try_from(binding.expires_at).unwrap_or(i64::MAX),
            call_id: binding.call_id,
            cseq: binding.cseq,
            user_agent: binding.user_agent.unwrap_or_default(),
            path: binding.path.join(","),
        }),
        BindingChange::Remove { aor, contact_uri } => {
            StoredChange::Remove { username: aor, contact: contact_uri }
        }
    }
}

fn binding_of(stored: StoredBinding, local: SocketAddr) -> Option<Binding> {
    let (transport, remote) = stored.flow.split_once(':')?;
    let transport = TRANSPORTS.iter().find(|(word, _)| *word == transport)?.1;
    Some(Binding {
        aor: stored.username,
        contact_uri: stored.contact,
        expires_at: stored.expires_at.try_into().ok()?,
        refreshed_at: now_s(),
        call_id: stored.call_id,
        cseq: stored.cseq,
        flow: Flow { transport, local, remote: remote.parse().ok()?, connection: None, nat: Nat::Translated },
        path: stored.path.split(',').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
        user_agent: (!stored.user_agent.is_empty()).then_some(stored.user_agent),
        instance: None,
        reg_id: None,
        q_millis: 1000,
    })
}

const TRANSPORTS: [(&str, FlowTransport); 5] = [
    ("udp", FlowTransport::Udp),
    ("tcp", FlowTransport::Tcp),
    ("tls", FlowTransport::Tls),
    ("ws", FlowTransport::Ws),
    ("wss", FlowTransport::Wss),
];

fn transport_word(transport: FlowTransport) -> &'static str {
    TRANSPORTS.iter().find(|(_, known)| *known == transport).map_or("udp", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_read_with_its_parameters() {
        let contact =
            contact_facts("\"A\" <sip:a@10.0.0.1:5062;ob>;expires=120;q=0.5;+sip.instance=\"<urn:x>\"")
                .unwrap();
        assert_eq!(contact.uri, "sip:a@10.0.0.1:5062;ob");
        assert_eq!((contact.expires, contact.q_millis), (Some(120), Some(500)));
        assert_eq!(contact.instance.as_deref(), Some("<urn:x>"));
        assert_eq!(contact_facts("sip:a@h;expires=60").unwrap().uri, "sip:a@h");
        assert!(contact_facts("<sip:a@h").is_none());
    }

    #[test]
    fn a_binding_survives_storage() {
        let local = "127.0.0.1:5060".parse().unwrap();
        let stored = StoredBinding {
            username: "alice".into(),
            contact: "sip:alice@10.0.0.1:5062".into(),
            flow: "udp:203.0.113.9:5062".into(),
            expires_at: 4_000_000_000,
            call_id: "c".into(),
            cseq: 7,
            user_agent: "phone".into(),
            path: String::new(),
        };
        let binding = binding_of(stored.clone(), local).unwrap();
        assert_eq!(stored_change(BindingChange::Upsert(binding)), StoredChange::Upsert(stored));
    }
}
