//! A dialog (RFC 3261 §12): who talks to whom, in which order, by which route.
//!
//! Used by legs, and on its own for an answer nobody wants (a second fork, an orphan). Promises: the
//! route set is applied as §12.2.1.1 says, for loose and strict routers alike. Refuses to know:
//! transactions and sockets.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use crate::identity::Mark;
use crate::message::{
    BRANCH_COOKIE, Common, HeaderName, Headers, MessageWriter, NameAddr, OwnedUri, Response,
};

/// Port of SIP over UDP and TCP when a URI names none.
pub(crate) const DEFAULT_PORT: u16 = 5060;
/// Routes kept of one route set.
pub(crate) const MAX_ROUTES: usize = 16;
/// Max-Forwards of what we send inside a dialog.
pub(crate) const MAX_FORWARDS: u8 = 70;

/// One dialog, seen from our side.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: Box<str>,
    /// Our address as printed in From or To, without tag.
    pub(crate) local: Box<str>,
    pub(crate) local_tag: Mark,
    /// Their address, without tag.
    pub(crate) remote: Box<str>,
    /// Their tag; empty while unknown, or from a peer older than RFC 3261.
    pub(crate) remote_tag: Box<str>,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    pub(crate) remote_target: OwnedUri,
    /// Route values in the order we print them.
    pub(crate) route_set: Vec<Box<str>>,
}

/// A Via line of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViaLine<'a> {
    pub(crate) transport: &'static str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) branch: Mark,
}

impl Display for ViaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, host, port, branch } = self;
        write!(f, "SIP/2.0/{transport} {host}:{port};branch={BRANCH_COOKIE}{branch};rport")
    }
}

impl Dialog {
    /// The dialog that an answer to our INVITE makes, read from the answer alone.
    pub(crate) fn from_answer(response: &Response<'_>, fallback_target: &OwnedUri) -> Option<Self> {
        let common = &response.common;
        let mut dialog = Self {
            call_id: common.call_id.into(),
            local: address_text(&common.from),
            local_tag: Mark::parse(common.from.tag()?)?,
            remote: address_text(&common.to),
            remote_tag: common.to.tag().unwrap_or("").into(),
            local_cseq: common.cseq.number,
            remote_cseq: None,
            remote_target: fallback_target.clone(),
            route_set: reversed_routes(&common.headers),
        };
        dialog.refresh_target(common);
        Some(dialog)
    }

    /// Take the peer's Contact as new remote target (§12.2.1.2, §12.2.2).
    pub(crate) fn refresh_target(&mut self, common: &Common<'_>) {
        if let Some(uri) = contact_uri(&common.headers) {
            self.remote_target = uri;
        }
    }

    /// Start printing a request of this dialog: everything up to Max-Forwards.
    pub(crate) fn print_request<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        method: &str,
        cseq: u32,
        via: ViaLine<'_>,
        max_forwards: u8,
    ) -> MessageWriter<'b> {
        let strict_router = self.first_route().filter(|route| !route.view().is_loose_router());
        let request_uri = strict_router.as_ref().unwrap_or(&self.remote_target);
        let mut writer = MessageWriter::request(buffer, method, request_uri.view().without_headers());
        writer.formatted(HeaderName::Via, format_args!("{via}"));
        let skipped = usize::from(strict_router.is_some());
        for route in self.route_set.iter().skip(skipped) {
            writer.field(HeaderName::Route, route);
        }
        if strict_router.is_some() {
            writer.formatted(
                HeaderName::Route,
                format_args!("<{}>", self.remote_target.view().without_headers()),
            );
        }
        writer.formatted(HeaderName::From, format_args!("{};tag={}", self.local, self.local_tag));
        if self.remote_tag.is_empty() {
            writer.field(HeaderName::To, &self.remote);
        } else {
            writer.formatted(HeaderName::To, format_args!("{};tag={}", self.remote, self.remote_tag));
        }
        writer.field(HeaderName::CallId, &self.call_id);
        writer.formatted(HeaderName::CSeq, format_args!("{cseq} {method}"));
        writer.formatted(HeaderName::MaxForwards, format_args!("{max_forwards}"));
        writer
    }

    /// The address of the next hop when it is written as an address: first route, else target.
    pub(crate) fn next_hop(&self) -> Option<SocketAddr> {
        let first = self.first_route();
        let uri = first.as_ref().unwrap_or(&self.remote_target).view();
        Some(SocketAddr::new(uri.ip()?, uri.port().unwrap_or(DEFAULT_PORT)))
    }

    /// Whether a request's tags and Call-ID are this dialog's.
    pub(crate) fn matches(&self, common: &Common<'_>) -> bool {
        let peer_tag = common.from.tag().unwrap_or("");
        *self.call_id == *common.call_id && (self.remote_tag.is_empty() || *self.remote_tag == *peer_tag)
    }

    fn first_route(&self) -> Option<OwnedUri> {
        let route = NameAddr::parse(self.route_set.first()?)?;
        route.uri().ok().map(|uri| uri.to_owned())
    }
}

