//! Speech and WAV files as telephone audio, for the scripted caller: the same synthesiser and reader that calls use.

use tandem_model::ports::SpeechRequest;

use crate::sounds::{Espeak, Tts as _, decode_wav};

/// Speaks a text: 8 kHz, mono. An error says what to install.
pub async fn speak(text: &str, language: &str, voice: &str) -> Result<Vec<i16>, String> {
    let request =
        SpeechRequest { text: text.to_owned(), language: language.to_owned(), voice: voice.to_owned() };
    match Espeak::new().synthesise(&request).await {
        Ok(clip) => Ok(clip.samples),
        Err(error) => Err(error.0),
    }
}

/// Reads a WAV file: 8 kHz, mono.
pub fn wav(file: &[u8]) -> Result<Vec<i16>, String> {
    decode_wav(file).map_err(|error| error.0)
}
