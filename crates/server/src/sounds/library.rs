//! The `Sounds` port: speech and files, decoded once, cached, shared.
//!
//! Whoever asks for a clip that is being made already waits for that one. Speech is kept in memory
//! and on disk; files of customers in memory, per account, for [`FILE_KEPT`].

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use sha2::{Digest as _, Sha256};
use tandem_model::ports::{Clip, Pending, SoundError, Sounds, SpeechRequest};
use tandem_model::{AccountId, clock};

use super::disk::ClipFolder;
use super::memory::ClipMemory;
use super::resample::to_telephone;
use super::{SPEECH_CHARS_MAX, Tts, wav};
use crate::egress::{Egress, EgressLimits, EgressRequest, EgressTarget, Overflow, Redirects};

/// Largest file loaded.
const FILE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How long a file may take to load, redirects included.
const FILE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a loaded file is used without asking again.
const FILE_KEPT: Duration = Duration::from_mins(5);
/// Memory for clips of both kinds.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Disk for speech.
const DISK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The folder under the data directory.
const SPEECH_FOLDER: &str = "speech-cache";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Speech(String),
    File(AccountId, String),
}

type Making = Shared<BoxFuture<'static, Result<Arc<Clip>, SoundError>>>;

struct Inner {
    tts: Arc<dyn Tts>,
    egress: Egress,
    folder: Arc<ClipFolder>,
    memory: Mutex<ClipMemory<Key>>,
    making: Mutex<HashMap<Key, Making>>,
}

/// Speech and files as clips. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SoundLibrary {
    inner: Arc<Inner>,
}

impl SoundLibrary {
    /// A library that speaks through `tts`, loads through `egress` and keeps speech under `data`.
    pub(crate) fn new(data: &Path, tts: Arc<dyn Tts>, egress: Egress) -> Self {
        let inner = Inner {
            tts,
            egress,
            folder: Arc::new(ClipFolder::new(&data.join(SPEECH_FOLDER), DISK_BYTES_MAX)),
            memory: Mutex::new(ClipMemory::new(MEMORY_BYTES_MAX)),
            making: Mutex::new(HashMap::new()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Finds a clip in memory, joins whoever makes it, or makes it.
    async fn obtain<F>(&self, key: Key, make: impl FnOnce(Self) -> F) -> Result<Arc<Clip>, SoundError>
    where
        F: Future<Output = Result<Arc<Clip>, SoundError>> + Send + 'static,
    {
        if let Some(clip) = lock(&self.inner.memory).find(&key, clock::monotonic()) {
            return Ok(clip);
        }
        let making = lock(&self.inner.making)
            .entry(key.clone())
            .or_insert_with(|| make(self.clone()).boxed().shared())
            .clone();
        let outcome = making.clone().await;
        let mut makers = lock(&self.inner.making);
        if makers.get(&key).is_some_and(|current| current.ptr_eq(&making)) {
            makers.remove(&key);
        }
        drop(makers);
        if let Ok(clip) = &outcome {
            let expires_at = match key {
                Key::Speech(_) => None,
                Key::File(..) => Some(clock::monotonic() + FILE_KEPT),
            };
            lock(&self.inner.memory).keep(key, clip.clone(), expires_at);
        }
        outcome
    }

    async fn make_speech(self, name: String, request: SpeechRequest) -> Result<Arc<Clip>, SoundError> {
        let folder = self.inner.folder.clone();
        let wanted = name.clone();
        let stored = tokio::task::spawn_blocking(move || folder.find(&wanted)).await;
        if let Ok(Some(clip)) = stored {
            return Ok(Arc::new(clip));
        }
        let clip = Arc::new(self.inner.tts.synthesise(&request).await?);
        let (folder, kept) = (self.inner.folder.clone(), clip.clone());
        let stored = tokio::task::spawn_blocking(move || folder.keep(&name, &kept)).await;
        if let Ok(Err(error)) = stored {
            tracing::warn!(%error, "a spoken text could not be kept on disk");
        }
        Ok(clip)
    }

    async fn make_file(self, url: String) -> Result<Arc<Clip>, SoundError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("Vobiz"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let request = EgressRequest {
            method: Method::GET,
            target: EgressTarget::parse(&url).map_err(|error| SoundError(error.to_string()))?,
            headers,
            body: Bytes::new(),
            limits: EgressLimits::new(FILE_TIMEOUT, FILE_BYTES_MAX, Overflow::Fail, Redirects::Follow),
        };
        let response =
            self.inner.egress.send(request).await.map_err(|error| SoundError(error.to_string()))?;
        if !response.status.is_success() {
            return Err(SoundError(format!("the server answered {}", response.status.as_u16())));
        }
        let decoded = tokio::task::spawn_blocking(move || {
            let audio = wav::decode(&response.body)?;
            Ok(Arc::new(Clip { samples: to_telephone(&audio.samples, audio.rate) }))
        });
        decoded.await.map_err(|error| SoundError(format!("decoding broke off: {error}")))?
    }
}

impl Sounds for SoundLibrary {
    fn speak(&self, request: SpeechRequest) -> Pending<'_, Result<Arc<Clip>, SoundError>> {
        Box::pin(async move {
            if request.text.chars().count() > SPEECH_CHARS_MAX {
                return Err(SoundError(format!("the text is longer than {SPEECH_CHARS_MAX} characters")));
            }
            let name = speech_name(&self.inner.tts.fingerprint(), &request);
            self.obtain(Key::Speech(name.clone()), |library| library.make_speech(name, request)).await
        })
    }

    fn load(&self, account: AccountId, url: String) -> Pending<'_, Result<Arc<Clip>, SoundError>> {
        Box::pin(async move {
            let url = url.trim().to_owned();
            self.obtain(Key::File(account, url.clone()), |library| library.make_file(url)).await
        })
    }
}

/// The hash under which a spoken text is kept.
fn speech_name(fingerprint: &str, request: &SpeechRequest) -> String {
    let mut hash = Sha256::new();
    for part in [fingerprint, &request.language, &request.voice, &request.text] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A cache is whole after every statement: a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
