//! MP3 from a closed WAV of ours: MPEG-2.5 Layer III at 8 kHz, each side of a stereo recording in a channel of its own. The
//! file is in its place only when it is whole. It blocks.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use mp3lame_encoder::{Bitrate, Builder, DualPcm, Encoder, FlushGap, Mode, MonoPcm, Quality};

/// Samples of a channel encoded at once: a second.
const CHUNK: usize = 8_000;
const SAMPLE_RATE: u32 = 8_000;
/// Bytes before the audio of a WAV with linear samples, and where its header counts channels.
const HEADER: usize = 44;
const CHANNELS: usize = 22;
/// A frame of the encoder, in samples.
const MOMENT: usize = 576;
/// What the encoder may still hold at the end.
const FLUSH: usize = 7_200;

/// Encodes `wav` into `mp3`; returns the size.
pub(super) fn encode(wav: &Path, mp3: &Path) -> io::Result<u64> {
    let mut source = File::open(wav)?;
    let mut header = [0; HEADER];
    source.read_exact(&mut header)?;
    let stereo = match header.get(CHANNELS) {
        Some(1) => false,
        Some(2) => true,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    source.seek(SeekFrom::Start(HEADER as u64))?;
    let part = mp3.with_extension("part");
    let mut target = File::create(&part)?;
    let written = transcode(&mut source, &mut target, stereo)?;
    target.sync_data()?;
    std::fs::rename(&part, mp3)?;
    if let Some(folder) = mp3.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(written)
}

fn transcode(source: &mut File, target: &mut File, stereo: bool) -> io::Result<u64> {
    let mut encoder = encoder(stereo)?;
    let frame = if stereo { 4 } else { 2 };
    let mut bytes = vec![0; CHUNK * frame];
    let (mut left, mut right) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    let mut out = Vec::new();
    let mut written = 0;
    loop {
        let filled = fill(source, &mut bytes)?;
        let audio = bytes.get(..filled - filled % frame).unwrap_or_default();
        left.clear();
        right.clear();
        for samples in audio.chunks_exact(frame) {
            let mut sides = samples.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes));
            left.extend(sides.next());
            right.extend(sides.next());
        }
        if left.is_empty() && written == 0 {
            // An encoder that was given nothing complains; a moment of silence is as good as none.
            left.resize(MOMENT, 0);
            right.resize(MOMENT, 0);
        }
        out.reserve(mp3lame_encoder::max_required_buffer_size(left.len()));
        let encoded = if stereo {
            encoder.encode_to_vec(DualPcm { left: &left, right: &right }, &mut out)
        } else {
            encoder.encode_to_vec(MonoPcm(&left), &mut out)
        };
        encoded.map_err(|error| io::Error::other(format!("MP3: {error:?}")))?;
        if filled < bytes.len() {
            out.reserve(FLUSH);
            let flushed = encoder.flush_to_vec::<FlushGap>(&mut out);
            flushed.map_err(|error| io::Error::other(format!("MP3: {error:?}")))?;
        }
        target.write_all(&out)?;
        written += out.len() as u64;
        out.clear();
        if filled < bytes.len() {
            return Ok(written);
        }
    }
}

fn encoder(stereo: bool) -> io::Result<Encoder> {
    let failed = |what: &str| io::Error::other(format!("the MP3 encoder cannot be set up: {what}"));
    // Speech at 8 kHz is transparent at 16 kbit/s a channel.
    let (channels, bitrate, mode) =
        if stereo { (2, Bitrate::Kbps32, Mode::Stereo) } else { (1, Bitrate::Kbps16, Mode::Mono) };
    let mut builder = Builder::new().ok_or_else(|| failed("no memory"))?;
    builder.set_num_channels(channels).map_err(|_| failed("channels"))?;
    builder.set_sample_rate(SAMPLE_RATE).map_err(|_| failed("rate"))?;
    builder.set_brate(bitrate).map_err(|_| failed("bit rate"))?;
    builder.set_quality(Quality::Good).map_err(|_| failed("quality"))?;
    // Joint stereo would let one party be heard behind the other.
    builder.set_mode(mode).map_err(|_| failed("mode"))?;
    builder.build().map_err(|error| failed(&format!("{error:?}")))
}

