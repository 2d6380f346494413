//! Refusals of the API: one catalogue code, one merged body that satisfies the readers of every older
//! shape (REST reference §1.4), rendered once by the envelope, which knows the request's id.

use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tandem_model::{ErrorCode, Refusal, Shortage};
use tandem_store::StoreError;
use uuid::Uuid;

use super::json::money;
use crate::auth::VaultError;

/// A refusal on its way to the client. Make one from the catalogue and add what the occasion knows:
///
/// ```ignore
/// return Err(ApiError::because(ErrorCode::NotFound, "Application not found").word("Application not found").with("app_id", id));
/// ```
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Problem>);

#[derive(Clone, Debug)]
struct Problem {
    code: ErrorCode,
    status: StatusCode,
    word: Option<String>,
    message: String,
    details: Option<Value>,
    /// What to do about it, where the catalogue's remedy is another occasion's.
    hint: Option<&'static str>,
    members: Map<String, Value>,
    shape: Shape,
    retry_after_s: Option<u32>,
    /// For the log; never shown.
    cause: Option<String>,
}

/// Which readers a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `{status, error, message, api_id, code, details?}`.
    Merged,
    /// `{error: {code, message}}`, as the ledger's gateway answers 401 and 403.
    Gateway,
}

impl ApiError {
    /// In the catalogue's own words.
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self::because(code, code.title())
    }

    /// With words for the occasion.
    pub(crate) fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Box::new(Problem {
            code,
            status,
            word: None,
            message: message.into(),
            details: None,
            hint: None,
            members: Map::new(),
            shape: Shape::Merged,
            retry_after_s: None,
            cause: None,
        }))
    }

    /// A field is wrong: 400 that names it and says what it should be.
    pub(crate) fn field(name: &str, remedy: &str) -> Self {
        let details = if name.is_empty() { json!({ "body": remedy }) } else { json!({ name: remedy }) };
        let place = if name.is_empty() { "the body" } else { name };
        Self::because(ErrorCode::ValidationError, format!("{place}: {remedy}")).details(details)
    }

    /// Several fields are wrong: one answer that names each. The words and status of a single one stay its own.
    fn together(mut errors: Vec<Self>) -> Option<Self> {
        if errors.len() < 2 {
            return errors.pop();
        }
        let words = errors.iter().map(|error| error.0.message.as_str()).collect::<Vec<_>>().join("; ");
        let details = errors.iter().filter_map(|error| error.0.details.as_ref()?.as_object());
        let details: Map<String, Value> = details.flat_map(Map::clone).collect();
        Some(Self::because(ErrorCode::ValidationError, words).details(details.into()))
    }

    /// Nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::because(ErrorCode::NotFound, message)
    }

    /// A published operation that is not built, named by a sentence.
    pub(crate) fn not_built(sentence: &str) -> Self {
        Self::because(ErrorCode::NotBuilt, sentence)
    }

    /// Our fault; `cause` goes to the log, not to the client.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorCode::Internal);
        error.0.cause = Some(cause.to_string());
        error
    }

    /// The text of `error`, where a family prints its own instead of the code.
    pub(crate) fn word(mut self, word: impl Into<String>) -> Self {
        self.0.word = Some(word.into());
        self
    }

    /// Another status than the catalogue's, where a family answers so.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// `details`.
    pub(crate) fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// What to do about it on this occasion, instead of the catalogue's remedy.
    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// A further member of the body.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// `Retry-After`.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds.max(1));
        self
    }

    /// In the shape of the ledger's gateway.
    pub(crate) fn gateway(mut self) -> Self {
        self.0.shape = Shape::Gateway;
        self
    }

    /// The catalogue's code.
    pub(crate) fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The text of `error`.
    pub(crate) fn shown_word(&self) -> &str {
        self.0.word.as_deref().unwrap_or(self.0.code.slug())
    }

    /// What the log should say, for refusals that are our fault.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The answer in full. Only the envelope calls this: it knows the request's id.
    pub(crate) fn render(&self, api_id: Uuid) -> Response {
        let problem = &*self.0;
        let status = problem.status;
        let body = match problem.shape {
            Shape::Gateway => {
                json!({ "error": { "code": status.as_u16(), "message": problem.message }, "api_id": api_id })
            }
            Shape::Merged => {
                let mut body = problem.members.clone();
                let word = self.shown_word();
                let _ = body.entry("status").or_insert_with(|| "error".into());
                let _ = body.insert("error".to_owned(), word.into());
                let _ = body.insert("message".to_owned(), problem.message.as_str().into());
                let _ = body.insert("api_id".to_owned(), api_id.to_string().into());
                let _ = body.insert("code".to_owned(), status.as_u16().into());
                let _ = body.insert("hint".to_owned(), problem.hint.unwrap_or(problem.code.remedy()).into());
                if let Some(details) = &problem.details {
                    let _ = body.insert("details".to_owned(), details.clone());
                }
                Value::Object(body)
            }
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = problem.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What is wrong with the fields of one body, gathered until all of them have been looked at.
#[derive(Debug, Default)]
pub(crate) struct Together(Vec<ApiError>);

impl Together {
    /// The value, or an empty one in its place and the refusal noted.
    pub(crate) fn keep<T: Default>(&mut self, checked: Result<T, ApiError>) -> T {
        checked.unwrap_or_else(|error| {
            self.0.push(error);
            T::default()
        })
    }

    /// Refuses all of it, if anything was wrong.
    pub(crate) fn refuse(self) -> Result<(), ApiError> {
        ApiError::together(self.0).map_or(Ok(()), Err)
    }
}

/// An empty answer that carries the error to the envelope.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::because(refusal.code, refusal.reason);
        if let Some(shortage) = refusal.shortage {
            let Shortage { required, currency, .. } = shortage;
            error.0.message.push_str(&format!("; {} {currency} are needed", required.to_fixed(2)));
            error = error.details(shortage_details(shortage));
        }
        match refusal.retry_after_s {
            Some(seconds) => error.retry_after(seconds),
            None => error,
        }
    }
}

/// The details of every refusal for want of money.
pub(crate) fn shortage_details(shortage: Shortage) -> Value {
    let Shortage { required, available, currency } = shortage;
    json!({
        "required": money(required), "available": money(available), "currency": currency,
        "shortfall": money(required - available),
    })
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let mut answer = match error {
            StoreError::Overloaded => Self::new(ErrorCode::Overloaded).retry_after(1),
            StoreError::Unavailable(_) | StoreError::Closed | StoreError::Fenced { .. } => {
                Self::new(ErrorCode::StoreUnavailable).retry_after(2)
            }
            _ => Self::new(ErrorCode::Internal),
        };
        answer.0.cause = Some(error.to_string());
        answer
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::{Currency, Money};

    use super::*;

    #[test]
    fn a_refusal_for_want_of_money_says_how_much_is_needed() {
        let shortage = Shortage {
            required: Money::from_micros(450_000),
            available: Money::from_micros(10_000),
            currency: Currency::INR,
        };
        let words = "Insufficient balance: 0.01 INR";
        let refusal =
            Refusal { shortage: Some(shortage), ..Refusal::because(ErrorCode::InsufficientBalance, words) };
        let error = ApiError::from(refusal);
        assert_eq!(error.0.message, "Insufficient balance: 0.01 INR; 0.45 INR are needed");
        let details = json!({"required": 0.45, "available": 0.01, "shortfall": 0.44, "currency": "INR"});
        assert_eq!(error.0.details, Some(details));
    }
}
