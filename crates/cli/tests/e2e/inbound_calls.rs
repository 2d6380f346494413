//! The network calls a customer's number: the application's documents steer the call. Every request is checked
//! for its parameters and its signature; and what happens when the application is late, wrong or gone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_testkit::{Answer, Request};
use tokio::net::TcpListener;

use crate::stage::peer::{Called, free_port};
use crate::stage::{
    Caller, CarrierPeer, Customer, Dialog, PATIENCE, World, WorldOptions, carrier_side, genuine, until,
};

const NETWORK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Who calls in.
const OUTSIDE: &str = "919812345678";
/// Whom the application dials.
const AGENT: &str = "919000000077";
/// What the caller's handset plays into the bridge.
const TONE: u16 = 540;

fn host(request: &Request) -> &str {
    request.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn document(body: &str) -> Answer {
    Answer::xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{body}</Response>"))
}

/// A customer with a number steered by a page of the sink, and a port of the network to call from.
struct Line {
    customer: Customer,
    number: String,
    network: SocketAddr,
}

async fn network_side(world: &World) -> SocketAddr {
    let network = SocketAddr::new(NETWORK, free_port(NETWORK));
    // Known as a carrier for what comes from there; nothing is sent to it.
    world.carrier(&format!("in-{}", network.port()), network, &["999"], 9).await;
    network
}

async fn line(world: &World, name: &str, answer: &str, further: Value) -> Line {
    let customer = world.customer(name, 100.0, (50, 50)).await;
    let number = world.number(&customer).await;
    world.application(&customer, &number, answer, further).await;
    Line { customer, number, network: network_side(world).await }
}

fn requests_about(world: &World, line: &Line) -> Vec<Request> {
    let all = world.sink.requests();
    all.into_iter().filter(|request| request.param("To").is_some_and(|to| to == line.number)).collect()
}

/// The one Hangup of a line's one call; every signature so far holds.
async fn hangup_of(world: &World, line: &Line) -> Request {
    let concerns = |request: &Request| {
        request.event() == "Hangup" && request.param("To").is_some_and(|to| to == line.number)
    };
    world.sink.wait(PATIENCE, |all| all.iter().any(&concerns)).await;
    let about = requests_about(world, line);
    for request in &about {
        genuine::callback(&line.customer.who.token, request);
    }
    let mut hangups = about.into_iter().filter(|request| concerns(request));
    let hangup = hangups.next().expect("one came");
    assert!(hangups.next().is_none(), "Hangup comes once");
    hangup
}

#[track_caller]
fn expect(request: &Request, parameters: &[(&str, &str)]) {
    for (name, value) in parameters {
        assert_eq!(
            request.param(name).as_deref(),
            Some(*value),
            "{name} of {} in {}",
            request.target,
            String::from_utf8_lossy(&request.body)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_is_steered_by_documents_from_prompt_to_bridge() {
    let world = World::open(WorldOptions::default(), |request| {
        let base = format!("http://{}", host(request));
        match request.path() {
            "/answer" => document(&format!(
                "<Speak>Welcome. Please enter your number.</Speak>\
                 <Gather action=\"{base}/digits\" method=\"POST\" inputType=\"dtmf\" numDigits=\"4\" executionTimeout=\"15\">\
                 <Speak>Four digits, please, one after the other, as they stand on the letter.</Speak></Gather>\
                 <Speak>We heard nothing.</Speak>"
            )),
            "/digits" => document(&format!(
                "<Dial><User>sip:ghost@registrar.tandem.localhost</User></Dial>\
                 <Dial action=\"{base}/dialled\" callbackUrl=\"{base}/legs\" timeout=\"20\"><Number>+{AGENT}</Number></Dial>"
            )),
            "/dialled" => document("<Hangup/>"),
            _ => Answer::status(204),
        }
    })
    .await;
    let agent = CarrierPeer::start(&carrier_side::echo_and_hang_up(300, 2_600)).await;
    world.carrier("out", agent.address, &["91"], 1).await;
    let line = line(&world, "steered", "answer", json!({})).await;

    let caller = Caller::call_from(line.network, world.sip(), Some(TONE), |media| {
        let called = world.sip().to_string();
        let dialog = Dialog::new(&format!("+{OUTSIDE}"), &format!("+{}", line.number), &called, media);
        dialog.header("X-VH-Ticket: 77").invite().answered().ack().hears_bye()
    })
    .await;
    let handset = caller.connected().await;
    // Barge in: the caller has heard the prompt begin.
    until("prompt", || async { (handset.heard().loud_ms() > 400).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    handset.press("4711");
    let called = caller.finish().await;
    called.went_as_written();
    assert!(
        called.heard.tone_ms(TONE) > 1_000,
        "the bridge brought {} ms of echo",
        called.heard.tone_ms(TONE)
    );
    assert_eq!(called.heard.sources.len(), 1, "one SSRC, whatever spoke");

    let hangup = hangup_of(&world, &line).await;
    let call = hangup.call();
    let all = world.sink.requests();
    let about: Vec<_> = all.into_iter().filter(|request| request.call() == call).collect();
    for request in &about {
        genuine::callback(&line.customer.who.token, request);
    }
    let at = |path: &str| {
        let found: Vec<_> = about.iter().filter(|request| request.path() == path).cloned().collect();
        assert!(!found.is_empty(), "nothing came to {path}");
        found
    };
    let started = at("/answer").remove(0);
    let account = line.customer.who.id.as_str();
    let standard = [
        ("CallUUID", call.as_str()),
        ("From", OUTSIDE),
        ("To", line.number.as_str()),
        ("Direction", "inbound"),
        ("ParentAuthID", account),
        ("X-VH-Ticket", "77"),
    ];
    for request in about.iter().filter(|request| request.path() != "/legs") {
        expect(request, &standard);
    }
    expect(&started, &[("Event", "StartApp"), ("CallStatus", "ringing")]);
    let digits = at("/digits");
    assert_eq!(digits.len(), 1);
    expect(
        &digits[0],
        &[("Event", "Redirect"), ("Digits", "4711"), ("InputType", "dtmf"), ("CallStatus", "in-progress")],
    );
    let legs = at("/legs");
    let events: Vec<_> = legs.iter().map(Request::event).collect();
    assert_eq!(events, ["DialAnswer", "DialConnected", "DialHangup"]);
    let b_leg = legs[0].param("DialBLegUUID").expect("the B leg has an id");
    assert_ne!(b_leg, call);
    for leg in &legs {
        expect(
            leg,
            &[
                ("DialALegUUID", &call),
                ("DialBLegUUID", &b_leg),
                ("DialBLegTo", AGENT),
                ("DialBLegPosition", "1"),
            ],
        );
    }
    expect(&legs[2], &[("DialBLegHangupCauseCode", "4000"), ("DialBLegHangupSource", "Callee")]);
    let dialled = at("/dialled");
    assert_eq!(dialled.len(), 1);
    expect(
        &dialled[0],
        &[
            ("DialStatus", "completed"),
            ("DialRingStatus", "true"),
            ("DialALegUUID", &call),
            ("DialBLegUUID", &b_leg),
        ],
    );
    expect(
        &hangup,
        &[("CallStatus", "completed"), ("HangupSource", "Answer XML"), ("HangupCauseCode", "4000")],
    );
    assert_eq!(hangup.path(), "/answer-hangup");

    let (a, b) = tokio::join!(world.record(&line.customer, &call), world.record(&line.customer, &b_leg));
    assert_eq!(a["call_direction"], "inbound");
    assert_eq!(b["call_direction"], "outbound");
    assert_eq!(b["destination_number"], format!("+{AGENT}"));
    assert_eq!(b["billsec"], 3, "2.6 s of talk: {b}");
    assert_eq!(b["cost"], 0.03, "{b}");
    assert_eq!(hangup.param("Duration"), Some(a["billsec"].to_string()));
    let records = world.records(&line.customer).await;
    let of = |id: &str| records.iter().filter(|record| record["uuid"] == id).count();
    assert_eq!((of(&call), of(&b_leg)), (1, 1), "one record for each leg");
    assert_eq!(agent.invited(&format!("+{AGENT}")), 1);
    let answered = records.iter().filter(|record| record["billsec"].as_i64() > Some(0)).count();
    assert_eq!(answered, 2, "the phone nobody registered talked to nobody: {records:#?}");
    assert_eq!(world.balance(account).await, 100_000_000 - 30_000);
    world.verify_ledger();
}

/// Calls a line, listens until the platform hangs up.
async fn listen(world: &World, line: &Line) -> Called {
    let sip = world.sip();
    let caller = Caller::call_from(line.network, sip, None, |media| {
        let dialog = Dialog::new(OUTSIDE, &line.number, &sip.to_string(), media);
        dialog.invite().answered().ack().hears_bye()
    });
    let called = caller.await.finish().await;
    called.went_as_written();
    called
}

/// The cause on record and in the Hangup event, and that they agree.
async fn cause(world: &World, line: &Line) -> i64 {
    let hangup = hangup_of(world, line).await;
    let record = world.record(&line.customer, &hangup.call()).await;
    let told = hangup.param("HangupCauseCode").and_then(|code| code.parse::<i64>().ok());
    assert_eq!(told, record["hangup_cause_code"].as_i64(), "{record}");
    told.expect("a code")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_wrong_or_dead_application_gets_its_documented_end() {
    let world = World::open(WorldOptions::default(), |request| match request.path() {
        "/spare" => document("<Speak>This is the spare.</Speak><Hangup/>"),
        "/slow" => document("<Speak>Better late.</Speak><Hangup/>").after(Duration::from_secs(4)),
        "/fat" => document(&format!("<!--{}--><Hangup/>", "x".repeat(101 * 1_024))),
        "/malformed" => Answer::xml("<Response><Speak>unfinished</Response>"),
        _ => Answer::status(204),
    })
    .await;
    let hangup = world.sink.url("hangup");
    // Nobody listens on the discard port of this machine.
    let dead = json!({"answer_url": "http://127.0.0.1:9/dead", "hangup_url": hangup});
    let mut with_spare = dead.clone();
    with_spare["fallback_answer_url"] = json!(world.sink.url("spare"));
    let mut both_dead = dead;
    both_dead["fallback_answer_url"] = json!("http://127.0.0.1:9/dead-too");
    tokio::join!(
        async {
            let line = line(&world, "spare", "dead", with_spare).await;
            let called = listen(&world, &line).await;
            assert!(called.heard.loud_ms() > 300, "the spare speaks");
            assert_eq!(cause(&world, &line).await, 4_000);
            let spare = requests_about(&world, &line).into_iter().find(|request| request.path() == "/spare");
            expect(&spare.expect("the fallback was asked"), &[("Event", "StartApp")]);
        },
        async {
            let line = line(&world, "dead", "dead", both_dead).await;
            let called = listen(&world, &line).await;
            assert!(called.heard.loud_ms() > 1_000, "an apology is spoken: {} ms", called.heard.loud_ms());
            assert_eq!(cause(&world, &line).await, 7_011);
        },
        async {
            let line = line(&world, "slow", "slow", json!({})).await;
            let called = listen(&world, &line).await;
            assert!(called.heard.loud_ms() > 300, "it speaks after all");
            assert_eq!(cause(&world, &line).await, 4_000);
            let asked =
                requests_about(&world, &line).iter().filter(|request| request.path() == "/slow").count();
            assert_eq!(asked, 1, "4 s are no reason to ask again");
        },
        async {
            let line = line(&world, "fat", "fat", json!({})).await;
            listen(&world, &line).await;
            assert_eq!(cause(&world, &line).await, 8_011);
        },
        async {
            let line = line(&world, "malformed", "malformed", json!({})).await;
            listen(&world, &line).await;
            assert_eq!(cause(&world, &line).await, 8_011);
        },
    );
    world.verify_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_into_a_private_network_is_not_followed() {
    let inside = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 5), 0)).await.expect("a free port");
    let address = inside.local_addr().expect("an address");
    let visits = Arc::new(AtomicUsize::new(0));
    let seen = visits.clone();
    let watch = async move {
        loop {
            if inside.accept().await.is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    // Only 127.0.0.1 is opened, and not by --dev, which opens all of 127.0.0.0/8.
    let options = WorldOptions {
        plain: true,
        environment: vec![("TANDEM_WEBHOOKS__ALLOW_PRIVATE", "[\"127.0.0.1/32\"]")],
        ..WorldOptions::default()
    };
    let story = async {
        let world = World::open(options, move |request| match request.path() {
            "/away" | "/away-too" => {
                Answer { location: Some(format!("http://{address}/secret")), ..Answer::status(302) }
            }
            "/spare" => document("<Speak>This is the spare.</Speak><Hangup/>"),
            _ => Answer::status(204),
        })
        .await;
        let spare = json!({"fallback_answer_url": world.sink.url("spare")});
        let nowhere = json!({"fallback_answer_url": world.sink.url("away-too")});
        tokio::join!(
            async {
                let line = line(&world, "redirected", "away", spare).await;
                listen(&world, &line).await;
                assert_eq!(cause(&world, &line).await, 4_000, "the fallback steers the call");
            },
            async {
                let line = line(&world, "nowhere", "away", nowhere).await;
                listen(&world, &line).await;
                assert_eq!(cause(&world, &line).await, 7_011);
            },
        );
        let away = world.sink.requests().iter().filter(|request| request.path() == "/away").count();
        assert!(away >= 2, "both applications were asked");
    };
    tokio::select! {
        () = story => {}
        () = watch => unreachable!("it watches for ever"),
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0, "connections to the inside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_numbers_own_urls_answer_take_input_and_hear_of_the_end() {
    let world = World::open(WorldOptions::default(), |request| match request.path() {
        "/desk" => document("<Gather numDigits=\"1\" executionTimeout=\"15\"/><Speak>Nothing.</Speak>"),
        "/desk-input" => document("<Hangup/>"),
        _ => Answer::status(204),
    })
    .await;
    // The application is there, and the number's own URLs go before it.
    let line = line(&world, "receptionist", "never", json!({})).await;
    let urls = json!({"answer_url": world.sink.url("desk"), "input_url": world.sink.url("desk-input"),
        "hangup_url": world.sink.url("desk-over")});
    let path = format!("/numbers/%2B{}/urls", line.number);
    world.api(&line.customer, "PUT", &path, Some(&urls)).await.ok();
    let caller = Caller::call_from(line.network, world.sip(), Some(TONE), |media| {
        let called = world.sip().to_string();
        let dialog = Dialog::new(&format!("+{OUTSIDE}"), &format!("+{}", line.number), &called, media);
        dialog.invite().answered().ack().hears_bye()
    })
    .await;
    let handset = caller.connected().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    handset.press("5");
    caller.finish().await.went_as_written();
    let hangup = hangup_of(&world, &line).await;
    let came: Vec<_> =
        requests_about(&world, &line).into_iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(came, ["/desk", "/desk-input", "/desk-over"]);
    expect(&hangup, &[("CallStatus", "completed"), ("HangupSource", "Answer XML")]);
    // Given back, it leads nowhere; the refusal is on the account's record.
    let path = format!("/numbers/%2B{}", line.number);
    let fee = json!({"amount": "700", "reference": "for the release"});
    let credit = format!("/admin/accounts/{}/credit", line.customer.who.id);
    world.platform.operator("POST", &credit, Some(&fee)).await.ok();
    world.api(&line.customer, "DELETE", &path, None).await.ok();
    let refused = Caller::call_from(line.network, world.sip(), None, |media| {
        let called = world.sip().to_string();
        let dialog = Dialog::new(&format!("+{OUTSIDE}"), &format!("+{}", line.number), &called, media);
        dialog.invite().refused(404)
    })
    .await;
    refused.finish().await.went_as_written();
    let records = world.records_once(&line.customer, 2).await;
    assert!(
        records
            .iter()
            .any(|record| record["failure_reason"].as_str().is_some_and(|why| why.contains("not connected"))),
        "{records:?}"
    );
    let health = world.api(&line.customer, "GET", &format!("{path}/health"), None).await.ok();
    assert_eq!(
        (&health["summary"]["total_calls"], &health["summary"]["answered_calls"]),
        (&json!(2), &json!(1)),
        "{health}"
    );
}
