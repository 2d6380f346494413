//! What a party will say, made before its script starts: synthesising in the middle of a call would shift its times.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tandem_script::audio;
use tandem_script::script::{Deed, KeyBy, Party, Sound};
use tandem_server::speech;

/// Largest file that is played.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Audio by the place of its step.
pub(super) type Sounds = HashMap<u32, Arc<[i16]>>;

/// Makes all of a party's sounds. An error begins with its place in the script.
pub(super) async fn prepare(party: &Party, folder: &Path) -> Result<Sounds, String> {
    let mut sounds = Sounds::new();
    for (index, step) in party.steps.iter().enumerate() {
        let made = match &step.deed {
            Deed::Sound(Sound::Speech { text, language, voice }, _) => {
                speech::speak(text, language, voice).await
            }
            Deed::Sound(Sound::File(path), _) => file(&folder.join(path)),
            Deed::Sound(Sound::Tone { hz, lasting }, _) => Ok(audio::tone(*hz, *lasting)),
            Deed::Press(keys, KeyBy::Inband, _) => Ok(audio::keys(keys)),
            Deed::Request(ask) => match &ask.body {
                Some(body) => serde_json::from_str::<serde_json::Value>(body)
                    .map(|_| Vec::new())
                    .map_err(|error| format!("`json`: {error}")),
                None => continue,
            },
            _ => continue,
        };
        let samples = made.map_err(|error| format!("{}: {}: {error}", step.place, step.title))?;
        sounds.insert(index as u32, samples.into());
    }
    Ok(sounds)
}

fn file(path: &Path) -> Result<Vec<i16>, String> {
    speech::wav(&bytes(path)?)
}

/// A file of bounded size.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(|error| told(&error))?.len();
    if size > MAX_FILE_BYTES {
        return Err(told(&format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read(path).map_err(|error| told(&error))
}
