//! Recordings that documents and the API ask for: named and noted when they begin, handed to the [`super::Completer`] when
//! they are over.

use std::sync::Arc;

use tandem_model::ports::{RecordingBegin, RecordingOutcome, RecordingPlace, Recordings as RecordingsPort};
use tandem_model::{Ids, RecordingId};
use tandem_store::Writer;
use tandem_store::recordings::{NoteRecording, OpenRecording};

use super::told::Begun;
use super::{Ended, Recordings};
use crate::admission::Admission;

/// The engine's port of recordings.
pub(crate) struct AskedRecordings {
    pub(crate) recordings: Recordings,
    pub(crate) admission: Admission,
    pub(crate) writer: Writer,
}

impl RecordingsPort for AskedRecordings {
    fn begin(&self, begin: RecordingBegin) -> RecordingPlace {
        let RecordingBegin { facts, order, at } = begin;
        let id = RecordingId(Ids::random());
        let (payer, webhook) = self.admission.recording_business(&facts);
        let begun = Arc::new(Begun { id, facts, payer, order, started_at: at, webhook });
        let file = begun.wav();
        let path = self.recordings.0.folder.join(&file);
        let url = self.recordings.url(&begun.facts.account, id, begun.order.format.as_str());
        self.recordings.hold(&begun);
        match serde_json::to_string(&*begun) {
            Ok(facts) => {
                let node = self.recordings.0.node.clone();
                let note = NoteRecording(OpenRecording { id, node, file, facts, started_at: at });
                if let Err(error) = self.writer.submit_detached(note) {
                    tracing::warn!(recording_id = %id, %error, "a recording that begins is not noted: nobody is told of it if this process is killed");
                }
            }
            Err(error) => tracing::error!(recording_id = %id, %error, "a recording cannot be noted"),
        }
        RecordingPlace { recording: id, path, url }
    }

    fn ended(&self, outcome: RecordingOutcome) {
        let RecordingOutcome { recording, result, status, action_requested } = outcome;
        if let Some(begun) = self.recordings.begun(recording) {
            let ended = Ended { begun, result: Some(result), status, action_requested };
            self.recordings.over(ended);
        }
    }

    fn lost(&self, recording: RecordingId) {
        if let Some(begun) = self.recordings.begun(recording) {
            self.recordings.over(Ended::found(begun));
        }
    }
}
