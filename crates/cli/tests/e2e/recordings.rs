//! Messages and session recordings as a customer's program sees them; and the process killed while it records: every
//! file opens, lacks less than a second, has each side in its place, and is told of once. `KILLS=50 make recordings-kill`.

use std::f64::consts::TAU;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tandem_model::clock;
use tandem_testkit::{Answer, Request};

use crate::stage::peer::free_port;
use crate::stage::{Caller, Customer, Dialog, PATIENCE, World, WorldOptions, genuine, until};

const NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OUTSIDE: &str = "919812345678";
/// What the caller's handset says.
const TONE: f64 = 540.0;
/// A kill may cost so much audio, milliseconds.
const LOST_MAX_MS: i64 = 1_000;

fn document(body: &str) -> Answer {
    Answer::xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{body}</Response>"))
}

struct Line {
    customer: Customer,
    number: String,
    network: SocketAddr,
}

/// A customer whose number is steered by a page of the sink, and who is told of everything.
async fn line(world: &World, answer: &str) -> Line {
    let customer = world.customer(&format!("{answer}-recordings"), 100.0, (50, 50)).await;
    let number = world.number(&customer).await;
    world.application(&customer, &number, answer, json!({})).await;
    let told = json!({"default_callback_url": world.sink.url("/told")});
    world.api(&customer, "PATCH", "/settings", Some(&told)).await.ok();
    let network = SocketAddr::new(NETWORK, free_port(NETWORK));
    world.carrier(&format!("in-{}", network.port()), network, &["999"], 9).await;
    Line { customer, number, network }
}

async fn call(world: &World, line: &Line, hangs_up: bool) -> Caller {
    let sip = world.sip();
    Caller::call_from(line.network, sip, Some(TONE as u16), |media| {
        let dialog = Dialog::new(OUTSIDE, &line.number, &sip.to_string(), media).invite().answered().ack();
        if hangs_up { dialog.pause(4_000).bye() } else { dialog.hears_bye() }
    })
    .await
}

/// The rows of a call.
async fn listed(world: &World, line: &Line, call: &str) -> Vec<Value> {
    let reply = world.api(&line.customer, "GET", &format!("/Recording/?call_uuid={call}"), None).await.ok();
    reply["objects"].as_array().cloned().unwrap_or_default()
}

fn ms(row: &Value, member: &str) -> i64 {
    let text = row[member].as_str().unwrap_or_else(|| panic!("{member} in {row}"));
    text.parse::<f64>().unwrap_or_else(|_| panic!("{member} in {row}")) as i64
}

fn file(world: &World, call: &str, row: &Value) -> Vec<u8> {
    let word = |member: &str| row[member].as_str().unwrap_or_else(|| panic!("{member} in {row}"));
    let name = format!("recordings/{call}.{}.{}", word("recording_id"), word("recording_format"));
    std::fs::read(world.platform.data().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Both sides of a WAV of linear samples.
fn sides(wav: &[u8]) -> (Vec<f64>, Vec<f64>) {
    assert_eq!((&wav[..4], &wav[8..12], wav[22]), (&b"RIFF"[..], &b"WAVE"[..], 2));
    let size = |at: usize| u32::from_le_bytes([wav[at], wav[at + 1], wav[at + 2], wav[at + 3]]) as usize;
    assert_eq!((size(4), size(40)), (wav.len() - 8, wav.len() - 44), "the header tells the size");
    let sample = |bytes: &[u8]| f64::from(i16::from_le_bytes([bytes[0], bytes[1]]));
    wav[44..].chunks_exact(4).map(|frame| (sample(frame), sample(&frame[2..]))).unzip()
}

/// How much of a side's power is at one frequency, of the windows that are loud at all.
fn share_of(side: &[f64], hz: f64) -> f64 {
    let (mut at, mut all) = (0.0, 0.0);
    for window in side.chunks_exact(400) {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, sample) in window.iter().enumerate() {
            let phase = TAU * hz * n as f64 / 8_000.0;
            sine += sample * phase.sin();
            cosine += sample * phase.cos();
        }
        at += (sine * sine + cosine * cosine) / 200.0;
        all += window.iter().map(|sample| sample * sample).sum::<f64>();
    }
    if all > 0.0 { at / all } else { 0.0 }
}

fn told<'r>(requests: &'r [Request], path: &str) -> Vec<&'r Request> {
    requests.iter().filter(|request| request.path() == path).collect()
}

