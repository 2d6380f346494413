//! Recordings over HTTP: files in ranges, deletes that leave neither file nor row, orphans found again, erasure.

use axum::http::HeaderMap;
use serde_json::{Value, json};
use tandem_model::{CallId, clock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{House, Login};
use crate::recordings::Keeper;

/// A second of silence.
fn wav() -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x40\x1f\x00\x00\x00\x7d\x00\x00\x04\x00\x10\x00data\xff\xff\xff\xff".to_vec();
    file.resize(44 + 32_000, 0);
    file
}

impl House {
    fn recording_path(&self, call: CallId) -> std::path::PathBuf {
        let path = self.recordings.path_of_call(call);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn keeper(&self, retention_days: u32) -> Keeper {
        Keeper {
            recordings: self.recordings.clone(),
            reader: self.store.reader(),
            writer: self.writer.clone(),
            retention_days,
        }
    }

    async fn round(&self) {
        self.keeper(0).round(clock::wall(), true).await.unwrap();
    }

    /// A call on record.
    pub(super) async fn ended_call(&self, account: &str, sub_account: Option<&str>) -> CallId {
        let call = CallId::random();
        let sub = sub_account.map_or("null".to_owned(), |sub| format!("'{sub}'"));
        self.run_sql(&format!(
            "insert into call_record (uuid, account_id, sub_account, answer_time, billsec, call_direction, caller_id_name,
               caller_id_number, context, cost, created_at, currency, destination_number, duration, end_time,
               origination_region, region, ring_time, sip_call_id, start_time, updated_at, rate)
             values ('{call}', '{account}', {sub}, 1790000000000000, 1, 'inbound', '', '+918012340000', 'sip-trunking', 0, 0,
               'INR', '+919800000002', 1, 1790000001000000, 'IN', 'IN', 0, 'x', 1790000000000000, 0,
               '{{\"per_minute\":0,\"pulse_s\":60,\"minimum_s\":0,\"connection_fee\":0}}')"
        ))
        .await;
        call
    }

    /// The same, with a file that a crash left open.
    async fn recorded_call(&self, account: &str, sub_account: Option<&str>) -> CallId {
        let call = self.ended_call(account, sub_account).await;
        std::fs::write(self.recording_path(call), wav()).unwrap();
        call
    }

    pub(super) async fn listed(&self, who: &Login, query: &str) -> Vec<Value> {
        let list = self.get(&format!("/Account/{}/Recording/{query}", who.id), who).await;
        assert_eq!(list.status, 200, "{}", list.body);
        list.body["objects"].as_array().unwrap().clone()
    }

