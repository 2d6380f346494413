//! The rows of the directory: for each kind all at start, and one by id when it changed.

use jiff::Timestamp;
use tandem_model::{
    AccountId, ApplicationId, CarrierId, Currency, EndpointId, Money, PartnerId, Rate, TrunkId,
};

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
    })
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRow {
    /// Its id.
    pub id: TrunkId,
    /// Its account.
    pub account: AccountId,
    /// First label of its domain.
    pub domain_label: String,
    /// A domain of the customer's own.
    pub custom_domain: Option<String>,
    /// Its name.
    pub name: String,
    /// `inbound`, `outbound` or `both`.
    pub direction: String,
    /// `active`, `disabled`, …
    pub status: String,
    /// Takes calls.
    pub enabled: bool,
    /// SRTP asked for.
    pub secure: bool,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Where calls from the network go.
    pub inbound_destination: Option<String>,
    /// Live calls.
    pub concurrent_calls_limit: u64,
    /// New calls per second.
    pub cps_limit: u64,
    /// Longest call, seconds.
    pub max_duration_s: Option<i64>,
    /// Silence that ends a call, seconds.
    pub media_timeout_s: Option<i64>,
    /// `md5`, `sha256` or `both`.
    pub digest: String,
    /// Credential attached by id.
    pub credential_id: Option<String>,
    /// ACL entry attached by id.
    pub acl_id: Option<String>,
    /// First origination URI.
    pub primary_uri_id: Option<String>,
    /// Second origination URI.
    pub fallback_uri_id: Option<String>,
    /// Records its calls.
    pub recording: bool,
    /// Told of its calls.
    pub webhook_url: Option<String>,
    /// `POST` or `GET`.
    pub webhook_method: String,
    /// Told of recordings too.
    pub recording_webhook_enabled: bool,
    /// Signs its webhooks; encrypted.
    pub secret_sealed: Option<Vec<u8>>,
    /// The secret before rotation.
    pub secret_previous_sealed: Option<Vec<u8>>,
    /// Until when that one signs too.
    pub secret_previous_until: Option<Timestamp>,
}

fn trunk_of(row: &Row) -> Result<TrunkRow, StoreError> {
    Ok(TrunkRow {
        id: row.parsed("trunk_id")?,
        account: row.account("account_id")?,
        domain_label: row.string("domain_label")?,
        custom_domain: row.opt_string("custom_domain")?,
        name: row.string("name")?,
        direction: row.string("direction")?,
        status: row.string("status")?,
        enabled: row.flag("enabled")?,
        secure: row.flag("secure")?,
        transport: row.string("transport")?,
        inbound_destination: row.opt_string("inbound_destination")?,
        concurrent_calls_limit: row.count("concurrent_calls_limit")?,
        cps_limit: row.count("cps_limit")?,
        max_duration_s: row.opt_int("max_duration_s")?,
        media_timeout_s: row.opt_int("media_timeout_s")?,
        digest: row.string("digest")?,
        credential_id: row.opt_string("credential_id")?,
        acl_id: row.opt_string("acl_id")?,
        primary_uri_id: row.opt_string("primary_uri_id")?,
        fallback_uri_id: row.opt_string("fallback_uri_id")?,
        recording: row.flag("recording")?,
        webhook_url: row.opt_string("webhook_url")?,
        webhook_method: row.string("webhook_method")?,
        recording_webhook_enabled: row.flag("recording_webhook_enabled")?,
        secret_sealed: row.opt_bytes("secret_sealed")?,
        secret_previous_sealed: row.opt_bytes("secret_previous_sealed")?,
        secret_previous_until: row.opt_instant("secret_previous_until")?,
    })
}

/// A user name and password of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// User name.
    pub username: String,
    /// Password, encrypted.
    pub password_sealed: Vec<u8>,
    /// Usable.
    pub enabled: bool,
}

fn trunk_credential_of(row: &Row) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        username: row.string("username")?,
        password_sealed: row.bytes("password_sealed")?,
        enabled: row.flag("enabled")?,
    })
}

/// A source address of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// Address or network.
    pub cidr: String,
    /// Usable.
    pub enabled: bool,
}

fn trunk_acl_of(row: &Row) -> Result<AclRow, StoreError> {
    Ok(AclRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        cidr: row.string("cidr")?,
        enabled: row.flag("enabled")?,
    })
}

/// Where a trunk's calls from the network go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginationUriRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// SIP URI.
    pub uri: String,
    /// Lower first.
    pub priority: i64,
    /// Splits equal priorities.
    pub weight: i64,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Usable.
    pub enabled: bool,
}

