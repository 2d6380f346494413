//! What a session knows of people, sealed as one: nobody reads it in the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_model::kyc::Document;

/// The personal part of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Private {
    /// Where letters go.
    pub(crate) customer_email: Option<String>,
    /// Where the browser goes in the end.
    pub(crate) redirect_url: Option<String>,
    /// Where events go.
    pub(crate) webhook_url: Option<String>,
    /// The owner's own words, given back in events.
    pub(crate) metadata: Option<Value>,
    /// Why it was revoked or failed, or the last document was refused.
    pub(crate) reason: Option<String>,
    /// The PAN as typed, until its document was shown and for the operator who looks at it.
    pub(crate) pan: Option<String>,
    /// How often a document was shown and refused.
    pub(crate) attempts: BTreeMap<Document, u32>,
    /// The visit to DigiLocker under way.
    pub(crate) visit: Option<Visit>,
    /// What was verified, in the contract's words.
    pub(crate) verified_data: Map<String, Value>,
}

/// A visit to DigiLocker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// Where the browser goes.
    pub(crate) auth_url: String,
    /// What the verifier knows it by.
    pub(crate) access_request_id: String,
    /// What the browser must bring back.
    pub(crate) state: String,
}

/// What was shown of one document and what was learnt.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Evidence {
    /// As it was shown.
    pub(crate) fields: BTreeMap<String, String>,
    /// What the verifier found, in the contract's words.
    pub(crate) found: Map<String, Value>,
    /// Why it was refused.
    pub(crate) reason: Option<String>,
    /// In the sandbox: what it will come to.
    pub(crate) note: Option<String>,
}

impl Private {
    /// `verified_data` of the contract: null until there is something.
    pub(crate) fn verified_data(&self) -> Value {
        if self.verified_data.is_empty() { Value::Null } else { Value::Object(self.verified_data.clone()) }
    }
}
