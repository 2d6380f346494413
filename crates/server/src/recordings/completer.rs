//! Completes recordings that documents and the API asked for: closes the file, makes an MP3 of it, writes row and events in
//! one command. Works off what the engine hands over and, at its start, what the process before it left undone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::SignedDuration;
use tandem_engine::RecordingFile;
use tandem_model::{RecordingEndReason, RecordingFormat, RecordingResult, clock};
use tandem_store::recordings::{CompleteRecording, Recording, RecordingKind};
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

use super::told::{self, Begun};
use super::{Ended, Recordings};

/// Recordings completed at once: encoding takes a processor each.
const AT_ONCE: usize = 2;
/// Between two tries to write what is complete.
const RETRY: Duration = Duration::from_secs(1);
/// How long a node that stops completes what is over; the rest is the next start's.
const LAST: Duration = Duration::from_secs(5);

/// The completer of one node. Clones are handles.
#[derive(Clone)]
pub(crate) struct Completer {
    pub(crate) recordings: Recordings,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// A complete file.
struct Made {
    file: String,
    format: RecordingFormat,
    bytes: u64,
    duration_ms: u64,
}

impl Completer {
    /// Works until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        while let Err(error) = self.find().await {
            tracing::warn!(%error, "recordings of the process before this one cannot be looked for; trying again");
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        let mut work = FuturesUnordered::new();
        loop {
            while work.len() < AT_ONCE
                && let Some(ended) = self.recordings.next_over()
            {
                work.push(self.complete(ended));
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.recordings.0.over_wake.notified() => {}
                Some(()) = work.next(), if !work.is_empty() => {}
            }
        }
        let rest = async {
            while work.next().await.is_some() {
                if let Some(ended) = self.recordings.next_over() {
                    work.push(self.complete(ended));
                }
            }
        };
        if tokio::time::timeout(LAST, rest).await.is_err() {
            tracing::info!("recordings wait for the next start to be completed");
        }
    }

    /// Takes over what a process left undone.
    async fn find(&self) -> Result<(), StoreError> {
        for open in self.reader.open_recordings(&self.recordings.0.node).await? {
            if self.recordings.begun(open.id).is_some() {
                continue;
            }
            match serde_json::from_str::<Begun>(&open.facts) {
                Ok(begun) => {
                    let begun = Arc::new(begun);
                    self.recordings.hold(&begun);
                    self.recordings.over(Ended::found(begun));
                }
                Err(error) => {
                    tracing::error!(recording_id = %open.id, %error, "a recording's business cannot be read; its file stays");
                }
            }
        }
        Ok(())
    }

