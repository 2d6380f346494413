//! Where calls go and what they cost: carriers, decks, rates, country rules. For each kind all rows at start, and one by id when it changed.

use tandem_model::{CarrierId, Currency, Money, PartnerId, Rate};

use crate::value::Row;
use crate::{Reader, StoreError};

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
    /// Every carrier.
    pub async fn directory_carriers(&self) -> Result<Vec<CarrierRow>, StoreError> {
        self.query("select * from carrier", &[]).await?.iter().map(carrier_of).collect()
    }

    /// One carrier, if it still exists.
    pub async fn directory_carrier(&self, id: &str) -> Result<Option<CarrierRow>, StoreError> {
        let row = self.point("select * from carrier where carrier_id = $1", &[id.into()]).await?;
        row.as_ref().map(carrier_of).transpose()
    }

    /// Every rate deck.
    pub async fn directory_decks(&self) -> Result<Vec<DeckRow>, StoreError> {
        self.query("select * from rate_deck", &[]).await?.iter().map(rate_deck_of).collect()
    }

    /// One rate deck, if it still exists.
    pub async fn directory_deck(&self, id: &str) -> Result<Option<DeckRow>, StoreError> {
        let row = self.point("select * from rate_deck where deck_id = $1", &[id.into()]).await?;
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
