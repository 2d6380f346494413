//! Recordings as rows: written once, with the settlement of their call or when a file that a crash left behind is found;
//! listed; deleted in three steps (marked, file removed by its node, row removed), each of which may be repeated.

mod adopt;
mod export;
mod list;
mod open;
mod remove;
mod row;

pub use adopt::{AdoptRecording, DropRecording, MeasureRecording};
pub use export::ExportRecordings;
pub use list::{RecordingFilter, RecordingPage};
pub use open::{CompleteRecording, NoteRecording, OpenRecording};
pub(crate) use remove::delete_of_sub_account;
pub use remove::{DeleteRecordings, PurgeRecordings};
pub(crate) use row::insert;
pub use row::{Recording, RecordingKind};
