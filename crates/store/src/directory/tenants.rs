//! What customers have: accounts, numbers, applications, endpoints. For each kind all rows at start, and one by id when it changed.

use jiff::Timestamp;
use tandem_model::{AccountId, ApplicationId, CallbackEvents, Currency, EndpointId, PartnerId, TrunkId};

use crate::resources::number::{NumberUrls, urls_of};
use crate::value::Row;
use crate::{Reader, StoreError};

/// An account, as admission and authentication see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Its auth_id.
    pub id: AccountId,
    /// Its number in `account_id` fields.
    pub numeric_id: i64,
    /// `partner`, `master` or `sub`.
    pub kind: String,
    /// Root of its tree.
    pub partner: Option<PartnerId>,
    /// Its parent, for a sub-account.
    pub parent: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// IANA name.
    pub timezone: String,
    /// Of its money.
    pub currency: Currency,
    /// Further fields, JSON.
    pub profile: String,
    /// May do anything at all.
    pub enabled: bool,
    /// `pending`, `verified`, …
    pub kyc_status: String,
    /// Keyed hash of its auth_token.
    pub token_hash: Option<String>,
    /// The auth_token, encrypted: webhook signatures are keyed with it.
    pub token_sealed: Option<Vec<u8>>,
    /// The token before rotation.
    pub token_previous_hash: Option<String>,
    /// Until when that one is good.
    pub token_previous_until: Option<Timestamp>,
    /// Access tokens of older epochs are void.
    pub epoch: i64,
    /// Its rate deck; the default deck when absent.
    pub deck_id: Option<String>,
    /// New calls per second.
    pub cps_limit: u64,
    /// Live calls.
    pub concurrent_limit: u64,
    /// Where events go that nothing more specific takes.
    pub default_callback_url: Option<String>,
    /// `GET` or `POST`.
    pub default_callback_method: String,
    /// Which of them.
    pub default_callback_events: CallbackEvents,
    /// Signs complaints about its numbers, encrypted.
    pub ndnc_secret_sealed: Option<Vec<u8>>,
}

fn account_of(row: &Row) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        id: row.account("auth_id")?,
        numeric_id: row.int("numeric_id")?,
        kind: row.string("kind")?,
        partner: row.opt_text("partner_id")?.map(PartnerId::new),
        parent: row.opt_text("parent_id")?.map(AccountId::new),
        name: row.string("name")?,
        country: row.string("country")?,
        timezone: row.string("timezone")?,
        currency: row.parsed("currency")?,
        profile: row.string("profile")?,
        enabled: row.flag("enabled")?,
        kyc_status: row.string("kyc_status")?,
        token_hash: row.opt_string("token_hash")?,
        token_sealed: row.opt_bytes("token_sealed")?,
        token_previous_hash: row.opt_string("token_previous_hash")?,
        token_previous_until: row.opt_instant("token_previous_until")?,
        epoch: row.int("epoch")?,
        deck_id: row.opt_string("deck_id")?,
        cps_limit: row.count("cps_limit")?,
        concurrent_limit: row.count("concurrent_limit")?,
        default_callback_url: row.opt_string("default_callback_url")?,
        default_callback_method: row.string("default_callback_method")?,
        default_callback_events: row.parsed("default_callback_events")?,
        ndnc_secret_sealed: row.opt_bytes("ndnc_secret_sealed")?,
    })
}

/// A telephone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRow {
    /// `+` and digits, or digits, as stored.
    pub e164: String,
    /// Its owner; absent in inventory.
    pub account: Option<AccountId>,
    /// The sub-account it is assigned to.
    pub sub_account: Option<AccountId>,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Region.
    pub region: String,
    /// Steers its calls.
    pub application: Option<ApplicationId>,
    /// Takes its calls.
    pub trunk: Option<TrunkId>,
    /// `active`, `pending_release`, …
    pub status: String,
    /// Blocked by the operator.
    pub is_blocked: bool,
    /// Needs Aadhaar.
    pub aadhaar_required: bool,
    /// Has it.
    pub aadhaar_verified: bool,
    /// URLs of its own.
    pub urls: NumberUrls,
}

