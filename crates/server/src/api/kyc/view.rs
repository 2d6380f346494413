//! A session as it is shown.

use serde_json::{Value, json};
use tandem_store::kyc::Session;

use crate::api::json::{instant, joined, optional_instant};
use crate::api::{ApiError, AppState};
use crate::kyc::{Live, Private, mask};

/// What tells that a letter is on its way.
const MAILED: &str = "KYC link sent by e-mail";
const READY: &str = "KYC link ready";

/// The answer to a request for a session of a partner's customer.
pub(super) fn created(live: &Live, account: &str, email: Option<&str>) -> Value {
    json!({
        "session_id": live.id,
        "account_auth_id": account,
        "customer_email": email,
        "email_dispatched_to": email.map(mask::email),
        "kyc_type": null,
        "status": live.status,
        "expires_at": instant(live.expires_at),
        "widget_url": live.widget_url,
        "kyc_link": null,
        "message": if email.is_some() { MAILED } else { READY },
    })
}

/// The same for a sub-account's.
pub(super) fn created_for_sub(live: &Live, account: &str, email: Option<&str>) -> Value {
    json!({
        "session_id": live.id,
        "account_auth_id": account,
        "customer_email": email,
        "status": live.status,
        "expires_at": instant(live.expires_at),
        "widget_url": live.widget_url,
        "message": if email.is_some() { MAILED } else { READY },
    })
}

/// A session in full; what was forgotten is null.
pub(super) async fn session(state: &AppState, row: Session) -> Result<Value, ApiError> {
    let private = match state.kyc.open(row.clone()).await? {
        Some(opened) => opened.private,
        None => Private::default(),
    };
    let schedule: Value = serde_json::from_str(&row.reminder_schedule).unwrap_or_else(|_| json!([]));
    let about = json!({
        "id": row.id,
        "account_auth_id": row.account,
        "customer_email": private.customer_email,
        "kyc_type": row.kyc_type,
        "status": row.status,
        "expires_at": instant(row.expires_at),
        "first_opened_at": optional_instant(row.first_opened_at),
        "completed_at": optional_instant(row.completed_at),
    });
    let terms = json!({
        "webhook_url": private.webhook_url,
        "redirect_url": private.redirect_url,
        "reminder_schedule": schedule,
        "metadata": private.metadata,
        "verified_data": private.verified_data(),
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    });
    Ok(joined(about, terms))
}
