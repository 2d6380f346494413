//! What people showed is nowhere in clear, erased or not; after erasure its keys are gone too. Searched: every file of the
//! data folder (database, write-ahead log, log), a copy of the database made afterwards, and on PostgreSQL the whole cluster.

use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_testkit::databases::PostgresCluster;
use tandem_testkit::{MailManners, Mailbox};

use super::visitor::Visitor;
use super::{PAN, id_of, read, session, world};
use crate::stage::world::text;

/// Everything personal that the test shows, and what verifiers make of it.
const CANARIES: &[&str] = &[
    PAN,
    "canary.mail@person.example",
    "Canary Q Person",
    "CANARY Q PERSON",
    "1973-02-17",
    "CANARY-ORDER",
    "CANARY-REASON",
    "canary-way-back",
];
/// Is not personal and must be found, or the search is blind.
const CONTROL: &str = "control-canary";

async fn erasure(database: Option<String>, folders: &[PathBuf]) {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let world = world(&mailbox, database).await;
    let customer = world.customer(CONTROL, 0.0, (1, 1)).await;
    let mailed = session(
        &world,
        &customer,
        json!({"customer_email": "canary.mail@person.example", "webhook_url": world.sink.url("down")}),
    )
    .await;
    mailbox.wait(crate::stage::PATIENCE, 1).await;
    let path = format!("/partner/kyc-sessions/{}", id_of(&mailed));
    world
        .platform
        .rest("DELETE", &path, &world.partner, Some(&json!({"reason": "CANARY-REASON"})))
        .await
        .ok();
    let further = json!({"flow_type": "redirect", "redirect_url": "http://partner.example/canary-way-back", "webhook_url": world.sink.url("down")});
    let made = session(&world, &customer, further).await;
    let (base, mut visitor) = (world.platform.api.clone(), Visitor::default());
    let page = visitor.open(&text(&made, "widget_url")).await;
    visitor.send(&base, &page, "pan", &[("pan", PAN), ("consent", "yes")]).await;
    visitor.send(&base, &page, "details", &[("name", "Canary Q Person"), ("birth_date", "1973-02-17")]).await;
    let ready = visitor.send(&base, &page, "digilocker", &[]).await;
    let visit = ready.between("class=\"button\" href=\"", "\"").expect("a link");
    let request = visit.split("request=").nth(1).expect("a visit").to_owned();
    visitor.send(&base, &ready, "sandbox/digilocker", &[("request", &request), ("say", "granted")]).await;
    let shown = read(&world, &id_of(&made)).await.to_string();
    assert!(
        shown.contains("CANARY Q PERSON") && shown.contains("kyc_completed"),
        "its owner sees it: {shown}"
    );
    // Events that were not delivered keep their payloads.
    world
        .sink
        .wait(crate::stage::PATIENCE, |requests| requests.iter().any(|one| one.path() == "/down"))
        .await;

    let mut folders = folders.to_vec();
    folders.push(world.platform.data().to_owned());
    assert!(found(&folders, &[CONTROL]) > 0, "the search sees what is there");
    assert_eq!(found(&folders, CANARIES), 0, "sealed before it is erased");
    let erased = world.platform.admin(&["kyc", "erase", &customer.who.id, "--yes"]);
    assert_eq!(erased["subjects"], 1, "{erased}");
    assert!(erased["events"].as_u64().expect("a number") >= 2, "undelivered payloads: {erased}");
    if folders.len() == 1 {
        let database = world.platform.data().join("tandem.db");
        std::fs::copy(&database, world.platform.data().join("backup.db")).expect("a copy");
    }
    assert_eq!(found(&folders, CANARIES), 0);
    let after = read(&world, &id_of(&made)).await;
    assert_eq!((&after["verified_data"], &after["status"]), (&json!(null), &json!("kyc_completed")));
    let letters = read(&world, &id_of(&mailed)).await.to_string();
    assert!(!letters.contains("canary"), "{letters}");
    let page = visitor.open(&format!("{base}/verify/step")).await;
    assert_eq!(page.status, 404, "the link opens nothing any more");
}

/// How many files below the folders hold one of the words.
fn found(folders: &[PathBuf], words: &[&str]) -> usize {
    folders.iter().map(|folder| below(folder, words)).sum()
}

fn below(folder: &Path, words: &[&str]) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += below(&path, words);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let holds = |word: &&&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
            if let Some(word) = words.iter().find(holds) {
                eprintln!("{} holds {word}", path.display());
                count += 1;
            }
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_left_in_sqlite() {
    erasure(None, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_left_in_postgresql() {
    let cluster = PostgresCluster::start(tandem_testkit::databases::Fsync::Off);
    let url = cluster.create_database();
    let folder = url.split("host=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    erasure(Some(url.clone()), &[PathBuf::from(folder)]).await;
}