fn number_of(row: &Row) -> Result<NumberRow, StoreError> {
    Ok(NumberRow {
        e164: row.string("e164")?,
        account: row.opt_text("account_id")?.map(AccountId::new),
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        country: row.string("country")?,
        region: row.string("region")?,
        application: row.opt_text("application_id")?.map(ApplicationId::new),
        trunk: row.opt_parsed("trunk_id")?,
        status: row.string("status")?,
        is_blocked: row.flag("is_blocked")?,
        aadhaar_required: row.flag("aadhaar_required")?,
        aadhaar_verified: row.flag("aadhaar_verified")?,
        urls: urls_of(row)?,
    })
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationRow {
    /// Its id.
    pub id: ApplicationId,
    /// Its account.
    pub account: AccountId,
    /// The sub-account it belongs to.
    pub sub_account: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Returns the first document.
    pub answer_url: String,
    /// Its method.
    pub answer_method: String,
    /// Told of the end.
    pub hangup_url: Option<String>,
    /// Its method.
    pub hangup_method: String,
    /// Asked when the answer URL fails.
    pub fallback_answer_url: Option<String>,
    /// Its method.
    pub fallback_method: String,
    /// Which events of its calls its answer URL is told of.
    pub callback_events: CallbackEvents,
    /// Given to new endpoints.
    pub default_endpoint_app: bool,
    /// Usable.
    pub enabled: bool,
}

fn application_of(row: &Row) -> Result<ApplicationRow, StoreError> {
    Ok(ApplicationRow {
        id: ApplicationId::new(row.text("app_id")?),
        account: row.account("account_id")?,
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        name: row.string("name")?,
        answer_url: row.string("answer_url")?,
        answer_method: row.string("answer_method")?,
        hangup_url: row.opt_string("hangup_url")?,
        hangup_method: row.string("hangup_method")?,
        fallback_answer_url: row.opt_string("fallback_answer_url")?,
        fallback_method: row.string("fallback_method")?,
        callback_events: row.parsed("callback_events")?,
        default_endpoint_app: row.flag("default_endpoint_app")?,
        enabled: row.flag("enabled")?,
    })
}

/// A SIP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its id.
    pub id: EndpointId,
    /// Its account.
    pub account: AccountId,
    /// The sub-account it belongs to.
    pub sub_account: Option<AccountId>,
    /// User name, unique over the platform.
    pub username: String,
    /// Password, encrypted.
    pub password_sealed: Vec<u8>,
    /// For people.
    pub alias: String,
    /// Steers its calls.
    pub application: Option<ApplicationId>,
    /// May call.
    pub allow_voice: bool,
    /// May call numbers.
    pub allow_phones: bool,
    /// May call applications.
    pub allow_apps: bool,
    /// May call endpoints here.
    pub allow_same_domain: bool,
    /// May call elsewhere.
    pub allow_other_domains: bool,
    /// Usable.
    pub enabled: bool,
}

fn endpoint_of(row: &Row) -> Result<EndpointRow, StoreError> {
    Ok(EndpointRow {
        id: EndpointId::new(row.text("endpoint_id")?),
        account: row.account("account_id")?,
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        username: row.string("username")?,
        password_sealed: row.bytes("password_sealed")?,
        alias: row.string("alias")?,
        application: row.opt_text("app_id")?.map(ApplicationId::new),
        allow_voice: row.flag("allow_voice")?,
        allow_phones: row.flag("allow_phones")?,
        allow_apps: row.flag("allow_apps")?,
        allow_same_domain: row.flag("allow_same_domain")?,
        allow_other_domains: row.flag("allow_other_domains")?,
        enabled: row.flag("enabled")?,
    })
}

impl Reader {
    /// Every account.
    pub async fn directory_accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        self.query("select * from account", &[]).await?.iter().map(account_of).collect()
    }

    /// One account, if it still exists.
    pub async fn directory_account(&self, id: &str) -> Result<Option<AccountRow>, StoreError> {
        let row = self.point("select * from account where auth_id = $1", &[id.into()]).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// Every number.
    pub async fn directory_numbers(&self) -> Result<Vec<NumberRow>, StoreError> {
        self.query("select * from number", &[]).await?.iter().map(number_of).collect()
    }

    /// One number, if it still exists.
    pub async fn directory_number(&self, id: &str) -> Result<Option<NumberRow>, StoreError> {
        let row = self.point("select * from number where e164 = $1", &[id.into()]).await?;
        row.as_ref().map(number_of).transpose()
    }

    /// Every application.
    pub async fn directory_applications(&self) -> Result<Vec<ApplicationRow>, StoreError> {
        self.query("select * from application", &[]).await?.iter().map(application_of).collect()
    }

    /// One application, if it still exists.
    pub async fn directory_application(&self, id: &str) -> Result<Option<ApplicationRow>, StoreError> {
        let row = self.point("select * from application where app_id = $1", &[id.into()]).await?;
        row.as_ref().map(application_of).transpose()
    }

    /// Every endpoint.
    pub async fn directory_endpoints(&self) -> Result<Vec<EndpointRow>, StoreError> {
        self.query("select * from endpoint", &[]).await?.iter().map(endpoint_of).collect()
    }

    /// One endpoint, if it still exists.
    pub async fn directory_endpoint(&self, id: &str) -> Result<Option<EndpointRow>, StoreError> {
        let row = self.point("select * from endpoint where endpoint_id = $1", &[id.into()]).await?;
        row.as_ref().map(endpoint_of).transpose()
    }
}