/// How often the account was told that a recording can be fetched.
fn completed(requests: &[Request], id: &str) -> usize {
    let about = told(requests, "/told").into_iter().filter(|it| it.json()["event"] == "recording.completed");
    about.filter(|it| it.json()["recording_id"] == id).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_and_a_session_reach_the_customers_program() {
    let world = World::open(WorldOptions::default(), |request| {
        let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let base = format!("http://{host}");
        match request.path() {
            "/message" => document(&format!(
                "<Record recordSession=\"true\" fileFormat=\"wav\" maxLength=\"600\" action=\"{base}/begun\" callbackUrl=\"{base}/stop\"/>\
                 <Speak>Leave a message after the tone.</Speak>\
                 <Record action=\"{base}/taken\" finishOnKey=\"#\" maxLength=\"60\"/>"
            )),
            "/taken" => document("<Speak>Thank you, goodbye.</Speak>"),
            "/voicemail" => document(&format!("<Record action=\"{base}/left\" callbackUrl=\"{base}/stop\"/>")),
            _ => Answer::status(204),
        }
    })
    .await;
    let (first, second) = (line(&world, "message").await, line(&world, "voicemail").await);
    let caller = call(&world, &first, false).await;
    let handset = caller.connected().await;
    until("beep", || async { (handset.heard().tone_ms(1_000) >= 250).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    handset.press("#");
    let (called, left) = tokio::join!(caller.finish(), async {
        let caller = call(&world, &second, true).await;
        caller.connected().await;
        caller.finish().await
    });
    called.went_as_written();
    left.went_as_written();
    world.sink.wait(PATIENCE, |all| told(all, "/stop").len() == 2 && told(all, "/left").len() == 1).await;
    for path in ["/taken", "/begun", "/left"] {
        let id = told(&world.sink.requests(), path)[0].param("RecordingID").unwrap();
        world.sink.wait(PATIENCE, |all| completed(all, &id) == 1).await;
    }
    let all = world.sink.requests();

    let taken = told(&all, "/taken")[0];
    for request in all.iter().filter(|it| ["/taken", "/begun"].contains(&it.path())) {
        genuine::callback(&first.customer.who.token, request);
        assert_eq!(request.event(), "Record");
    }
    assert_eq!(taken.param("RecordingEndReason").as_deref(), Some("FinishedOnKey"));
    assert_eq!(taken.param("Digits").as_deref(), Some("#"));
    let message_ms: i64 = taken.param("RecordingDurationMs").unwrap().parse().unwrap();
    assert!((1_800..3_000).contains(&message_ms), "{message_ms} ms");
    let rows = listed(&world, &first, &taken.call()).await;
    // A node started with --dev records the call as a whole besides.
    let of = |path: &str| {
        let id = told(&all, path)[0].param("RecordingID").unwrap();
        rows.iter().find(|row| row["recording_id"] == *id).unwrap_or_else(|| panic!("{path}: {rows:#?}"))
    };
    assert_eq!(of("/begun")["recording_format"], "wav");
    assert_eq!(of("/taken")["recording_url"].as_str(), taken.param("RecordUrl").as_deref());
    assert_eq!(file(&world, &taken.call(), of("/taken"))[0], 0xff, "an MPEG frame");
    let (said, heard) = sides(&file(&world, &taken.call(), of("/begun")));
    assert!(share_of(&said, TONE) > 0.8, "the caller is on the left: {}", share_of(&said, TONE));
    assert!(share_of(&heard, TONE) < 0.2, "the platform is on the right: {}", share_of(&heard, TONE));
    assert!(heard.iter().any(|sample| sample.abs() > 1_000.0), "and is heard there");

    let left = told(&all, "/left")[0];
    genuine::callback(&second.customer.who.token, left);
    assert_eq!(left.param("RecordingEndReason").as_deref(), Some("HungUp"));
    for stop in told(&all, "/stop") {
        let owner = if stop.call() == taken.call() { &first } else { &second };
        genuine::callback(&owner.customer.who.token, stop);
        assert_eq!(
            (stop.event(), stop.param("CallStatus").as_deref()),
            ("RecordStop".to_owned(), Some("completed"))
        );
        let row = listed(&world, owner, &stop.call())
            .await
            .into_iter()
            .find(|row| row["recording_url"].as_str() == stop.param("RecordUrl").as_deref());
        assert!(row.is_some(), "it can be fetched when that is told");
    }
}

#[expect(clippy::disallowed_methods, reason = "options of a long run, as make passes them")]
fn number_of(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `KILLS` kills; two when nobody asks for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_survives_a_kill_at_any_instant() {
    let (kills, seed) = (number_of("KILLS", 2), number_of("SEED", 7));
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::open(WorldOptions::default(), |request| {
        let host = request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let base = format!("http://{host}");
        let record = |format: &str| {
            document(&format!(
                "<Record recordSession=\"true\" fileFormat=\"{format}\" maxLength=\"600\" action=\"{base}/begun\" callbackUrl=\"{base}/stop\"/>\
                 <Speak loop=\"100\">One two three four five six seven eight nine ten.</Speak>"
            ))
        };
        match request.path() {
            "/wav" => record("wav"),
            "/mp3" => record("mp3"),
            _ => Answer::status(204),
        }
    })
    .await;
    let lines = [line(&world, "wav").await, line(&world, "mp3").await];
    let (mut lost, mut ids) = (Vec::new(), Vec::new());
    for round in 0..kills {
        let line = &lines[round as usize % 2];
        let before = told(&world.sink.requests(), "/begun").len();
        let caller = call(&world, line, false).await;
        caller.connected().await;
        world.sink.wait(PATIENCE, |all| told(all, "/begun").len() > before).await;
        let begun = told(&world.sink.requests(), "/begun")[before].clone();
        tokio::time::sleep(Duration::from_millis(random.random_range(1_000..4_000))).await;
        let killed_at = clock::wall().as_millisecond();
        world.platform.kill();
        world.platform.restart();
        drop(caller);
        let id = begun.param("RecordingID").unwrap();
        let is_stop = |request: &&&Request| request.param("RecordingID").as_deref() == Some(&id);
        world
            .sink
            .wait(PATIENCE, |all| told(all, "/stop").iter().any(|it| is_stop(&it)) && completed(all, &id) > 0)
            .await;
        let rows = listed(&world, line, &begun.call()).await;
        let row = rows
            .iter()
            .find(|row| row["recording_id"] == *id)
            .unwrap_or_else(|| panic!("round {round}: {rows:#?}"));
        let lasted = ms(row, "recording_duration_ms");
        ids.push(id);
        let lack = killed_at - ms(row, "recording_start_ms") - lasted;
        lost.push(lack);
        assert!(lack <= LOST_MAX_MS, "round {round}: {lack} ms are lost of {lasted} ms");
        let bytes = file(&world, &begun.call(), row);
        if row["recording_format"] == "mp3" {
            assert_eq!(bytes[0], 0xff, "an MPEG frame");
            // 32 kbit/s: four bytes a millisecond.
            assert!(bytes.len() as i64 / 4 >= lasted, "round {round}: {} bytes for {lasted} ms", bytes.len());
        } else {
            let (said, heard) = sides(&bytes);
            assert_eq!(said.len() as i64 / 8, lasted);
            assert!(share_of(&said, TONE) > 0.8, "round {round}: left {}", share_of(&said, TONE));
            assert!(share_of(&heard, TONE) < 0.2, "round {round}: right {}", share_of(&heard, TONE));
        }
    }
    let all = world.sink.requests();
    let stops = told(&all, "/stop");
    assert_eq!(stops.len(), kills as usize, "each is told once");
    assert!(ids.iter().all(|id| completed(&all, id) == 1), "to the account too");
    assert!(stops.iter().all(|stop| stop.param("RecordingEndReason").as_deref() == Some("HungUp")));
    lost.sort_unstable();
    eprintln!(
        "SEED={seed}: {kills} kills, audio lost: median {} ms, at most {} ms",
        lost[lost.len() / 2],
        lost[lost.len() - 1]
    );
    world.verify_ledger();
}
