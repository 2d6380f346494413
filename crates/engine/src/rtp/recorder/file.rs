//! One recording: its tap, its file and its levels.
//!
//! The file is a valid WAV at every moment: its header says "until the end" from the first byte,
//! data is appended twice a second, and the true sizes are put in at the end.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use tandem_media::energy::{SILENCE_DBFS, rms};
use tandem_media::g711::Law;
use tandem_media::wav::WavWriter;
use tandem_media::{Codec, Side, Tap};
use tokio::sync::mpsc;

use super::super::event::{MediaEvent, RecordEnd, RecordStop};
use super::super::leg::{RecordRequest, Recorded};
use super::super::plane::MediaKey;
use super::{Beginning, Frame};

/// Between two writes of one file: with the tap's patience and the thread's round, a kill costs less than a second.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Quieter than this (about −45 dBFS) a frame counts as silence: speech on the phone is above
/// −35, line noise below −50.
const SILENCE_RMS: f64 = 130.0;
/// Longest frame measured: 60 ms at 8 kHz; longer ones are measured by their beginning.
const MAX_MEASURED: usize = 480;

pub(super) struct Recording {
    leg: MediaKey,
    events: mpsc::Sender<MediaEvent>,
    request: RecordRequest,
    tap: Tap,
    writer: WavWriter,
    file: Result<File, String>,
    /// Audio final but not yet written.
    pending: Vec<u8>,
    flushed: Instant,
    received: Level,
    sent: Level,
    last_loud: Instant,
    going: Recorded,
    /// Bytes until it is as long as it may be.
    left: Option<u64>,
    /// Frames missed before the last pause.
    missed: u64,
}

/// Mean power of many frames.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    power: f64,
    samples: f64,
}

impl Recording {
    pub(super) fn begin(beginning: Beginning) -> Self {
        let Beginning { at, leg, request, events, .. } = beginning;
        let writer = WavWriter::new(request.format);
        let file = create(&request.path, &writer.header()).map_err(|error| error.to_string());
        let left = request.max_length.map(|length| request.format.bytes_of(length));
        Self {
            leg,
            events,
            tap: Tap::new(at, request.format),
            request,
            writer,
            file,
            pending: Vec::new(),
            flushed: at,
            received: Level::default(),
            sent: Level::default(),
            last_loud: at,
            going: Recorded::Resume,
            left,
            missed: 0,
        }
    }

    pub(super) fn leg(&self) -> MediaKey {
        self.leg
    }

    pub(super) fn events(&self) -> &mpsc::Sender<MediaEvent> {
        &self.events
    }

    pub(super) fn tell_to(&mut self, events: mpsc::Sender<MediaEvent>) {
        self.events = events;
    }

    /// Places one packet's audio.
    pub(super) fn place(&mut self, frame: &Frame) {
        if self.going == Recorded::Pause {
            return;
        }
        // After a stall of the disk the frames in hand may span more time than the tap holds.
        if frame.at >= self.tap.deadline() {
            self.tap.drain(frame.at, &mut self.pending);
        }
        self.tap.place(frame.at, frame.side, frame.ssrc, frame.timestamp, frame.codec, &frame.payload);
        let Some(level) = level_of(frame.codec, &frame.payload) else { return };
        match frame.side {
            Side::Caller => {
                self.received.add(level);
                if level.rms() >= SILENCE_RMS {
                    self.last_loud = frame.at;
                }
            }
            Side::Callee => self.sent.add(level),
        }
    }

    /// Interrupts it, or lets it go on.
    pub(super) fn pause(&mut self, at: Instant, recorded: Recorded) {
        match (self.going, recorded) {
            (Recorded::Resume, Recorded::Pause) => self.tap.finish(at, &mut self.pending),
            (Recorded::Pause, Recorded::Resume) => {
                self.missed += self.tap.missed();
                self.tap = Tap::new(at, self.request.format);
                self.last_loud = at;
            }
            _ => return,
        }
        self.going = recorded;
    }

