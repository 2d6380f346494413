//! What the engine asks of webhooks: documents now, notices through the outbox.

use std::sync::Arc;

use tandem_model::ports::{
    Documents, FetchError, FetchRequest, Fetched, Notice, Observer, Pending, Trace, TraceKind,
};
use tandem_model::{EventId, clock};
use tandem_store::outbox::EnqueueEvents;
use tandem_store::{OutboxEvent, Writer};

use super::DocumentFetcher;

/// The `Documents` port: fetches through the guarded client, puts notices into the outbox.
pub struct CallDocuments {
    fetcher: DocumentFetcher,
    writer: Writer,
    observer: Arc<dyn Observer>,
}

impl CallDocuments {
    /// Documents through `fetcher`, notices through `writer`, timelines to `observer`.
    pub fn new(fetcher: DocumentFetcher, writer: Writer, observer: Arc<dyn Observer>) -> Self {
        Self { fetcher, writer, observer }
    }

    async fn fetch_watched(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        let asked = clock::monotonic();
        let (call, kind) = (request.call, request.kind);
        let outcome = self.fetcher.fetch(request).await;
        if self.observer.watching() {
            let ms = asked.elapsed().as_millis();
            let text = match &outcome {
                Ok(fetched) => format!("{kind:?} document: {} bytes in {ms} ms", fetched.body.len()),
                Err(error) => format!("{kind:?} document failed after {ms} ms: {error}"),
            };
            self.observer.observe(Trace { call, at: clock::wall(), kind: TraceKind::Xml, text });
        }
        outcome
    }
}

impl Documents for CallDocuments {
    fn fetch(&self, request: FetchRequest) -> Pending<'_, Result<Fetched, FetchError>> {
        Box::pin(self.fetch_watched(request))
    }

    fn notify(&self, notice: Notice) {
        let call = notice.call;
        let event = callback_event(notice);
        if let Err(error) = self.writer.submit_detached(EnqueueEvents(vec![event])) {
            tracing::warn!(%error, call_id = %call, "a callback could not be queued");
        }
    }
}

/// The outbox event of a form-encoded callback, as of now.
pub fn callback_event(notice: Notice) -> OutboxEvent {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&notice.params).finish();
    // A Dial event's own name stands in its parameters.
    let named = notice.params.into_iter().find(|(name, _)| name == "Event").map(|(_, value)| value);
    OutboxEvent {
        event: EventId::random(),
        endpoint_key: endpoint_key(&notice.url),
        secret_kind: "account".to_owned(),
        secret_ref: notice.account.to_string(),
        account: notice.account,
        call: Some(notice.call),
        kind: named.unwrap_or_else(|| notice.event.name().to_owned()),
        channel: notice.event.channel(),
        url: notice.url,
        method: notice.method,
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body,
        // Delivery orders by instant first; notices of one call never share a microsecond.
        sequence: 0,
        created_at: clock::wall(),
    }
}

/// What fairness and the circuit breaker count by: scheme, host, port and path of a URL. Queries
/// often carry the call, so they would make every call an endpoint of its own.
pub fn endpoint_key(url: &str) -> String {
    super::signing_base(url).to_ascii_lowercase()
}
