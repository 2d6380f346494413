//! The library with the real synthesiser and a real web server.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressPolicy;
use crate::sounds::Espeak;

/// Counts what reaches the synthesiser behind it.
struct Counting {
    espeak: Espeak,
    spoken: AtomicUsize,
}

impl Counting {
    fn new() -> Arc<Self> {
        Arc::new(Self { espeak: Espeak::new(), spoken: AtomicUsize::new(0) })
    }
}

impl Tts for Counting {
    fn fingerprint(&self) -> String {
        self.espeak.fingerprint()
    }

    fn synthesise<'a>(&'a self, request: &'a SpeechRequest) -> BoxFuture<'a, Result<Clip, SoundError>> {
        self.spoken.fetch_add(1, Ordering::SeqCst);
        self.espeak.synthesise(request)
    }
}

fn library(data: &Path, tts: Arc<dyn Tts>) -> SoundLibrary {
    SoundLibrary::new(data, tts, Egress::new(EgressPolicy::with_loopback()).unwrap())
}

fn text(text: &str) -> SpeechRequest {
    SpeechRequest { text: text.to_owned(), language: "en-US".to_owned(), voice: "WOMAN".to_owned() }
}

#[tokio::test]
async fn a_text_is_spoken_once_even_for_many_at_once_and_across_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let tts = Counting::new();
    let sounds = library(data.path(), tts.clone());
    let clips =
        futures_util::future::join_all((0..20).map(|_| sounds.speak(text("Please hold the line")))).await;
    let first = clips[0].clone().unwrap();
    assert!(first.duration_ms() > 500);
    assert!(clips.iter().all(|clip| Arc::ptr_eq(clip.as_ref().unwrap(), &first)));
    assert_eq!(tts.spoken.load(Ordering::SeqCst), 1);
    assert!(lock(&sounds.inner.making).is_empty());

    let restarted = library(data.path(), tts.clone());
    assert_eq!(restarted.speak(text("Please hold the line")).await.unwrap(), first);
    assert_eq!(tts.spoken.load(Ordering::SeqCst), 1);
    restarted.speak(text("Goodbye")).await.unwrap();
    assert_eq!(tts.spoken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_text_may_have_three_thousand_characters_and_no_more() {
    let data = tempfile::tempdir().unwrap();
    let sounds = library(data.path(), Counting::new());
    let longest: String = "é ".repeat(SPEECH_CHARS_MAX / 2);
    assert!(sounds.speak(text(&longest)).await.is_ok());
    let error = sounds.speak(text(&format!("{longest}a"))).await.unwrap_err();
    assert!(error.0.contains("3000 characters"), "{error}");
}

#[tokio::test]
async fn a_missing_synthesiser_is_an_error_that_is_not_kept() {
    let data = tempfile::tempdir().unwrap();
    let sounds = library(data.path(), Arc::new(Espeak::at("/nonexistent/espeak-ng")));
    for _ in 0..2 {
        let error = sounds.speak(text("hello")).await.unwrap_err();
        assert!(error.0.contains("install espeak-ng"), "{error}");
    }
    assert!(lock(&sounds.inner.making).is_empty());
}

fn stereo_wav(rate: u32) -> Vec<u8> {
    let spec =
        WavSpec { channels: 2, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for n in 0..rate * 2 {
        let phase = f64::from(n / 2) * 440.0 * std::f64::consts::TAU / f64::from(rate);
        writer.write_sample((phase.sin() * 10_000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

struct Site {
    base: String,
    hits: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

async fn site() -> Site {
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = hits.clone();
    let router = Router::new()
        .route(
            "/prompt.wav",
            get(move || async move {
                counter.fetch_add(1, Ordering::SeqCst);
                stereo_wav(44_100)
            }),
        )
        .route("/song.mp3", get(|| async { &b"ID3\x04\x00\x00"[..] }))
        .route("/song.ogg", get(|| async { &b"OggS\x00"[..] }))
        .route("/missing.wav", get(|| async { StatusCode::NOT_FOUND }))
        .route("/exact", get(|| async { vec![0_u8; FILE_BYTES_MAX] }))
        .route("/past", get(|| async { vec![0_u8; FILE_BYTES_MAX + 1] }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Site { base, hits, _tasks: tasks }
}

#[tokio::test]
async fn a_file_becomes_eight_kilohertz_mono_and_is_fetched_once_per_account() {
    let data = tempfile::tempdir().unwrap();
    let sounds = library(data.path(), Counting::new());
    let site = site().await;
    let url = format!("  {}/prompt.wav\n", site.base);
    let account = AccountId::new("MA_ONE");
    let clip = sounds.load(account.clone(), url.clone()).await.unwrap();
    assert_eq!(clip.duration_ms(), 1_000);
    let peak = clip.samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!((9_800..10_200).contains(&peak), "{peak}");
    assert!(Arc::ptr_eq(&sounds.load(account, url.clone()).await.unwrap(), &clip));
    assert_eq!(site.hits.load(Ordering::SeqCst), 1);
    sounds.load(AccountId::new("MA_TWO"), url).await.unwrap();
    assert_eq!(site.hits.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_cannot_be_played_says_why() {
    let data = tempfile::tempdir().unwrap();
    let sounds = library(data.path(), Counting::new());
    let site = site().await;
    for (path, word) in [
        ("/song.mp3", "MP3 playback is not built in"),
        ("/song.ogg", "OGG playback is not built in"),
        ("/missing.wav", "404"),
        ("/exact", "not audio"),
        ("/past", "longer than"),
    ] {
        let error = sounds.load(AccountId::new("MA_ONE"), format!("{}{path}", site.base)).await.unwrap_err();
        assert!(error.0.contains(word), "{path}: {error}");
    }
    let error = sounds.load(AccountId::new("MA_ONE"), "http://10.0.0.1/a.wav".to_owned()).await.unwrap_err();
    assert!(error.0.contains("not a public address"), "{error}");
}