    pub(super) async fn fetch(
        &self,
        path: &str,
        who: Option<&Login>,
        range: &str,
    ) -> (u16, HeaderMap, usize) {
        let mut headers = Vec::new();
        if !range.is_empty() {
            headers.push(("range", range));
        }
        if let Some(who) = who {
            headers.extend([("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str())]);
        }
        let (status, headers, text) = self.bytes("GET", path, &headers, Vec::new()).await;
        (status, headers, text.len())
    }
}

fn id_of(recording: &Value) -> &str {
    recording["recording_id"].as_str().unwrap()
}

pub(super) async fn customers(house: &House) -> (Login, Login) {
    let partner = house.partner("p@acme.example").await;
    (
        house.customer(&partner, "a@shop.example", 100).await,
        house.customer(&partner, "b@shop.example", 100).await,
    )
}

#[tokio::test]
async fn a_file_that_a_crash_left_is_adopted_and_downloads_whole_and_in_ranges() {
    let house = House::open().await;
    let (owner, other) = customers(&house).await;
    let call = house.recorded_call(&owner.id, None).await;
    let stray = CallId::random();
    std::fs::write(house.recording_path(stray), wav()).unwrap();
    assert_eq!(house.listed(&owner, "").await.len(), 0);
    house.round().await;
    house.round().await;
    let rows = house.listed(&owner, &format!("?call_uuid={call}")).await;
    assert_eq!(rows.len(), 1, "once");
    let row = &rows[0];
    assert_eq!(row["recording_duration_ms"], "1000.00000");
    assert_eq!(row["rounded_recording_duration"], 60);
    assert_eq!(row["recording_start_ms"], "1790000000000.00000");
    assert_eq!(row["recording_end_ms"], "1790000001000.00000");
    assert!(house.recording_path(stray).exists(), "nobody's file stays");

    let url = row["recording_url"].as_str().unwrap().strip_prefix("http://api.example").unwrap().to_owned();
    let (status, headers, length) = house.fetch(&url, Some(&owner), "").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap(), length), (200, "audio/wav", 32_044));
    let name = headers["content-disposition"].to_str().unwrap();
    assert_eq!(name, format!("attachment; filename=\"{}.wav\"", id_of(row)));
    let (status, headers, length) = house.fetch(&url, Some(&owner), "bytes=40-49").await;
    assert_eq!((status, headers["content-range"].to_str().unwrap(), length), (206, "bytes 40-49/32044", 10));
    assert_eq!(house.fetch(&url, Some(&owner), "bytes=40000-").await.0, 416);
    let path = format!("/v1/Account/{}/Recording/{}/download/", owner.id, id_of(row));
    assert_eq!(house.fetch(&path, Some(&owner), "").await.0, 200);
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{}:{}", owner.id, owner.token),
    );
    let (status, ..) =
        house.bytes("GET", &url, &[("authorization", &format!("Basic {basic}"))], Vec::new()).await;
    assert_eq!(status, 200, "HTTP Basic");
    assert_eq!(house.fetch(&url, None, "").await.0, 401);
    assert_eq!(house.fetch(&url, Some(&other), "").await.0, 403);
    let foreign = url.replace(&owner.id, &other.id);
    assert_eq!(house.fetch(&foreign, Some(&other), "").await.0, 404);
    assert_eq!(
        house.fetch(&url.replace(".wav", ".mp3"), Some(&owner), "").await.0,
        404,
        "its format is in its record"
    );
    assert_eq!(house.fetch(&url.replace(".wav", ".ogg"), Some(&owner), "").await.0, 404);
}

#[tokio::test]
async fn a_delete_takes_the_file_and_the_row_whenever_the_process_dies() {
    let house = House::open().await;
    let (owner, other) = customers(&house).await;
    let calls = [house.recorded_call(&owner.id, None).await, house.recorded_call(&owner.id, None).await];
    house.round().await;
    let rows = house.listed(&owner, "").await;
    let path = |row: &Value| format!("/Account/{}/Recording/{}/", owner.id, id_of(row));
    let foreign = format!("/Account/{}/Recording/{}/", other.id, id_of(&rows[0]));
    assert_eq!(house.ask("DELETE", &foreign, &other, Value::Null).await.status, 404);
    for row in &rows {
        assert_eq!(house.ask("DELETE", &path(row), &owner, Value::Null).await.status, 204);
        assert_eq!(house.get(&path(row), &owner).await.status, 404, "gone before its file is");
        assert_eq!(house.ask("DELETE", &path(row), &owner, Value::Null).await.status, 404);
    }
    // The process dies after one file is removed and before any row is.
    std::fs::remove_file(house.recording_path(calls[0])).unwrap();
    house.round().await;
    assert!(calls.iter().all(|call| !house.recording_path(*call).exists()));
    assert_eq!(house.keeper(0).reader.recordings_to_remove("", 9).await.unwrap().len(), 0);
    house.round().await;
    assert_eq!(house.listed(&owner, "").await.len(), 0, "what was deleted does not come back");
    let audit = house.get(&format!("/Account/{}/audit", owner.id), &owner).await.body;
    let deletes = audit["entries"].as_array().unwrap().iter().filter(|e| e["resource_kind"] == "recording");
    assert_eq!(deletes.count(), 2);
}