    async fn complete(&self, ended: Ended) {
        let id = ended.begun.id;
        let (command, wav) = self.command(&ended).await;
        let mut command = command;
        loop {
            let again = CompleteRecording {
                recording: command.recording.clone(),
                events: command.events.clone(),
                id,
            };
            match self.writer.submit(command).await {
                Ok(_) => break,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(recording_id = %id, %error, "a complete recording cannot be written yet");
                    tokio::time::sleep(RETRY).await;
                    command = again;
                }
            }
        }
        // Only now is nothing lost with it.
        if let Some(wav) = wav
            && let Err(error) = tokio::fs::remove_file(&wav).await
        {
            tracing::warn!(recording_id = %id, %error, "the WAV behind an MP3 could not be removed; it is found later");
        }
        self.recordings.release(id);
    }

    /// What to write, and the WAV that is not needed afterwards.
    async fn command(&self, ended: &Ended) -> (CompleteRecording, Option<PathBuf>) {
        let begun = &ended.begun;
        let made = self.made(begun).await;
        let told = ended.result.as_ref();
        let mut error = told.and_then(|result| result.error.clone());
        let made = match made {
            // A recording that failed on the way is as long as it got.
            Ok(made) if error.is_none() || made.duration_ms > 0 => Some(made),
            Ok(_) => None,
            Err(reason) => {
                error.get_or_insert_with(|| reason.to_string());
                None
            }
        };
        if let (Some(error), true) = (&error, made.is_some()) {
            tracing::warn!(recording_id = %begun.id, %error, "a recording is not complete and kept as far as it goes");
        }
        let result = result_of(begun, told, made.as_ref(), error);
        let now = clock::wall();
        let format = made.as_ref().map_or(begun.order.format, |made| made.format);
        let url = self.recordings.url(&begun.facts.account, begun.id, format.as_str());
        let mut events = told::of_end(begun, &result, &url, ended.status, ended.action_requested);
        let recording = made.as_ref().map(|made| self.row_of(begun, made, now));
        if let Some(webhook) = &begun.webhook {
            events.push(match &recording {
                Some(recording) => told::completed(webhook, recording, &url, now),
                None => {
                    let error = result.error.as_deref().unwrap_or_default();
                    told::failed(webhook, begun.id, &begun.facts, error, now)
                }
            });
        }
        let wav = made.filter(|made| made.format == RecordingFormat::Mp3);
        let wav = wav.map(|_| self.recordings.0.folder.join(begun.wav()));
        (CompleteRecording { id: begun.id, recording, events }, wav)
    }

    /// Closes the file and converts it. What cannot be converted stays a WAV.
    async fn made(&self, begun: &Begun) -> io::Result<Made> {
        let folder = self.recordings.0.folder.clone();
        let wav = begun.wav();
        let mp3 = begun.mp3();
        let (id, format) = (begun.id, begun.order.format);
        let work = tokio::task::spawn_blocking(move || {
            let path = folder.join(&wav);
            let closed = RecordingFile::closed(&path)?;
            let duration_ms = closed.duration_ms;
            if format == RecordingFormat::Mp3 {
                match super::mp3::encode(&path, &folder.join(&mp3)) {
                    Ok(bytes) => {
                        return Ok(Made { file: mp3, format: RecordingFormat::Mp3, bytes, duration_ms });
                    }
                    Err(error) => {
                        tracing::error!(recording_id = %id, %error, "a recording could not be made an MP3; it stays a WAV");
                    }
                }
            }
            Ok(Made { file: wav, format: RecordingFormat::Wav, bytes: closed.bytes, duration_ms })
        });
        work.await.map_err(io::Error::other)?
    }

    fn row_of(&self, begun: &Begun, made: &Made, now: jiff::Timestamp) -> Recording {
        let facts = &begun.facts;
        Recording {
            id: begun.id,
            account: begun.payer.clone(),
            sub_account: (facts.account != begun.payer).then(|| facts.account.clone()),
            call: facts.call,
            conference: None,
            kind: RecordingKind::Call,
            format: made.format.as_str().to_owned(),
            from_number: with_plus(&facts.from),
            to_number: with_plus(&facts.to),
            node: self.recordings.0.node.clone(),
            file: made.file.clone(),
            bytes: Some(made.bytes),
            duration_ms: Some(made.duration_ms),
            started_at: begun.started_at,
            created_at: now,
            webhook: None,
        }
    }
}

/// How it came out, by what the engine said and what lies on disk.
fn result_of(
    begun: &Begun,
    told: Option<&RecordingResult>,
    made: Option<&Made>,
    error: Option<String>,
) -> RecordingResult {
    let duration_ms = made.map_or(0, |made| made.duration_ms);
    let length = SignedDuration::from_millis(i64::try_from(duration_ms).unwrap_or(i64::MAX));
    RecordingResult {
        reason: told.map_or(RecordingEndReason::HungUp, |told| told.reason),
        digits: told.map(|told| told.digits.clone()).unwrap_or_default(),
        started_at: begun.started_at,
        ended_at: begun.started_at.saturating_add(length).unwrap_or(begun.started_at),
        duration_ms,
        error: error.filter(|_| made.is_none()),
    }
}

/// Records show numbers with `+`, other identities as they are.
fn with_plus(text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{text}") } else { text.to_owned() }
}