/// Reads until the buffer is full or the file ends.
fn fill(source: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::SampleBuffer;
    use symphonia::core::codecs::{Decoder as _, DecoderOptions};
    use symphonia::core::formats::{FormatOptions, FormatReader as _};
    use symphonia::core::io::MediaSourceStream;
    use symphonia::default::codecs::MpaDecoder;
    use symphonia::default::formats::MpaReader;
    use tandem_media::RecordFormat;
    use tandem_media::energy::{Tone, tone_dbfs};
    use tandem_media::wav::{Channels, Encoding, WavWriter};

    use super::*;

    const LENGTH: usize = 3 * 8_000;

    fn tone(hz: u16) -> Vec<i16> {
        Tone::Sine { hz, level_dbfs: -10 }.samples(std::time::Duration::from_secs(3))
    }

    fn wav(folder: &Path, channels: Channels) -> std::path::PathBuf {
        let path = folder.join("r.wav");
        let mut bytes = WavWriter::new(RecordFormat { encoding: Encoding::Pcm16, channels }).header();
        for (left, right) in tone(1_000).into_iter().zip(tone(400)) {
            bytes.extend(left.to_le_bytes());
            if channels == Channels::Stereo {
                bytes.extend(right.to_le_bytes());
            }
        }
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Both channels as another program hears them; mono is the same twice.
    fn heard(path: &Path) -> (Vec<i16>, Vec<i16>) {
        let source = MediaSourceStream::new(Box::new(File::open(path).unwrap()), Default::default());
        let mut reader = MpaReader::try_new(source, &FormatOptions::default()).unwrap();
        let track = reader.default_track().unwrap().codec_params.clone();
        assert_eq!(track.sample_rate, Some(SAMPLE_RATE));
        let mut decoder = MpaDecoder::try_new(&track, &DecoderOptions::default()).unwrap();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while let Ok(packet) = reader.next_packet() {
            let decoded = decoder.decode(&packet).unwrap();
            let mut samples = SampleBuffer::<i16>::new(decoded.capacity() as u64, *decoded.spec());
            let channels = decoded.spec().channels.count();
            samples.copy_interleaved_ref(decoded);
            for frame in samples.samples().chunks(channels) {
                left.push(frame[0]);
                right.push(frame[channels - 1]);
            }
        }
        (left, right)
    }

    #[test]
    fn each_side_is_heard_in_its_channel_and_the_length_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        for (channels, right_hz) in [(Channels::Mono, 1_000.0), (Channels::Stereo, 400.0)] {
            let mp3 = folder.path().join("r.mp3");
            let bytes = encode(&wav(folder.path(), channels), &mp3).unwrap();
            assert_eq!(std::fs::metadata(&mp3).unwrap().len(), bytes);
            assert!(!folder.path().join("r.part").exists());
            let (left, right) = heard(&mp3);
            assert!(left.len() >= LENGTH && left.len() < LENGTH + 2_500, "{} samples", left.len());
            let middle = 4_000..20_000;
            for (side, hz, other) in [(&left, 1_000.0, 400.0), (&right, right_hz, 1_400.0 - right_hz)] {
                assert!(tone_dbfs(&side[middle.clone()], hz) > -12.0, "{channels:?}: {hz} Hz is not heard");
                assert!(tone_dbfs(&side[middle.clone()], other) < -50.0, "{channels:?}: {other} Hz is heard");
            }
        }
    }

    #[test]
    fn an_empty_recording_and_one_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mp3) = (folder.path().join("r.wav"), folder.path().join("r.mp3"));
        let format = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Mono };
        std::fs::write(&path, WavWriter::new(format).header()).unwrap();
        encode(&path, &mp3).unwrap();
        std::fs::write(&path, b"no wav").unwrap();
        assert!(encode(&path, &mp3).is_err());
        assert!(encode(&folder.path().join("absent.wav"), &mp3).is_err());
    }
}
