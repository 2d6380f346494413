//! Scripts with other doors than a carrier's: an endpoint that registers, a PBX behind a trunk, API calls as steps; what
//! is recorded, what happens when time is over, several scripts at once.

use std::path::Path;

use serde_json::json;
use tandem_testkit::Hearing;

use super::{Line, examples, line, world};
use crate::stage::World;

const USER: &str = "agent";
const PASSWORD: &str = "a-long-secret";

fn set(name: &str, value: &str) -> [String; 2] {
    ["--set".to_owned(), format!("{name}={value}")]
}

fn strs(pairs: &[String]) -> Vec<&str> {
    pairs.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_trunks_and_api_calls_take_part() {
    let world = world().await;
    let (agent, office) = (line(&world, "agent", "9167").await, line(&world, "office", "9168").await);
    tokio::join!(click_to_call(&world, &agent), trunk_call(&world, &office));
    world.verify_ledger();
}

async fn click_to_call(world: &World, line: &Line) {
    let body = json!({"username": USER, "password": PASSWORD, "alias": "agent"});
    let endpoint = world.api(&line.customer, "POST", "/Endpoint/", Some(&body)).await.ok();
    let domain = endpoint["sip_uri"].as_str().and_then(|uri| uri.split_once('@')).expect("a domain").1;
    let who = &line.customer.who;
    let pairs = [
        set("api", &format!("{}/api/v1/Account/{}", world.platform.api, who.id)),
        set("id", &who.id),
        set("user", USER),
        set("password", PASSWORD),
        set("domain", domain),
    ]
    .concat();
    let more = strs(&pairs);
    line.plays(world, "click-to-call.yaml", &more).await;
    let endpoints = world.api(&line.customer, "GET", "/Endpoint/", None).await.ok();
    assert_eq!(endpoints["objects"][0]["sip_registered"], "false", "the registration was taken back");

    let wrong = ("<Number>${customer}</Number>", "<Number>nobody</Number>");
    let said = ["✘ agent  3. wait_for: tone", "✘ customer  1. answer", "nobody called"];
    line.misses_with(world, "click-to-call.yaml", wrong, &more, &said).await;
    let wrong = ("password: ${token}", "password: nobodys");
    line.misses_with(world, "click-to-call.yaml", wrong, &more, &["✘ agent  1. request", "HTTP 401"]).await;
    let wrong = ("password: ${password}", "password: forgotten");
    line.misses_with(
        world,
        "click-to-call.yaml",
        wrong,
        &more,
        &["agent cannot register: the registrar answered 40"],
    )
    .await;
}

async fn trunk_call(world: &World, line: &Line) {
    let trunk = world.trunk(&line.customer, "office").await;
    world.credential(&line.customer, &trunk, "office", PASSWORD).await;
    let pairs = [set("user", "office"), set("password", PASSWORD), set("domain", &trunk.domain)].concat();
    let more = strs(&pairs);
    line.plays(world, "trunk-call.yaml", &more).await;
    let wrong = ("password: ${password}", "password: forgotten");
    line.misses_with(
        world,
        "trunk-call.yaml",
        wrong,
        &more,
        &["✘ pbx  1. wait_for: ringing", "the call was over: 40"],
    )
    .await;
    let wrong = ("press: \"12#\"", "press: \"21#\"");
    let said = ["✘ callee  3. wait_for: digits", "expected: keys 12#34", "heard:    keys \"2"];
    line.misses_with(world, "trunk-call.yaml", wrong, &more, &said).await;
    let wrong = ("tone: 440 for 1s", "tone: 452 for 1s");
    let said = ["✘ callee  2. wait_for: tone", "expected: 440 Hz for 500 ms", "452 Hz for"];
    line.misses_with(world, "trunk-call.yaml", wrong, &more, &said).await;
}

fn written(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_is_recorded_and_scripts_end_in_time_and_side_by_side() {
    let world = world().await;
    let line = line(&world, "tape", "9169").await;
    let folder = tempfile::tempdir().expect("a folder");
    let tape = folder.path().join("heard.wav");
    let script = format!(
        "listen: ${{network}}\nwebhooks:\n  listen: ${{web}}\n  serve:\n    /answer: <Response><Play>${{webhook_url}}/a.wav</Play><Hangup/></Response>\n    \
         /a.wav: {{tone: 700 for 1500ms}}\n  expect: [{{path: /hangup, count: 1}}]\nparties:\n  caller:\n    dial: ${{number}}\n    steps:\n      \
         - record: {}\n      - wait_for: hangup\n",
        tape.display()
    );
    let script = written(folder.path(), "tape.yaml", &script);
    let run = line.play(&world, &script, &[]).await;
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    let heard = Hearing::read(&tape).expect("a WAV file").pop().expect("one channel");
    assert!((1.3..1.7).contains(&heard.tone_for(700)), "{} s of the tone", heard.tone_for(700));
    assert!((1.4..2.5).contains(&heard.seconds()), "{} s", heard.seconds());

    // The application lets its caller wait for a minute; the script has a second and a half.
    let text = std::fs::read_to_string(&script).expect("it is there");
    let slow = written(
        folder.path(),
        "slow.yaml",
        &text.replace("<Play>${webhook_url}/a.wav</Play>", "<Wait length=\"60\"/>"),
    );
    let run = line.play(&world, &slow, &["--timeout", "1500ms"]).await;
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("✘ caller  2. wait_for: hangup"), "{}", run.out);
    assert!(run.out.contains("heard:    the script's timeout of 1.5 s was over"), "{}", run.out);

    let other = written(
        folder.path(),
        "other.yaml",
        "parties: {caller: {dial: '1', after: 1s, steps: [{pause: 1s}], expect: {answered: false}}}\n",
    );
    let more = [other.to_str().expect("a name"), "--parallel", "2"];
    let run = line.play(&world, &examples().join("refused.yaml"), &more).await;
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert!(run.out.contains("[refused] ") && run.out.contains("[other] "), "{}", run.out);
    assert!(run.out.contains("2 of 2 scripts held"), "{}", run.out);
}
