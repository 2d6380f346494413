//! The engine's port of documents and callbacks: fetching is the guarded fetcher's, callbacks go into the outbox.

use std::sync::Arc;

use tandem_model::ports::{
    Documents, FetchError, FetchRequest, Fetched, Notice, Observer, Pending, Trace, TraceKind,
};
use tandem_model::{UrlCall, clock};
use tandem_store::Writer;
use tandem_store::outbox::EnqueueEvents;

use crate::admission::record;
use crate::webhooks::DocumentFetcher;

/// Documents and callbacks of one node.
pub(crate) struct DocumentService {
    fetcher: DocumentFetcher,
    writer: Writer,
    observer: Arc<dyn Observer>,
}

impl DocumentService {
    /// Over a fetcher and the Writer.
    pub(crate) fn new(fetcher: DocumentFetcher, writer: Writer, observer: Arc<dyn Observer>) -> Self {
        Self { fetcher, writer, observer }
    }
}

impl Documents for DocumentService {
    fn fetch(&self, request: FetchRequest) -> Pending<'_, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let watching = self.observer.watching();
            let asked = clock::monotonic();
            let (call, url, method, kind) = (request.call, request.url.clone(), request.method, request.kind);
            let outcome = self.fetcher.fetch(request).await;
            if watching {
                let ms = clock::monotonic().duration_since(asked).as_millis();
                let came = match &outcome {
                    Ok(fetched) => format!("{} bytes in {ms} ms", fetched.body.len()),
                    Err(error) => format!("failed after {ms} ms: {error}"),
                };
                let text = format!("{} {url} ({kind:?}): {came}", method.as_str());
                self.observer.observe(Trace { call, at: clock::wall(), kind: TraceKind::Xml, text });
            }
            outcome
        })
    }

    fn notify(&self, notice: Notice) {
        let to = UrlCall { url: notice.url, method: notice.method };
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&notice.params).finish();
        // A Dial event's own name stands in its parameters.
        let kind = notice
            .params
            .iter()
            .find(|(name, _)| name == "Event")
            .map_or_else(|| notice.event.name().to_owned(), |(_, value)| value.clone());
        let event = record::callback(
            &notice.account,
            Some(notice.call),
            &kind,
            notice.event.channel(),
            &to,
            body,
            0,
            clock::wall(),
        );
        if let Err(error) = self.writer.submit_detached(EnqueueEvents(vec![event])) {
            tracing::warn!(call_id = %notice.call, %error, "a callback could not be queued");
        }
    }
}
