//! The messages of RFC 5118, section 4.

use tandem_sip::message::{HeaderName as H, NameAddr, ParseError as E, Uri};
use tandem_sip::sdp::{Host, SessionDescription};

use crate::case::{Answer, Case, common, request, row};

fn m(section: &'static str, name: &'static str, class: &'static str, why: &'static str) -> Case {
    row("rfc5118", section, name, class, why)
}

pub(crate) fn cases() -> Vec<Case> {
    const VALID: &str = "valid";
    vec![
        m("4.1", "ipv6-good", VALID, "references in Request-URI, Via and Contact").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                assert_eq!(request(message).uri.ip(), "2001:db8::10".parse().ok());
                assert_eq!(common(message).via.host, "[2001:db8::9:1]");
                let contact = NameAddr::parse(common(message).headers.first(H::Contact).expect("there"));
                assert_eq!(
                    contact.expect("an address").uri().expect("a URI").ip(),
                    "2001:db8::1".parse().ok()
                );
            },
        ),
        m("4.2", "ipv6-bad", "invalid", "an address without brackets").refused(E::RequestUri, 400),
        m("4.3", "port-ambiguous", VALID, "what stands in the brackets is address, whatever was meant")
            .accepted("REGISTER", Answer::Request, 403, |message| {
                let uri = request(message).uri;
                assert_eq!((uri.ip(), uri.port()), ("2001:db8::10:5070".parse().ok(), None));
            }),
        m("4.4", "port-unambiguous", VALID, "what stands after the brackets is port").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                let uri = request(message).uri;
                assert_eq!((uri.ip(), uri.port()), ("2001:db8::10".parse().ok(), Some(5070)));
            },
        ),
        m("4.5", "via-received-param-with-delim", VALID, "`received` with brackets is read; no such dialog")
            .answered("BYE", 481, |message| {
                assert_eq!(common(message).via.parameters.value("received"), Some("[2001:db8::9:255]"));
                assert_eq!(common(message).via.branch(), Some("z9hG4bKas3-111"));
            }),
        m("4.5", "via-received-param-no-delim", VALID, "`received` without brackets is read").accepted(
            "OPTIONS",
            Answer::Request,
            200,
            |message| {
                assert_eq!(common(message).via.parameters.value("received"), Some("2001:db8::9:255"));
                assert_eq!(common(message).via.branch(), Some("z9hG4bKas3"));
            },
        ),
        m("4.6", "ipv6-in-sdp", VALID, "an IPv6 address in the session description; its codecs are not ours")
            .accepted("INVITE", Answer::Call, 488, |message| {
                let sdp = SessionDescription::parse(common(message).body).expect("a description");
                assert_eq!(
                    sdp.connection.as_ref().and_then(|line| line.host.ip()),
                    "2001:db8::20".parse().ok()
                );
                assert_eq!(sdp.media.len(), 2);
            }),
        m("4.7", "mult-ip-in-header", VALID, "both families in one Via path; no such dialog").answered(
            "BYE",
            481,
            |message| {
                let vias: Vec<_> = common(message).headers.elements(H::Via).collect();
                assert_eq!(vias.len(), 3);
                assert_eq!(
                    (common(message).via.host, common(message).via.port),
                    ("[2001:db8::9:1]", Some(6050))
                );
            },
        ),
        m("4.8", "mult-ip-in-sdp", VALID, "one family per media line").accepted(
            "INVITE",
            Answer::Call,
            404,
            |message| {
                let sdp = SessionDescription::parse(common(message).body).expect("a description");
                let hosts: Vec<_> = sdp.media.iter().filter_map(|media| sdp.connection_of(media)).collect();
                let ip = |text: &str| Host::Ip(text.parse().expect("an address"));
                let found: Vec<_> = hosts.into_iter().map(|connection| connection.host.clone()).collect();
                assert_eq!(found, [ip("192.0.2.1"), ip("2001:db8::1")]);
            },
        ),
        m(
            "4.9",
            "ipv4-mapped-ipv6",
            VALID,
            "IPv4-mapped addresses are IPv6 on the wire; its codecs are not ours",
        )
        .accepted("INVITE", Answer::Call, 488, |message| {
            let via = common(message).via;
            assert_eq!((via.host, via.port), ("[::ffff:192.0.2.10]", Some(19823)));
            let sdp = SessionDescription::parse(common(message).body).expect("a description");
            assert_eq!(
                sdp.connection.as_ref().and_then(|line| line.host.ip()),
                "::ffff:192.0.2.2".parse().ok()
            );
        }),
        m(
            "4.10",
            "ipv6-bug-abnf-3-colons",
            VALID,
            "the extra colon that RFC 3261's grammar let in is forgiven",
        )
        .accepted("OPTIONS", Answer::Request, 200, |message| {
            assert_eq!(request(message).uri.ip(), "2001:db8::192.0.2.1".parse().ok());
            assert_eq!(common(message).to.uri().ok().and_then(Uri::ip), "2001:db8::192.0.2.1".parse().ok());
        }),
        m("4.10", "ipv6-correct-abnf-2-colons", VALID, "the same, spelt right").accepted(
            "OPTIONS",
            Answer::Request,
            200,
            |message| assert_eq!(request(message).uri.ip(), "2001:db8::192.0.2.1".parse().ok()),
        ),
    ]
}
