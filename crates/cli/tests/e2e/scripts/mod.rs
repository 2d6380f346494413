//! `tandem sim caller`: the example scripts hold against a node whose application is as it should be, and each of them
//! exits 1, naming the step, when it is not. Wrong scripts exit 2 without a call.

mod parties;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tandem_testkit::Answer;
use tokio::process::Command;

use crate::stage::peer::free_port;
use crate::stage::{Customer, World, WorldOptions, until};

/// A customer's number whose application is the script's own web server, and a network to call from.
struct Line {
    customer: Customer,
    number: String,
    web: u16,
    network: SocketAddr,
    driver: String,
}

/// What came of a run.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scripts")
}

/// A TCP port that is free just now; the script listens on it a moment later.
fn web_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

async fn world() -> World {
    World::open(WorldOptions::default(), |_| Answer::status(204)).await
}

/// `prefix` is what the network of this line carries, and only it.
async fn line(world: &World, name: &str, prefix: &str) -> Line {
    let customer = world.customer(name, 100.0, (50, 50)).await;
    let number = world.number(&customer).await;
    let network = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST.into())));
    world.carrier(&format!("net-{name}"), network, &[prefix], 1).await;
    let web = web_port();
    let body = json!({"answer_url": format!("http://127.0.0.1:{web}/answer"),
        "hangup_url": format!("http://127.0.0.1:{web}/hangup")});
    world.api(&customer, "PUT", &format!("/numbers/%2B{number}/urls"), Some(&body)).await.ok();
    Line { customer, number: format!("+{number}"), web, network, driver: format!("+{prefix}5551234") }
}

