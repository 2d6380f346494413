//! What steers a call: the URLs of an application or of one API call.

use serde::{Deserialize, Serialize};

/// The method of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Parameters in the query.
    Get,
    /// Parameters in a form-encoded body.
    #[default]
    Post,
}

impl HttpMethod {
    /// `GET` or `POST`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// Reads `GET`/`POST` in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            t if t.eq_ignore_ascii_case("get") => Some(Self::Get),
            t if t.eq_ignore_ascii_case("post") => Some(Self::Post),
            _ => None,
        }
    }
}

/// A URL to request and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlCall {
    /// Absolute, as the customer wrote it: signatures are over this text.
    pub url: String,
    /// The method.
    pub method: HttpMethod,
}

/// The program of a call steered by XML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationPlan {
    /// Returns the first document.
    pub answer: UrlCall,
    /// Asked when the answer URL fails or returns something that is no document.
    pub fallback: Option<UrlCall>,
    /// Told when the call ends; the answer URL is told when there is none.
    pub hangup: Option<UrlCall>,
    /// Told when an API call's far side rings.
    pub ring: Option<UrlCall>,
    /// Told of an API call's ringing, answer and end, beside those two.
    #[serde(default)]
    pub status: Option<UrlCall>,
    /// Takes what is gathered where a document names no action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<UrlCall>,
}
