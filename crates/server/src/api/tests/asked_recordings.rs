//! Recordings that documents and the API asked for: completed whatever happens to the process, told once.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_media::RecordFormat;
use tandem_media::energy::Tone;
use tandem_media::wav::{Channels, Encoding, WavWriter};
use tandem_model::{
    AccountId, CallDirection, CallFacts, CallId, HttpMethod, Ids, RecordingChannels, RecordingFormat,
    RecordingId, RecordingOrder, RecordingTell, RecordingWords, UrlCall, clock,
};
use tandem_store::recordings::{NoteRecording, OpenRecording};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::recordings::customers;
use super::{House, Login};
use crate::recordings::{Begun, Completer, RecordingWebhook};

/// A recording asked for by a document of an account, with its file as the engine leaves it.
impl House {
    fn asked(&self, account: &str, format: RecordingFormat, webhook: Option<&str>) -> Begun {
        let url = |url: &str| UrlCall { url: url.to_owned(), method: HttpMethod::Post };
        let call = CallId::random();
        let account = AccountId::new(account);
        let facts = CallFacts {
            call,
            account: account.clone(),
            direction: CallDirection::Inbound,
            from: "919812345678".to_owned(),
            to: "918012345678".to_owned(),
            caller_name: String::new(),
            started_at: clock::wall(),
            bill_rate: "0.45000".to_owned(),
            parent_account: account.clone(),
            a_leg: call,
            forwarded_from: None,
            custom_headers: Vec::new(),
        };
        let tell =
            |name: &str, words| RecordingTell { call: url(&format!("https://app.example/{name}")), words };
        std::fs::create_dir_all(self.files()).unwrap();
        Begun {
            id: RecordingId(Ids::random()),
            facts,
            payer: account.clone(),
            order: RecordingOrder {
                format,
                channels: RecordingChannels::Stereo,
                max_length: Duration::from_mins(1),
                silence: None,
                action: Some(url("https://app.example/action")),
                tells: vec![
                    tell("stop", RecordingWords::RecordStop),
                    tell("api", RecordingWords::Api { api_id: "x".to_owned() }),
                ],
            },
            started_at: clock::wall(),
            webhook: webhook.map(|place| RecordingWebhook { call: url(place), account, trunk: None }),
        }
    }

