//! Processes that write: each claims its node's name and so gets an epoch; whoever held the name before
//! is fenced out. A node whose heartbeat stopped is dead, and its calls are orphans.

use jiff::Timestamp;

use crate::command::BoxFuture;
use crate::{Command, Reader, StoreError, Tx};

const CLAIM: &str = "insert into node (name, epoch, started_at, heartbeat_at) values ($1, 1, $2, $2)
  on conflict (name) do update set epoch = node.epoch + 1, started_at = $2, heartbeat_at = $2
  returning epoch";

/// Claims a name: the new epoch.
pub(crate) async fn claim(tx: &mut Tx<'_>, name: &str, at: Timestamp) -> Result<i64, StoreError> {
    let row = tx.query_one(CLAIM, &[name.into(), at.into()]).await?;
    row.ok_or_else(|| StoreError::Data("no epoch".to_owned()))?.int("epoch")
}

/// Takes a node's name over; its predecessor's Writer gets [`StoreError::Fenced`] from then on. The
/// Writer does this by itself at its start.
pub struct ClaimNode {
    /// The name.
    pub name: String,
    /// Now.
    pub at: Timestamp,
}

impl Command for ClaimNode {
    type Output = i64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(claim(tx, &self.name, self.at))
    }
}

/// Says that this process lives. Every 5 s; 15 s of silence is death.
pub struct Heartbeat {
    /// Now.
    pub at: Timestamp,
}

impl Command for Heartbeat {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const BEAT: &str = "update node set heartbeat_at = $1 where name = $2 and epoch = $3";
        Box::pin(async move {
            let Some(node) = tx.node else { return Ok(()) };
            tx.execute(BEAT, &[self.at.into(), node.name.as_str().into(), node.epoch.into()]).await?;
            Ok(())
        })
    }
}

/// A node as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// Its current epoch.
    pub epoch: i64,
    /// When the epoch began.
    pub started_at: Timestamp,
    /// Its last sign of life.
    pub heartbeat_at: Timestamp,
}

impl Reader {
    /// Every node, by name.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.nodes_silent_since(Timestamp::MAX).await
    }

    /// Nodes whose last heartbeat is older than `instant`.
    pub async fn expired_nodes(&self, instant: Timestamp) -> Result<Vec<NodeRow>, StoreError> {
        self.nodes_silent_since(instant).await
    }

    async fn nodes_silent_since(&self, instant: Timestamp) -> Result<Vec<NodeRow>, StoreError> {
        const SILENT: &str = "select name, epoch, started_at, heartbeat_at from node
          where heartbeat_at < $1 order by name";
        let rows = self.query(SILENT, &[instant.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(NodeRow {
                    name: row.string("name")?,
                    epoch: row.int("epoch")?,
                    started_at: row.instant("started_at")?,
                    heartbeat_at: row.instant("heartbeat_at")?,
                })
            })
            .collect()
    }
}