#[tokio::test]
async fn bulk_deletes_take_what_filters_keep_and_nothing_without_one() {
    let house = House::open().await;
    let (owner, other) = customers(&house).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(house.recorded_call(&owner.id, None).await);
    }
    house.recorded_call(&other.id, None).await;
    house.round().await;
    let bulk = |query: &str| format!("/Account/{}/Recording/BulkDelete/{query}", owner.id);
    for (query, body) in [
        ("", Value::Null),
        ("?limit=3", Value::Null),
        ("?add_time__lte=2026-12-31&colour=red", Value::Null),
        ("?call_uuid=x", Value::Null),
        ("", json!({"from": "+918012340000"})),
    ] {
        assert_eq!(house.ask("DELETE", &bulk(query), &owner, body).await.status, 400, "{query}");
    }
    let one = house.ask("DELETE", &bulk(&format!("?call_uuid={}", calls[0])), &owner, Value::Null).await;
    assert_eq!((one.status, &one.body["status"]), (202, &json!("successfully queued bulk delete request")));
    assert_eq!(house.listed(&owner, "").await.len(), 2);
    let body = json!({"from_number": "+918012340000", "add_time__lte": "2030-01-01 00:00:00"});
    assert_eq!(house.ask("DELETE", &bulk(""), &owner, body).await.status, 202);
    assert_eq!(house.listed(&owner, "").await.len(), 0);
    assert_eq!(house.listed(&other, "").await.len(), 1, "another account's stays");
    house.round().await;
    assert!(calls.iter().all(|call| !house.recording_path(*call).exists()));
}

#[tokio::test]
async fn a_sub_account_s_recordings_go_with_it_and_its_parent_reads_them_before() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let subs = format!("/accounts/{}/sub-accounts", owner.id);
    let made = house.ask("POST", &subs, &owner, json!({"name": "Desk", "email": "s@shop.example"})).await;
    assert!(made.status < 300, "{}", made.body);
    let sub = made.body["auth_id"].as_str().or(made.body["sub_account"]["auth_id"].as_str());
    let sub = sub.expect("the sub-account's id").to_owned();
    let (own, of_sub) =
        (house.recorded_call(&owner.id, None).await, house.recorded_call(&owner.id, Some(&sub)).await);
    house.round().await;
    assert_eq!(house.listed(&owner, "").await.len(), 2, "the main account pays for both");
    let listed = house.get(&format!("/Account/{sub}/Recording"), &owner).await.body;
    assert_eq!(listed["meta"]["total_count"], 1);
    assert!(listed["objects"][0]["recording_url"].as_str().unwrap().contains(&sub));
    // One more, of a crash that nobody has found yet.
    let late = house.recorded_call(&owner.id, Some(&sub)).await;
    let gone = house.ask("DELETE", &format!("{subs}/{sub}"), &owner, Value::Null).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(house.listed(&owner, "").await.len(), 1);
    house.round().await;
    house.round().await;
    assert!(!house.recording_path(of_sub).exists());
    assert!(!house.recording_path(late).exists(), "found after its account was gone");
    assert!(house.recording_path(own).exists());
}

#[tokio::test]
async fn recordings_go_when_their_time_is_over() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let call = house.recorded_call(&owner.id, None).await;
    house.round().await;
    let age = clock::wall().duration_since("2026-09-21T14:13:21Z".parse().unwrap()).as_hours() / 24;
    let days = u32::try_from(age).unwrap();
    house.keeper(days + 2).round(clock::wall(), true).await.unwrap();
    assert_eq!(house.listed(&owner, "").await.len(), 1);
    house.keeper(days - 1).round(clock::wall(), true).await.unwrap();
    assert_eq!(house.listed(&owner, "").await.len(), 0);
    assert!(!house.recording_path(call).exists());
}

#[tokio::test]
async fn a_row_without_figures_gets_them_or_goes() {
    let house = House::open().await;
    let (owner, _) = customers(&house).await;
    let calls = [house.recorded_call(&owner.id, None).await, house.recorded_call(&owner.id, None).await];
    house.round().await;
    house.run_sql("update recording set bytes = null, duration_ms = null").await;
    std::fs::remove_file(house.recording_path(calls[1])).unwrap();
    let stop = CancellationToken::new();
    let keeper = TaskTracker::new().spawn(house.keeper(0).run(stop.clone()));
    for _ in 0..100 {
        if house.listed(&owner, "").await.len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.cancel();
    keeper.await.unwrap();
    let rows = house.listed(&owner, "").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["recording_duration_ms"], "1000.00000");
}