fn origination_uri_of(row: &Row) -> Result<OriginationUriRow, StoreError> {
    Ok(OriginationUriRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        uri: row.string("uri")?,
        priority: row.int("priority")?,
        weight: row.int("weight")?,
        transport: row.string("transport")?,
        enabled: row.flag("enabled")?,
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

/// An interconnect to the telephone network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierRow {
    /// Its id.
    pub id: CarrierId,
    /// Its name.
    pub name: String,
    /// Host or address.
    pub host: String,
    /// Port.
    pub port: u64,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Lower first.
    pub priority: i64,
    /// Splits equal priorities.
    pub weight: i64,
    /// New calls per second; 0 for none.
    pub cps_limit: u64,
    /// Live calls; 0 for none.
    pub concurrent_limit: u64,
    /// Destinations it takes; empty for all.
    pub prefixes: Vec<String>,
    /// How it wants numbers written.
    pub number_format: String,
    /// User name for its challenges.
    pub auth_username: Option<String>,
    /// Password, encrypted.
    pub auth_password_sealed: Option<Vec<u8>>,
    /// The only realm answered.
    pub auth_realm: Option<String>,
    /// Addresses or networks its calls come from.
    pub source_addresses: Vec<String>,
    /// Further options, JSON.
    pub options: String,
    /// What it charges.
    pub deck_id: Option<String>,
    /// Usable.
    pub enabled: bool,
}

fn carrier_of(row: &Row) -> Result<CarrierRow, StoreError> {
    Ok(CarrierRow {
        id: row.parsed("carrier_id")?,
        name: row.string("name")?,
        host: row.string("host")?,
        port: row.count("port")?,
        transport: row.string("transport")?,
        priority: row.int("priority")?,
        weight: row.int("weight")?,
        cps_limit: row.count("cps_limit")?,
        concurrent_limit: row.count("concurrent_limit")?,
        prefixes: row.json("prefixes")?,
        number_format: row.string("number_format")?,
        auth_username: row.opt_string("auth_username")?,
        auth_password_sealed: row.opt_bytes("auth_password_sealed")?,
        auth_realm: row.opt_string("auth_realm")?,
        source_addresses: row.json("source_addresses")?,
        options: row.string("options")?,
        deck_id: row.opt_string("deck_id")?,
        enabled: row.flag("enabled")?,
    })
}

/// A rate deck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeckRow {
    /// Its id.
    pub id: String,
    /// Whose; the platform's when absent.
    pub partner: Option<PartnerId>,
    /// Its name.
    pub name: String,
    /// Of its prices.
    pub currency: Currency,
    /// `sell` or `cost`.
    pub kind: String,
    /// For accounts without a deck, by currency.
    pub is_default: bool,
    /// Further fields, JSON.
    pub profile: String,
}

fn rate_deck_of(row: &Row) -> Result<DeckRow, StoreError> {
    Ok(DeckRow {
        id: row.string("deck_id")?,
        partner: row.opt_text("partner_id")?.map(PartnerId::new),
        name: row.string("name")?,
        currency: row.parsed("currency")?,
        kind: row.string("kind")?,
        is_default: row.flag("is_default")?,
        profile: row.string("profile")?,
    })
}

/// The price of one prefix in a deck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    /// The deck.
    pub deck_id: String,
    /// Leading digits of the destination, without `+`.
    pub prefix: String,
    /// The tariff.
    pub rate: Rate,
}

fn rate_of(row: &Row) -> Result<RateRow, StoreError> {
    let seconds = |column: &str| -> Result<u32, StoreError> {
        u32::try_from(row.int(column)?).map_err(|_| StoreError::Data(format!("column {column}")))
    };
    Ok(RateRow {
        deck_id: row.string("deck_id")?,
        prefix: row.string("prefix")?,
        rate: Rate {
            per_minute: Money::from_micros(row.int("per_minute")?),
            pulse_s: seconds("pulse_s")?,
            minimum_s: seconds("minimum_s")?,
            connection_fee: Money::from_micros(row.int("connection_fee")?),
        },
    })
}

/// A country opened or closed for a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryRuleRow {
    /// An auth_id, or `*` for the platform.
    pub scope: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Open (`allow`) rather than closed (`bar`).
    pub allowed: bool,
}

