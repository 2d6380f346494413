//! Call records as CSV (REST reference §13): all that match, newest first, written while they are read. An export holds a few
//! pieces of some hundred records in memory, however many there are; a client that takes none of them for [`STALL`] is let go.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use tandem_model::{AccountId, ErrorCode};
use tandem_store::Reader;
use tandem_store::StoreError;
use tandem_store::calls::{ExportCursor, RecordFilter, RecordsOf};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::csv::Sheet;
use crate::api::lenient::Fields;
use crate::api::{ApiError, AppState, Query};
use crate::auth::Scoped;

/// Records of one piece.
const PIECE: u32 = 500;
/// Pieces written ahead of the client.
const AHEAD: usize = 2;
/// A client that takes nothing for so long is let go.
const STALL: Duration = Duration::from_secs(30);
/// Exports of a node at once; one for each account.
const EXPORTS_MAX: usize = 8;
/// When to ask again, seconds.
const RETRY_AFTER_S: u32 = 10;

/// The exports under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports(Arc<Mutex<HashSet<AccountId>>>);

/// The right to one export; over when dropped.
struct Turn {
    exports: Exports,
    account: AccountId,
}

impl Exports {
    fn begin(&self, account: &AccountId) -> Result<Turn, ApiError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |words: &str| ApiError::because(ErrorCode::RateLimited, words).retry_after(RETRY_AFTER_S);
        if running.contains(account) {
            return Err(busy("An export of this account's call records is under way"));
        }
        if running.len() >= EXPORTS_MAX {
            return Err(busy("As many exports as this node allows are under way"));
        }
        running.insert(account.clone());
        Ok(Turn { exports: self.clone(), account: account.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.exports.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// What is on its way to the client.
enum Piece {
    Lines(Bytes),
    /// All is written: without it the answer is cut off, and the client must see that.
    End,
}

/// The export ended before its end.
#[derive(Debug)]
struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the export was cut off")
    }
}

impl std::error::Error for CutOff {}

/// Export the call records that match, as CSV.
pub(super) async fn export(
    State(state): State<AppState>,
    scoped: Scoped,
    Extension(exports): Extension<Exports>,
    Query(mut fields): Query<Fields>,
) -> Result<Response, ApiError> {
    let filter = super::filter(&mut fields)?;
    let turn = exports.begin(scoped.id())?;
    let is_sub = scoped.account.parent.is_some();
    let mut export = Export {
        reader: state.reader.clone(),
        account: scoped.id().clone(),
        is_sub,
        filter,
        cursor: ExportCursor::default(),
        sheet: Sheet::new(is_sub.then(|| scoped.id().to_string())),
    };
    // The first piece is read before anything is answered: what can fail mostly fails there.
    let mut first = Sheet::head();
    let more = export.piece(&mut first).await?;
    let (pieces, waiting) = mpsc::channel(AHEAD);
    TaskTracker::new().spawn(async move {
        if let Err(reason) = export.write(first, more, &pieces, STALL).await {
            tracing::info!(account_id = %export.account, reason, "an export of call records was cut off");
        }
        drop(turn);
    });
    let name = format!("attachment; filename=\"cdr-{}.csv\"", scoped.id());
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(futures_util::stream::unfold(Some(waiting), taken))).into_response())
}

type Waiting = mpsc::Receiver<Piece>;

async fn taken(waiting: Option<Waiting>) -> Option<(Result<Bytes, CutOff>, Option<Waiting>)> {
    let mut waiting = waiting?;
    match waiting.recv().await {
        Some(Piece::Lines(lines)) => Some((Ok(lines), Some(waiting))),
        Some(Piece::End) => None,
        None => Some((Err(CutOff), None)),
    }
}

/// An export being written.
struct Export {
    reader: Reader,
    account: AccountId,
    is_sub: bool,
    filter: RecordFilter,
    cursor: ExportCursor,
    sheet: Sheet,
}

impl Export {
    /// Adds the next lines; false when they are the last.
    async fn piece(&mut self, lines: &mut String) -> Result<bool, StoreError> {
        let whose = if self.is_sub {
            RecordsOf::SubAccount(&self.account)
        } else {
            RecordsOf::Account(&self.account)
        };
        let (rows, cursor) = self.reader.export_records(whose, &self.filter, self.cursor, PIECE).await?;
        self.cursor = cursor;
        for row in &rows {
            self.sheet.line(row.values(), lines);
        }
        Ok(rows.len() == PIECE as usize)
    }

    /// Writes everything, or says why not.
    async fn write(
        &mut self,
        first: String,
        mut more: bool,
        pieces: &mpsc::Sender<Piece>,
        stall: Duration,
    ) -> Result<(), &'static str> {
        send(pieces, Piece::Lines(first.into()), stall).await?;
        while more {
            let mut lines = String::new();
            more = self.piece(&mut lines).await.map_err(|error| {
                tracing::error!(%error, "call records could not be read for an export");
                "the database failed"
            })?;
            if !lines.is_empty() {
                send(pieces, Piece::Lines(lines.into()), stall).await?;
            }
        }
        send(pieces, Piece::End, stall).await
    }
}

async fn send(pieces: &mpsc::Sender<Piece>, piece: Piece, stall: Duration) -> Result<(), &'static str> {
    match tokio::time::timeout(stall, pieces.send(piece)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the client is gone"),
        Err(_) => Err("the client takes nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_export_for_each_account_and_so_many_in_all() {
        let exports = Exports::default();
        let account = |n: usize| AccountId::new(&format!("MA_{n}"));
        let mut turns: Vec<Turn> =
            (0..EXPORTS_MAX - 1).map(|n| exports.begin(&account(n)).unwrap()).collect();
        assert!(exports.begin(&account(0)).is_err(), "its own is under way");
        turns.push(exports.begin(&account(EXPORTS_MAX)).unwrap());
        assert!(exports.begin(&account(EXPORTS_MAX + 1)).is_err(), "one past the limit");
        turns.pop();
        assert!(exports.begin(&account(EXPORTS_MAX + 1)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_let_go_and_sees_that_the_file_is_cut() {
        let (pieces, waiting) = mpsc::channel(AHEAD);
        for _ in 0..AHEAD {
            send(&pieces, Piece::Lines(Bytes::from_static(b"x")), STALL).await.unwrap();
        }
        let stalled = send(&pieces, Piece::Lines(Bytes::from_static(b"x")), STALL).await;
        assert_eq!(stalled, Err("the client takes nothing"));
        drop(pieces);
        let mut waiting = Some(waiting);
        for _ in 0..AHEAD {
            let (lines, rest) = taken(waiting).await.unwrap();
            assert!(lines.is_ok());
            waiting = rest;
        }
        let (end, rest) = taken(waiting).await.unwrap();
        assert!(end.is_err() && rest.is_none(), "not an end, an error");
    }
}
