//! Calls as rows: reserved before the INVITE leaves, noted at answer and tick, settled once at the end.
//! A `live_call` row is the reservation and the concurrency lease at once; its end is a `call_record`.

mod days;
mod entry;
mod export;
mod fold;
mod live;
mod progress;
mod record;
mod records;
mod reserve;
mod search;
mod settle;
mod traffic;

pub use export::{EXPORT_COLUMNS, ExportCursor, ExportKind, ExportRow};
pub use fold::Fold;
pub use live::{LiveCall, LiveState, NewCall};
pub use progress::{AnswerCall, ExtendCall, ExtendOutcome, NoteDialogs, SetCallState, TickCalls};
#[cfg(feature = "planted-faults")]
pub(crate) use record::insert as insert_record;
pub use record::{CallContext, CallRecord};
pub(crate) use records::contains;
pub use records::{RecordFilter, RecordPage, RecordStatus, RecordSummary, RecordsOf};
pub use reserve::{CountRefusals, RefuseCall, ReserveCall, ReserveOutcome};
pub use settle::{SettleCall, SettleOutcome};
pub use traffic::Traffic;
