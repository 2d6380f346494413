//! What a partner's customers did in a time, summed by the database: one row a day, direction and product.

use jiff::Timestamp;
use tandem_model::{AccountId, CallDirection, Money};

use super::record::CallContext;
use crate::{Reader, StoreError};

/// Calls of one day, direction and product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Days since the epoch, UTC, of their beginning.
    pub day: i64,
    /// Direction.
    pub direction: CallDirection,
    /// Product.
    pub context: CallContext,
    /// How many.
    pub calls: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Σ `billsec`.
    pub billsec: u64,
    /// Σ `cost` + `streaming_cost`.
    pub cost: Money,
}

impl Reader {
    /// The traffic of a partner's customers that began in `from..before`, in no order.
    pub async fn customers_traffic(
        &self,
        partner: &AccountId,
        from: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<Traffic>, StoreError> {
        const TRAFFIC: &str = "select start_time / 86400000000 as day, call_direction, context,
            cast(sum(occurrences) as bigint) as calls, count(answer_time) as answered,
            cast(coalesce(sum(billsec), 0) as bigint) as billsec,
            cast(coalesce(sum(cost + streaming_cost), 0) as bigint) as cost
          from call_record
          where account_id in (select auth_id from account where partner_id = $1 and kind = 'master')
            and start_time >= $2 and start_time < $3
          group by start_time / 86400000000, call_direction, context";
        let rows = self.query(TRAFFIC, &[partner.into(), from.into(), before.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Traffic {
                    day: row.int("day")?,
                    direction: match row.text("call_direction")? {
                        "inbound" => CallDirection::Inbound,
                        _ => CallDirection::Outbound,
                    },
                    context: match row.text("context")? {
                        "voice-api" => CallContext::VoiceApi,
                        _ => CallContext::SipTrunking,
                    },
                    calls: row.count("calls")?,
                    answered: row.count("answered")?,
                    billsec: row.count("billsec")?,
                    cost: row.money("cost")?,
                })
            })
            .collect()
    }
}
