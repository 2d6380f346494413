//! One message and what is expected of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use tandem_sip::message::{Common, Message, ParseError, Request, Response};
use tandem_sip::{Endpoint, EndpointConfig, Event, Flow, Input, Output, Transport};

/// What the parser makes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A request of this method.
    Request(String),
    /// A response of this status.
    Response(u16),
    /// Nothing.
    Refused(ParseError),
}

/// What the endpoint does with a message by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No byte leaves, nobody is told.
    Silence,
    /// This final response.
    Status(u16),
    /// It is handed up as a new call; whoever owns calls answers.
    Call,
    /// It is handed up as a request outside any dialog.
    Request,
}

impl Answer {
    /// Show a fresh endpoint the message.
    pub(crate) fn of_endpoint(bytes: &[u8]) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let flow = Flow {
            transport: Transport::Udp,
            local: address("192.0.2.1:5060"),
            remote: address("198.51.100.7:5060"),
        };
        let mut endpoint = Endpoint::new(EndpointConfig::new("192.0.2.1", 5060), [1; 32]);
        endpoint.handle(now(), Input::Datagram { flow, bytes });
        let outputs: Vec<Output> = std::iter::from_fn(|| endpoint.poll()).collect();
        match outputs.as_slice() {
            [] => Self::Silence,
            [Output::Event(Event::Invite { .. })] => Self::Call,
            [Output::Event(Event::Request { .. })] => Self::Request,
            [Output::Transmit { flow: to, bytes }] => {
                assert_eq!(to.remote.ip(), flow.remote.ip(), "an answer goes nowhere but to its source");
                let mut scratch = Vec::new();
                match Message::parse(bytes, &mut scratch, usize::MAX) {
                    Ok(Message::Response(response)) => Self::Status(response.status),
                    // It repeats what the sender wrote, which need not be well formed.
                    _ => Self::Status(status_code(bytes)),
                }
            }
            more => panic!("one message, one answer: {more:?}"),
        }
    }
}

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn now() -> Instant {
    Instant::now()
}

fn status_code(bytes: &[u8]) -> u16 {
    let line = std::str::from_utf8(bytes.get(..12).expect("a status line")).expect("text");
    line.strip_prefix("SIP/2.0 ").and_then(|code| code.trim().parse().ok()).expect("a status")
}

/// A row of the table.
pub(crate) struct Case {
    /// Folder of the file: the RFC.
    pub(crate) folder: &'static str,
    /// The RFC's name, and the file's.
    pub(crate) name: &'static str,
    /// Section of the RFC.
    pub(crate) section: &'static str,
    /// What the RFC says of it.
    pub(crate) class: &'static str,
    /// What the parser makes of it.
    pub(crate) parsed: Parsed,
    /// What the typed view says, if there is one.
    pub(crate) facts: fn(&Message<'_>),
    /// What the endpoint does.
    pub(crate) answer: Answer,
    /// What a carrier hears in the end from the running platform; `None` is silence.
    pub(crate) carrier_hears: Option<u16>,
    /// Why.
    pub(crate) why: &'static str,
}

impl Case {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let path = folder(self.folder).join(format!("{}.dat", self.name));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A request that is handed up; `hears` is what the owner of calls answers a carrier.
    pub(crate) fn accepted(
        mut self,
        method: &str,
        answer: Answer,
        hears: u16,
        facts: fn(&Message<'_>),
    ) -> Self {
        (self.parsed, self.answer, self.facts) = (Parsed::Request(method.to_owned()), answer, facts);
        self.carrier_hears = Some(hears);
        self
    }

    /// A well-formed request that the endpoint refuses by itself.
    pub(crate) fn answered(mut self, method: &str, status: u16, facts: fn(&Message<'_>)) -> Self {
        (self.parsed, self.answer, self.facts) =
            (Parsed::Request(method.to_owned()), Answer::Status(status), facts);
        self.carrier_hears = Some(status);
        self
    }

    /// A response to nothing.
    pub(crate) fn stray(mut self, status: u16, facts: fn(&Message<'_>)) -> Self {
        (self.parsed, self.facts) = (Parsed::Response(status), facts);
        self
    }

    /// A message that the parser refuses and the endpoint answers.
    pub(crate) fn refused(mut self, error: ParseError, status: u16) -> Self {
        (self.parsed, self.answer) = (Parsed::Refused(error), Answer::Status(status));
        self.carrier_hears = Some(status);
        self
    }

    /// A message that the parser refuses and nobody answers.
    pub(crate) fn dropped(mut self, error: ParseError) -> Self {
        self.parsed = Parsed::Refused(error);
        self
    }
}

/// A row to be filled in.
pub(crate) fn row(
    folder: &'static str,
    section: &'static str,
    name: &'static str,
    class: &'static str,
    why: &'static str,
) -> Case {
    let parsed = Parsed::Refused(ParseError::NotSip);
    Case {
        folder,
        name,
        section,
        class,
        parsed,
        facts: |_| (),
        answer: Answer::Silence,
        carrier_hears: None,
        why,
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

#[track_caller]
pub(crate) fn request<'m, 'a>(message: &'m Message<'a>) -> &'m Request<'a> {
    match message {
        Message::Request(request) => request,
        Message::Response(response) => panic!("a response: {}", response.status),
    }
}

#[track_caller]
pub(crate) fn response<'m, 'a>(message: &'m Message<'a>) -> &'m Response<'a> {
    match message {
        Message::Response(response) => response,
        Message::Request(request) => panic!("a request: {}", request.method_token),
    }
}

pub(crate) fn common<'m, 'a>(message: &'m Message<'a>) -> &'m Common<'a> {
    match message {
        Message::Request(request) => &request.common,
        Message::Response(response) => &response.common,
    }
}
