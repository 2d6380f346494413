//! How the authority is reached: HTTPS only, to the directory the operator names, trusted by the system's authorities and the
//! operator's own. Not by the guarded way of tenants' URLs: a house's own authority is mostly at a private address.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::transports::{TlsError, trusting};

/// A request takes so long at most.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Web(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Web {
    /// `ca`: a PEM file with further authorities, or empty.
    pub(super) fn trusting(ca: &str) -> Result<Self, TlsError> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(trusting("api.acme_ca", ca)?)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https)))
    }
}

impl HttpClient for Web {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.0.request(request);
        Box::pin(async move {
            let late = |_| Error::Other("the authority does not answer".into());
            let answered = tokio::time::timeout(TIMEOUT, asked).await.map_err(late)?;
            answered.map(BytesResponse::from).map_err(|error| Error::Other(Box::new(error)))
        })
    }
}
