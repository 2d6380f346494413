//! What the engine asks of webhooks: documents now, notices through the outbox.

use tandem_model::ports::{Documents, FetchError, FetchRequest, Fetched, Notice, Pending};
use tandem_model::{EventId, clock};
use tandem_store::outbox::EnqueueEvents;
use tandem_store::{OutboxEvent, Writer};

use super::DocumentFetcher;

/// The `Documents` port: fetches through the guarded client, puts notices into the outbox.
pub struct CallDocuments {
    fetcher: DocumentFetcher,
    writer: Writer,
}

impl CallDocuments {
    /// Documents through `fetcher`, notices through `writer`.
    pub fn new(fetcher: DocumentFetcher, writer: Writer) -> Self {
        Self { fetcher, writer }
    }
}

impl Documents for CallDocuments {
    fn fetch(&self, request: FetchRequest) -> Pending<'_, Result<Fetched, FetchError>> {
        Box::pin(self.fetcher.fetch(request))
    }

    fn notify(&self, notice: Notice) {
        let call = notice.call;
        if let Err(error) = self.writer.submit_detached(EnqueueEvents(vec![callback_event(notice)])) {
            tracing::error!(%error, call_id = %call, "a callback did not reach the outbox");
        }
    }
}

/// The outbox event of a form-encoded callback.
pub fn callback_event(notice: Notice) -> OutboxEvent {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&notice.params).finish();
    let created_at = clock::wall();
    OutboxEvent {
        event: EventId::random(),
        endpoint_key: endpoint_key(&notice.url),
        secret_kind: "account".to_owned(),
        secret_ref: notice.account.to_string(),
        account: notice.account,
        call: Some(notice.call),
        kind: notice.event.name().to_owned(),
        channel: notice.event.channel(),
        url: notice.url,
        method: notice.method,
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body,
        // Notices of a call follow each other by the clock.
        sequence: created_at.as_microsecond().try_into().unwrap_or_default(),
        created_at,
    }
}

/// What fairness and the circuit breaker count by: scheme, host, port and path of a URL. Queries
/// often carry the call, so they would make every call an endpoint of its own.
pub fn endpoint_key(url: &str) -> String {
    super::signing_base(url).to_ascii_lowercase()
}
