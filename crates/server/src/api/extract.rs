//! Bodies and queries as types. A failure is 400 and names the field and what it should be.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{ApiError, strict};

/// A JSON body. An absent one counts as `{}`. Unknown fields are the type's own decision: ignored where
/// Vobiz defines the body, refused on operator routes.
pub(crate) struct Payload<T> {
    /// What it says.
    pub(crate) value: T,
    /// Hash of its bytes.
    pub(crate) fingerprint: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::field("", "larger than this node takes").status(StatusCode::PAYLOAD_TOO_LARGE)
            } else {
                ApiError::field("", "could not be read")
            }
        })?;
        let fingerprint = hex::encode(Sha256::digest(&bytes));
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let _: strict::Body = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| unread(&error.path().to_string(), error.inner()))?;
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| unread(&error.path().to_string(), error.inner()))?;
        deserializer.end().map_err(|_| ApiError::field("", "is one JSON object, with nothing after it"))?;
        Ok(Self { value, fingerprint })
    }
}

/// A query. Unknown parameters are ignored, empty ones are absent.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let deserializer = serde_html_form::Deserializer::new(pairs);
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| malformed(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// A body that is no JSON is said to be none, with the place; else serde's words.
fn unread(path: &str, error: &serde_json::Error) -> ApiError {
    if error.is_data() {
        return malformed(path, &error.to_string());
    }
    let (line, column) = (error.line(), error.column());
    let why = if error.is_eof() { "it ends too early" } else { "it is not JSON" };
    ApiError::field("", &format!("must be a JSON object; {why}, at line {line}, column {column}"))
}

/// Serde's words, with the field in front; positions mean nothing to who sent a map.
fn malformed(path: &str, words: &str) -> ApiError {
    let words = words.split(" at line ").next().unwrap_or(words);
    for (opening, remedy) in [
        ("missing field `", "is required"),
        ("unknown field `", "is not a field of this request"),
        ("duplicate field `", "is given twice"),
    ] {
        if let Some(name) = words.strip_prefix(opening).and_then(|rest| rest.split('`').next()) {
            let whole = if path == "." || path == name { name.to_owned() } else { format!("{path}.{name}") };
            return ApiError::field(whole.trim_end_matches(&format!(".{name}.{name}")), remedy);
        }
    }
    let path = if matches!(path, "." | "?") { "" } else { path };
    let kinds = ["invalid type: ", "invalid value: "];
    let told = kinds.iter().find_map(|kind| words.strip_prefix(kind)?.split_once(", expected "));
    match told {
        Some((sent, wanted)) => ApiError::field(path, &format!("must be {wanted}, not {}", plain(sent))),
        None => ApiError::field(path, words),
    }
}

/// Serde's name of what was sent, as JSON calls it.
fn plain(sent: &str) -> String {
    for (serdes, plainly) in [
        ("sequence", "a list"),
        ("map", "an object"),
        ("null", "null"),
        ("boolean", "true or false"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("string", "text"),
    ] {
        if sent == serdes || sent.split_once(" `").is_some_and(|(kind, _)| kind == serdes) {
            return plainly.to_owned();
        }
        if serdes == "string" && sent.starts_with("string \"") {
            return "text".to_owned();
        }
    }
    sent.to_owned()
}

/// Which client asks: some official SDKs read only their own variant of a reply (REST reference §21, §22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The generated Python SDK: strictest; nulls and extra keys raise.
    FernPython,
    /// Another generated SDK.
    Fern,
    /// Anybody else.
    Plain,
}

impl Dialect {
    /// One of the generated SDKs.
    pub(crate) fn is_fern(self) -> bool {
        self != Self::Plain
    }
}

impl<S: Sync> FromRequestParts<S> for Dialect {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let language = parts.headers.get("x-fern-language").and_then(|value| value.to_str().ok());
        Ok(match language {
            Some(language) if language.eq_ignore_ascii_case("python") => Self::FernPython,
            Some(_) => Self::Fern,
            None => Self::Plain,
        })
    }
}
