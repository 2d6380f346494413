//! Calls and call records.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tandem_model::{AccountId, Currency, Money, Rate, TrunkId, clock};
use tandem_store::calls::{
    CallContext, CallRecord, LiveState, NewCall, RefuseCall, ReserveCall, ReserveOutcome,
};

use super::{House, keys, text};

#[tokio::test]
async fn calls_are_refused_with_a_reason_on_a_node_that_runs_none() {
    let house = House::open().await;
    let call = json!({"from": "918045671200", "to": "919812345678", "answer_url": "https://a.example/"});
    let answer = house.post("Call/", call.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(&answer.body["message"]).contains("runs no calls"), "{}", answer.text);
    let mut detecting = call.clone();
    detecting["machine_detection"] = "true".into();
    let answer = house.post("Call/", detecting).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    assert!(text(&answer.body["message"]).contains("machine_detection"));
    let answer = house.post("Call/", json!({"from": "1", "to": "2"})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.get("Call?status=live").await.body["calls"], json!([]));
    assert_eq!(house.get(&format!("Call/{}", TrunkId::random())).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_asks_for_the_record_of_a_call_that_lives_is_told_how_to_read_it() {
    let house = House::open().await;
    let call = live_call("MA_A", LiveState::InProgress);
    let reserve = ReserveCall { call: call.clone(), events: Vec::new() };
    assert_eq!(house.state.writer.submit(reserve).await.unwrap(), ReserveOutcome::Reserved);
    let answer = house.get(&format!("Call/{}", call.call)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.body["error"], "call not found");
    assert!(text(&answer.body["hint"]).contains("?status=live"), "{}", answer.text);
    assert_eq!(house.get(&format!("Call/{}?status=live", call.call)).await.status, StatusCode::OK);
    let answer = house
        .post(
            "Call/",
            json!({"from": "1", "to": "2", "answer_url": "https://a.example/", "time_limit": "abc"}),
        )
        .await;
    assert_eq!(answer.body["details"]["time_limit"], "Must be a whole number of seconds, 1 or more");
}

/// What a good request is told here: this node runs no calls; or it is not built.
fn beyond(action: &str) -> StatusCode {
    let is_built = !action.contains("Record") && !action.contains("Stream");
    if is_built { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_IMPLEMENTED }
}

#[tokio::test]
async fn what_steers_a_live_call_is_checked_in_full_before_its_session_is_looked_for() {
    let house = House::open().await;
    let (live, ringing, subs) = (
        live_call("MA_A", LiveState::InProgress),
        live_call("MA_A", LiveState::Ringing),
        live_call("SA_A", LiveState::InProgress),
    );
    for call in [&live, &ringing, &subs] {
        let reserve = ReserveCall { call: call.clone(), events: Vec::new() };
        assert_eq!(house.state.writer.submit(reserve).await.unwrap(), ReserveOutcome::Reserved);
    }
    let orders = [
        (
            "",
            json!({"legs": "both", "aleg_url": "https://a.example/x"}),
            "bleg_url",
            json!({"aleg_url": "https://a.example/x"}),
        ),
        ("/Play/", json!({"urls": "x"}), "urls", json!({"urls": ["https://a.example/x.mp3"]})),
        ("/Speak/", json!({"voice": "MAN"}), "text", json!({"text": "hi", "length": "WOMAN"})),
        ("/DTMF/", json!({"digits": "1a"}), "digits", json!({"digits": "1*#w", "legs": "both"})),
        ("/Record/", json!({"file_format": "ogg"}), "file_format", json!({})),
        (
            "/Stream/",
            json!({"service_url": "https://a.example"}),
            "service_url",
            json!({"service_url": "wss://a.example/s"}),
        ),
    ];
    for (action, wrong, field, right) in orders {
        let at = |call: tandem_model::CallId| format!("Call/{call}{action}");
        let answer = house.post(&at(live.call), wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{action}: {}", answer.text);
        assert!(!answer.body["details"][field].is_null(), "{action}: {}", answer.text);
        for absent in [tandem_model::CallId::random(), ringing.call] {
            assert_eq!(
                house.post(&at(absent), right.clone()).await.status,
                StatusCode::NOT_FOUND,
                "{action}"
            );
        }
        let path = format!("/api/v1/Account/SA_A/{}", at(live.call));
        let foreign = house.ask_as("SA_A", "", Method::POST, &path, right.clone()).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{action}: its parent's call");
        let answer = house.post(&at(live.call), right).await;
        assert_eq!(answer.status, beyond(action), "{action}: {}", answer.text);
    }
    for path in ["/Play/", "/Speak/", "/Record/", "/Stream/", "/Stream/8a5d6d2e-6b7c-4f6b-9d35-0f5a4a9e2b11/"]
    {
        let answer = house.delete(&format!("Call/{}{path}", live.call)).await;
        assert_eq!(answer.status, beyond(path), "{path}: {}", answer.text);
        let answer = house.delete(&format!("Call/{}{path}", ringing.call)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text);
    }
    assert_eq!(
        house.get(&format!("Call/{}/Stream/?limit=5", live.call)).await.status,
        StatusCode::NOT_IMPLEMENTED
    );
    assert_eq!(house.get(&format!("Call/{}/Stream/x", live.call)).await.status, StatusCode::BAD_REQUEST);
}

fn live_call(account: &str, state: LiveState) -> NewCall {
    NewCall {
        call: tandem_model::CallId::random(),
        account: AccountId::new("MA_A"),
        parent_call: None,
        state,
        direction: tandem_model::CallDirection::Outbound,
        from: "918045671200".to_owned(),
        to: "919812345678".to_owned(),
        trunk: None,
        carrier: None,
        application: None,
        currency: Currency::INR,
        facts: json!({"facts": {"account": account, "caller_name": "Lotus"}}).to_string(),
        plan: "{}".to_owned(),
        rate: FREE,
        hold: Money::ZERO,
        covered_s: None,
        started_at: clock::wall(),
        dialogs: Vec::new(),
    }
}

const FREE: Rate = Rate { per_minute: Money::ZERO, pulse_s: 60, minimum_s: 0, connection_fee: Money::ZERO };

#[tokio::test]
async fn live_and_queued_calls_are_told_apart_and_shown_to_their_own_account() {
    let house = House::open().await;
    let (live, queued, subs) = (
        live_call("MA_A", LiveState::InProgress),
        live_call("MA_A", LiveState::Queued),
        live_call("SA_A", LiveState::Ringing),
    );
    for call in [&live, &queued, &subs] {
        let reserve = ReserveCall { call: call.clone(), events: Vec::new() };
        assert_eq!(house.state.writer.submit(reserve).await.unwrap(), ReserveOutcome::Reserved);
    }
    assert_eq!(house.get("Call?status=live").await.body["calls"], json!([live.call, subs.call]));
    assert_eq!(house.get("Call/?status=queued").await.body["calls"], json!([queued.call]));
    let sub =
        house.ask_as("SA_A", "", Method::GET, "/api/v1/Account/SA_A/Call?status=live", Value::Null).await;
    assert_eq!(sub.body["calls"], json!([subs.call]));
    let foreign = house
        .ask_as(
            "MA_B",
            "",
            Method::GET,
            &format!("/api/v1/Account/MA_B/Call/{}?status=live", live.call),
            Value::Null,
        )
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);

    let read = house.get(&format!("Call/{}?status=live", live.call)).await.body;
    let live_keys = [
        "api_id",
        "call_status",
        "call_uuid",
        "caller_name",
        "direction",
        "from",
        "request_uuid",
        "session_start",
        "stir_attestation",
        "stir_verification",
        "to",
    ];
    assert_eq!(keys(&read), live_keys);
    assert_eq!((&read["call_status"], &read["caller_name"]), (&json!("in-progress"), &json!("Lotus")));
    let read = house.get(&format!("Call/{}/?status=queued", queued.call)).await.body;
    let queued_keys =
        ["api_id", "call_status", "call_uuid", "caller_name", "direction", "from", "request_uuid", "to"];
    assert_eq!(keys(&read), queued_keys);
    assert_eq!(house.get(&format!("Call/{}?status=queued", live.call)).await.status, StatusCode::NOT_FOUND);
}

fn record(number: &str) -> CallRecord {
    let now = clock::wall();
    CallRecord {
        id: 0,
        uuid: tandem_model::CallId::random(),
        account: AccountId::new("MA_A"),
        answer_time: None,
        billsec: 0,
        bridge_uuid: None,
        call_direction: tandem_model::CallDirection::Outbound,
        caller_id_name: String::new(),
        caller_id_number: number.to_owned(),
        campaign_id: None,
        carrier_ip: None,
        codec: None,
        context: CallContext::VoiceApi,
        cost: Money::ZERO,
        created_at: now,
        currency: Currency::INR,
        customer_endpoint: None,
        destination_number: "919812345678".to_owned(),
        duration: 7,
        end_time: now,
        failure_code: None,
        failure_reason: None,
        hangup_cause: None,
        hangup_cause_code: None,
        hangup_cause_name: None,
        hangup_disposition: None,
        hangup_source: None,
        jitter_micros: None,
        mos_milli: None,
        network_addr: None,
        origination_region: "IN".to_owned(),
        packet_loss_milli: None,
        progress_time: None,
        region: "IN".to_owned(),
        ring_time: 7,
        sip_call_id: "x".to_owned(),
        sip_user_agent: None,
        start_time: now,
        streaming_cost: Money::ZERO,
        terminated_to: None,
        trunk: None,
        updated_at: now,
        parent_call: None,
        application: None,
        carrier: None,
        refused: true,
        code: None,
        occurrences: 1,
        rate: FREE,
        recording: None,
        sub_account: None,
        answered_while_cancelling: false,
    }
}

#[tokio::test]
async fn call_records_are_listed_summed_and_read_one_by_one() {
    let house = House::open().await;
    let empty = house.get("cdr").await.body;
    assert_eq!(
        empty,
        json!({"account_id": "MA_A", "count": 0, "data": [],
            "pagination": {"page": 1, "per_page": 20, "total": 0, "pages": 0, "has_next": false, "has_prev": false},
            "success": true,
            "summary": {"answerRate": 0, "answeredCalls": 0, "avgCallDuration": "0s", "last_call_at": "",
                "totalCalls": 0, "total_billable_seconds": 0, "total_cost": 0, "total_duration_seconds": 0}})
    );
    let records: Vec<CallRecord> = ["918045671200", "918045671201", "14155550100"].map(record).into();
    for record in &records {
        house.state.writer.submit(RefuseCall { record: record.clone(), events: Vec::new() }).await.unwrap();
    }
    let page = house.get("cdrs?per_page=2&page=1").await.body;
    assert_eq!((&page["count"], &page["pagination"]["has_next"]), (&json!(2), &json!(true)));
    assert_eq!(keys(&page["data"][0]).len(), 43);
    assert_eq!(page["summary"]["avgCallDuration"], "7s");
    assert_eq!(house.get("cdr?from_number=%2B91804567").await.body["pagination"]["total"], 2);
    assert_eq!(house.get("cdr?min_duration=8").await.body["count"], 0);
    assert_eq!(house.get("cdr?start_date=2026-01-01").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.get("cdr?start_date=2020-01-01&end_date=2020-01-31").await.body["count"], 0);
    // As transactions name them.
    assert_eq!(house.get("cdr?from_date=2020-01-01&to_date=2020-01-31").await.body["count"], 0);
    let old = house.get("cdr?limit=1&offset=1").await.body;
    assert_eq!(
        (old["data"]["cdrs"].as_array().unwrap().len(), &old["data"]["pagination"]["hasMore"]),
        (1, &json!(true))
    );
    let found = house.get("cdr/search?from_number=14155").await.body;
    assert_eq!(
        found["filters"],
        json!({"call_direction": "", "from_number": "14155", "hangup_cause": "", "to_number": ""})
    );
    let recent = house.get("cdr/recent?limit=2").await.body;
    assert_eq!(keys(&recent), ["account_id", "count", "data", "success"]);
    assert_eq!(recent["count"], 2);

    let one = house.get(&format!("cdr/{}", records[0].uuid)).await.body;
    assert_eq!(keys(&one), ["data", "success"]);
    assert!(one["data"].as_object().unwrap().values().all(|value| !value.is_null()), "{one}");
    assert_eq!(
        (keys(&one["data"]).len(), &one["data"]["mos"], &one["data"]["codec"]),
        (43, &json!(0), &json!(""))
    );
    assert_eq!(house.get("cdr/1").await.status, StatusCode::NOT_FOUND, "numeric ids are not looked up");
    let foreign = house
        .ask_as(
            "MA_B",
            "",
            Method::GET,
            &format!("/api/v1/Account/MA_B/cdr/{}", records[0].uuid),
            Value::Null,
        )
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_export_has_every_record_that_matches_under_the_keys_of_a_record() {
    let house = House::open().await;
    for n in 0..1_203 {
        let mut record = record(&format!("9180456{n:05}"));
        record.caller_id_name = "=1+1, \"x\"".to_owned();
        record.cost = Money::from_micros(1_500_000);
        house.state.writer.submit(RefuseCall { record, events: Vec::new() }).await.unwrap();
    }
    let all = house.get("cdr/export").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.text);
    let mut lines = all.text.split("\r\n");
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let listed = house.get("cdr?per_page=1").await.body;
    let row: Vec<&String> = listed["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(head, row, "the keys of a record, in their order");
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1_203);
    assert!(
        lines.iter().all(|line| line.contains("\"'=1+1, \"\"x\"\"\"") && line.contains(",1.5,")),
        "{}",
        lines[0]
    );
    assert_eq!(
        house.get("cdr/export?from_number=80456012").await.text.lines().count(),
        4,
        "three and the head"
    );
    assert_eq!(house.get("cdr/export?start_date=2026-01-01").await.status, StatusCode::BAD_REQUEST);

    // Folded or not, lists say the same.
    let before = house.get("cdr?from_number=80456012").await.body;
    assert_eq!((&before["pagination"]["total"], &before["count"]), (&json!(3), &json!(3)));
    crate::folder::fold(&house.state.reader, &house.state.writer).await.unwrap();
    assert_eq!(house.get("cdr?from_number=80456012").await.body, before);
    let last = house.get("cdr?page=1203&per_page=1").await.body;
    assert_eq!((&last["count"], &last["pagination"]["has_next"]), (&json!(1), &json!(false)));
    assert_eq!(last["summary"]["total_cost"], 1804.5);
}
