//! SIP messages (RFC 3261 §7, §20, §25): a bounded zero-copy parser and a printer.
//!
//! Used by the endpoint and by tools that look at SIP. The cast:
//!
//! * [`Uri`], [`Address`], [`Method`] — the vocabulary.
//! * [`HeaderField`] — a header a caller may add to an outbound message, checked when made.
//!
//! Promises: parsing never panics, never allocates per header and stops at named limits; printing
//! cannot be made to emit a line the model did not intend. Refuses to know: transactions, sockets.

mod address;
mod field;
mod method;
mod uri;

pub use address::{Address, MAX_DISPLAY_NAME_BYTES};
pub use field::{
    FieldName, HeaderField, IllegalField, MAX_CUSTOM_NAME_BYTES, MAX_EXTRA_FIELDS, MAX_FIELD_VALUE_BYTES,
};
pub use method::Method;
pub use uri::{MAX_URI_BYTES, OwnedUri, Scheme, Uri, UriError};
