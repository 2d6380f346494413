//! Fetching call-control XML and telling callbacks. Deadlines, retries, signatures and the address
//! guard are the service's; which URL comes next (fallback, apology) is the call flow's.

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use super::Pending;
use crate::{AccountId, CallId, EventKind, HttpMethod};

/// Parameters of a request, in order. Nearly all names are the contract's own words.
pub type Parameters = Vec<(Cow<'static, str>, String)>;

/// Why a document is fetched; decides the hangup cause of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchKind {
    /// The answer URL.
    Answer,
    /// The fallback URL.
    Fallback,
    /// An element's `action`.
    Action,
    /// `<Redirect>`.
    Redirect,
    /// The transfer API.
    Transfer,
    /// What is only heard: `confirmSound`, `dialMusic`. Its failure ends no call.
    Sound,
}

/// A document to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Whose token signs.
    pub account: AccountId,
    /// For which call.
    pub call: CallId,
    /// Why.
    pub kind: FetchKind,
    /// Absolute URL as the customer wrote it.
    pub url: String,
    /// The method.
    pub method: HttpMethod,
    /// Parameters in order, shared with the fallback's request.
    pub params: Arc<Parameters>,
}

/// A fetched document: at most 100 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub body: Vec<u8>,
    /// The URL it came from after redirects: relative URLs resolve against it.
    pub url: String,
}

/// The class of a failed fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// Not `http://` or `https://`, or no URL at all.
    InvalidUrl,
    /// The address guard refused it.
    Refused,
    /// DNS, connect or TLS failed, or the connection broke.
    Unreachable,
    /// The deadline passed.
    TimedOut,
    /// Not a 2xx.
    Status(u16),
    /// Longer than 100 KiB: the document is invalid.
    TooLarge,
}

/// A failed fetch, after all retries.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{words}")]
pub struct FetchError {
    /// The class.
    pub failure: FetchFailure,
    /// For people.
    pub words: String,
}

/// A callback nobody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose token signs.
    pub account: AccountId,
    /// For which call.
    pub call: CallId,
    /// Which event.
    pub event: EventKind,
    /// Absolute URL.
    pub url: String,
    /// The method.
    pub method: HttpMethod,
    /// Parameters in order.
    pub params: Parameters,
}

/// Documents and callbacks.
pub trait Documents: Send + Sync {
    /// Fetches a document: 10 s a try, at most 60 s over all, signed, guarded.
    fn fetch(&self, request: FetchRequest) -> Pending<'_, Result<Fetched, FetchError>>;

    /// Puts a callback into the outbox. Does not wait.
    fn notify(&self, notice: Notice);
}
