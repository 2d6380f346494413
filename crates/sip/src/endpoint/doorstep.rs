//! What nobody has vouched for yet: asked about before anything is kept, answered at most once, forgotten at once.
//!
//! Used by the engine for requests that belong to no call and whose sender has proven nothing. A stateless server
//! (RFC 3261 §8.2.7) cannot be filled up by strangers and repeats nothing by itself: every byte it sends answers a
//! message that has just come.

use std::time::Instant;

use super::config::Door;
use super::send::{ALLOW, Reply, SUPPORTED_AS_SERVER};
use super::tables::ServerUser;
use super::{Endpoint, Knock, LegId, Outcome, TransactionId};
use crate::arena::Key;
use crate::flow::Flow;
use crate::leg::Phase;
use crate::message::{HeaderField, HeaderName, MAX_EXTRA_FIELDS, NameAddr, Request};
use crate::transaction::Repetition;

impl Endpoint {
    /// Answer an incoming INVITE with a final failure (300–699) once and forget it: the failure is not repeated by a
    /// timer, a repeated INVITE is a new one, and the ACK is nobody's.
    pub fn turn_away(
        &mut self,
        now: Instant,
        leg: LegId,
        status: u16,
        phrase: Option<&str>,
        headers: &[HeaderField],
    ) -> Outcome {
        let server = match self.unanswered(leg) {
            Ok(server) => server,
            Err(outcome) => return outcome,
        };
        if !(300..=699).contains(&status) || headers.len() > MAX_EXTRA_FIELDS {
            return Outcome::Refused;
        }
        let reply = Reply { phrase, repetition: Repetition::OnRequest, ..Reply::status(status) };
        self.reply(now, server, reply, |writer| {
            for field in headers {
                writer.extra(field);
            }
        });
        self.drop_leg(leg.0);
        self.close_server(server);
        Outcome::Sent
    }

    /// Forget an incoming INVITE without a word; a repeated one is a new one.
    pub fn overlook(&mut self, leg: LegId) -> Outcome {
        match self.unanswered(leg) {
            Ok(server) => {
                self.drop_leg(leg.0);
                self.close_server(server);
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    /// Answer `Event::Request` with a final status once and forget it; a repeated request is a new one.
    pub fn respond_once(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        status: u16,
        headers: &[HeaderField],
    ) -> Outcome {
        if let Err(outcome) = self.waiting(transaction) {
            return outcome;
        }
        if !(200..=699).contains(&status) || headers.len() > MAX_EXTRA_FIELDS {
            return Outcome::Refused;
        }
        self.reply(now, transaction.0, Reply::status(status), |writer| {
            if (200..300).contains(&status) || matches!(status, 405 | 501) {
                writer.field(HeaderName::Allow, ALLOW);
                writer.field(HeaderName::Supported, SUPPORTED_AS_SERVER);
            }
            for field in headers {
                writer.extra(field);
            }
        });
        self.close_server(transaction.0);
        Outcome::Sent
    }

    /// Forget `Event::Request` without a word; a repeated request is a new one.
    pub fn overlook_request(&mut self, transaction: TransactionId) -> Outcome {
        match self.waiting(transaction) {
            Ok(()) => {
                self.close_server(transaction.0);
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    /// Whether a request outside any dialog is looked at.
    pub(super) fn may_enter(&self, flow: Flow, request: &Request<'_>) -> bool {
        let Door(opens) = &self.config.door;
        let from = host_and_user(&request.common.from);
        let to = host_and_user(&request.common.to);
        opens(&Knock {
            flow,
            method: request.method_token,
            request_host: request.uri.host(),
            request_user: request.uri.user().unwrap_or_default(),
            from_host: from.0,
            from_user: from.1,
            to_host: to.0,
        })
    }

    /// The transaction of an INVITE to which nothing final was said.
    fn unanswered(&mut self, leg: LegId) -> Result<Key, Outcome> {
        match self.legs.get(leg.0).map(|leg| &leg.phase) {
            None | Some(Phase::Closing { .. }) => Err(Outcome::Gone),
            Some(Phase::Cancelled) => Err(Outcome::AlreadyCancelled),
            Some(Phase::Incoming(incoming)) => Ok(incoming.server),
            Some(_) => Err(Outcome::WrongState),
        }
    }

    fn waiting(&self, transaction: TransactionId) -> Result<(), Outcome> {
        match self.servers.get(transaction.0) {
            Some(entry) if entry.user != ServerUser::Request => Err(Outcome::Gone),
            Some(entry) if entry.machine.is_pending() => Ok(()),
            Some(_) => Err(Outcome::WrongState),
            None => Err(Outcome::Gone),
        }
    }
}

fn host_and_user<'a>(party: &NameAddr<'a>) -> (&'a str, &'a str) {
    party.uri().map_or(("", ""), |uri| (uri.host(), uri.user().unwrap_or_default()))
}
