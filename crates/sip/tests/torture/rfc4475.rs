//! The 49 messages of RFC 4475.

use tandem_sip::digest::parse_authorization;
use tandem_sip::message::{HeaderName as H, Message, Method, NameAddr, ParseError as E, Uri};
use tandem_sip::sdp::SessionDescription;

use crate::case::{Answer, Case, common, request, response, row};

const VALID: &str = "valid";
const INVALID: &str = "invalid";
const TRANSACTION: &str = "transaction layer";
const APPLICATION: &str = "application layer";
const OLD: &str = "RFC 2543";

fn m(section: &'static str, name: &'static str, class: &'static str, why: &'static str) -> Case {
    row("rfc4475", section, name, class, why)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = valid();
    cases.extend(invalid());
    cases.extend(upper_layers());
    cases
}

fn valid() -> Vec<Case> {
    vec![
        m(
            "3.1.1.1",
            "wsinv",
            VALID,
            "folds, odd spacing, compact names; its To-tag names a dialog that is not ours",
        )
        .answered("INVITE", 481, |message| {
            let common = common(message);
            assert_eq!(common.to.tag(), Some("1918181833n"));
            assert_eq!((common.from.tag(), common.cseq.number), (Some("98asjd8"), 9));
            assert_eq!(common.from.display_name().as_deref(), Some("J Rosenberg \\\""));
            assert_eq!((common.max_forwards, common.body.len()), (Some(68), 150));
            assert_eq!((common.via.host, common.via.branch()), ("192.0.2.2", None));
            assert_eq!(common.headers.elements(H::Via).count(), 3);
        }),
        m("3.1.1.2", "intmeth", VALID, "every character a token may have; the method is nobody's").accepted(
            "!interesting-Method0123456789_*+`.%indeed'~",
            Answer::Request,
            501,
            |message| {
                let request = request(message);
                assert_eq!(request.method, Method::Unknown);
                assert_eq!(request.uri.host(), "example.com");
                assert_eq!(request.common.from.tag(), Some("_token~1'+`*%!-."));
                assert_eq!(request.common.max_forwards, Some(255));
            },
        ),
        m("3.1.1.3", "esc01", VALID, "escapes stay as they are: the user part is not a nested URI").accepted(
            "INVITE",
            Answer::Call,
            404,
            |message| {
                let uri = request(message).uri;
                assert_eq!((uri.user(), uri.host()), (Some("sips%3Auser%40example.com"), "example.net"));
            },
        ),
        m("3.1.1.4", "escnull", VALID, "an escaped NUL is three characters and ends nothing").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                let to = common(message).to.uri().expect("a URI");
                assert_eq!(to.user(), Some("null-%00-null"));
                assert_eq!(common(message).headers.elements(H::Contact).count(), 2);
            },
        ),
        m("3.1.1.5", "esc02", VALID, "a method is not unescaped: this is no REGISTER").accepted(
            "RE%47IST%45R",
            Answer::Request,
            501,
            |message| {
                assert_eq!(request(message).method, Method::Unknown);
                assert_eq!(common(message).headers.elements(H::Contact).count(), 2);
            },
        ),
        m("3.1.1.6", "lwsdisp", VALID, "no space is needed before `<`").accepted(
            "OPTIONS",
            Answer::Request,
            200,
            |message| {
                assert_eq!(common(message).from.display_name().as_deref(), Some("caller"));
            },
        ),
        m("3.1.1.7", "longreq", VALID, "long values within the limits").accepted(
            "INVITE",
            Answer::Call,
            404,
            |message| {
                let common = common(message);
                assert_eq!((common.headers.elements(H::Via).count(), common.body.len()), (34, 150));
                assert!(common.from.tag().is_some_and(|tag| tag.len() > 60));
            },
        ),
        m(
            "3.1.1.8",
            "dblreq",
            VALID,
            "bytes after Content-Length are not part of the message (RFC 3261 §18.3)",
        )
        .accepted("REGISTER", Answer::Request, 403, |message| assert!(common(message).body.is_empty())),
        m("3.1.1.9", "semiuri", VALID, "`;` before `@` belongs to the user part").accepted(
            "OPTIONS",
            Answer::Request,
            200,
            |message| {
                let uri = request(message).uri;
                assert_eq!((uri.user(), uri.parameters()), (Some("user;par=u%40example.net"), ""));
            },
        ),
        m("3.1.1.10", "transports", VALID, "a transport nobody knows, in a Via that is not ours to use")
            .accepted("OPTIONS", Answer::Request, 200, |message| {
                assert_eq!(common(message).via.transport, "UDP");
                assert_eq!(common(message).headers.elements(H::Via).count(), 5);
            }),
        m(
            "3.1.1.11",
            "mpart01",
            VALID,
            "a binary multipart body is carried, not looked at; MESSAGE is not served",
        )
        .accepted("MESSAGE", Answer::Request, 405, |message| {
            let common = common(message);
            assert_eq!((common.body.len(), common.media_type()), (553, Some("multipart/mixed")));
        }),
        m("3.1.1.12", "unreason", VALID, "a reason phrase may be any text; no request of ours waits for it")
            .stray(200, |message| assert!(response(message).phrase.starts_with("= 2**3 * 5**2 но"))),
        m("3.1.1.13", "noreason", VALID, "a reason phrase may be empty; no request of ours waits for it")
            .stray(100, |message| assert_eq!(response(message).phrase, "")),
    ]
}

