//! A provider for trying out: its checkout takes a word instead of money. Only `serve --dev` has it.

use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::{Checkout, PaymentProvider, ProviderError, Wish};

/// Nobody's money.
pub(crate) struct Sandbox {
    api_url: String,
}

impl Sandbox {
    /// Its checkout is at the API itself.
    pub(crate) fn new(api_url: &str) -> Self {
        Self { api_url: api_url.to_owned() }
    }
}

impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn open<'a>(&'a self, wish: &'a Wish) -> BoxFuture<'a, Result<Checkout, ProviderError>> {
        Box::pin(async move {
            let reference = format!("sandbox_{}", wish.intent.simple());
            let url = format!("{}/api/v1/payments/sandbox/{}", self.api_url, wish.intent.hyphenated());
            Ok(Checkout { reference, url })
        })
    }

    /// It has no webhook: its checkout is here.
    fn is_genuine(&self, _: &HeaderMap, _: &[u8]) -> bool {
        false
    }
}
