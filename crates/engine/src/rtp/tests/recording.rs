use tandem_media::energy::{Tone, has_tone, level_dbfs};
use tandem_media::g711::Law;
use tandem_media::wav::{self, Channels, Encoding};
use tandem_media::{Material, PlayId, PlayItem, RecordFormat, Repeat};

use super::*;

const STEREO: RecordFormat = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Stereo };

const NAME: RecordName = RecordName(1);

fn to(path: &std::path::Path, format: RecordFormat) -> RecordRequest {
    RecordRequest { name: NAME, path: path.to_owned(), format, silence: None, max_length: None }
}

fn ulaw_tone(hz: u16, packets: usize) -> Vec<u8> {
    let tone = Tone::Sine { hz, level_dbfs: -10 };
    (0..packets as u64 * 160).map(|n| Law::Ulaw.encode(tone.sample(n))).collect()
}

/// Skips the header and takes the channels apart.
fn channels(bytes: &[u8]) -> (Vec<i16>, Vec<i16>) {
    let data = bytes.windows(4).position(|word| word == b"data").unwrap() + 8;
    bytes[data..]
        .chunks_exact(4)
        .map(|frame| (i16::from_le_bytes([frame[0], frame[1]]), i16::from_le_bytes([frame[2], frame[3]])))
        .unzip()
}

fn recording_done(line: &mut Line) -> RecordEnd {
    match line.expect(|event| matches!(event, MediaEvent::RecordingDone { .. })) {
        MediaEvent::RecordingDone { end, .. } => *end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_peer_says_is_left_and_what_it_hears_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.wav");
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    line.leg.record(to(&path, STEREO)).unwrap();
    let heard = Material::Ulaw(ulaw_tone(400, 75).into());
    line.leg.play(PlayItem { id: PlayId(1), material: heard, repeat: Repeat::ONCE }).unwrap();
    line.settle();
    let start = clock::monotonic();
    for (n, packet) in ulaw_tone(1_000, 75).chunks(160).enumerate() {
        wait_until(start + Duration::from_millis(20) * n as u32);
        line.phone.say(0, packet);
        line.phone.hear();
    }
    line.leg.stop_recording(NAME).unwrap();
    let end = recording_done(&mut line);
    assert_eq!((end.error, end.frames_dropped, &end.path), (None, 0, &path));
    assert!((end.length.as_millis() as i64 - 1_500).abs() < 200, "{:?}", end.length);
    assert!((end.received_dbfs + 10.0).abs() < 0.5, "{}", end.received_dbfs);
    assert!((end.sent_dbfs + 10.0).abs() < 0.5, "{}", end.sent_dbfs);

    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, end.bytes);
    assert!(wav::parse(&bytes).is_ok());
    let (left, right) = channels(&bytes);
    let middle = 2_000..8_000;
    assert!(has_tone(&left[middle.clone()], 1_000.0, -14.0));
    assert!(!has_tone(&left[middle.clone()], 400.0, -40.0));
    assert!(has_tone(&right[middle.clone()], 400.0, -14.0));
    assert!(level_dbfs(&right[middle]) > -14.0);
}

#[test]
fn a_bridge_is_recorded_at_one_leg_and_closing_it_completes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge.wav");
    let plane = plane();
    let mut a = Line::with(&plane, None, PayloadMap::PCMU_101);
    let mut b = Line::with(&plane, Some(&a), PayloadMap::PCMU_101);
    a.leg.bridge(b.leg.key(), Flow::Both).unwrap();
    let format = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Mono };
    a.leg.record(to(&path, format)).unwrap();
    a.settle();
    let start = clock::monotonic();
    let tones = (ulaw_tone(1_000, 50), ulaw_tone(400, 50));
    for (n, (from_a, from_b)) in tones.0.chunks(160).zip(tones.1.chunks(160)).enumerate() {
        wait_until(start + Duration::from_millis(20) * n as u32);
        a.phone.say(0, from_a);
        b.phone.say(0, from_b);
    }
    for _ in 0..50 {
        a.phone.hear();
    }
    let Line { leg, events, phone } = a;
    drop(leg);
    let mut a = Line { leg: b.leg, events, phone };
    let end = recording_done(&mut a);
    assert_eq!(end.error, None);
    let mixed = wav::parse(&std::fs::read(&path).unwrap()).unwrap().to_8k();
    let middle = &mixed[2_000..6_000];
    for hz in [1_000.0, 400.0] {
        assert!(tandem_media::energy::tone_dbfs(middle, hz) > -14.0, "{hz} Hz");
    }
}

