//! Contacts of SIP endpoints, across restarts.

use jiff::Timestamp;
use tandem_model::ports::{BindingChange, StoredBinding};

use crate::command::{BoxFuture, Interleaving};
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// Makes changes of bindings durable.
pub struct SaveBindings {
    /// The changes, in order.
    pub changes: Vec<BindingChange>,
    /// Now.
    pub at: Timestamp,
}

const UPSERT: &str = "insert into registration (username, contact, flow, expires_at, call_id, cseq, user_agent, path, node_name, updated_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  on conflict (username, contact) do update set flow = $3, expires_at = $4, call_id = $5, cseq = $6,
    user_agent = $7, path = $8, node_name = $9, updated_at = $10";
const REMOVE: &str = "delete from registration where username = $1 and contact = $2";

impl Command for SaveBindings {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let node = tx.node.map(|node| node.name.clone());
            for change in &self.changes {
                match change {
                    BindingChange::Upsert(binding) => {
                        let params = [
                            (&binding.username).into(),
                            (&binding.contact).into(),
                            (&binding.flow).into(),
                            micros(binding.expires_at).into(),
                            (&binding.call_id).into(),
                            binding.cseq.into(),
                            (&binding.user_agent).into(),
                            (&binding.path).into(),
                            node.as_ref().into(),
                            self.at.into(),
                        ];
                        tx.execute(UPSERT, &params).await?
                    }
                    BindingChange::Remove { username, contact } => {
                        tx.execute(REMOVE, &[username.into(), contact.into()]).await?
                    }
                };
            }
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Forgets bindings that have expired.
pub struct PurgeBindings {
    /// Now.
    pub at: Timestamp,
}

impl Command for PurgeBindings {
    /// How many went.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const PURGE: &str = "delete from registration where expires_at < $1";
        Box::pin(async move { tx.execute(PURGE, &[self.at.into()]).await })
    }
}

/// The port counts in seconds, the column in micro-seconds like every instant.
fn micros(seconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000)
}

fn binding_of(row: &Row) -> Result<StoredBinding, StoreError> {
    Ok(StoredBinding {
        username: row.string("username")?,
        contact: row.string("contact")?,
        flow: row.string("flow")?,
        expires_at: row.int("expires_at")? / 1_000_000,
        call_id: row.string("call_id")?,
        cseq: u32::try_from(row.int("cseq")?).map_err(|_| StoreError::Data("column cseq".to_owned()))?,
        user_agent: row.string("user_agent")?,
        path: row.string("path")?,
    })
}

impl Reader {
    /// Every binding that has not expired.
    pub async fn bindings(&self, now: Timestamp) -> Result<Vec<StoredBinding>, StoreError> {
        const LIVE: &str = "select * from registration where expires_at > $1 order by username, contact";
        self.query(LIVE, &[now.into()]).await?.iter().map(binding_of).collect()
    }

    /// The bindings of one endpoint that have not expired.
    pub async fn bindings_of(
        &self,
        username: &str,
        now: Timestamp,
    ) -> Result<Vec<StoredBinding>, StoreError> {
        const LIVE: &str =
            "select * from registration where username = $1 and expires_at > $2 order by contact";
        self.query(LIVE, &[username.into(), now.into()]).await?.iter().map(binding_of).collect()
    }
}
