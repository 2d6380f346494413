//! What the in-memory directories of all nodes are made of: lean rows of the configuration, and the feed of
//! changes they poll. Balances and limits of money are not here: they never come from a cache.

mod routing;
mod tenants;
mod trunking;

use jiff::Timestamp;

pub use routing::{CarrierRow, CountryRuleRow, DeckRow, RateRow};
pub use tenants::{AccountRow, ApplicationRow, EndpointRow, NumberRow};
pub use trunking::{AclRow, CredentialRow, OriginationUriRow, TrunkRow};

use crate::{Reader, StoreError};

/// Which kind of row changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirectoryKind {
    /// An account; id = auth_id.
    Account,
    /// A trunk; id = trunk_id.
    Trunk,
    /// A trunk credential; id = its id.
    Credential,
    /// An IP ACL entry; id = its id.
    Acl,
    /// An origination URI; id = its id.
    OriginationUri,
    /// A number; id = e164.
    Number,
    /// An application; id = app_id.
    Application,
    /// A SIP endpoint; id = endpoint_id.
    Endpoint,
    /// A carrier; id = carrier_id.
    Carrier,
    /// A rate deck with all its rates; id = deck_id.
    Deck,
    /// The country rules of one scope; id = scope.
    CountryRule,
    /// A setting; id = key.
    Setting,
}

impl DirectoryKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Account,
        Self::Trunk,
        Self::Credential,
        Self::Acl,
        Self::OriginationUri,
        Self::Number,
        Self::Application,
        Self::Endpoint,
        Self::Carrier,
        Self::Deck,
        Self::CountryRule,
        Self::Setting,
    ];

    /// The column's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Trunk => "trunk",
            Self::Credential => "credential",
            Self::Acl => "acl",
            Self::OriginationUri => "origination_uri",
            Self::Number => "number",
            Self::Application => "application",
            Self::Endpoint => "endpoint",
            Self::Carrier => "carrier",
            Self::Deck => "deck",
            Self::CountryRule => "country_rule",
            Self::Setting => "setting",
        }
    }
}

/// A configuration row was made, changed or removed: load it again; if it is not there, drop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryChange {
    /// Grows in commit order, without gaps that fill later.
    pub seq: i64,
    /// Which kind.
    pub kind: DirectoryKind,
    /// Which row.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// Changes read at once; a reader asks again while it gets this many.
pub const CHANGES_MAX: u32 = 1000;

impl Reader {
    /// The newest change. Read it *before* loading everything, then poll from it.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        const LAST: &str = "select value from counter where name = 'directory'";
        self.point(LAST, &[]).await?.map_or(Ok(0), |row| row.int("value"))
    }

    /// Changes after `seq`, in order, at most [`CHANGES_MAX`].
    pub async fn changes_since(&self, seq: i64) -> Result<Vec<DirectoryChange>, StoreError> {
        const SINCE: &str =
            "select seq, kind, id, at from directory_change where seq > $1 order by seq limit $2";
        let rows = self.query(SINCE, &[seq.into(), CHANGES_MAX.into()]).await?;
        rows.iter()
            .map(|row| {
                let word = row.text("kind")?;
                let kind = DirectoryKind::ALL.iter().copied().find(|kind| kind.as_str() == word);
                Ok(DirectoryChange {
                    seq: row.int("seq")?,
                    kind: kind.ok_or_else(|| StoreError::Data(format!("directory kind {word}")))?,
                    id: row.string("id")?,
                    at: row.instant("at")?,
                })
            })
            .collect()
    }

    /// A setting's value.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        const SETTING: &str = "select value from setting where key = $1";
        self.point(SETTING, &[key.into()]).await?.map(|row| row.string("value")).transpose()
    }
}

/// Sets a setting.
pub struct PutSetting {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Now.
    pub at: Timestamp,
}

impl crate::Command for PutSetting {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut crate::Tx<'_>) -> crate::BoxFuture<'a, Result<(), StoreError>> {
        const PUT: &str = "insert into setting (key, value) values ($1, $2)
          on conflict (key) do update set value = $2";
        Box::pin(async move {
            tx.execute(PUT, &[(&self.key).into(), (&self.value).into()]).await?;
            tx.directory_changed(DirectoryKind::Setting, &self.key, self.at).await
        })
    }
}
