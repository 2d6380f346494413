//! Why a request to a tenant's URL failed.

use std::net::IpAddr;

use thiserror::Error;

/// Why a request failed. Messages are for the tenant who wrote the URL: they name no internals.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EgressError {
    /// Not an absolute `http://` or `https://` URL, or longer than the limit.
    #[error("the URL is not usable: {0}")]
    Url(String),
    /// The address guard refused where it leads.
    #[error("{host} leads to {address}, which is not a public address")]
    Refused {
        /// The host as the URL names it.
        host: String,
        /// The (first) address that was refused.
        address: IpAddr,
    },
    /// The name did not resolve in time, or not at all.
    #[error("{host} does not resolve: {words}")]
    Dns {
        /// The host.
        host: String,
        /// Why.
        words: String,
    },
    /// TCP did not connect.
    #[error("cannot connect to {host}: {words}")]
    Connect {
        /// The host.
        host: String,
        /// Why.
        words: String,
    },
    /// TCP did not connect within the connect time.
    #[error("cannot connect to {host} in time")]
    ConnectTimeout {
        /// The host.
        host: String,
    },
    /// TLS failed: certificate, name or protocol.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The total time passed, body included.
    #[error("no complete answer in time")]
    Timeout,
    /// The body is longer than the cap.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: usize,
    },
    /// More redirects than are followed, or one without a usable target.
    #[error("redirect not followed: {0}")]
    Redirect(String),
    /// The peer broke the connection or HTTP.
    #[error("the connection broke: {0}")]
    Protocol(String),
}
