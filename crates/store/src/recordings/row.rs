//! One recording as stored.

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, RecordingId};

use crate::value::Row;
use crate::{StoreError, Tx};

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingKind {
    /// A call steered by XML or the API.
    Call,
    /// A conference.
    Conference,
    /// A call through a trunk.
    Trunk,
}

impl RecordingKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Call, Self::Conference, Self::Trunk];

    /// `call`, `conference` or `trunk`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Conference => "conference",
            Self::Trunk => "trunk",
        }
    }
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its id.
    pub id: RecordingId,
    /// Who paid for the call.
    pub account: AccountId,
    /// The sub-account whose call it was, when not the account's own.
    pub sub_account: Option<AccountId>,
    /// The call.
    pub call: CallId,
    /// The conference, if it is of one.
    pub conference: Option<String>,
    /// What was recorded.
    pub kind: RecordingKind,
    /// `mp3` or `wav`.
    pub format: String,
    /// Caller.
    pub from_number: String,
    /// Callee.
    pub to_number: String,
    /// The node on whose disk it is.
    pub node: String,
    /// The file's name in the folder of recordings.
    pub file: String,
    /// Size of the file; not known before its node measured it.
    pub bytes: Option<u64>,
    /// Length of the audio; as `bytes`.
    pub duration_ms: Option<u64>,
    /// When the audio begins.
    pub started_at: Timestamp,
    /// When the row was written.
    pub created_at: Timestamp,
    /// Where to tell that it can be fetched, once its file is measured: the service's own words.
    pub webhook: Option<String>,
}

const INSERT: &str =
    "insert into recording (recording_id, account_id, sub_account, call_uuid, conference_name, kind,
    format, from_number, to_number, node, file, bytes, duration_ms, started_at, created_at, webhook)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
  on conflict do nothing";

/// Inserts it; false when it is there already, under this id or with this file.
pub(crate) async fn insert(tx: &mut Tx<'_>, recording: &Recording) -> Result<bool, StoreError> {
    let params = [
        recording.id.into(),
        (&recording.account).into(),
        recording.sub_account.as_ref().into(),
        recording.call.into(),
        recording.conference.as_ref().into(),
        recording.kind.as_str().into(),
        (&recording.format).into(),
        (&recording.from_number).into(),
        (&recording.to_number).into(),
        (&recording.node).into(),
        (&recording.file).into(),
        recording.bytes.into(),
        recording.duration_ms.into(),
        recording.started_at.into(),
        recording.created_at.into(),
        recording.webhook.as_ref().into(),
    ];
    Ok(tx.execute(INSERT, &params).await? == 1)
}

pub(super) fn recording_of(row: &Row) -> Result<Recording, StoreError> {
    let count = |column: &str| {
        row.opt_int(column)?
            .map(|n| u64::try_from(n).map_err(|_| StoreError::Data(format!("column {column} below zero"))))
            .transpose()
    };
    let kind = row.text("kind")?;
    let kind = RecordingKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(Recording {
        id: row.parsed("recording_id")?,
        account: row.account("account_id")?,
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        call: row.parsed("call_uuid")?,
        conference: row.opt_string("conference_name")?,
        kind: kind.ok_or_else(|| StoreError::Data("column kind".to_owned()))?,
        format: row.string("format")?,
        from_number: row.string("from_number")?,
        to_number: row.string("to_number")?,
        node: row.string("node")?,
        file: row.string("file")?,
        bytes: count("bytes")?,
        duration_ms: count("duration_ms")?,
        started_at: row.instant("started_at")?,
        created_at: row.instant("created_at")?,
        webhook: row.opt_string("webhook")?,
    })
}
