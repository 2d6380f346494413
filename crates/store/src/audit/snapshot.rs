//! What a row is, as a hash: an audit entry holds it in the place of values, which may be secrets or somebody's
//! personal data. Columns that change without anybody asking (balances, clocks) do not count.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::value::{Row, Value};
use crate::{StoreError, Tx};

/// Where each kind of resource stands. Kinds that are not here (sessions, money) have no row of their own.
const TABLES: &[(&str, &str)] = &[
    ("account", "select * from account where auth_id = $1"),
    ("application", "select * from application where app_id = $1"),
    ("trunk", "select * from trunk where trunk_id = $1"),
    ("credential", "select * from trunk_credential where id = $1"),
    ("acl", "select * from trunk_acl where id = $1"),
    ("origination_uri", "select * from origination_uri where id = $1"),
    ("number", "select * from number where e164 = $1"),
    ("endpoint", "select * from endpoint where endpoint_id = $1"),
    ("carrier", "select * from carrier where carrier_id = $1"),
    ("deck", "select * from rate_deck where deck_id = $1"),
    ("rate_deck", "select * from rate_deck where deck_id = $1"),
    ("kyc_session", "select * from kyc_session where id = $1"),
    ("kyc_check", "select * from kyc_check where check_id = $1"),
    ("recording", "select * from recording where recording_id = $1"),
];

/// Columns that say nothing of the configuration.
const UNCOUNTED: &[&str] = &[
    "balance",
    "held",
    "live_calls",
    "updated_at",
    "last_login_at",
    "last_call_at",
    "last_billing_at",
    "next_billing_at",
    "rent_try_at",
    "unpaid_since",
    "unpaid_told",
    "epoch",
    "polls",
    "poll_at",
];

/// The hash of a resource's row as it is in the open transaction; nothing when there is no such row.
pub(super) async fn hash_of(tx: &mut Tx<'_>, kind: &str, id: &str) -> Result<Option<String>, StoreError> {
    let Some((_, sql)) = TABLES.iter().find(|(known, _)| *known == kind) else { return Ok(None) };
    let row = tx.query_one(sql, &[id.into()]).await?;
    Ok(row.as_ref().map(hashed))
}

/// Over `name=value` lines by name: the same on both databases, whatever order columns were added in.
fn hashed(row: &Row) -> String {
    let mut columns: Vec<_> = row.columns().filter(|(name, _)| !UNCOUNTED.contains(name)).collect();
    columns.sort_by_key(|(name, _)| *name);
    let mut text = String::new();
    for (name, value) in columns {
        let _ = match value {
            Value::Null => writeln!(text, "{name}"),
            Value::Int(number) => writeln!(text, "{name}=i{number}"),
            Value::Text(content) => writeln!(text, "{name}=t{}:{content}", content.len()),
            Value::Bytes(content) => writeln!(text, "{name}=b{}", hex::encode(content)),
        };
    }
    hex::encode(Sha256::digest(text.as_bytes()))
}