async fn caller(arguments: &[&str]) -> Run {
    let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["sim", "caller"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the binary runs");
    Run {
        code: child.status.code(),
        out: String::from_utf8_lossy(&child.stdout).into_owned(),
        err: String::from_utf8_lossy(&child.stderr).into_owned(),
    }
}

impl Line {
    async fn play(&self, world: &World, script: &Path, more: &[&str]) -> Run {
        let set = |name: &str, value: &str| ["--set".to_owned(), format!("{name}={value}")];
        let (web, network) = (format!("127.0.0.1:{}", self.web), self.network.to_string());
        let platform = world.sip().to_string();
        let pairs = [
            set("number", &self.number),
            set("web", &web),
            set("network", &network),
            set("token", &self.customer.who.token),
            set("driver", &self.driver),
            set("callee", &self.driver),
            set("customer", &self.driver),
        ]
        .concat();
        let script = script.display().to_string();
        let mut arguments = vec![script.as_str(), "--platform", &platform];
        arguments.extend(pairs.iter().map(String::as_str));
        arguments.extend(more);
        caller(&arguments).await
    }

    async fn plays(&self, world: &World, name: &str, more: &[&str]) {
        let run = self.play(world, &examples().join(name), more).await;
        assert_eq!(run.code, Some(0), "{name}:\n{}{}", run.out, run.err);
        assert!(run.out.contains("✔") && !run.out.contains("✘"), "{}", run.out);
    }

    /// The example with one text replaced must miss, at the step that this is about.
    async fn misses(&self, world: &World, name: &str, change: (&str, &str), said: &[&str]) {
        self.misses_with(world, name, change, &[], said).await;
    }

    async fn misses_with(
        &self,
        world: &World,
        name: &str,
        (from, to): (&str, &str),
        more: &[&str],
        said: &[&str],
    ) {
        let text = std::fs::read_to_string(examples().join(name)).expect("the example is there");
        assert!(text.contains(from), "{name} has no {from:?}");
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join(name);
        std::fs::write(&script, text.replacen(from, to, 1)).expect("written");
        let run = self.play(world, &script, more).await;
        assert_eq!(run.code, Some(1), "{name} with {to:?}:\n{}{}", run.out, run.err);
        for said in said {
            assert!(run.out.contains(said), "{name} with {to:?} does not say {said:?}:\n{}", run.out);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_hold_and_miss_when_the_application_is_wrong() {
    let world = world().await;
    let (ivr, refused, barge, masking, signed) = (
        line(&world, "ivr", "9161").await,
        line(&world, "refused", "9162").await,
        line(&world, "barge", "9163").await,
        line(&world, "masking", "9164").await,
        line(&world, "signed", "9165").await,
    );
    let ivr = async {
        ivr.plays(&world, "ivr.yaml", &[]).await;
        // The application lets the wrong key through: it sells without a question.
        let wrong = ("<Speak>That was not one. Press one for sales, please.</Speak>", "");
        ivr.misses(&world, "ivr.yaml", wrong, &["✘ caller  6. wait_for: audio", "expected: audio"]).await;
        ivr.misses(
            &world,
            "ivr.yaml",
            ("HangupCause: NORMAL_CLEARING", "HangupCause: BUSY"),
            &["✘ webhooks  webhook 4"],
        )
        .await;
    };
    let refused = async {
        refused.plays(&world, "refused.yaml", &[]).await;
        let wrong = ("reason=\"busy\"", "reason=\"rejected\"");
        refused
            .misses(
                &world,
                "refused.yaml",
                wrong,
                &["✘ caller  at the end: status", "expected: 486", "heard:    603"],
            )
            .await;
        let wrong = ("<Hangup reason=\"busy\"/>", "<Speak>Welcome</Speak>");
        refused.misses(&world, "refused.yaml", wrong, &["✘ caller  at the end: answered"]).await;
    };
    let barge = async {
        barge.plays(&world, "barge-in.yaml", &[]).await;
        // The prompt stands before the question, not in it: keys do not stop it.
        let text = "<Gather action=\"/done\" method=\"POST\" inputType=\"dtmf\" numDigits=\"1\" executionTimeout=\"10\">\n          <Play>${webhook_url}/prompt.wav</Play>\n        </Gather>";
        let wrong = (text, "<Play>${webhook_url}/prompt.wav</Play>");
        barge
            .misses(
                &world,
                "barge-in.yaml",
                wrong,
                &["✘ caller  2. press: 3", "expected: silence within 300 ms", "(skipped)"],
            )
            .await;
    };
    let masking = async {
        masking.plays(&world, "masking.yaml", &[]).await;
        let wrong = ("<Number>${driver}</Number>", "<Number>+916400000000</Number>");
        masking
            .misses(
                &world,
                "masking.yaml",
                wrong,
                &["that no party waits for", "✘ driver  1. answer", "expected: a call within"],
            )
            .await;
    };
    let signed = async {
        signed.plays(&world, "webhook-signature.yaml", &[]).await;
        let wrong = ("token: ${token}", "token: somebody-elses");
        signed
            .misses(
                &world,
                "webhook-signature.yaml",
                wrong,
                &["✘ webhooks  webhook 1", "with a wrong signature"],
            )
            .await;
    };
    tokio::join!(ivr, refused, barge, masking, signed);
    world.verify_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_scripts_are_reported_as_junit_and_json() {
    let world = world().await;
    let line = line(&world, "reports", "9166").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (junit, report) = (folder.path().join("out.xml"), folder.path().join("out.json"));
    let wrong = folder.path().join("answered.yaml");
    let text = std::fs::read_to_string(examples().join("refused.yaml")).expect("the example is there");
    std::fs::write(&wrong, text.replace("answered: false", "answered: true")).expect("written");
    let more = [
        wrong.to_str().expect("a name"),
        "--junit",
        junit.to_str().expect("a name"),
        "--report",
        report.to_str().expect("a name"),
    ];
    let run = line.play(&world, &examples().join("refused.yaml"), &more).await;
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    assert!(run.out.contains("1 of 2 scripts held"), "{}", run.out);
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("it is there")).expect("JSON");
    assert_eq!(
        (&report["ok"], &report["scripts"][0]["ok"], &report["scripts"][1]["ok"]),
        (&json!(false), &json!(true), &json!(false))
    );
    let missed = &report["scripts"][1]["parties"][0]["outcomes"][1];
    assert_eq!(
        (&missed["verdict"], &missed["expected"], &missed["heard"]),
        (&json!("missed"), &json!("true"), &json!("false")),
        "{missed}"
    );
    assert!(report["scripts"][0]["parties"][0]["call_id"].is_string());
    assert_eq!(report["scripts"][0]["received"][0]["path"], "/answer");
    let xml = std::fs::read_to_string(junit).expect("it is there");
    let open = xml.matches("<testsuite ").count();
    assert!(
        open == 2
            && xml.contains("failures=\"1\"")
            && xml.contains("<failure message=\"expected true; heard false\">"),
        "{xml}"
    );
    // On stdout, and nothing but that.
    let run = line.play(&world, &examples().join("refused.yaml"), &["--json"]).await;
    let value: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.out));
    assert_eq!((run.code, &value["ok"]), (Some(0), &json!(true)));
    assert!(run.err.contains("✔ caller"), "{}", run.err);
    until("the calls to be over", || async {
        world.live_calls(&line.customer).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn wrong_scripts_exit_2_with_the_place_and_dry_runs_call_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let bad = write("bad.yaml", "parties:\n  caller:\n    dial: '1'\n    steps:\n      - wait_fro: audio\n");
    let run = caller(&[&bad]).await;
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.err.contains("bad.yaml:5:9: `wait_fro` is no step; did you mean `wait_for`?"), "{}", run.err);
    let good = write("good.yaml", "parties: {caller: {dial: '1', steps: [hang_up]}}\n");
    let run = caller(&[&good, &bad, "--dry-run"]).await;
    assert_eq!(run.code, Some(2), "one wrong script is enough: {}", run.out);
    let run = caller(&[&good, "--dry-run"]).await;
    assert_eq!((run.code, run.out.contains("1 party, 1 step")), (Some(0), true), "{}", run.out);
    for arguments in [
        &["/nowhere.yaml"][..],
        &[&good, "--set", "x"],
        &[&good, "--platform", "x"],
        &[&good, "--timeout", "9"],
    ] {
        let run = caller(arguments).await;
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.err);
    }
    let missing = write("missing.yaml", "parties: {caller: {dial: '1', steps: [{play: none.wav}]}}\n");
    let run = caller(&[&missing, "--platform", "127.0.0.1:9"]).await;
    assert_eq!((run.code, run.out.contains("none.wav")), (Some(2), true), "{}{}", run.out, run.err);
    let run = caller(&["--explain"]).await;
    assert!(run.code == Some(0) && run.out.contains("### `wait_for`"), "{}", run.out);
    // Nobody there: the script cannot hold, and says so in time.
    let run = caller(&[
        &write("alone.yaml", "parties: {caller: {dial: '1', steps: [{wait_for: answer, within: 300ms}]}}\n"),
        "--platform",
        "127.0.0.1:9",
    ])
    .await;
    assert_eq!(
        (run.code, run.out.contains("expected: an answer within 300 ms")),
        (Some(1), true),
        "{}",
        run.out
    );
}
