//! A recording's file as it lies on disk, once nobody writes to it: measured, and closed if a crash left it open.
//!
//! Used by the service at a call's end and when it finds files that a process left behind. It blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use tandem_media::wav::recover;

/// Bytes that tell a WAV's format and the place of its audio: the longest header the recorder writes.
const HEAD: u64 = 58;
/// Where a header says how many bytes a second has.
const BYTE_RATE: std::ops::Range<usize> = 28..32;
/// Where it says how the audio is coded, and the word for linear PCM.
const TAG: std::ops::Range<usize> = 20..22;
const PCM: [u8; 2] = [1, 0];
const PCM_HEADER: u64 = 44;

/// A file's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingFile {
    /// Its size.
    pub bytes: u64,
    /// Length of its audio.
    pub duration_ms: u64,
}

impl RecordingFile {
    /// Measures the file at `path`. Sizes that its recorder did not live to write are put in first, and are on disk when
    /// this returns. [`io::ErrorKind::InvalidData`]: no recording of ours, or not even a whole header.
    pub fn closed(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = file.metadata()?.len();
        let mut head = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut head)?;
        let audio = bytes
            .checked_sub(header_len(&head))
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let rate = head.get(BYTE_RATE).and_then(|rate| rate.first_chunk().copied()).map(u32::from_le_bytes);
        let rate = rate.filter(|rate| *rate > 0 && head.starts_with(b"RIFF"));
        let rate = rate.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        close(&mut file, &head, bytes)?;
        Ok(Self { bytes, duration_ms: audio.saturating_mul(1_000) / u64::from(rate) })
    }
}

fn header_len(head: &[u8]) -> u64 {
    if head.get(TAG) == Some(&PCM) { PCM_HEADER } else { HEAD }
}

fn close(file: &mut File, head: &[u8], bytes: u64) -> io::Result<()> {
    let Some(patches) = recover(head, bytes) else { return Ok(()) };
    for patch in patches {
        file.seek(SeekFrom::Start(patch.offset))?;
        file.write_all(&patch.bytes)?;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use tandem_media::RecordFormat;
    use tandem_media::wav::{Channels, Encoding, WavWriter};

    use super::*;

    fn written(encoding: Encoding, audio: usize) -> tempfile::NamedTempFile {
        let writer = WavWriter::new(RecordFormat { encoding, channels: Channels::Stereo });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&writer.header()).unwrap();
        file.write_all(&vec![7; audio]).unwrap();
        file
    }

    #[test]
    fn a_file_that_a_crash_left_open_is_closed_and_measured_and_stays_so() {
        for (encoding, bytes, header) in [(Encoding::Pcm16, 32_000, 44), (Encoding::Ulaw, 16_000, 58)] {
            let file = written(encoding, bytes);
            let measured = RecordingFile::closed(file.path()).unwrap();
            assert_eq!(measured, RecordingFile { bytes: bytes as u64 + header, duration_ms: 1_000 });
            let closed = std::fs::read(file.path()).unwrap();
            let riff = u32::from_le_bytes(*closed[4..].first_chunk().unwrap());
            assert_eq!(u64::from(riff), measured.bytes - 8);
            assert_eq!(RecordingFile::closed(file.path()).unwrap(), measured);
            assert_eq!(std::fs::read(file.path()).unwrap(), closed, "a second time changes nothing");
        }
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let file = written(Encoding::Pcm16, 0);
        assert_eq!(RecordingFile::closed(file.path()).unwrap().duration_ms, 0);
        let whole = std::fs::read(file.path()).unwrap();
        for broken in [
            &whole[..43],
            &whole[..0],
            b"no wav at all, but longer than fifty-eight bytes, much longer".as_slice(),
        ] {
            std::fs::write(file.path(), broken).unwrap();
            let error = RecordingFile::closed(file.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