/// `display <uri>`, without header parameters.
pub(crate) fn address_text(party: &NameAddr<'_>) -> Box<str> {
    if party.raw_display_name.is_empty() {
        format!("<{}>", party.uri_text).into()
    } else {
        format!("{} <{}>", party.raw_display_name, party.uri_text).into()
    }
}

/// The first Contact that is a URI of ours to use.
pub(crate) fn contact_uri(headers: &Headers<'_>) -> Option<OwnedUri> {
    let contact = NameAddr::parse(headers.elements(HeaderName::Contact).next()?)?;
    contact.uri().ok().map(|uri| uri.to_owned())
}

/// Record-Route as the UAS sends along it: in the order written (§12.1.1).
pub(crate) fn routes(headers: &Headers<'_>) -> Vec<Box<str>> {
    headers.elements(HeaderName::RecordRoute).take(MAX_ROUTES).map(Into::into).collect()
}

/// Record-Route as the UAC sends along it: reversed (§12.1.2).
pub(crate) fn reversed_routes(headers: &Headers<'_>) -> Vec<Box<str>> {
    let mut routes = routes(headers);
    routes.reverse();
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MAX_DATAGRAM_BYTES, Message};

    fn dialog(routes: &[&str]) -> Dialog {
        Dialog {
            call_id: "c".into(),
            local: "<sip:a@h>".into(),
            local_tag: Mark { shard: 0, generation: 0, unique: 1 },
            remote: "<sip:b@h>".into(),
            remote_tag: "r".into(),
            local_cseq: 7,
            remote_cseq: None,
            remote_target: OwnedUri::parse("sip:b@192.0.2.7:5090").expect("uri"),
            route_set: routes.iter().map(|route| (*route).into()).collect(),
        }
    }

    fn printed(dialog: &Dialog) -> (String, Vec<String>) {
        let branch = Mark { shard: 0, generation: 0, unique: 2 };
        let via = ViaLine { transport: "UDP", host: "h", port: 5060, branch };
        let mut out = Vec::new();
        dialog.print_request(&mut out, "BYE", 8, via, MAX_FORWARDS).finish("", b"");
        let mut scratch = Vec::new();
        let message = Message::parse(&out, &mut scratch, MAX_DATAGRAM_BYTES).expect("parses");
        let Message::Request(request) = message else { panic!("a request") };
        let routes = request.common.headers.elements(HeaderName::Route).map(str::to_owned).collect();
        (request.uri.to_string(), routes)
    }

    #[test]
    fn a_loose_route_set_leaves_the_target_in_the_request_uri() {
        let dialog = dialog(&["<sip:p1@198.51.100.1;lr>", "<sip:p2.example;lr>"]);
        let (uri, routes) = printed(&dialog);
        assert_eq!(uri, "sip:b@192.0.2.7:5090");
        assert_eq!(routes, ["<sip:p1@198.51.100.1;lr>", "<sip:p2.example;lr>"]);
        assert_eq!(dialog.next_hop(), "198.51.100.1:5060".parse().ok());
    }

    #[test]
    fn a_strict_router_takes_the_request_uri_and_the_target_goes_last() {
        let dialog = dialog(&["<sip:p1@198.51.100.1:5080>", "<sip:p2.example;lr>"]);
        let (uri, routes) = printed(&dialog);
        assert_eq!(uri, "sip:p1@198.51.100.1:5080");
        assert_eq!(routes, ["<sip:p2.example;lr>", "<sip:b@192.0.2.7:5090>"]);
        assert_eq!(dialog.next_hop(), "198.51.100.1:5080".parse().ok());
    }

    #[test]
    fn without_routes_the_target_is_the_next_hop() {
        assert_eq!(dialog(&[]).next_hop(), "192.0.2.7:5090".parse().ok());
    }
}
