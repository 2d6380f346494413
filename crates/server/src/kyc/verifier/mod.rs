//! The port behind which documents are verified, and what stands behind it: a [`sandbox`] for development and test
//! mode, the operator's own eyes ([`manual`]), a vendor over HTTP ([`http`]; contract in docs/reference/kyc-verifier.md).

mod http;
mod manual;
mod sandbox;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_model::kyc::{Document, holds_aadhaar};
use thiserror::Error;

pub(crate) use http::HttpVerifier;
pub(crate) use manual::Manual;
pub(crate) use sandbox::{Consent, Sandbox};

use super::mask;

/// A document shown.
#[derive(Clone, Debug)]
pub(crate) struct Showing {
    /// The check's id: showing it again is the same showing.
    pub(crate) check: String,
    /// Which document.
    pub(crate) document: Document,
    /// `pan`, `name`, `birth_date`, `entity_name`, `gstin`, `company_name`, `cin`, `access_request_id`, `last_four`.
    pub(crate) fields: BTreeMap<String, String>,
    /// Test mode: the contract's magic inputs count.
    pub(crate) mock: bool,
}

impl Showing {
    /// A field, or nothing.
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What a verifier says of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// It is what it claims to be; what was learnt, in the contract's words.
    Verified(Map<String, Value>),
    /// It is not, and why, for the person who showed it.
    Failed(String),
    /// Nobody knows yet.
    Pending {
        /// What to ask by; nobody is asked when absent.
        reference: Option<String>,
        /// When to ask first.
        after: Duration,
    },
}

/// A company of the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Company {
    /// Its number.
    pub(crate) cin: String,
    /// Its name.
    pub(crate) company_name: String,
}

/// A visit to DigiLocker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct DigiLocker {
    /// Where the browser goes.
    pub(crate) auth_url: String,
    /// What to show afterwards.
    pub(crate) access_request_id: String,
}

/// Why a verifier gave no finding.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum VerifierError {
    /// It does not do that.
    #[error("{0}")]
    NotOffered(&'static str),
    /// It failed or did not answer; it may later.
    #[error("the verification service failed: {0}")]
    Unavailable(String),
}

/// Who verifies documents.
pub(crate) trait KycVerifier: Send + Sync {
    /// Its name in records.
    fn name(&self) -> &'static str;

    /// Whether Aadhaar is shown through DigiLocker; otherwise the last four digits go to a person.
    fn visits_digilocker(&self) -> bool;

    /// Looks at a document.
    fn show<'a>(&'a self, showing: &'a Showing) -> BoxFuture<'a, Result<Finding, VerifierError>>;

    /// Asks for the verdict on a document that was pending.
    fn ask<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Finding, VerifierError>>;

    /// Companies of a name.
    fn companies<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Company>, VerifierError>>;

    /// Begins a visit to DigiLocker that comes back to `return_url` with `state`.
    fn digilocker<'a>(
        &'a self,
        return_url: &'a str,
        state: &'a str,
    ) -> BoxFuture<'a, Result<DigiLocker, VerifierError>>;
}

/// What a verifier may tell of a document.
const FOUND_FIELDS: &[&str] = &[
    "pan_name_match",
    "pan_registered_name",
    "aadhaar_name",
    "aadhaar_dob",
    "masked_aadhaar",
    "gender",
    "address",
    "gst_legal_name",
    "gst_trade_name",
    "gst_status",
    "company_name",
];
/// Longest text of a field.
const FOUND_TEXT_MAX: usize = 500;

/// Keeps of a verifier's findings what the contract knows, bounded and masked: a full Aadhaar number stays nowhere,
/// whatever a vendor sends.
fn cleaned(found: Map<String, Value>) -> Map<String, Value> {
    let keep = |(name, value): (String, Value)| {
        if !FOUND_FIELDS.contains(&name.as_str()) {
            return None;
        }
        let value = match value {
            Value::Bool(_) => value,
            Value::String(text) if name == "masked_aadhaar" => mask::aadhaar(&text)?.into(),
            Value::String(text) if !holds_aadhaar(&text) => {
                text.chars().filter(|c| !c.is_control()).take(FOUND_TEXT_MAX).collect::<String>().into()
            }
            _ => return None,
        };
        Some((name, value))
    };
    found.into_iter().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vendors_findings_are_cut_to_what_the_contract_knows() {
        let found = json!({
            "masked_aadhaar": "9999 4105 7058", "aadhaar_name": "Anita", "address": "9999 4105 7058, Pune",
            "photo": "…", "pan_name_match": true, "gender": 7, "gst_legal_name": "x".repeat(501),
        });
        let Value::Object(found) = found else { unreachable!() };
        let kept = cleaned(found);
        assert_eq!(kept["masked_aadhaar"], "XXXXXXXX7058");
        assert_eq!(kept["gst_legal_name"].as_str().unwrap().len(), FOUND_TEXT_MAX);
        assert_eq!(kept.len(), 4, "{kept:?}");
    }
}
