//! Deleting what filters keep. It must be said what: nothing said is refused, and so is a filter nobody knows, which
//! would otherwise delete more than was meant.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use tandem_model::clock;
use tandem_store::recordings::{DeleteRecordings, RecordingFilter};

use super::super::lenient::{Fields, invalid};
use super::super::{ApiError, AppState, Payload, Query, Reply, RequestId};
use super::{filter, whose};
use crate::auth::Scoped;

/// Recordings of one command.
const AT_ONCE: u32 = 200;

/// Delete recordings by filters, in the query or in the body. What was added meanwhile stays.
pub(super) async fn remove(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Query(query): Query<Fields>,
    body: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let mut fields = query.or(body.value);
    if let Some(unknown) = fields.names().find(|name| !filter::NAMES.contains(name)) {
        return Err(invalid(format!("{unknown}: Not a filter of recordings")));
    }
    let now = clock::wall();
    let asked = filter::read(&mut fields, now)?;
    if asked.is_empty() {
        return Err(invalid("Give at least one filter, such as add_time__lte"));
    }
    let before = asked.added_before.map_or(now, |before| before.min(now));
    let asked = RecordingFilter { added_before: Some(before), ..asked };
    loop {
        let found = state.reader.recordings(whose(&scoped), &asked, 0, AT_ONCE).await?;
        let all = found.total <= u64::from(AT_ONCE);
        let command = DeleteRecordings {
            ids: found.recordings.iter().map(|recording| recording.id).collect(),
            account: Some(scoped.id().clone()),
            actor: scoped.caller.actor.clone(),
            at: now,
        };
        if !command.ids.is_empty() {
            state.writer.submit(command).await?;
            state.recordings.wake();
        }
        if all {
            break;
        }
    }
    let words = "successfully queued bulk delete request";
    Ok(Reply::json(StatusCode::ACCEPTED, json!({ "api_id": request.api_id, "status": words })))
}
