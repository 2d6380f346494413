//! What the operator says of a number: blocked, verified, rented for so long.

use jiff::Timestamp;
use tandem_model::{AccountId, E164};

use super::noted;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::{Command, Reader, StoreError, Tx};

/// Changes what is given.
pub struct UpdateNumber {
    /// Which.
    pub e164: E164,
    /// Takes no calls and cannot be bought.
    pub is_blocked: Option<bool>,
    /// Its holder has shown an Aadhaar.
    pub aadhaar_verified: Option<bool>,
    /// Shortest rental.
    pub minimum_commitment_months: Option<u32>,
    /// Price of a month, from the next one on.
    pub monthly_fee: Option<tandem_model::Money>,
    /// Tags, as a JSON list of texts.
    pub tags: Option<String>,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for UpdateNumber {
    /// False when there is no such number.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const UPDATE: &str = "update number set is_blocked = coalesce(cast($2 as bigint), is_blocked),
            aadhaar_verified = coalesce(cast($3 as bigint), aadhaar_verified),
            minimum_commitment_months = coalesce(cast($4 as bigint), minimum_commitment_months),
            monthly_fee = coalesce(cast($5 as bigint), monthly_fee), tags = coalesce(cast($6 as text), tags),
            updated_at = $7
          where e164 = $1 returning account_id";
        Box::pin(async move {
            let params = [
                self.e164.into(),
                self.is_blocked.into(),
                self.aadhaar_verified.into(),
                self.minimum_commitment_months.into(),
                self.monthly_fee.into(),
                self.tags.as_ref().into(),
                self.at.into(),
            ];
            let Some(row) = tx.query_one(UPDATE, &params).await? else { return Ok(false) };
            let owner = row.opt_text("account_id")?.map(AccountId::new);
            noted(tx, &self.actor, self.e164, owner.as_ref(), "update", &self.fields, self.at).await?;
            Ok(true)
        })
    }
}

impl Reader {
    /// A number whoever has it.
    pub async fn number(&self, e164: E164) -> Result<Option<super::Number>, StoreError> {
        const ONE: &str = "select * from number where e164 = $1";
        self.point(ONE, &[e164.into()]).await?.as_ref().map(super::number_of).transpose()
    }
}
