//! The page docs/reference/sip-torture.md says what a carrier hears to every torture message, and that a stranger
//! hears nothing. Here both are asked.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::peer::{Peer, key_of};
use crate::stage::{World, WorldOptions};
use tandem_testkit::Answer;

/// The ports that the messages' Via name, the default first.
const PORTS: [u16; 5] = [5060, 5050, 5070, 6050, 19823];

struct Row {
    name: String,
    file: PathBuf,
    /// `None` is silence.
    hears: Option<u16>,
}

/// The rows of the page.
fn rows() -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page =
        std::fs::read_to_string(root.join("docs/reference/sip-torture.md")).expect("the page is there");
    let mut folder = "";
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            folder = if title.starts_with("RFC 4475") { "rfc4475" } else { "rfc5118" };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", section, name, _, _, _, hears, _, ""] = cells.as_slice() else { continue };
        if !section.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let file = root.join(format!("crates/sip/tests/{folder}/{name}.dat"));
        let hears = (*hears != "silence").then(|| hears.parse().expect("a status"));
        rows.push(Row { name: (*name).to_owned(), file, hears });
    }
    assert_eq!(rows.len(), 49 + 12, "the page lists every message");
    rows
}

async fn world_with_carrier(ports: &[u16], host: u8) -> (World, Peer) {
    let world = World::open(WorldOptions::default(), |_| Answer::status(204)).await;
    let carrier = Peer::open(IpAddr::from([127, 44, 75, host]), ports, world.sip()).await;
    world.carrier("torturer", carrier.address(), &["999"], 9).await;
    (world, carrier)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torture_messages_are_answered_as_the_page_says() {
    let (_world, mut carrier) = world_with_carrier(&PORTS, 1).await;
    let mut wrong = Vec::new();
    for row in rows() {
        let bytes = std::fs::read(&row.file).expect("the message is there");
        let key = key_of(&bytes);
        carrier.send(&bytes).await;
        let heard = match (&key, row.hears) {
            (Some(key), Some(_)) => carrier.final_status(key, Duration::from_secs(5)).await,
            (Some(key), None) => carrier.final_status(key, Duration::from_millis(100)).await,
            (None, _) => None,
        };
        if heard != row.hears {
            wrong.push(format!("{}: {heard:?}, the page says {:?}", row.name, row.hears));
        }
    }
    carrier.ping().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_hears_nothing_whatever_he_sends() {
    let (world, mut carrier) = world_with_carrier(&[0], 2).await;
    let stranger = Peer::open(IpAddr::from([127, 44, 75, 3]), &PORTS, world.sip()).await;
    for row in rows() {
        stranger.send(&std::fs::read(&row.file).expect("the message is there")).await;
        carrier.ping().await;
    }
    assert_eq!(stranger.heard(), [0_u16; 0]);
}