#[test]
fn a_file_that_cannot_be_made_fails_the_recording_and_nothing_else() {
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    let path = std::path::PathBuf::from("/nonexistent/folder/call.wav");
    line.leg.record(to(&path, STEREO)).unwrap();
    line.leg.stop_recording(NAME).unwrap();
    assert!(recording_done(&mut line).error.is_some());
    line.leg.silence(PlayId(1), Duration::from_millis(20)).unwrap();
    line.expect(|event| matches!(event, MediaEvent::PlaybackDone { .. }));
}

#[test]
fn a_silent_speaker_ends_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    let begun = clock::monotonic();
    let request = to(&folder.path().join("r.wav"), STEREO);
    line.leg.record(RecordRequest { silence: Some(Duration::from_millis(400)), ..request }).unwrap();
    for packet in ulaw_tone(1_000, 10).chunks(160) {
        line.phone.say(0, packet);
    }
    let end = recording_done(&mut line);
    assert!(clock::monotonic() - begun >= Duration::from_millis(400));
    assert_eq!((end.stop, end.error), (RecordStop::Silence, None));
    assert!(end.received_dbfs > -12.0);
    line.leg.stop_recording(NAME).unwrap();
    line.settle();
}

/// Two recordings of one leg, one of them paused for a while; a third is as long as it may be.
#[test]
fn recordings_of_one_leg_run_beside_each_other_each_with_its_own_length() {
    let folder = tempfile::tempdir().unwrap();
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    let path = |n: u64| folder.path().join(format!("{n}.wav"));
    let mono = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Mono };
    let named = |n: u64, format| RecordRequest { name: RecordName(n), ..to(&path(n), format) };
    line.leg.record(named(1, STEREO)).unwrap();
    line.leg.record(named(2, mono)).unwrap();
    let limit = Some(Duration::from_millis(500));
    line.leg.record(RecordRequest { max_length: limit, ..named(3, mono) }).unwrap();
    line.settle();
    let start = clock::monotonic();
    for (n, packet) in ulaw_tone(1_000, 60).chunks(160).enumerate() {
        wait_until(start + Duration::from_millis(20) * n as u32);
        match n {
            20 => line.leg.pause_recording(RecordName(2), Recorded::Pause).unwrap(),
            40 => line.leg.pause_recording(RecordName(2), Recorded::Resume).unwrap(),
            _ => {}
        }
        line.phone.say(0, packet);
    }
    line.leg.stop_recording(RecordName(1)).unwrap();
    line.leg.stop_recording(RecordName(2)).unwrap();
    let mut ends = [(); 3].map(|()| recording_done(&mut line));
    ends.sort_by_key(|end| end.name.0);
    let [whole, paused, limited] = ends;
    let length = |end: &RecordEnd| end.length.as_millis() as i64;
    assert!((length(&whole) - 1_200).abs() < 150, "{whole:?}");
    assert!((length(&paused) - 800).abs() < 150, "{paused:?}");
    assert_eq!((length(&limited), limited.stop), (500, RecordStop::MaxLength));
    assert_eq!((whole.stop, paused.stop), (RecordStop::Asked, RecordStop::Asked));
    for end in [&paused, &limited] {
        let samples = wav::parse(&std::fs::read(&end.path).unwrap()).unwrap().to_8k();
        assert!(has_tone(&samples[1_000..3_000], 1_000.0, -14.0), "{end:?}");
    }
}

#[test]
fn one_recording_too_many_is_refused_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    let path = folder.path().join("r.wav");
    for n in 0..=MAX_RECORDINGS as u64 {
        let path = folder.path().join(format!("{n}.wav"));
        line.leg.record(RecordRequest { name: RecordName(n), ..to(&path, STEREO) }).unwrap();
    }
    let refused = recording_done(&mut line);
    assert_eq!(refused.name, RecordName(MAX_RECORDINGS as u64));
    assert!(refused.error.is_some() && !path.exists());
    line.leg.stop_recording(RecordName(0)).unwrap();
    assert_eq!(recording_done(&mut line).error, None);
    line.leg.record(to(&path, STEREO)).unwrap();
    line.leg.stop_recording(NAME).unwrap();
    assert_eq!(recording_done(&mut line).error, None, "there is room again");
}

#[test]
fn stopping_the_plane_completes_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.wav");
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    line.leg.record(to(&path, STEREO)).unwrap();
    line.settle();
    plane.shutdown();
    assert_eq!(recording_done(&mut line).error, None);
    assert!(wav::parse(&std::fs::read(&path).unwrap()).is_ok());
    assert_eq!(line.leg.stop_playback(), Err(CommandError::Gone));
}
