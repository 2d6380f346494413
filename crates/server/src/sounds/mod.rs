//! Speech and files as audio for the engine: 8 kHz, mono, 16 bit.
//!
//! The cast:
//! - [`SoundLibrary`]: the `Sounds` port; caches, single flight, limits.
//! - [`Tts`]: what turns text into audio; [`Espeak`] is the one that ships.
//! - `voices`: language tags and voice names to what espeak-ng has, nearest first.
//! - `wav`, `resample`: any WAV at any rate to 8 kHz mono.
//! - `memory`, `disk`: bounded caches.
//!
//! MP3 and OGG are not decoded: a clear error says so.

mod disk;
mod espeak;
mod library;
mod memory;
mod resample;
mod tts;
mod voices;
mod wav;

pub(crate) use espeak::Espeak;
pub(crate) use library::SoundLibrary;
pub(crate) use tts::{SPEECH_CHARS_MAX, Tts};

/// Any WAV as telephone audio.
pub(crate) fn decode_wav(file: &[u8]) -> Result<Vec<i16>, tandem_model::ports::SoundError> {
    let audio = wav::decode(file)?;
    Ok(resample::to_telephone(&audio.samples, audio.rate))
}
