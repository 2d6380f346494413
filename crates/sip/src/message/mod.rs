//! SIP messages (RFC 3261 §7, §20, §25): a bounded zero-copy parser and a printer.
//!
//! Used by the endpoint and by tools that look at SIP. The cast:
//!
//! * [`Message`], [`Request`], [`Response`], [`Headers`] — views of received bytes.
//! * [`Via`], [`NameAddr`], [`CSeq`], [`Parameters`] — typed header values.
//! * [`Uri`], [`OwnedUri`], [`Address`], [`Method`] — the vocabulary.
//! * [`HeaderField`] — a header a caller may add to an outbound message, checked when made.
//! * [`MessageWriter`] — the printer.
//!
//! Promises: parsing never panics, allocates nothing per header and stops at named limits; framing
//! is strict (a doubled Content-Length is refused), display is lenient; printing cannot be made to
//! emit a line the model did not intend. Refuses to know: transactions, sockets.

mod address;
mod error;
mod field;
mod method;
mod name;
mod parse;
mod print;
mod scan;
mod status;
mod uri;
mod value;

#[cfg(test)]
mod parse_tests;

pub use address::{Address, MAX_DISPLAY_NAME_BYTES};
pub use error::{Deserves, ParseError};
pub use field::{
    FieldName, HeaderField, IllegalField, MAX_CUSTOM_NAME_BYTES, MAX_EXTRA_FIELDS, MAX_FIELD_VALUE_BYTES,
};
pub use method::Method;
pub use name::HeaderName;
pub use parse::{
    Common, Framed, Header, Headers, MAX_DATAGRAM_BYTES, MAX_HEADERS, MAX_LIST_ELEMENTS,
    MAX_STREAM_MESSAGE_BYTES, Message, Request, Response,
};
pub use print::MessageWriter;
pub use scan::{ListElements, Parameters};
pub(crate) use scan::{decimal, is_token, leading_decimal, unquote};
pub use status::reason_phrase;
pub use uri::{MAX_URI_BYTES, OwnedUri, Scheme, Uri, UriError};
pub use value::{BRANCH_COOKIE, CSeq, NameAddr, Via};
