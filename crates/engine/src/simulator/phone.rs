//! The simulator as a telephone: it registers users with the platform and takes their calls.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;
use tandem_sip::digest::Attempt;
use tandem_sip::message::{Address, FieldName, HeaderField, Method, OwnedUri};
use tandem_sip::{Flow, OutgoingRequest, RequestId, ResponseFacts, Transport};
use thiserror::Error;
use tokio::sync::oneshot;

use super::address::uri_user;
use super::behaviour::Plan;
use super::driver::{Alarm, Driver};
use super::gatekeeper::answer_challenge;
use crate::config::host_text;

/// A user to register.
#[derive(Clone)]
pub struct Registration {
    /// User name; also the user part of its Contact, by which calls to it are recognised.
    pub username: String,
    /// Password; hidden from `Debug`.
    pub password: String,
    /// Host of the registrar: Request-URI, From and To.
    pub host: String,
    /// Where to send it instead of the configured platform.
    pub via: Option<SocketAddr>,
    /// Seconds asked for. Refreshed at half of what is granted, until shutdown.
    pub expires_s: u32,
    /// What happens when this user is called.
    pub plan: Plan,
}

/// Why a user is not registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The registrar refused.
    #[error("the registrar answered {status} {phrase}")]
    Refused {
        /// SIP status.
        status: u16,
        /// Reason phrase.
        phrase: String,
    },
    /// The registrar did not answer.
    #[error("the registrar did not answer")]
    NoAnswer,
    /// User or host cannot be written as a SIP URI.
    #[error("user {0:?} or its host cannot be written as a SIP URI")]
    BadName(String),
    /// The carrier has been shut down.
    #[error("the simulator has been shut down")]
    Stopped,
}

