//! The published clients, unchanged, against the running server: every public method that they have, found by
//! introspection in Python. A method that is neither answered nor on the short list in its tour fails here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tandem_testkit::{Answer, Platform};
use tokio::sync::OnceCell;

use crate::stage::{CarrierPeer, Customer, World, WorldOptions, carrier_side};

const CALLEE: &str = "919000000077";
const REQUIREMENTS: &str = include_str!("requirements.txt");

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients")
}

/// Python with the pinned packages, made once and kept below the target folder.
async fn python() -> PathBuf {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    let made = PYTHON
        .get_or_init(async || tokio::task::spawn_blocking(environment).await.expect("it does not panic"));
    made.await.clone()
}

fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("published-clients");
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == REQUIREMENTS) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    run(Command::new(&python).args(pip).arg(here().join("requirements.txt")));
    std::fs::write(stamp, REQUIREMENTS).expect("the target folder is writable");
    python
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; is python3 installed?"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{command:?} failed: {said}\nThe packages come from the index that pip is set to."
    );
}

/// What a tour found.
async fn tour(script: &str, platform: &Platform, customer: &Customer, world: &[(&str, String)]) -> Value {
    let mut command = tokio::process::Command::new(python().await);
    command.arg(here().join(script)).env_clear().env("PYTHONDONTWRITEBYTECODE", "1").envs([
        ("TOUR_API", platform.api.as_str()),
        ("TOUR_ID", &customer.who.id),
        ("TOUR_TOKEN", &customer.who.token),
        ("TOUR_CALLEE", CALLEE),
    ]);
    let done =
        command.envs(world.iter().map(|(name, value)| (name, value))).output().await.expect("it starts");
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let last = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let found: Value = last.unwrap_or_else(|| panic!("{script} did not end: {said}\n{complained}"));
    let faults = found["faults"].as_array().cloned().unwrap_or_default();
    let faults: Vec<_> = faults.iter().filter_map(Value::as_str).collect();
    assert!(faults.is_empty(), "{script}:\n{}", faults.join("\n"));
    eprintln!(
        "{script}: {} methods, {} answered, {} not built (501), {} not ours",
        found["methods"], found["worked"], found["not_built"], found["not_ours"]
    );
    found
}

/// A client that sends a body with a request that needs none goes on using its connection.
#[expect(
    clippy::disallowed_methods,
    reason = "the body must arrive apart from its head, as slow networks bring it"
)]
fn a_body_that_nobody_reads_does_not_end_the_connection(platform: &Platform) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let address = platform.api.trim_start_matches("http://");
    let mut connection = std::net::TcpStream::connect(address).expect("it listens");
    let mut answers = BufReader::new(connection.try_clone().expect("a handle"));
    for round in 0..3 {
        let head = "DELETE /api/v1/Account/MA_X/Call/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n";
        connection.write_all(head.as_bytes()).expect("the connection is open");
        std::thread::sleep(std::time::Duration::from_millis(50));
        connection.write_all(b"{}").expect("the connection is open");
        let (mut line, mut length) = (String::new(), 0);
        let _ = answers.read_line(&mut line).expect("an answer");
        assert!(line.starts_with("HTTP/1.1 401"), "request {round}: {line:?}");
        while line.trim() != "" {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
            let _ = answers.read_line(&mut line).expect("a header");
        }
        answers.read_exact(&mut vec![0; length]).expect("a body");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_of_the_published_clients_is_answered() {
    let options =
        WorldOptions { environment: vec![("TANDEM_RECORDINGS__ALL", "true")], ..WorldOptions::default() };
    let world = World::open(options, |request| match request.path() {
        "/answer" => Answer::xml("<Response><Speak loop=\"0\">Hello from Tandem.</Speak></Response>"),
        _ => Answer::status(204),
    })
    .await;
    a_body_that_nobody_reads_does_not_end_the_connection(&world.platform);
    let carrier = CarrierPeer::start(&carrier_side::echo(50)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    let _ = world.stock(6, 0).await;
    let (ours, older) = (
        world.customer("vobiz", 1_000.0, (100, 100)).await,
        world.customer("plivo", 1_000.0, (100, 100)).await,
    );
    let number = world.number(&older).await;
    let facts = [
        ("TOUR_ANSWER", world.sink.url("answer")),
        ("TOUR_HANGUP", world.sink.url("hangup")),
        ("TOUR_NUMBER", number),
    ];
    let (vobiz, plivo) = tokio::join!(
        tour("vobiz_tour.py", &world.platform, &ours, &facts),
        tour("plivo_tour.py", &world.platform, &older, &facts),
    );
    assert_eq!((vobiz["methods"].as_i64(), plivo["methods"].as_i64()), (Some(69), Some(191)));
    world.verify_ledger();
}
