//! Rate decks: what a minute costs by prefix. A deck is replaced as a whole, or not at all.

use std::sync::OnceLock;

use jiff::Timestamp;
use tandem_model::{Currency, Money, Rate};

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// Rates in one statement: a deck of 50,000 prefixes is 500 round trips on PostgreSQL.
const ROWS: usize = 100;
/// Columns of a rate.
const COLUMNS: usize = 7;

/// The price of one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRate {
    /// Leading digits without `+`; `in…` for calls to numbers of ours; empty for all.
    pub prefix: String,
    /// For people.
    pub description: String,
    /// The tariff.
    pub rate: Rate,
}

/// Makes the platform's deck of that id, or replaces it with all its rates.
pub struct PutDeck {
    /// Its id, made of its name by the caller: the same name is the same deck.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Of its prices. A deck never changes it.
    pub currency: Currency,
    /// Make it the default of its currency. `false` leaves that as it is.
    pub make_default: bool,
    /// All its rates; each prefix once.
    pub rates: Vec<PrefixRate>,
    /// What the deck must be like for this to happen.
    pub expected: Expected,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// As what a deck was seen by who replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Anything,
    /// This revision, or no deck.
    Revision(Option<Timestamp>),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutDeckOutcome {
    /// Stored.
    Stored,
    /// It exists in another currency; accounts may be using it.
    OtherCurrency(Currency),
    /// It is not as it was expected to be: nothing was stored.
    Changed,
}

const UPSERT: &str =
    "insert into rate_deck (deck_id, name, currency, kind, is_default, created_at, updated_at)
  values ($1, $2, $3, 'sell', $4, $5, $5)
  on conflict (deck_id) do update set name = $2, updated_at = $5,
    is_default = case when cast($4 as bigint) = 1 then 1 else rate_deck.is_default end
  where rate_deck.currency = $3
    and (cast($6 as bigint) is null or rate_deck.updated_at = cast($6 as bigint))
  returning deck_id";
const CURRENCY: &str = "select currency from rate_deck where deck_id = $1";
/// No deck was ever updated then.
const NO_REVISION: i64 = -1;
const NO_OTHER_DEFAULT: &str = "update rate_deck set is_default = 0, updated_at = $3
  where currency = $2 and deck_id <> $1 and is_default = 1 and kind = 'sell' returning deck_id";
const CLEAR: &str = "delete from rate where deck_id = $1";
const INSERT: &str =
    "insert into rate (deck_id, prefix, description, per_minute, pulse_s, minimum_s, connection_fee) values ";

/// The insert of [`ROWS`] rates, or of one.
fn insert(rows: usize) -> &'static str {
    static MANY: OnceLock<String> = OnceLock::new();
    static ONE: OnceLock<String> = OnceLock::new();
    let text = |rows: usize| {
        let row = |n: usize| {
            let places: Vec<String> =
                (1..=COLUMNS).map(|column| format!("${}", n * COLUMNS + column)).collect();
            format!("({})", places.join(", "))
        };
        format!("{INSERT}{}", (0..rows).map(row).collect::<Vec<_>>().join(", "))
    };
    if rows == ROWS { MANY.get_or_init(|| text(ROWS)) } else { ONE.get_or_init(|| text(1)) }
}

impl Command for PutDeck {
    type Output = PutDeckOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<PutDeckOutcome, StoreError>> {
        Box::pin(async move {
            let expected = match self.expected {
                Expected::Anything => None,
                Expected::Revision(revision) => {
                    Some(revision.map_or(NO_REVISION, |revision| revision.as_microsecond()))
                }
            };
            let params = [
                (&self.id).into(),
                (&self.name).into(),
                (&self.currency).into(),
                self.make_default.into(),
                self.at.into(),
                expected.into(),
            ];
            if tx.query_one(UPSERT, &params).await?.is_none() {
                let row = tx.query_one(CURRENCY, &[(&self.id).into()]).await?;
                let row = row.ok_or_else(|| StoreError::Retry("a rate deck vanished".to_owned()))?;
                let stored: Currency = row.parsed("currency")?;
                let same = stored == self.currency;
                return Ok(if same {
                    PutDeckOutcome::Changed
                } else {
                    PutDeckOutcome::OtherCurrency(stored)
                });
            }
            if self.make_default {
                let params = [(&self.id).into(), (&self.currency).into(), self.at.into()];
                for row in tx.query(NO_OTHER_DEFAULT, &params).await? {
                    tx.directory_changed(DirectoryKind::Deck, row.text("deck_id")?, self.at).await?;
                }
            }
            tx.execute(CLEAR, &[(&self.id).into()]).await?;
            let mut chunks = self.rates.chunks_exact(ROWS);
            for chunk in chunks.by_ref() {
                let params: Vec<Value<'_>> = chunk.iter().flat_map(|rate| self.row(rate)).collect();
                tx.execute(insert(ROWS), &params).await?;
            }
            for rate in chunks.remainder() {
                tx.execute(insert(1), &self.row(rate)).await?;
            }
            let change = Change {
                at: self.at,
                account: None,
                action: "replace",
                resource_kind: "rate_deck",
                resource_id: &self.id,
                fields: &["rates"],
            };
            audit::append(tx, &self.actor, change).await?;
            tx.directory_changed(DirectoryKind::Deck, &self.id, self.at).await?;
            Ok(PutDeckOutcome::Stored)
        })
    }
}

