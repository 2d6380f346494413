//! Reading WAV: PCM of 8, 16 or 24 bits and both G.711 laws, any channels, mixed to one.

use super::resample::resample_to_8k;
use crate::g711::Law;

/// Larger uploads are refused: an hour of 16-bit mono at 8 kHz.
pub const MAX_WAV_BYTES: usize = 64 * 1024 * 1024;

const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
const MAX_CHANNELS: u16 = 8;

const FORMAT_PCM: u16 = 1;
const FORMAT_ALAW: u16 = 6;
const FORMAT_ULAW: u16 = 7;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;

/// Audio of a WAV file, mixed to one channel, at its own rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels the file had.
    pub channels: u16,
    /// One channel of linear samples.
    pub samples: Vec<i16>,
}

/// Why a file is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// No RIFF/WAVE header.
    #[error("not a WAV file")]
    NotWav,
    /// The header ends early, or there is no format or data chunk.
    #[error("WAV file ends inside its header")]
    Truncated,
    /// An encoding we do not read.
    #[error("WAV encoding {format} with {bits} bits is not supported")]
    Encoding {
        /// wFormatTag.
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// A rate or channel count out of range.
    #[error("WAV with {channels} channels at {sample_rate} Hz is not supported")]
    Shape {
        /// Channels.
        channels: u16,
        /// Samples per second.
        sample_rate: u32,
    },
    /// Larger than [`MAX_WAV_BYTES`].
    #[error("WAV file is larger than {MAX_WAV_BYTES} bytes")]
    TooLarge,
}

#[derive(Clone, Copy)]
enum Sample {
    Unsigned8,
    Signed16,
    Signed24,
    Law(Law),
}

struct Format {
    sample: Sample,
    channels: u16,
    sample_rate: u32,
}

impl Wav {
    /// The audio at 8 kHz.
    pub fn to_8k(&self) -> Vec<i16> {
        resample_to_8k(&self.samples, self.sample_rate)
    }
}

/// Reads a file. A data chunk that says more than there is (a recording still running, or cut by
/// a crash) is read as far as it goes.
pub fn parse(bytes: &[u8]) -> Result<Wav, WavError> {
    if bytes.len() > MAX_WAV_BYTES {
        return Err(WavError::TooLarge);
    }
    let riff: &[u8; 12] = bytes.first_chunk().ok_or(WavError::NotWav)?;
    if !riff.starts_with(b"RIFF") || !riff.ends_with(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [k0, k1, k2, k3, s0, s1, s2, s3] = *head;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let content = body.get(..size.min(body.len())).unwrap_or_default();
        match &[k0, k1, k2, k3] {
            b"fmt " => format = Some(Format::parse(content)?),
            b"data" => {
                let format: &Format = format.as_ref().ok_or(WavError::Truncated)?;
                return Ok(Wav {
                    sample_rate: format.sample_rate,
                    channels: format.channels,
                    samples: format.mix(content),
                });
            }
            _ => {}
        }
        // Chunks are padded to even length.
        rest = body.get(size.saturating_add(size % 2)..).unwrap_or_default();
    }
    Err(WavError::Truncated)
}

impl Format {
    fn parse(chunk: &[u8]) -> Result<Self, WavError> {
        let fixed: &[u8; 16] = chunk.first_chunk().ok_or(WavError::Truncated)?;
        let [t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1] = *fixed;
        let mut format = u16::from_le_bytes([t0, t1]);
        if format == FORMAT_EXTENSIBLE {
            let sub: &[u8; 26] = chunk.first_chunk().ok_or(WavError::Truncated)?;
            format = u16::from_le_bytes([sub[24], sub[25]]);
        }
        let channels = u16::from_le_bytes([c0, c1]);
        let sample_rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let bits = u16::from_le_bytes([b0, b1]);
        let sample = match (format, bits) {
            (FORMAT_PCM, 8) => Sample::Unsigned8,
            (FORMAT_PCM, 16) => Sample::Signed16,
            (FORMAT_PCM, 24) => Sample::Signed24,
            (FORMAT_ULAW, 8) => Sample::Law(Law::Ulaw),
            (FORMAT_ALAW, 8) => Sample::Law(Law::Alaw),
            _ => return Err(WavError::Encoding { format, bits }),
        };
        if !RATES.contains(&sample_rate) || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(WavError::Shape { channels, sample_rate });
        }
        Ok(Self { sample, channels, sample_rate })
    }

    /// Whole frames only; the average of the channels.
    fn mix(&self, data: &[u8]) -> Vec<i16> {
        let channels = usize::from(self.channels);
        let width = self.sample.bytes();
        data.chunks_exact(width * channels)
            .map(|frame| {
                let sum: i32 = frame.chunks_exact(width).map(|sample| self.sample.read(sample)).sum();
                (sum / channels as i32) as i16
            })
            .collect()
    }
}

impl Sample {
    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::Law(_) => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
        }
    }

    fn read(self, bytes: &[u8]) -> i32 {
        match (self, bytes) {
            (Self::Unsigned8, [byte]) => (i32::from(*byte) - 128) << 8,
            (Self::Law(law), [byte]) => i32::from(law.decode(*byte)),
            (Self::Signed16, [low, high]) | (Self::Signed24, [_, low, high]) => {
                i32::from(i16::from_le_bytes([*low, *high]))
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn hound_file(spec: hound::WavSpec, samples: &[i32]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in samples {
            writer.write_sample(*sample).unwrap();
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn spec(channels: u16, bits_per_sample: u16) -> hound::WavSpec {
        hound::WavSpec {
            channels,
            sample_rate: 16_000,
            bits_per_sample,
            sample_format: hound::SampleFormat::Int,
        }
    }

    #[test]
    fn pcm_of_every_width_is_read_alike() {
        for (bits, shift) in [(8, 8), (16, 0), (24, -8i32)] {
            let samples: Vec<i32> = [0, 256, -256, 32_512, -32_768]
                .iter()
                .map(|s: &i32| if shift >= 0 { s >> shift } else { s << -shift })
                .collect();
            let wav = parse(&hound_file(spec(1, bits), &samples)).unwrap();
            assert_eq!(wav.samples, [0, 256, -256, 32_512, -32_768], "{bits} bits");
            assert_eq!((wav.sample_rate, wav.channels), (16_000, 1));
        }
    }

    #[test]
    fn stereo_is_averaged() {
        let wav = parse(&hound_file(spec(2, 16), &[100, 300, -32_768, -32_768])).unwrap();
        assert_eq!(wav.samples, [200, -32_768]);
    }

    #[test]
    fn what_is_not_supported_says_so() {
        assert_eq!(parse(b"ID3 this is an mp3"), Err(WavError::NotWav));
        assert_eq!(parse(b"RIFF\0\0\0\0WAVE"), Err(WavError::Truncated));
        let mut file = hound_file(spec(1, 16), &[0; 10]);
        file[20] = 85;
        assert_eq!(parse(&file), Err(WavError::Encoding { format: 85, bits: 16 }));
        let mut file = hound_file(spec(1, 16), &[0; 10]);
        file[24..28].copy_from_slice(&7_999u32.to_le_bytes());
        assert_eq!(parse(&file), Err(WavError::Shape { channels: 1, sample_rate: 7_999 }));
        file[24..28].copy_from_slice(&8_000u32.to_le_bytes());
        assert!(parse(&file).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            cut in 0usize..64, noise in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut file = hound_file(spec(2, 16), &[1; 8]);
            file.truncate(cut);
            file.extend(noise);
            let _ = parse(&file);
        }
    }
}
