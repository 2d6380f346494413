//! Answering strangers: every INVITE outside a call passes here, in memory, before anything is
//! answered. Who is not known hears nothing; who must prove himself is challenged without state;
//! only a proven caller gets 100, a call id and a session.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tandem_model::ports::{CallerIdentity, DigestScope, Located};
use tandem_model::{CallId, DialogRecord, ErrorCode, LegRole, Refusal, clock};
use tandem_sip::message::{FieldName, HeaderField};
use tandem_sip::{LegId, NatPolicy, RequestFacts};

use super::digest::{Demand, Proof};
use super::facts::{Hosts, invite_facts};
use super::{Shard, reason_field};
use crate::live::Doorbell;
use crate::session::{Incoming, Mailbox, NatGuess, run_inbound};

/// A caller hears 100 when nothing better went out within this time (RFC 3261 §17.2.1).
const TRYING_WITHIN: Duration = Duration::from_millis(200);

/// What the edge does with an INVITE.
enum Verdict {
    Silence,
    Malformed,
    Refuse(Refusal),
    Challenge(Vec<String>),
    Admit { identity: CallerIdentity, nat: NatGuess },
}

impl Shard {
    /// Decides about a new INVITE.
    pub(super) fn on_invite(self: &Rc<Self>, leg: LegId, request: Box<RequestFacts>) {
        let now = clock::monotonic();
        let verdict = match self.judge(&request) {
            Verdict::Silence => Verdict::Silence,
            admitted @ Verdict::Admit { .. } => admitted,
            other if self.may_refuse(now, request.flow) => other,
            _ => Verdict::Silence,
        };
        // A command that finds the leg gone (cancelled meanwhile) has nothing left to do.
        match verdict {
            Verdict::Silence => {
                let _ = self.endpoint.borrow_mut().overlook(leg);
            }
            Verdict::Malformed => self.turn_away(leg, 400, &[]),
            Verdict::Refuse(refusal) => {
                self.turn_away(leg, refusal.code.sip_status(), &refusal_fields(&refusal));
            }
            Verdict::Challenge(challenges) => {
                let fields = challenges
                    .into_iter()
                    .flat_map(|value| HeaderField::new(FieldName::WwwAuthenticate, value));
                self.turn_away(leg, 401, &fields.collect::<Vec<_>>());
            }
            Verdict::Admit { identity, nat } => self.admit(leg, request, identity, nat),
        }
    }

    /// Refuses an INVITE in the catalogue's words and sends it at once.
    pub(crate) fn refuse_now(self: &Rc<Self>, leg: LegId, refusal: &Refusal) {
        self.refuse(leg, refusal);
        self.flush();
    }

    /// Refuses an INVITE in the catalogue's words; the caller flushes.
    fn refuse(&self, leg: LegId, refusal: &Refusal) {
        let status = refusal.code.sip_status();
        let fields = refusal_fields(refusal);
        let _ = self.endpoint.borrow_mut().reject(clock::monotonic(), leg, status, None, &fields);
    }

    /// Says no once to somebody of whom nothing is kept.
    fn turn_away(&self, leg: LegId, status: u16, fields: &[HeaderField]) {
        let _ = self.endpoint.borrow_mut().turn_away(clock::monotonic(), leg, status, None, fields);
    }

    fn judge(&self, request: &RequestFacts) -> Verdict {
        let hosts = Hosts::of(request);
        match self.ports.directory.locate(&hosts.edge(request)) {
            Located::Stranger => Verdict::Silence,
            Located::UnknownDomain => Verdict::Refuse(Refusal::new(ErrorCode::TrunkNotFound)),
            Located::Carrier(carrier) => {
                Verdict::Admit { identity: CallerIdentity::Carrier(carrier), nat: NatGuess::Known }
            }
            Located::Trunk(access) if access.acl_match => {
                Verdict::Admit { identity: CallerIdentity::Trunk(access.trunk), nat: NatGuess::Known }
            }
            Located::Trunk(access) => match access.digest {
                None => {
                    let words = "The source is not on the trunk's IP ACL";
                    Verdict::Refuse(Refusal::because(ErrorCode::InvalidCredentials, words))
                }
                Some((realm, policy)) => {
                    let scope = DigestScope::Trunk(access.trunk);
                    self.prove(request, &Demand { scope, realm: &realm, policy }, |_| {
                        CallerIdentity::Trunk(access.trunk)
                    })
                }
            },
            Located::Endpoint { realm, policy } => {
                let scope = DigestScope::Endpoints;
                self.prove(request, &Demand { scope, realm: &realm, policy }, CallerIdentity::Endpoint)
            }
        }
    }

