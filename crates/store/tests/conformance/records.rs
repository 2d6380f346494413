//! Call records as the REST API asks for them.

use tandem_model::{AccountId, CallDirection, CallId, Money};
use tandem_store::calls::*;

use crate::support::*;

async fn keep(house: &House, record: CallRecord) {
    house.writer.submit(RefuseCall { record, events: Vec::new() }).await.unwrap();
}

async fn found(house: &House, account: &AccountId, filter: RecordFilter) -> Vec<CallId> {
    let reader = house.store.reader();
    let page = reader.call_records(account, &filter, 0, 100).await.unwrap();
    assert_eq!(page.total, page.records.len() as u64);
    let summary = reader.call_record_summary(account, &filter).await.unwrap();
    assert_eq!(summary.total, page.total, "list and summary agree");
    page.records.into_iter().map(|record| record.uuid).collect()
}

on_both! {
    async fn a_record_comes_back_as_it_was_written(house: House) {
        let account = house.account("MA_A", 0).await;
        let written = record(&account, CallId::random());
        keep(&house, written.clone()).await;
        let read = house.store.reader().call_record(&account, written.uuid).await.unwrap().unwrap();
        assert!(read.id > 0);
        assert_eq!(CallRecord { id: 0, ..read }, written);
        let bare = CallRecord {
            uuid: CallId::random(), answer_time: None, bridge_uuid: None, campaign_id: None, carrier_ip: None, codec: None,
            customer_endpoint: None, failure_code: None, failure_reason: None, hangup_cause: None,
            hangup_cause_code: None, hangup_cause_name: None, hangup_disposition: None, hangup_source: None,
            jitter_micros: None, mos_milli: None, network_addr: None, packet_loss_milli: None, progress_time: None,
            sip_user_agent: None, terminated_to: None, trunk: None, parent_call: None, application: None,
            carrier: None, recording: None, context: CallContext::VoiceApi,
            call_direction: CallDirection::Inbound, ..written
        };
        keep(&house, bare.clone()).await;
        let read = house.store.reader().call_record(&account, bare.uuid).await.unwrap().unwrap();
        assert_eq!(CallRecord { id: 0, ..read }, bare);
    }

    async fn each_filter_keeps_what_matches_and_drops_the_rest(house: House) {
        let account = house.account("MA_A", 0).await;
        let a = record(&account, CallId::random());
        let b = CallRecord {
            caller_id_number: "14155550100".to_owned(),
            destination_number: "442079460000".to_owned(),
            start_time: at(1000),
            call_direction: CallDirection::Inbound,
            duration: 5,
            sip_call_id: "other".to_owned(),
            bridge_uuid: None,
            hangup_cause: Some("USER_BUSY".to_owned()),
            hangup_disposition: Some("send_bye".to_owned()),
            context: CallContext::VoiceApi,
            campaign_id: None,
            answer_time: None,
            ..record(&account, CallId::random())
        };
        keep(&house, a.clone()).await;
        keep(&house, b.clone()).await;
        keep(&house, record(&AccountId::new("MA_OTHER"), CallId::random())).await;
        let none = RecordFilter::default;
        assert_eq!(found(&house, &account, none()).await, [b.uuid, a.uuid], "newest first, no other account's");
        let text = |text: &str| Some(text.to_owned());
        let only_a = [
            RecordFilter { from_number: text("8065"), ..none() },
            RecordFilter { to_number: text("98765"), ..none() },
            RecordFilter { started_before: Some(at(1000)), ..none() },
            RecordFilter { direction: Some(CallDirection::Outbound), ..none() },
            RecordFilter { min_duration: Some(46), ..none() },
            RecordFilter { sip_call_id: text("a84b4c76e66710@pc33.example"), ..none() },
            RecordFilter { bridge_uuid: a.bridge_uuid, ..none() },
            RecordFilter { hangup_cause: text("NORMAL_CLEARING"), ..none() },
            RecordFilter { hangup_disposition: text("recv_bye"), ..none() },
            RecordFilter { context: Some(CallContext::SipTrunking), ..none() },
            RecordFilter { campaign_id: text("c1"), ..none() },
            RecordFilter { search: Some(a.uuid.to_string()), ..none() },
            RecordFilter { search: text("9876543210"), ..none() },
        ];
        for filter in only_a {
            assert_eq!(found(&house, &account, filter.clone()).await, [a.uuid], "{filter:?}");
        }
        assert_eq!(found(&house, &account, RecordFilter { started_from: Some(at(1000)), ..none() }).await, [b.uuid]);
        let wildcards = RecordFilter { search: text("%"), ..none() };
        assert!(found(&house, &account, wildcards).await.is_empty(), "a percent sign is a percent sign");
    }

    async fn pages_and_sums_cover_the_whole_filtered_set(house: House) {
        let account = house.account("MA_A", 100).await;
        for n in 0..5 {
            let reserve = reserve(&account, Money::from_units(2));
            let call = reserve.call.call;
            house.writer.submit(reserve).await.unwrap();
            let mut settle = settle(&account, call, Money::from_units(1));
            settle.record.start_time = at(n);
            settle.record.streaming_cost = Money::from_micros(500_000);
            if n == 0 {
                settle.record.answer_time = None;
            }
            house.writer.submit(settle).await.unwrap();
        }
        let reader = house.store.reader();
        let filter = RecordFilter::default();
        let page = reader.call_records(&account, &filter, 2, 2).await.unwrap();
        assert_eq!(page.total, 5);
        assert_eq!(page.records.iter().map(|record| record.start_time).collect::<Vec<_>>(), [at(2), at(1)]);
        let summary = reader.call_record_summary(&account, &filter).await.unwrap();
        assert_eq!((summary.total, summary.answered, summary.billsec, summary.duration_s), (5, 4, 210, 230));
        assert_eq!((summary.cost, summary.last_call_at), (Money::from_micros(7_500_000), Some(at(4))));
        let (mut cursor, mut exported) = (ExportCursor::default(), Vec::new());
        loop {
            let (rows, next) = reader.export_records(&account, &filter, cursor, 2).await.unwrap();
            if rows.is_empty() {
                break;
            }
            cursor = next;
            exported.extend(rows.iter().map(|row| row.values()[36].clone()));
        }
        let newest_first = [4, 3, 2, 1, 0].map(|n| tandem_store::Value::from(at(n)));
        assert_eq!(exported, newest_first);
        let empty = reader.call_record_summary(&AccountId::new("MA_NONE"), &filter).await.unwrap();
        assert_eq!(empty, RecordSummary::default());
        house.assert_clean().await;
    }
}
