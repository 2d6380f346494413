//! Why a message was not accepted, and what the sender deserves to hear.

use thiserror::Error;

use super::name::HeaderName;

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Nothing but CRLF: a keep-alive (RFC 5626 §3.5.1).
    #[error("keep-alive")]
    KeepAlive,
    /// Longer than the transport's limit.
    #[error("message is too long")]
    TooLong,
    /// The first line is not SIP.
    #[error("first line is not SIP")]
    NotSip,
    /// The first line starts as SIP does but breaks its rules.
    #[error("malformed start line")]
    StartLine,
    /// A version other than 2.0.
    #[error("SIP version is not 2.0")]
    Version,
    /// The Request-URI is malformed.
    #[error("malformed Request-URI")]
    RequestUri,
    /// The Request-URI has a scheme that we do not handle.
    #[error("unsupported scheme in Request-URI")]
    Scheme,
    /// No empty line after the headers.
    #[error("headers do not end")]
    Unterminated,
    /// A header line without colon, or with a control character.
    #[error("malformed header line")]
    HeaderLine,
    /// More than [`MAX_HEADERS`](super::MAX_HEADERS) header lines.
    #[error("too many headers")]
    TooManyHeaders,
    /// A mandatory header is absent.
    #[error("missing {}", .0.as_str())]
    Missing(HeaderName),
    /// A header that may stand once stands twice.
    #[error("duplicate {}", .0.as_str())]
    Duplicate(HeaderName),
    /// A list header holds more than [`MAX_LIST_ELEMENTS`](super::MAX_LIST_ELEMENTS).
    #[error("too many elements in {}", .0.as_str())]
    TooManyElements(HeaderName),
    /// A header's value breaks its grammar.
    #[error("malformed {}", .0.as_str())]
    Malformed(HeaderName),
    /// CSeq names another method than the start line.
    #[error("CSeq method does not match")]
    MethodMismatch,
    /// Content-Length promises more than there is.
    #[error("body is shorter than Content-Length")]
    BodyTooShort,
}

/// What the sender of an unacceptable message deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deserves {
    /// Nothing: it is not a request that can be answered.
    Silence,
    /// This failure, if Via, From, To, Call-ID and CSeq can be read.
    Answer(u16),
}

impl ParseError {
    /// What the sender deserves, if the message was a request.
    pub fn deserves(self) -> Deserves {
        match self {
            Self::KeepAlive | Self::NotSip | Self::Unterminated | Self::TooLong => Deserves::Silence,
            Self::Version => Deserves::Answer(505),
            Self::Scheme => Deserves::Answer(416),
            Self::StartLine
            | Self::RequestUri
            | Self::HeaderLine
            | Self::TooManyHeaders
            | Self::Missing(_)
            | Self::Duplicate(_)
            | Self::TooManyElements(_)
            | Self::Malformed(_)
            | Self::MethodMismatch
            | Self::BodyTooShort => Deserves::Answer(400),
        }
    }
}
