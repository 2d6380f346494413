//! WAV files: prompts read from bytes, recordings written so that a crash costs nothing.
//!
//! [`parse`] takes what people upload and yields 8 kHz mono. [`WavWriter`] yields header bytes
//! whose sizes say "to the end of the file" until the recording is closed, so a file cut at any
//! point plays as far as it goes; [`recover`] writes the true sizes after a crash.

mod read;
mod resample;
mod write;

pub use read::{MAX_WAV_BYTES, Wav, WavError, parse};
pub use resample::{RESAMPLED_RATE, resample_to_8k};
pub use write::{MAX_DATA_BYTES, Patch, Patches, RecordFormat, WavWriter, recover};

/// Sample encoding of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// 16-bit little-endian linear.
    Pcm16,
    /// G.711 µ-law: half the size, and no worse for calls that were µ-law.
    #[default]
    Ulaw,
    /// G.711 A-law.
    Alaw,
}

impl Encoding {
    /// Bytes of one sample.
    pub fn sample_bytes(self) -> u16 {
        match self {
            Self::Pcm16 => 2,
            Self::Ulaw | Self::Alaw => 1,
        }
    }
}

/// Channel layout of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Channels {
    /// Both sides mixed.
    Mono,
    /// Caller left, callee right.
    #[default]
    Stereo,
}

impl Channels {
    /// How many.
    pub fn count(self) -> u16 {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}
