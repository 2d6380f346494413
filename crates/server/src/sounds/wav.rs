//! Reading WAV: PCM of 8 to 32 bit, float, G.711 in either law, any channel count, mixed to mono.
//!
//! Written here because files from telephony are often G.711, which the usual reader refuses, and
//! because a synthesiser that writes to a pipe cannot know the lengths in its header: a `data` chunk
//! longer than the file reaches to the end of the file.

use tandem_model::ports::SoundError;

/// Sampling rates accepted: outside, the header is wrong or a trap for memory.
const RATE_MIN: u32 = 4_000;
const RATE_MAX: u32 = 192_000;
/// Channels accepted.
const CHANNELS_MAX: u16 = 8;

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// Mono audio at its own rate; full scale is ±1.
#[derive(Debug, PartialEq)]
pub(super) struct Audio {
    pub(super) rate: u32,
    pub(super) samples: Vec<f32>,
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

/// Decodes a whole file.
pub(super) fn decode(file: &[u8]) -> Result<Audio, SoundError> {
    let (Some(b"RIFF"), Some(b"WAVE")) = (file.get(..4), file.get(8..12)) else {
        return Err(SoundError(not_wav(file).to_owned()));
    };
    let mut rest = file.get(12..).unwrap_or_default();
    let mut format = None;
    while let (Some(id), Some(length)) = (rest.get(..4), u32_at(rest, 4)) {
        let body = rest.get(8..).unwrap_or_default();
        let chunk = body.get(..length as usize).unwrap_or(body);
        match id {
            b"fmt " => format = Some(parse_format(chunk)?),
            b"data" => {
                let format = format.ok_or_else(|| broken("its data comes before its format"))?;
                return samples(format, chunk);
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        let next = (length as usize).saturating_add(length as usize % 2);
        rest = body.get(next..).unwrap_or_default();
    }
    Err(broken("it has no data"))
}

fn parse_format(chunk: &[u8]) -> Result<Format, SoundError> {
    let short = || broken("its format chunk is too short");
    let mut tag = u16_at(chunk, 0).ok_or_else(short)?;
    let channels = u16_at(chunk, 2).ok_or_else(short)?;
    let rate = u32_at(chunk, 4).ok_or_else(short)?;
    let bits = u16_at(chunk, 14).ok_or_else(short)?;
    if tag == EXTENSIBLE {
        // The sub-format GUID begins with the tag proper.
        tag = u16_at(chunk, 24).ok_or_else(short)?;
    }
    if !(RATE_MIN..=RATE_MAX).contains(&rate) {
        return Err(broken(&format!("its sampling rate is {rate} Hz")));
    }
    if channels == 0 || channels > CHANNELS_MAX {
        return Err(broken(&format!("it has {channels} channels")));
    }
    Ok(Format { tag, channels, rate, bits })
}

fn samples(format: Format, data: &[u8]) -> Result<Audio, SoundError> {
    let (width, sample): (usize, fn(&[u8]) -> f32) = match (format.tag, format.bits) {
        (PCM, 8) => (1, |b| (f32::from(b[0]) - 128.0) / 128.0),
        (PCM, 16) => (2, |b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0),
        (PCM, 24) => (3, |b| i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2_147_483_648.0),
        (PCM, 32) => (4, |b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0),
        (FLOAT, 32) => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        (FLOAT, 64) => (8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
        (A_LAW, 8) => (1, |b| f32::from(a_law(b[0])) / 32_768.0),
        (MU_LAW, 8) => (1, |b| f32::from(mu_law(b[0])) / 32_768.0),
        (tag, bits) => {
            return Err(SoundError(format!(
                "WAV with coding {tag:#06x} of {bits} bits is not supported: use PCM or G.711"
            )));
        }
    };
    let channels = usize::from(format.channels);
    let finite = |value: f32| if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 };
    let samples = data
        .chunks_exact(width * channels)
        .map(|frame| {
            frame.chunks_exact(width).map(|bytes| finite(sample(bytes))).sum::<f32>() / channels as f32
        })
        .collect();
    Ok(Audio { rate: format.rate, samples })
}

/// ITU-T G.711 µ-law to linear.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = (((i32::from(byte & 0x0f) << 3) + 0x84) << exponent) - 0x84;
    (if byte & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// ITU-T G.711 A-law to linear.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 7;
    let mantissa = i32::from(byte & 0x0f) << 4;
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    (if byte & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

/// What a file that is no WAV is, as far as its first bytes tell.
fn not_wav(file: &[u8]) -> &'static str {
    match file {
        [b'I', b'D', b'3', ..] | [0xff, 0xe0..=0xff, ..] => "MP3 playback is not built in: use a WAV file",
        [b'O', b'g', b'g', b'S', ..] => "OGG playback is not built in: use a WAV file",
        [b'f', b'L', b'a', b'C', ..] => "FLAC playback is not built in: use a WAV file",
        [] => "the file is empty",
        _ => "the file is not audio this server can play: use a WAV file",
    }
}

fn broken(words: &str) -> SoundError {
    SoundError(format!("the WAV file is broken: {words}"))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hound::{SampleFormat, WavSpec, WavWriter};
    use proptest::prelude::*;

    use super::*;

    fn header(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], length: u32) -> Vec<u8> {
        let mut file = b"RIFF\xff\xff\xff\xffWAVEjunk\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * u32::from(channels) * u32::from(bits) / 8).to_le_bytes());
        file.extend((channels * bits / 8).to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(length.to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn what_an_independent_writer_wrote_is_read() {
        for (bits, format) in [
            (8, SampleFormat::Int),
            (16, SampleFormat::Int),
            (24, SampleFormat::Int),
            (32, SampleFormat::Int),
            (32, SampleFormat::Float),
        ] {
            let spec =
                WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample: bits, sample_format: format };
            let mut file = Cursor::new(Vec::new());
            let mut writer = WavWriter::new(&mut file, spec).unwrap();
            // Left half of full scale, right zero: mono is a quarter.
            for _ in 0..100 {
                match format {
                    SampleFormat::Int => {
                        writer.write_sample(1_i32 << (bits - 2)).unwrap();
                        writer.write_sample(0_i32).unwrap();
                    }
                    SampleFormat::Float => {
                        writer.write_sample(0.5_f32).unwrap();
                        writer.write_sample(0.0_f32).unwrap();
                    }
                }
            }
            writer.finalize().unwrap();
            let audio = decode(&file.into_inner()).unwrap();
            assert_eq!((audio.rate, audio.samples.len()), (44_100, 100));
            assert!(audio.samples.iter().all(|sample| (sample - 0.25).abs() < 0.001), "{bits} {format:?}");
        }
    }

    #[test]
    fn both_laws_of_g711_are_read() {
        // Reference points of ITU-T G.711, 16-bit aligned.
        for (byte, linear) in [(0xff, 0), (0x80, 32_124), (0x00, -32_124), (0xef, 132), (0x7f, 0)] {
            assert_eq!(mu_law(byte), linear, "{byte:#x}");
        }
        for (byte, linear) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xc5, 264)] {
            assert_eq!(a_law(byte), linear, "{byte:#x}");
        }
        let audio = decode(&header(MU_LAW, 1, 8_000, 8, &[0x80, 0x00], 2)).unwrap();
        assert_eq!(audio.samples, [32_124.0 / 32_768.0, -32_124.0 / 32_768.0]);
        assert_eq!(decode(&header(A_LAW, 1, 8_000, 8, &[0xaa; 10], 10)).unwrap().samples.len(), 10);
    }

    #[test]
    fn a_length_that_a_pipe_could_not_know_reaches_to_the_end() {
        let audio = decode(&header(PCM, 1, 22_050, 16, &[0; 100], 0x7fff_f000)).unwrap();
        assert_eq!(audio.samples.len(), 50);
    }

    #[test]
    fn what_is_not_playable_says_what_it_is() {
        for (file, word) in [
            (&b"ID3\x04"[..], "MP3"),
            (b"\xff\xfb\x90\x00", "MP3"),
            (b"OggS", "OGG"),
            (b"fLaC", "FLAC"),
            (b"<html>", "not audio"),
            (b"", "empty"),
        ] {
            assert!(decode(file).unwrap_err().0.contains(word), "{word}");
        }
        assert!(decode(&header(2, 1, 8_000, 4, &[0; 4], 4)).unwrap_err().0.contains("not supported"));
        assert!(decode(&header(PCM, 1, RATE_MIN, 16, &[0; 4], 4)).is_ok());
        assert!(decode(&header(PCM, 1, RATE_MIN - 1, 16, &[0; 4], 4)).is_err());
        assert!(decode(&header(PCM, 1, RATE_MAX, 16, &[0; 4], 4)).is_ok());
        assert!(decode(&header(PCM, 1, RATE_MAX + 1, 16, &[0; 4], 4)).is_err());
        assert!(decode(&header(PCM, 0, 8_000, 16, &[0; 4], 4)).is_err());
        assert!(decode(&header(PCM, CHANNELS_MAX, 8_000, 16, &[0; 16], 16)).is_ok());
        assert!(decode(&header(PCM, CHANNELS_MAX + 1, 8_000, 16, &[0; 18], 18)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_crash_the_reader(mut file in prop::collection::vec(any::<u8>(), 0..200), wav: bool) {
            if wav && file.len() >= 12 {
                file[..4].copy_from_slice(b"RIFF");
                file[8..12].copy_from_slice(b"WAVE");
                if file.len() > 30 {
                    file[12..16].copy_from_slice(b"fmt ");
                }
            }
            let _ = decode(&file);
        }
    }
}