    fn files(&self) -> std::path::PathBuf {
        self.recordings.path_of_call(CallId::random()).parent().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.files()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn wav_path(&self, begun: &Begun) -> std::path::PathBuf {
        self.files().join(format!("{}.{}.wav", begun.facts.call, begun.id))
    }

    async fn note(&self, begun: &Begun) {
        let file = format!("{}.{}.wav", begun.facts.call, begun.id);
        let facts = serde_json::to_string(begun).unwrap();
        let node = self.recordings.node().to_owned();
        let open = OpenRecording { id: begun.id, node, file, facts, started_at: begun.started_at };
        self.submit(NoteRecording(open)).await;
    }

    /// Runs a completer, as a start does, until so many recordings of somebody are listed and nothing is open, or two
    /// seconds are over.
    async fn complete(&self, who: &Login, until: usize) -> Vec<Value> {
        let stop = CancellationToken::new();
        let recordings = self.recordings.clone();
        recordings.served_at("http://api.example");
        let completer = Completer { recordings, reader: self.store.reader(), writer: self.writer.clone() };
        let running = TaskTracker::new().spawn(completer.run(stop.clone()));
        for _ in 0..100 {
            let open = self.store.reader().open_recordings(self.recordings.node()).await.unwrap();
            if open.is_empty() && self.listed(who, "").await.len() >= until {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        running.await.unwrap();
        self.listed(who, "").await
    }

    /// What waits to be told of a call: kind, URL, and body.
    async fn told(&self, call: CallId) -> Vec<(String, String, String)> {
        let rows = self.store.reader().outbox_by_call(call).await.unwrap();
        let mut told: Vec<_> =
            rows.into_iter().map(|row| (row.event.kind, row.event.url, row.event.body)).collect();
        told.sort();
        told
    }
}

/// Two seconds of a tone on the left, another on the right, as a process that is killed leaves it.
fn wav() -> Vec<u8> {
    let tone = |hz| Tone::Sine { hz, level_dbfs: -10 }.samples(Duration::from_secs(2));
    let format = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Stereo };
    let mut bytes = WavWriter::new(format).header();
    for (left, right) in tone(1_000).into_iter().zip(tone(400)) {
        bytes.extend(left.to_le_bytes());
        bytes.extend(right.to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn what_a_killed_process_was_recording_is_completed_once_and_everybody_is_told() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let begun = house.asked(&owner.id, RecordingFormat::Mp3, Some("https://shop.example/events"));
    std::fs::write(house.wav_path(&begun), wav()).unwrap();
    house.note(&begun).await;
    let rows = house.complete(&owner, 1).await;
    assert_eq!(rows.len(), 1);
    let (row, id) = (&rows[0], begun.id);
    let url = format!("http://api.example/api/v1/Account/{}/Recording/{id}.mp3", owner.id);
    for (name, value) in [
        ("recording_format", "mp3"),
        ("recording_type", "call"),
        ("recording_duration_ms", "2000.00000"),
        ("from_number", "+919812345678"),
        ("to_number", "+918012345678"),
        ("recording_url", &url),
    ] {
        assert_eq!(row[name], value, "{name}");
    }

    let path = url.strip_prefix("http://api.example").unwrap();
    let (status, headers, length) = house.fetch(path, Some(&owner), "").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "audio/mpeg"));
    assert!(length > 5_000);
    assert_eq!(headers["content-disposition"], format!("attachment; filename=\"{id}.mp3\""));
    assert_eq!(house.fetch(path, Some(&owner), "bytes=0-9").await.0, 206);
    assert_eq!(house.fetch(&path.replace(".mp3", ".wav"), Some(&owner), "").await.0, 404);
    assert_eq!(house.names(), [format!("{}.{id}.mp3", begun.facts.call)], "the WAV is gone");

    let told = house.told(begun.facts.call).await;
    let kinds: Vec<_> = told.iter().map(|(kind, url, _)| (kind.as_str(), url.as_str())).collect();
    let expected = [
        ("Record", "https://app.example/action"),
        ("RecordStop", "https://app.example/api"),
        ("RecordStop", "https://app.example/stop"),
        ("recording.completed", "https://shop.example/events"),
    ];
    assert_eq!(kinds, expected);
    for body in [&told[0].2, &told[2].2] {
        for part in [
            "RecordingDuration=2&",
            "RecordingDurationMs=2000&",
            "RecordingEndReason=HungUp",
            "CallStatus=completed",
        ] {
            assert!(body.contains(part), "{part} in {body}");
        }
        assert!(body.contains(&format!("RecordingID={id}")));
    }
    assert!(told[1].2.starts_with("api_id=x&record_url=http"), "{}", told[1].2);
    assert!(told[1].2.contains("recording_duration_ms=2000"));
    let event: Value = serde_json::from_str(&told[3].2).unwrap();
    assert_eq!(event["recording_id"], id.to_string());
    assert_eq!((&event["duration"], &event["format"]), (&json!(2), &json!("mp3")));
    assert_eq!(event["recording_url"], url);

    // Killed after the row was written and before the WAV was removed; and the beginning noted a second time.
    std::fs::write(house.wav_path(&begun), wav()).unwrap();
    house.note(&begun).await;
    assert_eq!(house.complete(&owner, 1).await.len(), 1);
    house.keeper(0).round(clock::wall(), true).await.unwrap();
    assert_eq!(house.told(begun.facts.call).await.len(), 4, "nobody hears of it twice");
    assert_eq!(house.listed(&owner, "").await.len(), 1);
    assert_eq!(house.names().len(), 1);
}

#[tokio::test]
async fn what_was_never_written_is_told_as_failed() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let begun = house.asked(&owner.id, RecordingFormat::Wav, Some("https://shop.example/events"));
    house.note(&begun).await;
    let other = house.asked(&owner.id, RecordingFormat::Wav, None);
    std::fs::write(house.wav_path(&other), wav()).unwrap();
    house.note(&other).await;
    let rows = house.complete(&owner, 1).await;
    assert_eq!((rows.len(), rows[0]["recording_format"].as_str()), (1, Some("wav")));
    house.keeper(0).round(clock::wall(), true).await.unwrap();
    assert_eq!(house.listed(&owner, "").await.len(), 1);
    let told = house.told(begun.facts.call).await;
    assert_eq!(told[3].0, "recording.failed");
    assert!(told[2].2.contains("RecordUrl=&") && told[2].2.contains("RecordingDuration=0&"), "{}", told[2].2);
    let error: Value = serde_json::from_str(&told[3].2).unwrap();
    assert!(!error["error"].as_str().unwrap().is_empty());
    assert_eq!(house.told(other.facts.call).await.len(), 3, "no account hears of it");
}

#[tokio::test]
async fn a_recording_that_began_without_a_note_is_adopted_with_its_call() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let call = house.ended_call(&owner.id, None).await;
    let mut begun = house.asked(&owner.id, RecordingFormat::Mp3, None);
    begun.facts.call = call;
    std::fs::write(house.wav_path(&begun), wav()).unwrap();
    house.keeper(0).round(clock::wall(), true).await.unwrap();
    let rows = house.listed(&owner, "").await;
    assert_eq!(rows[0]["recording_id"], begun.id.to_string());
    assert_eq!((&rows[0]["recording_type"], &rows[0]["recording_format"]), (&json!("call"), &json!("wav")));
}
