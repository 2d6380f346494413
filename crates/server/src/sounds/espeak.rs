//! Speech by espeak-ng, one process per text. The text goes through stdin, never through a shell or
//! the argument list.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tandem_callflow::document::is_speech_markup;
use tandem_model::ports::{Clip, SoundError, SpeechRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::resample::to_telephone;
use super::voices::espeak_voice;
use super::{Tts, wav};

/// How long one text may take.
const SPEAK_TIMEOUT: Duration = Duration::from_secs(10);
/// Processes at once; more wait.
const PROCESSES_MAX: usize = 4;
/// Bytes of WAV accepted: about twelve minutes.
const WAV_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Words per minute: espeak's own 175 is brisk for a telephone.
const WORDS_PER_MINUTE: &str = "160";

/// The synthesiser that ships: small, quick, every language, robotic.
pub(crate) struct Espeak {
    program: String,
    slots: Semaphore,
}

impl Espeak {
    /// `espeak-ng` from the search path.
    pub(crate) fn new() -> Self {
        Self::at("espeak-ng")
    }

    /// espeak-ng at a path of its own.
    pub(crate) fn at(program: &str) -> Self {
        Self { program: program.to_owned(), slots: Semaphore::new(PROCESSES_MAX) }
    }

    async fn wav(&self, request: &SpeechRequest) -> Result<Vec<u8>, SoundError> {
        let voice = espeak_voice(&request.language, &request.voice);
        // Only markup that was made here: espeak-ng would open files that a customer's names.
        let markup = is_speech_markup(&request.text).then_some("-m");
        let mut child = Command::new(&self.program)
            .args(["-z", "-b", "1", "-s", WORDS_PER_MINUTE, "-v", &voice, "--stdin", "--stdout"])
            .args(markup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.cannot_run(&error))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SoundError("espeak-ng has no pipes".to_owned()));
        };
        let text = request.text.replace('\0', " ");
        let write = async move {
            // It reads all before it speaks; if it died, its status tells.
            drop(stdin.write_all(text.as_bytes()).await);
            drop(stdin.shutdown().await);
        };
        let read = async move {
            let mut file = Vec::new();
            stdout.take(WAV_BYTES_MAX).read_to_end(&mut file).await.map(|_| file)
        };
        let ((), file) = tokio::join!(write, read);
        let file = file.map_err(|error| SoundError(format!("espeak-ng broke off: {error}")))?;
        let status =
            child.wait().await.map_err(|error| SoundError(format!("espeak-ng broke off: {error}")))?;
        if !status.success() {
            return Err(SoundError(format!("espeak-ng failed with {status} for voice {voice}")));
        }
        Ok(file)
    }

    fn cannot_run(&self, error: &std::io::Error) -> SoundError {
        if error.kind() == ErrorKind::NotFound {
            return SoundError(format!(
                "{} is not on this machine: install espeak-ng (Debian, Ubuntu: apt install espeak-ng)",
                self.program
            ));
        }
        SoundError(format!("{} does not start: {error}", self.program))
    }
}

impl Default for Espeak {
    fn default() -> Self {
        Self::new()
    }
}

impl Tts for Espeak {
    fn fingerprint(&self) -> String {
        format!("espeak-ng/{WORDS_PER_MINUTE}")
    }

    fn synthesise<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<Clip, SoundError>> {
        Box::pin(async move {
            if request.text.trim().is_empty() {
                return Ok(Clip { samples: Vec::new() });
            }
            let slot = self.slots.acquire().await;
            let file = tokio::time::timeout(SPEAK_TIMEOUT, self.wav(request)).await.map_err(|_| {
                SoundError(format!("espeak-ng did not speak the text within {} s", SPEAK_TIMEOUT.as_secs()))
            })??;
            drop(slot);
            let decoded = tokio::task::spawn_blocking(move || {
                let audio = wav::decode(&file)?;
                Ok(Clip { samples: to_telephone(&audio.samples, audio.rate) })
            });
            decoded.await.map_err(|error| SoundError(format!("decoding broke off: {error}")))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn speak(text: &str, language: &str, voice: &str) -> Clip {
        let request =
            SpeechRequest { text: text.to_owned(), language: language.to_owned(), voice: voice.to_owned() };
        Espeak::new().synthesise(&request).await.unwrap()
    }

    fn power(clip: &Clip) -> f64 {
        let sum: f64 = clip.samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        sum / clip.samples.len().max(1) as f64
    }

    #[tokio::test]
    async fn a_sentence_is_spoken_audibly_and_at_a_sane_length() {
        let clip = speak("Welcome to the hotel. Press one for the reception.", "en-US", "WOMAN").await;
        assert!((1_500..8_000).contains(&clip.duration_ms()), "{} ms", clip.duration_ms());
        assert!(power(&clip).sqrt() > 500.0, "rms {}", power(&clip).sqrt());
    }

    #[tokio::test]
    async fn voices_and_languages_sound_different() {
        for language in ["en-GB", "en-IN", "en-US", "fr-FR", "pt-BR", "hi-IN", "de-DE", "es-US"] {
            let woman = speak("Good morning", language, "WOMAN").await;
            let man = speak("Good morning", language, "MAN").await;
            assert!(woman != man, "{language}");
        }
        for (text, language) in [
            ("नमस्ते, आप कैसे हैं", "hi-IN"),
            ("வணக்கம்", "ta-IN"),
            ("How may I help you", "en-IN"),
            ("Hello from nowhere", "xx-XX"),
        ] {
            let clip = speak(text, language, "WOMAN").await;
            assert!(clip.duration_ms() > 300 && power(&clip).sqrt() > 300.0, "{language}");
        }
    }

    #[tokio::test]
    async fn a_text_that_looks_like_options_or_a_shell_is_just_spoken() {
        let marker = tempfile::tempdir().unwrap();
        let path = marker.path().join("owned");
        for text in [format!("$(touch {0}); `touch {0}`", path.display()), format!("-w {}", path.display())] {
            assert!(speak(&text, "en-US", "MAN").await.duration_ms() > 300);
            assert!(!path.exists());
        }
        assert_eq!(speak("  ", "en-US", "MAN").await.duration_ms(), 0);
    }

    #[tokio::test]
    async fn pauses_and_rates_are_carried_and_foreign_markup_is_only_text() {
        let plain = speak("one two three four", "en-US", "WOMAN").await.duration_ms();
        let paused =
            speak("<speak>one two<break time=\"2000ms\"/> three four</speak>", "en-US", "WOMAN").await;
        assert!(
            (plain + 1_500..plain + 2_800).contains(&paused.duration_ms()),
            "{} {plain}",
            paused.duration_ms()
        );
        let slow =
            speak("<speak><prosody rate=\"50%\">one two three four</prosody></speak>", "en-US", "WOMAN")
                .await;
        assert!(slow.duration_ms() > plain * 13 / 10, "{} {plain}", slow.duration_ms());
        let marker = tempfile::tempdir().unwrap();
        let foreign = format!("<speak><audio src=\"{}\">hello</audio></speak>", marker.path().display());
        assert!(speak(&foreign, "en-US", "WOMAN").await.duration_ms() > 300);
    }

    #[tokio::test]
    async fn a_missing_program_says_what_to_install() {
        let request =
            SpeechRequest { text: "hello".to_owned(), language: "en-US".to_owned(), voice: "MAN".to_owned() };
        let error = Espeak::at("/nonexistent/espeak-ng").synthesise(&request).await.unwrap_err();
        assert!(error.0.contains("install espeak-ng"), "{error}");
    }
}
