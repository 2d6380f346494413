//! A sub-account as each client reads it: exactly the typed keys for the Python SDK, KYC's besides for everybody else
//! (REST reference §21 row 26).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tandem_model::AccountId;
use tandem_store::resources::account::Account;
use uuid::Uuid;

use super::request::{NewSub, RATE_LIMIT};
use crate::api::Dialect;
use crate::api::json::{instant, optional_instant};
use crate::api::paging::Page;
use crate::kyc::mode::{KycMode, blocks_calls, business_type};

/// What stands where the token was shown once.
const REDACTED: &str = "<redacted>";

/// What of a sub-account is shown.
pub(super) struct Shown<'a> {
    id: &'a AccountId,
    parent: &'a AccountId,
    numeric_id: i64,
    parent_numeric_id: i64,
    api_id: Uuid,
    name: &'a str,
    email: &'a str,
    phone: &'a str,
    description: &'a str,
    profile: &'a str,
    kyc_status: &'a str,
    enabled: bool,
    token: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_used: Option<Timestamp>,
}

/// One made just now.
pub(super) struct Fresh<'a> {
    pub(super) id: &'a AccountId,
    pub(super) parent: &'a AccountId,
    pub(super) numeric_id: i64,
    pub(super) parent_numeric_id: i64,
    pub(super) api_id: Uuid,
    pub(super) at: Timestamp,
    pub(super) wanted: &'a NewSub,
    pub(super) token: &'a str,
}

impl<'a> Fresh<'a> {
    /// With its token: the only time it is shown.
    pub(super) fn shown(&self) -> Shown<'a> {
        let wanted = self.wanted;
        Shown {
            id: self.id,
            parent: self.parent,
            numeric_id: self.numeric_id,
            parent_numeric_id: self.parent_numeric_id,
            api_id: self.api_id,
            name: &wanted.name,
            email: wanted.email.as_deref().unwrap_or_default(),
            phone: &wanted.phone,
            description: &wanted.description,
            profile: &wanted.profile,
            kyc_status: "pending",
            enabled: wanted.enabled,
            token: self.token,
            created_at: self.at,
            updated_at: self.at,
            last_used: None,
        }
    }
}

/// Null where nothing was said.
fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

impl<'a> Shown<'a> {
    /// One that exists, its token masked.
    pub(super) fn of(row: &'a Account, parent_numeric_id: i64) -> Self {
        Self {
            id: &row.id,
            parent: row.parent.as_ref().unwrap_or(&row.id),
            numeric_id: row.numeric_id,
            parent_numeric_id,
            api_id: row.api_id,
            name: &row.name,
            email: &row.email,
            phone: &row.phone,
            description: &row.description,
            profile: &row.profile,
            kyc_status: &row.kyc_status,
            enabled: row.enabled,
            token: REDACTED,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_used: row.last_login_at,
        }
    }

    fn profile(&self) -> Map<String, Value> {
        serde_json::from_str(self.profile).unwrap_or_default()
    }

    /// The object of the contract.
    pub(super) fn view(&self, dialect: Dialect) -> Value {
        let profile = self.profile();
        let mut view = json!({
            "name": self.name,
            "email": or_null(self.email),
            "phone": or_null(self.phone),
            "description": or_null(self.description),
            "permissions": profile.get("permissions").cloned().unwrap_or_default(),
            "rate_limit": profile.get("rate_limit").and_then(Value::as_u64).unwrap_or(RATE_LIMIT),
            "id": self.numeric_id.to_string(),
            "parent_account_id": self.parent_numeric_id.to_string(),
            "parent_auth_id": self.parent,
            "auth_id": self.id,
            "auth_token": self.token,
            "api_id": self.api_id,
            "email_verified": false,
            "enabled": self.enabled,
            "created": instant(self.created_at),
            "modified": instant(self.updated_at),
            "is_active": self.enabled,
            "created_at": instant(self.created_at),
            "updated_at": instant(self.updated_at),
            "last_used": optional_instant(self.last_used),
            "account": format!("/v1/Account/{}/", self.parent),
            "resource_uri": self.resource_uri(),
        });
        if dialect != Dialect::FernPython {
            view["kyc_mode"] = KycMode::of_profile(self.profile).as_str().into();
            view["kyc_calls_blocked"] = blocks_calls("sub", self.profile, self.kyc_status).into();
            let said = profile.get("business_type").map(|_| json!(business_type(self.profile)));
            view["business_type"] = said.unwrap_or_default();
        }
        view
    }

    /// The object as Plivo has it.
    pub(super) fn plivo(&self) -> Value {
        json!({
            "account": format!("/v1/Account/{}/", self.parent),
            "api_id": self.api_id,
            "auth_id": self.id,
            "auth_token": self.token,
            "created": instant(self.created_at),
            "enabled": self.enabled,
            "modified": instant(self.updated_at),
            "name": self.name,
            "new_auth_token": null,
            "resource_uri": self.resource_uri(),
        })
    }

    fn resource_uri(&self) -> String {
        format!("/v1/Account/{}/Subaccount/{}/", self.parent, self.id)
    }
}

/// Plivo's `meta` of a page.
pub(super) fn meta(page: Page, total: u64, parent: &AccountId) -> Value {
    let (offset, limit) = (page.offset(), u64::from(page.size));
    let link = |page: u64| format!("/v1/accounts/{parent}/sub-accounts/?page={page}&size={limit}");
    let next = if offset + limit < total { link(page.number + 1) } else { String::new() };
    let previous = (page.number > 1).then(|| link(page.number - 1));
    json!({ "limit": limit, "offset": offset, "total_count": total, "next": next, "previous": previous })
}
