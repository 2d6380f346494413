//! The port behind which a speech synthesiser stands.

use futures_util::future::BoxFuture;
use tandem_model::ports::{Clip, SoundError, SpeechRequest};

/// Longest text spoken in one piece.
pub(crate) const SPEECH_CHARS_MAX: usize = 3_000;

/// Turns text into audio.
pub(crate) trait Tts: Send + Sync + 'static {
    /// Names the synthesiser and all that changes its sound: part of the cache key.
    fn fingerprint(&self) -> String;

    /// Speaks a text of at most [`SPEECH_CHARS_MAX`] characters.
    fn synthesise<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<Clip, SoundError>>;
}
