//! A carrier's challenge inside a dialog: a BYE that draws 407 has not ended the carrier's call.
//!
//! Used by `responses`. Promises: each nonce is answered once, at most [`MAX_CHALLENGES`] in a row for one leg,
//! only in the realm that is ours to answer. Refuses to know: the challenge of a first INVITE, which the leg's owner answers.

use std::time::Instant;

use rand::Rng as _;
use smallvec::SmallVec;

use super::facts::challenges;
use super::responses::{MAX_CHALLENGES, parse_own};
use super::tables::{ClientEntry, ClientUser};
use super::{Endpoint, Packet};
use crate::arena::Key;
use crate::dialog::ViaLine;
use crate::digest::{Attempt, Challenge, ChallengeKind, Credentials, authorize, parse_challenge};
use crate::flow::Transport;
use crate::message::{HeaderName, MessageWriter, Request, Response};

/// Authorization and Proxy-Authorization values of a request of ours.
pub(super) type Shown = SmallVec<[(HeaderName, String); 1]>;

/// What a leg answers challenges with.
#[derive(Clone, Debug)]
pub(crate) struct Answerer {
    pub(crate) credentials: Credentials,
    /// Challenges since the last request that went through.
    pub(crate) met: u8,
}

impl Endpoint {
    /// Credentials that an INVITE of ours showed: the ACK to its 2xx shows them too (RFC 3261 §13.2.2.4).
    pub(super) fn shown_credentials(&self, client: Key) -> Shown {
        let Some(entry) = self.clients.get(client) else { return Shown::new() };
        // Most calls have none, and to parse an INVITE for each ACK costs.
        if !entry.packet.windows(14).any(|window| window == b"uthorization: ") {
            return Shown::new();
        }
        let mut scratch = Vec::new();
        parse_own(&entry.packet, &mut scratch).map(|request| shown(&request)).unwrap_or_default()
    }

    /// 401 or 407 to a request inside a dialog: sent again with the answer. `false` if there is none to give.
    pub(super) fn answer_challenge(
        &mut self,
        now: Instant,
        client: Key,
        user: ClientUser,
        response: &Response<'_>,
    ) -> bool {
        let (ClientUser::Bye(key)
        | ClientUser::Info(key)
        | ClientUser::Refresh(key)
        | ClientUser::Offer(key)) = user
        else {
            return false;
        };
        let kind = match response.status {
            401 => ChallengeKind::Www,
            407 => ChallengeKind::Proxy,
            _ => {
                if let Some(answerer) = self.legs.get_mut(key).and_then(|leg| leg.answerer.as_mut()) {
                    answerer.met = 0;
                }
                return false;
            }
        };
        let Some(packet) = self.clients.get(client).map(|entry| entry.packet.clone()) else { return false };
        let mut scratch = Vec::new();
        let Some(request) = parse_own(&packet, &mut scratch) else { return false };
        self.send_answered(now, key, kind, user, &request, response).is_some()
    }

    fn send_answered(
        &mut self,
        now: Instant,
        key: Key,
        kind: ChallengeKind,
        user: ClientUser,
        request: &Request<'_>,
        response: &Response<'_>,
    ) -> Option<Key> {
        let cnonce = format!("{:016x}", self.random.next_u64());
        let answerer = self.legs.get_mut(key)?.answerer.as_mut().filter(|one| one.met < MAX_CHALLENGES)?;
        answerer.met += 1;
        let values = challenges(&response.common.headers);
        let parsed: Vec<Challenge> =
            values.iter().filter_map(|value| parse_challenge(kind, value).ok()).collect();
        let name = match kind {
            ChallengeKind::Www => HeaderName::Authorization,
            ChallengeKind::Proxy => HeaderName::ProxyAuthorization,
        };
        let earlier = request.common.headers.first(name);
        let fresh: Vec<Challenge> = parsed
            .into_iter()
            .filter(|challenge| earlier.is_none_or(|value| !value.contains(&challenge.nonce)))
            .collect();
        let attempt = if earlier.is_some() { Attempt::Repeated } else { Attempt::First };
        let (method, uri, body) = (request.method_token, request.uri.as_str(), request.common.body);
        let answer = authorize(&fresh, &answerer.credentials, attempt, method, uri, body, &cnonce, 1).ok()?;
        if self.clients.is_full() {
            return None;
        }
        let branch = self.new_mark();
        let leg = self.legs.get_mut(key)?;
        leg.dialog.local_cseq += 1;
        let cseq = leg.dialog.local_cseq;
        let leg = self.legs.get(key)?;
        let flow = self.destination(leg);
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        let mut writer = MessageWriter::request(&mut buffer, method, uri);
        repeat(&mut writer, request, via, cseq, name);
        writer.field(name, &answer.value);
        writer.finish(request.common.headers.first(HeaderName::ContentType).unwrap_or(""), body);
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        self.open_client(now, flow, packet, branch, request.method, user)
    }
}

impl Endpoint {
    /// A request within a dialog that was too long for a datagram found no connection: it goes as a datagram after all
    /// (RFC 3261 §18.1.1), and so do all others of its leg. `false` if it did not go by TCP for its length.
    pub(super) fn say_by_datagram(&mut self, now: Instant, key: Key, failed: &ClientEntry) -> bool {
        let Some(leg) = self.legs.get_mut(key) else { return false };
        let fell_back = leg.may_use_tcp
            && leg.flow.transport == Transport::Udp
            && failed.flow.transport == Transport::Tcp;
        if !fell_back || self.clients.is_full() {
            return false;
        }
        leg.may_use_tcp = false;
        leg.dialog.local_cseq += 1;
        let cseq = leg.dialog.local_cseq;
        let mut scratch = Vec::new();
        let Some(request) = parse_own(&failed.packet, &mut scratch) else { return false };
        let branch = self.new_mark();
        let Some(leg) = self.legs.get(key) else { return false };
        let flow = self.destination(leg);
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        let mut writer = MessageWriter::request(&mut buffer, request.method_token, request.uri.as_str());
        repeat(&mut writer, &request, via, cseq, HeaderName::Other);
        let kind = request.common.headers.first(HeaderName::ContentType).unwrap_or("");
        writer.finish(kind, request.common.body);
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        self.open_client(now, flow, packet, branch, failed.method, failed.user).is_some()
    }
}

fn shown(request: &Request<'_>) -> Shown {
    let is_credential = |name| matches!(name, HeaderName::Authorization | HeaderName::ProxyAuthorization);
    let headers = request.common.headers.iter().filter(|header| is_credential(header.name));
    headers.map(|header| (header.name, header.value.to_owned())).collect()
}

/// The request's lines again, but for what belongs to one transaction.
fn repeat(
    writer: &mut MessageWriter<'_>,
    request: &Request<'_>,
    via: ViaLine<'_>,
    cseq: u32,
    answered: HeaderName,
) {
    writer.formatted(HeaderName::Via, format_args!("{via}"));
    for header in request.common.headers.iter() {
        match header.name {
            HeaderName::Via | HeaderName::ContentType | HeaderName::ContentLength | HeaderName::Other => {}
            HeaderName::CSeq => {
                writer.formatted(HeaderName::CSeq, format_args!("{cseq} {}", request.method_token));
            }
            name if name == answered => {}
            name => {
                writer.field(name, header.value);
            }
        }
    }
}