impl Reader {
    /// Every account.
    pub async fn directory_accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        self.query("select * from account", &[]).await?.iter().map(account_of).collect()
    }

    /// One account, if it still exists.
    pub async fn directory_account(&self, id: &str) -> Result<Option<AccountRow>, StoreError> {
        let row = self.query_one("select * from account where auth_id = $1", &[id.into()]).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// Every trunk.
    pub async fn directory_trunks(&self) -> Result<Vec<TrunkRow>, StoreError> {
        self.query("select * from trunk", &[]).await?.iter().map(trunk_of).collect()
    }

    /// One trunk, if it still exists.
    pub async fn directory_trunk(&self, id: &str) -> Result<Option<TrunkRow>, StoreError> {
        let row = self.query_one("select * from trunk where trunk_id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_of).transpose()
    }

    /// Every trunk credential.
    pub async fn directory_credentials(&self) -> Result<Vec<CredentialRow>, StoreError> {
        self.query("select * from trunk_credential", &[]).await?.iter().map(trunk_credential_of).collect()
    }

    /// One trunk credential, if it still exists.
    pub async fn directory_credential(&self, id: &str) -> Result<Option<CredentialRow>, StoreError> {
        let row = self.query_one("select * from trunk_credential where id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_credential_of).transpose()
    }

    /// Every trunk acl.
    pub async fn directory_acls(&self) -> Result<Vec<AclRow>, StoreError> {
        self.query("select * from trunk_acl", &[]).await?.iter().map(trunk_acl_of).collect()
    }

    /// One trunk acl, if it still exists.
    pub async fn directory_acl(&self, id: &str) -> Result<Option<AclRow>, StoreError> {
        let row = self.query_one("select * from trunk_acl where id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_acl_of).transpose()
    }

    /// Every origination uri.
    pub async fn directory_origination_uris(&self) -> Result<Vec<OriginationUriRow>, StoreError> {
        self.query("select * from origination_uri", &[]).await?.iter().map(origination_uri_of).collect()
    }

    /// One origination uri, if it still exists.
    pub async fn directory_origination_uri(&self, id: &str) -> Result<Option<OriginationUriRow>, StoreError> {
        let row = self.query_one("select * from origination_uri where id = $1", &[id.into()]).await?;
        row.as_ref().map(origination_uri_of).transpose()
    }

    /// Every number.
    pub async fn directory_numbers(&self) -> Result<Vec<NumberRow>, StoreError> {
        self.query("select * from number", &[]).await?.iter().map(number_of).collect()
    }

    /// One number, if it still exists.
    pub async fn directory_number(&self, id: &str) -> Result<Option<NumberRow>, StoreError> {
        let row = self.query_one("select * from number where e164 = $1", &[id.into()]).await?;
        row.as_ref().map(number_of).transpose()
    }

    /// Every application.
    pub async fn directory_applications(&self) -> Result<Vec<ApplicationRow>, StoreError> {
        self.query("select * from application", &[]).await?.iter().map(application_of).collect()
    }

    /// One application, if it still exists.
    pub async fn directory_application(&self, id: &str) -> Result<Option<ApplicationRow>, StoreError> {
        let row = self.query_one("select * from application where app_id = $1", &[id.into()]).await?;
        row.as_ref().map(application_of).transpose()
    }

    /// Every endpoint.
    pub async fn directory_endpoints(&self) -> Result<Vec<EndpointRow>, StoreError> {
        self.query("select * from endpoint", &[]).await?.iter().map(endpoint_of).collect()
    }

    /// One endpoint, if it still exists.
    pub async fn directory_endpoint(&self, id: &str) -> Result<Option<EndpointRow>, StoreError> {
        let row = self.query_one("select * from endpoint where endpoint_id = $1", &[id.into()]).await?;
        row.as_ref().map(endpoint_of).transpose()
    }

    /// Every carrier.
    pub async fn directory_carriers(&self) -> Result<Vec<CarrierRow>, StoreError> {
        self.query("select * from carrier", &[]).await?.iter().map(carrier_of).collect()
    }

    /// One carrier, if it still exists.
    pub async fn directory_carrier(&self, id: &str) -> Result<Option<CarrierRow>, StoreError> {
        let row = self.query_one("select * from carrier where carrier_id = $1", &[id.into()]).await?;
        row.as_ref().map(carrier_of).transpose()
    }

    /// Every rate deck.
    pub async fn directory_decks(&self) -> Result<Vec<DeckRow>, StoreError> {
        self.query("select * from rate_deck", &[]).await?.iter().map(rate_deck_of).collect()
    }

    /// One rate deck, if it still exists.
    pub async fn directory_deck(&self, id: &str) -> Result<Option<DeckRow>, StoreError> {
        let row = self.query_one("select * from rate_deck where deck_id = $1", &[id.into()]).await?;
        row.as_ref().map(rate_deck_of).transpose()
    }

    /// Every rate of every deck.
    pub async fn directory_rates(&self) -> Result<Vec<RateRow>, StoreError> {
        self.query("select * from rate order by deck_id, prefix", &[]).await?.iter().map(rate_of).collect()
    }

    /// Every rate of one deck.
    pub async fn directory_rates_of(&self, deck_id: &str) -> Result<Vec<RateRow>, StoreError> {
        const OF: &str = "select * from rate where deck_id = $1 order by prefix";
        self.query(OF, &[deck_id.into()]).await?.iter().map(rate_of).collect()
    }

    /// Every country rule.
    pub async fn directory_country_rules(&self) -> Result<Vec<CountryRuleRow>, StoreError> {
        let rows = self.query("select scope, country, action from country_rule", &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(CountryRuleRow {
                    scope: row.string("scope")?,
                    country: row.string("country")?,
                    allowed: row.text("action")? == "allow",
                })
            })
            .collect()
    }
}
