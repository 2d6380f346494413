//! Payment providers: a port with two adapters, [`sandbox`] and [`http`]. A provider is told of an intent and says where it
//! is paid; later it says, signed, what became of it. It never touches a balance: the store credits an intent once.

mod http;
mod sandbox;

use std::sync::Arc;

use ::http::HeaderMap;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tandem_model::{AccountId, Currency, Money};
use thiserror::Error;
use uuid::Uuid;

pub(crate) use http::HttpProvider;
pub(crate) use sandbox::Sandbox;

use crate::config::PaymentsConfig;
use crate::egress::Egress;

/// What a provider is told.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Its id: the same wish told twice is one intent.
    pub(crate) intent: Uuid,
    pub(crate) account: AccountId,
    pub(crate) amount: Money,
    pub(crate) currency: Currency,
    /// Where the payer goes afterwards.
    pub(crate) return_url: Option<String>,
}

/// What a provider answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// The provider's name for it.
    pub(crate) reference: String,
    /// Where it is paid.
    pub(crate) url: String,
}

/// Why there is nowhere to pay.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ProviderError {
    /// It does not want this payment, and will not later.
    #[error("the payment provider refused it: {0}")]
    Refused(String),
    /// It does not answer, or not in the contract's words.
    #[error("the payment provider does not answer: {0}")]
    Unavailable(String),
}

/// A payment provider.
pub(crate) trait PaymentProvider: Send + Sync + 'static {
    /// As it stands in intents and in its webhook's path.
    fn name(&self) -> &'static str;

    /// Tells it of an intent.
    fn open<'a>(&'a self, wish: &'a Wish) -> BoxFuture<'a, Result<Checkout, ProviderError>>;

    /// Whether a notice is its own, by the headers and exact bytes of it.
    fn is_genuine(&self, headers: &HeaderMap, body: &[u8]) -> bool;
}

/// The provider in use, if there is one.
#[derive(Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Option<Arc<dyn PaymentProvider>>,
    pub(crate) least: Money,
    pub(crate) most: Money,
}

/// Shortest secret that signs anything.
const SECRET_MIN: usize = 16;

impl Payments {
    /// From the configuration; says which key is wrong. Without a way out (`egress`) there is no provider.
    pub(crate) fn of(config: &PaymentsConfig, api_url: &str, egress: Option<Egress>) -> Result<Self, String> {
        let bound = |name: &str, text: &str| {
            let amount: Money = text.parse().map_err(|error| format!("payments.{name}: {error}"))?;
            if amount > Money::ZERO { Ok(amount) } else { Err(format!("payments.{name}: is above 0")) }
        };
        let (least, most) = (bound("least", &config.least)?, bound("most", &config.most)?);
        let api_url = api_url.trim_end_matches('/');
        let provider: Option<Arc<dyn PaymentProvider>> = match (config.provider.as_str(), egress) {
            ("", _) | ("http", None) => None,
            ("sandbox", _) => Some(Arc::new(Sandbox::new(api_url))),
            ("http", Some(egress)) => {
                if config.secret.len() < SECRET_MIN {
                    return Err(format!("payments.secret: has at least {SECRET_MIN} characters"));
                }
                let secret = SecretString::from(config.secret.as_str());
                let provider = HttpProvider::new(&config.url, secret, api_url, egress);
                Some(Arc::new(provider.map_err(|error| format!("payments.url: {error}"))?))
            }
            (other, _) => return Err(format!("payments.provider: is \"\", http or sandbox, not {other:?}")),
        };
        Ok(Self { provider, least, most })
    }
}
