//! Requests outside any dialog: answering those that came, sending our own (OPTIONS, REGISTER).

use std::time::Instant;

use super::outgoing::is_call_id;
use super::receive::is_plain_user;
use super::send::{ALLOW, ContactLine, EMPTY, Reply, SUPPORTED_AS_SERVER};
use super::tables::{ClientUser, ServerUser};
use super::{CommandError, Endpoint, Outcome, OutgoingRequest, Packet, RequestId, TransactionId};
use crate::dialog::{MAX_FORWARDS, MAX_ROUTES};
use crate::message::{FieldName, HeaderField, HeaderName, MAX_EXTRA_FIELDS, MessageWriter, Method, is_token};

impl Endpoint {
    /// Answer `Event::Request`. Provisional statuses may precede one final.
    ///
    /// A 200 to OPTIONS should list `Accept`; `Allow` and `Supported` are printed on every 2xx.
    pub fn respond(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        status: u16,
        phrase: Option<&str>,
        headers: &[HeaderField],
        body: Option<(&str, &[u8])>,
    ) -> Outcome {
        match self.servers.get(transaction.0) {
            None => return Outcome::Gone,
            Some(entry) if entry.user != ServerUser::Request => return Outcome::Gone,
            Some(entry) if !entry.machine.is_pending() => return Outcome::WrongState,
            Some(_) => {}
        }
        if !(100..=699).contains(&status) || headers.len() > MAX_EXTRA_FIELDS {
            return Outcome::Refused;
        }
        let reply = Reply { phrase, body: body.unwrap_or(EMPTY), ..Reply::status(status) };
        self.reply(now, transaction.0, reply, |writer| {
            if (200..300).contains(&status) || matches!(status, 405 | 501) {
                writer.field(HeaderName::Allow, ALLOW);
                writer.field(HeaderName::Supported, SUPPORTED_AS_SERVER);
            }
            for field in headers {
                writer.extra(field);
            }
        });
        Outcome::Sent
    }

    /// Send a request outside any dialog. Ends in `Event::Response` or `Event::RequestFailed`.
    pub fn request(&mut self, now: Instant, request: OutgoingRequest) -> Result<RequestId, CommandError> {
        let is_sendable = !matches!(
            request.method,
            Method::Invite | Method::Ack | Method::Cancel | Method::Bye | Method::Prack | Method::Unknown
        );
        let is_printable = request.headers.len() <= MAX_EXTRA_FIELDS
            && request.route.len() <= MAX_ROUTES
            && request.cseq < 1 << 31
            && request.call_id.as_deref().is_none_or(is_call_id)
            && request.from_tag.as_deref().is_none_or(is_token)
            && request.contact_user.as_deref().is_none_or(is_plain_user);
        if !is_sendable || !is_printable {
            return Err(CommandError::Unprintable);
        }
        if self.clients.is_full() {
            return Err(CommandError::Full);
        }
        let branch = self.new_mark();
        let call_id = match request.call_id.as_deref() {
            Some(call_id) => call_id.into(),
            None => self.new_call_id(),
        };
        let tag = self.new_mark();
        let flow = request.flow;
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        let method = request.method.as_str();
        let mut writer =
            MessageWriter::request(&mut buffer, method, request.request_uri.view().without_headers());
        writer.formatted(HeaderName::Via, format_args!("{via}"));
        for route in &request.route {
            writer.formatted(HeaderName::Route, format_args!("<{route}>"));
        }
        match &request.from_tag {
            Some(tag) => writer.formatted(HeaderName::From, format_args!("{};tag={tag}", request.from)),
            None => writer.formatted(HeaderName::From, format_args!("{};tag={tag}", request.from)),
        };
        writer.formatted(HeaderName::To, format_args!("{}", request.to));
        writer.field(HeaderName::CallId, &call_id);
        writer.formatted(HeaderName::CSeq, format_args!("{} {method}", request.cseq));
        writer.formatted(HeaderName::MaxForwards, format_args!("{MAX_FORWARDS}"));
        let has_contact = request.headers.iter().any(|field| *field.name() == FieldName::Contact);
        if let Some(user) = request.contact_user.as_deref().filter(|_| !has_contact) {
            let contact = ContactLine::new(&self.config, Some(user), flow);
            writer.field(HeaderName::Contact, contact.as_str());
        }
        writer.field(HeaderName::UserAgent, &self.config.product);
        for field in &request.headers {
            writer.extra(field);
        }
        let body = request.body.as_ref().map_or(EMPTY, |(content_type, body)| (content_type.as_str(), body));
        writer.finish(body.0, body.1);
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        self.open_client(now, flow, packet, branch, request.method, ClientUser::Request)
            .map(RequestId)
            .ok_or(CommandError::Full)
    }
}