    /// The regular work between frames; says why it is over, if it is.
    pub(super) fn round(&mut self, now: Instant) -> Option<RecordStop> {
        if self.going == Recorded::Pause {
            return None;
        }
        self.tap.drain(now, &mut self.pending);
        if self.left.is_some_and(|left| self.pending.len() as u64 >= left) {
            return Some(RecordStop::MaxLength);
        }
        if now.saturating_duration_since(self.flushed) >= FLUSH_EVERY {
            self.flushed = now;
            self.write();
        }
        let silence = self.request.silence?;
        (now.saturating_duration_since(self.last_loud) >= silence).then_some(RecordStop::Silence)
    }

    /// Completes the file.
    pub(super) fn finish(mut self, at: Instant, stop: RecordStop, frames_dropped: u64) -> RecordEnd {
        if self.going == Recorded::Resume {
            self.tap.finish(at, &mut self.pending);
        }
        self.write();
        let closed = match &mut self.file {
            Ok(file) => close(file, &self.writer).map_err(|error| error.to_string()),
            Err(error) => Err(std::mem::take(error)),
        };
        let (bytes, error) = match closed {
            Ok(bytes) => (bytes, None),
            Err(error) => (0, Some(error)),
        };
        RecordEnd {
            name: self.request.name,
            stop,
            path: self.request.path,
            length: Duration::from_millis(self.writer.duration_ms()),
            bytes,
            received_dbfs: self.received.dbfs(),
            sent_dbfs: self.sent.dbfs(),
            frames_dropped: frames_dropped + self.missed + self.tap.missed(),
            error,
        }
    }

    fn write(&mut self) {
        if let Some(left) = &mut self.left {
            self.pending.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= self.pending.len() as u64;
        }
        if let Ok(file) = &mut self.file {
            let fit = self.writer.reserve(self.pending.len());
            let audio = self.pending.get(..fit).unwrap_or_default();
            let full = fit < self.pending.len();
            if let Err(error) = file.write_all(audio) {
                self.file = Err(error.to_string());
            } else if full {
                self.file = Err("the recording reached the largest size of a WAV file".to_owned());
            }
        }
        self.pending.clear();
    }
}

impl Level {
    fn add(&mut self, other: Self) {
        self.power += other.power;
        self.samples += other.samples;
    }

    fn rms(self) -> f64 {
        if self.samples > 0.0 { (self.power / self.samples).sqrt() } else { 0.0 }
    }

    /// Relative to a full-scale sine.
    fn dbfs(self) -> f32 {
        let ratio = self.rms() * 2f64.sqrt() / 32_768.0;
        let level = if ratio > 0.0 { 20.0 * ratio.log10() } else { SILENCE_DBFS };
        level.max(SILENCE_DBFS) as f32
    }
}

fn level_of(codec: Codec, payload: &[u8]) -> Option<Level> {
    let law = match codec {
        Codec::Pcmu => Law::Ulaw,
        Codec::Pcma => Law::Alaw,
        Codec::G722 | Codec::G729 | Codec::Opus => return None,
    };
    let mut samples = [0i16; MAX_MEASURED];
    let measured = payload.get(..MAX_MEASURED).unwrap_or(payload);
    let count = law.decode_into(measured, &mut samples);
    let loudness = rms(samples.get(..count).unwrap_or_default());
    Some(Level { power: loudness * loudness * count as f64, samples: count as f64 })
}

fn create(path: &Path, header: &[u8]) -> io::Result<File> {
    let mut file = File::create(path)?;
    file.write_all(header)?;
    Ok(file)
}

fn close(file: &mut File, writer: &WavWriter) -> io::Result<u64> {
    let bytes = file.stream_position()?;
    for patch in writer.patches() {
        file.seek(SeekFrom::Start(patch.offset))?;
        file.write_all(&patch.bytes)?;
    }
    file.sync_data()?;
    Ok(bytes)
}
