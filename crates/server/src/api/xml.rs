//! `POST …/XML/check`, an extension of ours: what is wrong with a document, and what it would do, before a call runs it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use super::effect::Effect;
use super::{ApiError, AppState, Payload, Reply, RequestId, Routes};
use crate::auth::Scoped;
use crate::xml_check;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new().route("/Account/{auth_id}/XML/check", post(check))
}

/// A document, as it is or as the member `xml` of a JSON object.
struct Document(Bytes);

#[derive(Deserialize)]
struct Enclosed {
    xml: String,
}

impl FromRequest<AppState> for Document {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // Nothing changes, so nothing is kept under the key; but a key that is none is refused as everywhere.
        Effect::keyed(&parts, state)?;
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_xml = matches!(kind.as_str(), "text/xml" | "application/xml");
        let request = Request::from_parts(parts, body);
        if !is_xml {
            let payload: Payload<Enclosed> = Payload::from_request(request, state).await?;
            return Ok(Self(payload.value.xml.into()));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::field("", "larger than this node takes").status(StatusCode::PAYLOAD_TOO_LARGE)
            } else {
                ApiError::field("", "could not be read")
            }
        })
    }
}

async fn check(_scoped: Scoped, request: RequestId, Document(xml): Document) -> Reply {
    let mut report = xml_check::report(&xml);
    report["api_id"] = json!(request.api_id);
    Reply::ok(report)
}
