//! URLs of a number's own: a receptionist without an application. The answer URL goes before an application and a trunk;
//! what is gathered goes to the input URL where the document names no action; the hangup URL is told of the end.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use tandem_model::{E164, HttpMethod, UrlCall, clock};
use tandem_store::resources::number::{NumberUrls, PutNumberUrls};

use super::{no_number, number_in_path, owned_number};
use crate::api::callable;
use crate::api::lenient::{Fields, Given};
use crate::api::{ApiError, AppState, Effect, Payload, Reply};
use crate::auth::Scoped;

fn view(e164: E164, urls: &NumberUrls) -> Value {
    let url = |call: &Option<UrlCall>| call.as_ref().map(|call| call.url.clone());
    let method = |call: &Option<UrlCall>| call.as_ref().map_or(HttpMethod::Post, |call| call.method).as_str();
    json!({
        "number": e164,
        "answer_url": url(&urls.answer), "answer_method": method(&urls.answer),
        "input_url": url(&urls.input), "input_method": method(&urls.input),
        "hangup_url": url(&urls.hangup), "hangup_method": method(&urls.hangup),
    })
}

/// `GET …/numbers/{e164}/urls`.
pub(super) async fn read(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    Ok(Json(view(number.e164, &number.urls)))
}

/// `PUT …/numbers/{e164}/urls`: what is not sent stays; null takes a URL away.
pub(super) async fn update(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let number = owned_number(&state, &scope, number_in_path(&e164)?).await?;
    let (e164, mut urls) = (number.e164, number.urls);
    let mut changed = Vec::new();
    changed.extend(put(&mut fields, "answer_url", "answer_method", &mut urls.answer).then_some("answer_url"));
    changed.extend(put(&mut fields, "input_url", "input_method", &mut urls.input).then_some("input_url"));
    changed.extend(put(&mut fields, "hangup_url", "hangup_method", &mut urls.hangup).then_some("hangup_url"));
    let written = [("answer_url", &urls.answer), ("input_url", &urls.input), ("hangup_url", &urls.hangup)];
    for (name, slot) in written {
        let url = slot.as_ref().map(|call| call.url.as_str());
        callable::refuse_inside(&state, &mut fields, &[name], url).await;
    }
    fields.check_known()?;
    fields.check()?;
    let shown = view(e164, &urls);
    let command = PutNumberUrls {
        e164,
        owner: scope.payer().clone(),
        urls,
        fields: changed,
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |done: &bool| if *done { Ok(Reply::ok(shown.clone())) } else { Err(no_number(e164)) };
    effect.run(&scope.caller.account.id, command, answer).await
}

/// Puts a URL and its method where they go; says whether they differ.
fn put(fields: &mut Fields, url: &'static str, method: &'static str, slot: &mut Option<UrlCall>) -> bool {
    let before = slot.clone();
    let asked = fields.method(&[method]).value();
    match fields.url(&[url]) {
        Given::Absent => {}
        Given::Null => *slot = None,
        Given::Value(url) => {
            let kept = slot.as_ref().map_or(HttpMethod::Post, |call| call.method);
            *slot = Some(UrlCall { url, method: kept });
        }
    }
    if let (Some(call), Some(method)) = (slot.as_mut(), asked) {
        call.method = method;
    }
    *slot != before
}
