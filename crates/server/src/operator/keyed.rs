//! `Idempotency-Key` for the operator's POSTs: all alike, around the handlers. The key is claimed first and the
//! answer kept afterwards; when the process dies in between, whoever repeats the request has it done again, which is
//! right here because each of these is idempotent by what it names (a reference, a name, an address, an id).

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tandem_model::AccountId;

use super::BODY_MAX;
use crate::api::{ApiError, AppState, Claimed, Effect, Reply, claim};

/// Whose keys they are.
const OPERATOR: &str = "admin";

/// The layer.
pub(super) async fn keyed(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match answered(&state, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answered(state: &AppState, request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let too_large = |_| ApiError::field("", "larger than this node takes");
    let bytes: Bytes = to_bytes(body, BODY_MAX).await.map_err(too_large)?;
    let effect = Effect::of(&parts, state, &bytes)?;
    let request = Request::from_parts(parts, Body::from(bytes));
    if !effect.has_key() {
        return Ok(next.run(request).await);
    }
    let hold = match claim(state, &effect, &AccountId::new(OPERATOR)).await? {
        Claimed::Replay(reply) => return Ok(reply.into_response()),
        Claimed::Go(hold) => hold,
    };
    let response = next.run(request).await;
    if !response.status().is_success() {
        hold.keep(state, &Err(ApiError::field("", "refused"))).await;
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, BODY_MAX).await.map_err(ApiError::internal)?;
    let answer = match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => Reply::json(head.status, value),
        Err(_) => Reply::no_content(),
    };
    hold.keep(state, &Ok(answer)).await;
    Ok(Response::from_parts(head, Body::from(bytes)))
}