impl Registration {
    /// A user for an hour whose calls ring for a second and are echoed.
    pub fn new(username: impl Into<String>, password: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            host: host.into(),
            via: None,
            expires_s: 3_600,
            plan: Plan::ECHO.ringing_for(Duration::from_secs(1)),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("username", &self.username)
            .field("host", &self.host)
            .field("via", &self.via)
            .field("expires_s", &self.expires_s)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// Seconds between attempts to refresh a registration that the registrar no longer accepts.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Shortest time between refreshes, whatever is granted.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// A registered (or registering) user.
pub(super) struct Phone {
    registration: Registration,
    call_id: String,
    from_tag: String,
    cseq: u32,
    expires_s: u32,
    attempt: Attempt,
    /// Who waits for the first answer.
    reply: Option<oneshot::Sender<Result<(), RegisterError>>>,
}

impl Phone {
    /// What happens when it is called.
    pub(super) fn plan(&self) -> Plan {
        self.registration.plan.clone()
    }
}

impl Driver {
    pub(super) fn register(
        &mut self,
        now: Instant,
        registration: Registration,
        reply: oneshot::Sender<Result<(), RegisterError>>,
    ) {
        // As it will stand in the Request-URI of calls to it.
        let username = uri_user(&registration.username);
        let phone = Phone {
            call_id: format!("reg-{:016x}@{}", self.random.next_u64(), host_text(self.advertised)),
            from_tag: format!("{:016x}", self.random.next_u64()),
            cseq: 0,
            expires_s: registration.expires_s,
            attempt: Attempt::First,
            reply: Some(reply),
            registration,
        };
        self.phones.insert(username.clone(), phone);
        self.send_register(now, &username, None);
    }

    /// Takes a registration back.
    pub(super) fn unregister(&mut self, now: Instant, username: &str) {
        if let Some(phone) = self.phones.get_mut(username) {
            phone.expires_s = 0;
            phone.attempt = Attempt::First;
            self.send_register(now, username, None);
        }
    }

    pub(super) fn refresh(&mut self, now: Instant, username: &str) {
        if let Some(phone) = self.phones.get_mut(username) {
            phone.attempt = Attempt::First;
            self.send_register(now, username, None);
        }
    }

    fn send_register(&mut self, now: Instant, username: &str, authorization: Option<HeaderField>) {
        let Some(phone) = self.phones.get_mut(username) else { return };
        let host = &phone.registration.host;
        let address = format!("sip:{username}@{host}");
        let uris = (OwnedUri::parse(&format!("sip:{host}")), Address::parse(&address));
        let (Ok(registrar), Ok(address)) = uris else {
            return self.give_up(now, username, RegisterError::BadName(username.to_owned()));
        };
        phone.cseq += 1;
        let expires = HeaderField::new(FieldName::Expires, phone.expires_s.to_string());
        let remote = phone.registration.via.unwrap_or(self.config.platform);
        let flow = Flow { transport: Transport::Udp, local: self.local, remote };
        let request = OutgoingRequest {
            call_id: Some(phone.call_id.clone()),
            from_tag: Some(phone.from_tag.clone()),
            cseq: phone.cseq,
            contact_user: Some(username.to_owned()),
            headers: expires.into_iter().chain(authorization).collect(),
            ..OutgoingRequest::new(flow, Method::Register, registrar, address.clone(), address)
        };
        match self.endpoint.request(now, request) {
            Ok(request) => {
                self.requests.insert(request, username.to_owned());
            }
            Err(_) => self.give_up(now, username, RegisterError::BadName(username.to_owned())),
        }
    }

    pub(super) fn on_response(&mut self, now: Instant, request: RequestId, facts: &ResponseFacts) {
        let Some(username) = self.requests.remove(&request) else { return };
        let Some(phone) = self.phones.get_mut(&username) else { return };
        match facts.status {
            200..300 => {
                phone.attempt = Attempt::First;
                if let Some(reply) = phone.reply.take() {
                    // Whoever gave up waiting is registered all the same.
                    let _ = reply.send(Ok(()));
                }
                let granted = granted_s(facts, &username).unwrap_or(phone.expires_s);
                let granted = Duration::from_secs(u64::from(granted));
                self.set_alarm(now + (granted / 2).max(MIN_REFRESH), Alarm::Refresh(username));
            }
            401 | 407 => self.answer_registrar(now, &username, facts),
            423 if facts.min_expires.is_some_and(|least| least > phone.expires_s) => {
                phone.expires_s = facts.min_expires.unwrap_or(phone.expires_s);
                self.send_register(now, &username, None);
            }
            status => {
                let phrase = facts.phrase.clone();
                self.give_up(now, &username, RegisterError::Refused { status, phrase });
            }
        }
    }

    pub(super) fn on_no_response(&mut self, now: Instant, request: RequestId) {
        if let Some(username) = self.requests.remove(&request) {
            self.give_up(now, &username, RegisterError::NoAnswer);
        }
    }

    fn answer_registrar(&mut self, now: Instant, username: &str, facts: &ResponseFacts) {
        let cnonce = format!("{:016x}", self.random.next_u64());
        let Some(phone) = self.phones.get_mut(username) else { return };
        let attempt = std::mem::replace(&mut phone.attempt, Attempt::Repeated);
        let registration = &phone.registration;
        let field = answer_challenge(
            facts.status,
            &facts.challenges,
            (&registration.username, &registration.password),
            attempt,
            ("REGISTER", &format!("sip:{}", registration.host), &[]),
            &cnonce,
        );
        match field {
            Ok(field) => self.send_register(now, username, Some(field)),
            Err(error) => {
                let refused = RegisterError::Refused { status: facts.status, phrase: error.to_string() };
                self.give_up(now, username, refused);
            }
        }
    }

    /// A first registration fails for good; a refresh is tried again.
    fn give_up(&mut self, now: Instant, username: &str, error: RegisterError) {
        let Some(phone) = self.phones.get_mut(username) else { return };
        match phone.reply.take() {
            Some(reply) => {
                self.phones.remove(username);
                // Whoever gave up waiting does not want to know.
                let _ = reply.send(Err(error));
            }
            None => {
                tracing::warn!(%error, "a simulated phone could not refresh its registration");
                self.set_alarm(now + RETRY_AFTER, Alarm::Refresh(username.to_owned()));
            }
        }
    }
}

/// Seconds granted: our Contact's own parameter, else the header (RFC 3261 §10.2.4).
fn granted_s(facts: &ResponseFacts, username: &str) -> Option<u32> {
    let ours = facts.contacts.iter().find(|contact| contact.contains(&format!(":{username}@")));
    let parameter = ours.and_then(|contact| {
        let parameters = contact.rsplit('>').next()?;
        parameters.split(';').find_map(|word| word.trim().strip_prefix("expires="))?.parse().ok()
    });
    parameter.or(facts.expires)
}