impl PutDeck {
    fn row<'v>(&'v self, rate: &'v PrefixRate) -> [Value<'v>; COLUMNS] {
        [
            (&self.id).into(),
            (&rate.prefix).into(),
            (&rate.description).into(),
            rate.rate.per_minute.into(),
            rate.rate.pulse_s.into(),
            rate.rate.minimum_s.into(),
            rate.rate.connection_fee.into(),
        ]
    }
}

/// A deck and how many prefixes it prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeckSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Of its prices.
    pub currency: Currency,
    /// For accounts of that currency without a deck of their own.
    pub is_default: bool,
    /// How many prefixes.
    pub prefixes: u64,
}

/// What an account pays at home: the deck it is on, and the rate of its country there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricingTier {
    /// The deck's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Of its prices.
    pub currency: Currency,
    /// The default of its currency.
    pub is_default: bool,
    /// Price of calls to the country; `None` when the deck has none.
    pub rate: Option<Rate>,
}

const TIER: &str = "select deck.deck_id, deck.name, deck.description, deck.currency, deck.is_default,
    rate.per_minute, rate.pulse_s, rate.minimum_s, rate.connection_fee
  from rate_deck as deck left join rate on rate.deck_id = deck.deck_id
    and cast($3 as text) like rate.prefix || '%' and rate.prefix not like 'in%'
  where deck.kind = 'sell' and (deck.deck_id = cast($1 as text)
    or (cast($1 as text) is null and deck.is_default = 1 and deck.currency = $2))
  order by length(rate.prefix) desc limit 1";

fn tier_of(row: &Row) -> Result<PricingTier, StoreError> {
    let seconds = |column: &str| -> Result<u32, StoreError> {
        u32::try_from(row.int(column)?).map_err(|_| StoreError::Data(format!("column {column}")))
    };
    let rate = match row.opt_int("per_minute")? {
        Some(per_minute) => Some(Rate {
            per_minute: Money::from_micros(per_minute),
            pulse_s: seconds("pulse_s")?,
            minimum_s: seconds("minimum_s")?,
            connection_fee: row.money("connection_fee")?,
        }),
        None => None,
    };
    Ok(PricingTier {
        id: row.string("deck_id")?,
        name: row.string("name")?,
        description: row.string("description")?,
        currency: row.parsed("currency")?,
        is_default: row.flag("is_default")?,
        rate,
    })
}

impl Reader {
    /// Every deck, by name.
    pub async fn decks(&self) -> Result<Vec<DeckSummary>, StoreError> {
        const ALL: &str = "select deck_id, name, currency, is_default,
            (select count(*) from rate where rate.deck_id = rate_deck.deck_id) as prefixes
          from rate_deck order by name, deck_id";
        let rows = self.query(ALL, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(DeckSummary {
                    id: row.string("deck_id")?,
                    name: row.string("name")?,
                    currency: row.parsed("currency")?,
                    is_default: row.flag("is_default")?,
                    prefixes: row.count("prefixes")?,
                })
            })
            .collect()
    }

    /// When a deck last changed: its revision. `None` without such a deck.
    pub async fn deck_revision(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        const REVISION: &str = "select updated_at from rate_deck where deck_id = $1";
        self.point(REVISION, &[id.into()]).await?.map(|row| row.instant("updated_at")).transpose()
    }

    /// The deck of an account (its own, else the default one of its currency) with the rate of the
    /// longest prefix of `digits`.
    pub async fn pricing_tier(
        &self,
        deck: Option<&str>,
        currency: Currency,
        digits: &str,
    ) -> Result<Option<PricingTier>, StoreError> {
        let row = self.query_one(TIER, &[deck.into(), (&currency).into(), digits.into()]).await?;
        row.as_ref().map(tier_of).transpose()
    }
}
