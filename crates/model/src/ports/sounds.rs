//! Speech and files as audio.

use std::sync::Arc;

use thiserror::Error;

use super::Pending;
use crate::AccountId;

/// Decoded audio: 8 kHz, mono, 16 bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The samples.
    pub samples: Vec<i16>,
}

impl Clip {
    /// Its length in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 / 8
    }
}

/// Text to speak.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpeechRequest {
    /// Plain text; or, from `<speak>` to `</speak>`, text with `<break time="…ms"/>` and `<prosody rate="…%">` and no other
    /// markup.
    pub text: String,
    /// BCP 47 tag such as `en-US`; an unknown one gets the nearest voice.
    pub language: String,
    /// `WOMAN`, `MAN` or a named voice.
    pub voice: String,
}

/// Audio could not be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct SoundError(pub String);

/// Speech and files.
pub trait Sounds: Send + Sync {
    /// Speaks a text; cached.
    fn speak(&self, request: SpeechRequest) -> Pending<'_, Result<Arc<Clip>, SoundError>>;

    /// Loads an audio file from a customer's URL through the guarded client; cached.
    fn load(&self, account: AccountId, url: String) -> Pending<'_, Result<Arc<Clip>, SoundError>>;
}