fn invalid() -> Vec<Case> {
    vec![
        m(
            "3.1.2.1",
            "badinv01",
            INVALID,
            "empty parameters in Via; the answer repeats it and goes to the source",
        )
        .refused(E::Malformed(H::Via), 400),
        m("3.1.2.2", "clerr", INVALID, "Content-Length promises more than the datagram holds")
            .refused(E::BodyTooShort, 400),
        m("3.1.2.3", "ncl", INVALID, "Content-Length is negative")
            .refused(E::Malformed(H::ContentLength), 400),
        m("3.1.2.4", "scalar02", INVALID, "CSeq does not fit 31 bits; the answer repeats it as written")
            .refused(E::Malformed(H::CSeq), 400),
        m("3.1.2.5", "scalarlg", INVALID, "CSeq does not fit 31 bits; responses are never answered")
            .dropped(E::Malformed(H::CSeq)),
        m(
            "3.1.2.6",
            "quotbal",
            INVALID,
            "where an unclosed quote ends is a guess, and To identifies the dialog",
        )
        .refused(E::Malformed(H::To), 400),
        m("3.1.2.7", "ltgtruri", INVALID, "a Request-URI has no angle brackets").refused(E::RequestUri, 400),
        m("3.1.2.8", "lwsruri", INVALID, "a start line has three words").refused(E::StartLine, 400),
        m("3.1.2.9", "lwsstart", INVALID, "a start line has single spaces").refused(E::StartLine, 400),
        m("3.1.2.10", "trws", INVALID, "a start line ends with its version").refused(E::StartLine, 400),
        m("3.1.2.11", "escruri", INVALID, "a Request-URI carries no headers, and none are made of it")
            .refused(E::RequestUri, 400),
        m("3.1.2.12", "baddate", INVALID, "Date is only shown, so its time zone costs no call").accepted(
            "INVITE",
            Answer::Call,
            404,
            |message| {
                assert_eq!(common(message).headers.first(H::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
            },
        ),
        m("3.1.2.13", "regbadct", INVALID, "the message stands; its Contact is no address and binds nothing")
            .accepted("REGISTER", Answer::Request, 403, |message| {
                let contact = common(message).headers.first(H::Contact).expect("a Contact");
                assert_eq!(NameAddr::parse(contact), None);
            }),
        m("3.1.2.14", "badaspec", INVALID, "spaces inside `< >`: To identifies the dialog")
            .refused(E::Malformed(H::To), 400),
        m(
            "3.1.2.15",
            "baddn",
            INVALID,
            "the archive's file lacks the end of the headers; completed, it is accepted",
        )
        .dropped(E::Unterminated),
        m("3.1.2.16", "badvers", INVALID, "another version").refused(E::Version, 505),
        m("3.1.2.17", "mismatch01", INVALID, "CSeq names another method").refused(E::MethodMismatch, 400),
        m("3.1.2.18", "mismatch02", INVALID, "CSeq names another method; that outweighs the unknown one")
            .refused(E::MethodMismatch, 400),
        m("3.1.2.19", "bigcode", INVALID, "a status has three digits; responses are never answered")
            .dropped(E::StartLine),
    ]
}

fn upper_layers() -> Vec<Case> {
    vec![
        m("3.2.1", "badbranch", TRANSACTION, "a bare cookie is no branch: matched as RFC 2543 did").accepted(
            "OPTIONS",
            Answer::Request,
            200,
            |message| assert_eq!(common(message).via.branch(), None),
        ),
        m("3.3.1", "insuf", APPLICATION, "without Call-ID, From and To an answer would be as malformed")
            .dropped(E::Missing(H::CallId)),
        m("3.3.2", "unkscm", APPLICATION, "a scheme nobody knows").refused(E::Scheme, 416),
        m("3.3.3", "novelsc", APPLICATION, "a scheme that SIP does not serve").refused(E::Scheme, 416),
        m("3.3.4", "unksm2", APPLICATION, "well formed, but From and To of other schemes name no account")
            .answered("REGISTER", 400, |message| {
                assert_eq!(common(message).to.uri_text, "isbn:2983792873");
            }),
        m("3.3.5", "bext01", APPLICATION, "Require asks for the unknown; Proxy-Require is for proxies")
            .answered("OPTIONS", 420, |message| {
                assert_eq!(common(message).headers.elements(H::Require).count(), 2);
            }),
        m("3.3.6", "invut", APPLICATION, "a call is offered as a session description or not at all")
            .answered("INVITE", 415, |message| {
                assert_eq!(common(message).media_type(), Some("application/unknownformat"));
            }),
        m("3.3.7", "regaut01", APPLICATION, "credentials of an unknown scheme are no credentials").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                let value = common(message).headers.first(H::Authorization).expect("there");
                assert!(parse_authorization(value).is_err());
            },
        ),
        m("3.3.8", "multi01", APPLICATION, "two CSeq, Call-ID, From and To: which dialog would it be?")
            .refused(E::Duplicate(H::CSeq), 400),
        m("3.3.9", "mcl01", APPLICATION, "two Content-Length: where would it end?")
            .refused(E::Duplicate(H::ContentLength), 400),
        m(
            "3.3.10",
            "bcast",
            APPLICATION,
            "its Via is not ours, so it answers nothing and is forwarded nowhere",
        )
        .stray(200, |message| assert_eq!(common(message).headers.elements(H::Via).count(), 2)),
        m(
            "3.3.11",
            "zeromf",
            APPLICATION,
            "Max-Forwards 0 reaches its last hop, which is here; a call would hear 483",
        )
        .accepted("OPTIONS", Answer::Request, 200, |message| {
            assert_eq!(common(message).max_forwards, Some(0));
        }),
        m("3.3.12", "cparam01", APPLICATION, "without brackets the parameter is Contact's").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                let contact = NameAddr::parse(common(message).headers.first(H::Contact).expect("there"));
                let contact = contact.expect("an address");
                assert_eq!(contact.uri_text, "sip:+19725552222@gw1.example.net");
                assert!(contact.parameters.has("unknownparam"));
            },
        ),
        m("3.3.13", "cparam02", APPLICATION, "within brackets the parameter is the URI's").accepted(
            "REGISTER",
            Answer::Request,
            403,
            |message| {
                let contact = NameAddr::parse(common(message).headers.first(H::Contact).expect("there"));
                let uri = contact.expect("an address").uri().expect("a URI");
                assert_eq!(uri.parameters(), "unknownparam");
            },
        ),
        m("3.3.14", "regescrt", APPLICATION, "a Contact may carry headers; a request to it never does")
            .accepted("REGISTER", Answer::Request, 403, |message| {
                let contact = NameAddr::parse(common(message).headers.first(H::Contact).expect("there"));
                let uri = contact.expect("an address").uri().expect("a URI");
                assert_eq!(uri.headers(), "Route=%3Csip:sip.example.com%3E");
            }),
        m("3.3.15", "sdp01", APPLICATION, "the caller accepts no session description, so no answer would do")
            .answered("INVITE", 406, |message| {
                assert!(SessionDescription::parse(common(message).body).is_ok());
            }),
        m(
            "3.4.1",
            "inv2543",
            OLD,
            "no branch, no From-tag, no Max-Forwards: the caller is older than RFC 3261",
        )
        .accepted("INVITE", Answer::Call, 404, |message: &Message<'_>| {
            let common = common(message);
            assert_eq!((common.via.branch(), common.from.tag(), common.max_forwards), (None, None, None));
            assert_eq!(common.from.uri().ok().and_then(Uri::user), Some("+13035551111"));
            assert!(!common.body.is_empty());
        }),
    ]
}