    fn prove(
        &self,
        request: &RequestFacts,
        demand: &Demand<'_>,
        identity: impl FnOnce(String) -> CallerIdentity,
    ) -> Verdict {
        match self.judge_digest(request, demand) {
            Proof::Is(username) => {
                let behind_nat =
                    request.via_host.trim_matches(['[', ']']).parse() != Ok(request.flow.remote.ip());
                let nat = match &demand.scope {
                    DigestScope::Trunk(_) if !behind_nat => NatGuess::Unknown,
                    _ => NatGuess::Behind,
                };
                Verdict::Admit { identity: identity(username), nat }
            }
            Proof::Ask(challenges) => Verdict::Challenge(challenges),
            Proof::Banned => Verdict::Refuse(Refusal::new(ErrorCode::InvalidCredentials)),
            Proof::Malformed => Verdict::Malformed,
        }
    }

    fn admit(
        self: &Rc<Self>,
        leg: LegId,
        request: Box<RequestFacts>,
        identity: CallerIdentity,
        nat: NatGuess,
    ) {
        if request.max_forwards == 0 {
            let _ = self.endpoint.borrow_mut().reject(clock::monotonic(), leg, 483, None, &[]);
            return;
        }
        if !self.live.enter(self.config.limits.sessions) {
            let retry_after_s = Some(self.config.limits.retry_after_s);
            return self.refuse(leg, &Refusal { retry_after_s, ..Refusal::new(ErrorCode::Overloaded) });
        }
        let now = clock::monotonic();
        let received_at = clock::wall();
        let call = CallId::random();
        let snapshot = {
            let mut endpoint = self.endpoint.borrow_mut();
            let policy = if nat == NatGuess::Behind { NatPolicy::ReceivedFlow } else { NatPolicy::Contact };
            let _ = endpoint.set_nat_policy(leg, policy);
            let _ = endpoint.trying_within(now, leg, TRYING_WITHIN);
            endpoint.dialog_snapshot(leg).and_then(|snapshot| serde_json::to_string(&snapshot).ok())
        };
        let dialog = DialogRecord { role: LegRole::A, snapshot: snapshot.unwrap_or_default() };
        let facts = invite_facts(call, identity, &request, dialog, received_at);
        let door = Arc::new(Doorbell::default());
        self.live.insert(call, Arc::clone(&door));
        let mailbox = Rc::new(Mailbox::new(door));
        self.own(leg, &mailbox);
        self.trace_call_id(&request.call_id, call);
        self.trace(call, tandem_model::ports::TraceKind::Sip, || {
            format!("<- INVITE {} from {}", request.request_uri, request.flow.remote)
        });
        let incoming = Incoming { leg, request, facts, received: now, nat };
        // Boxed: the runtime's own cell is aligned to cache lines, and large aligned blocks are dear.
        self.tasks.spawn_local(Box::pin(run_inbound(Rc::clone(self), mailbox, incoming)));
    }
}

/// What a refusal carries: the catalogue's words, and when to come again.
fn refusal_fields(refusal: &Refusal) -> Vec<HeaderField> {
    let text = format!("{}: {}", refusal.code.slug(), refusal.reason);
    let mut fields: Vec<_> = reason_field(refusal.code.hangup_cause().q850(), &text).into_iter().collect();
    if let Some(seconds) = refusal.retry_after_s {
        fields.extend(HeaderField::new(FieldName::RetryAfter, seconds.to_string()));
    }
    fields
}
