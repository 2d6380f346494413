//! What a session's owner is told: JSON whose body is sealed in the outbox and opened at delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use tandem_model::{EventId, EventKind, HttpMethod};
use tandem_store::{OutboxEvent, Reader};

use super::session::Opened;
use super::subject::SubjectKey;
use crate::admission::iso;
use crate::auth::Vault;
use crate::webhooks::{SealedBodies, Unopened, endpoint_key};

/// The event, if the owner wants events.
pub(super) fn event(opened: &Opened, kind: EventKind, at: Timestamp) -> Option<OutboxEvent> {
    let (row, private) = (&opened.row, &opened.private);
    let url = private.webhook_url.clone()?;
    let event = EventId::random();
    let body = json!({
        "event": kind.name(),
        "timestamp": iso(at),
        "session_id": row.id,
        "account_auth_id": row.account,
        "customer_email": private.customer_email,
        "kyc_type": row.kyc_type,
        "status": row.status,
        "session_status": row.status,
        "metadata": private.metadata,
        "verified_data": private.verified_data(),
        "reason": private.reason,
        "created_at": iso(row.created_at),
        "updated_at": iso(at),
    })
    .to_string();
    Some(OutboxEvent {
        event,
        account: row.owner.clone(),
        call: None,
        endpoint_key: endpoint_key(&url),
        kind: kind.name().to_owned(),
        channel: kind.channel(),
        url,
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: STANDARD.encode(opened.key.seal(&event.to_string(), &body)),
        secret_kind: "subject".to_owned(),
        secret_ref: row.subject.clone(),
        sequence: rank(kind),
        created_at: at,
    })
}

/// Which comes first of a session.
const fn rank(kind: EventKind) -> u64 {
    match kind {
        EventKind::KycInitiated => 1,
        EventKind::KycSubmitted => 2,
        _ => 3,
    }
}

/// Opens the bodies of events at delivery.
pub(crate) struct SubjectBodies {
    pub(crate) reader: Reader,
    pub(crate) vault: std::sync::Arc<Vault>,
}

impl SealedBodies for SubjectBodies {
    fn open<'a>(&'a self, event: &'a OutboxEvent) -> BoxFuture<'a, Result<String, Unopened>> {
        Box::pin(async move {
            let subject =
                self.reader.kyc_subject_by_id(&event.secret_ref).await.map_err(|_| Unopened::NotNow)?;
            let subject = subject.ok_or(Unopened::Erased)?;
            let key = SubjectKey::open(&self.vault, &subject).map_err(|_| Unopened::Erased)?;
            let sealed = STANDARD.decode(&event.body).map_err(|_| Unopened::Erased)?;
            key.unseal(&event.event.to_string(), &sealed).map_err(|_| Unopened::Erased)
        })
    }
}
