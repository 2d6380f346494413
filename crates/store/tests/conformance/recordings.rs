//! Recordings: written once with their call, walled, deleted without a remnant, found again.

use tandem_model::{AccountId, CallId, Ids, RecordingId};
use tandem_store::audit::Actor;
use tandem_store::calls::*;
use tandem_store::recordings::*;

use crate::support::*;

fn of(account: &AccountId, call: CallId) -> Recording {
    Recording {
        id: RecordingId(Ids::random()),
        account: account.clone(),
        sub_account: None,
        call,
        conference: None,
        kind: RecordingKind::Trunk,
        format: "wav".to_owned(),
        from_number: "+918065551234".to_owned(),
        to_number: "+919876543210".to_owned(),
        node: "node-1".to_owned(),
        file: format!("{call}.wav"),
        bytes: Some(32_044),
        duration_ms: Some(1_000),
        started_at: at(5),
        created_at: at(10),
        webhook: None,
    }
}

/// Writes one with its call's settlement.
async fn keep(house: &House, recording: &Recording) {
    let held = tandem_model::Money::from_units(1);
    let call = NewCall { call: recording.call, ..new_call(&recording.account, held) };
    house.writer.submit(ReserveCall { call, events: Vec::new() }).await.unwrap();
    settle_with(house, recording).await;
}

async fn settle_with(house: &House, recording: &Recording) -> SettleOutcome {
    let settle = settle(&recording.account, recording.call, tandem_model::Money::ZERO);
    house.writer.submit(SettleCall { recording: Some(recording.clone()), ..settle }).await.unwrap()
}

async fn found(house: &House, whose: RecordsOf<'_>, filter: RecordingFilter) -> Vec<RecordingId> {
    let page = house.store.reader().recordings(whose, &filter, 0, 100).await.unwrap();
    assert_eq!(page.total, page.recordings.len() as u64);
    page.recordings.into_iter().map(|recording| recording.id).collect()
}

fn delete(ids: Vec<RecordingId>, account: Option<&AccountId>) -> DeleteRecordings {
    DeleteRecordings { ids, account: account.cloned(), actor: Actor::system(), at: at(20) }
}

on_both! {
    async fn a_call_s_settlement_writes_its_recording_once(house: House) {
        let account = house.account("MA_A", 100).await;
        let recording = of(&account, CallId::random());
        keep(&house, &recording).await;
        let again = Recording { id: RecordingId(Ids::random()), ..recording.clone() };
        assert_eq!(settle_with(&house, &again).await, SettleOutcome::AlreadySettled);
        let reader = house.store.reader();
        let read = reader.recording(RecordsOf::Account(&account), recording.id).await.unwrap();
        assert_eq!(read, Some(recording.clone()));
        assert_eq!(found(&house, RecordsOf::Account(&account), RecordingFilter::default()).await, [recording.id]);
    }

    async fn filters_keep_what_matches_and_nobody_sees_another_s(house: House) {
        let (account, other) = (house.account("MA_A", 100).await, house.account("MA_B", 100).await);
        let sub = AccountId::new("SA_A");
        let a = of(&account, CallId::random());
        let b = Recording {
            sub_account: Some(sub.clone()),
            kind: RecordingKind::Call,
            conference: Some("Room 1".to_owned()),
            from_number: "sip:anita@x".to_owned(),
            to_number: "+442079460000".to_owned(),
            created_at: at(1_000),
            ..of(&account, CallId::random())
        };
        let c = of(&other, CallId::random());
        for recording in [&a, &b, &c] {
            keep(&house, recording).await;
        }
        let none = RecordingFilter::default;
        let mine = RecordsOf::Account(&account);
        assert_eq!(found(&house, mine, none()).await, [b.id, a.id], "newest first");
        assert_eq!(found(&house, RecordsOf::SubAccount(&sub), none()).await, [b.id]);
        let text = |text: &str| Some(text.to_owned());
        for filter in [
            RecordingFilter { call: Some(a.call), ..none() },
            RecordingFilter { kind: Some(RecordingKind::Trunk), ..none() },
            RecordingFilter { id: Some(a.id), ..none() },
            RecordingFilter { from_number: text("918065551234"), ..none() },
            RecordingFilter { to_number: text("919876543210"), ..none() },
            RecordingFilter { added_before: Some(at(1_000)), ..none() },
        ] {
            assert_eq!(found(&house, mine, filter.clone()).await, [a.id], "{filter:?}");
        }
        for filter in [
            RecordingFilter { conference: text("Room 1"), ..none() },
            RecordingFilter { added_from: Some(at(1_000)), ..none() },
        ] {
            assert_eq!(found(&house, mine, filter.clone()).await, [b.id], "{filter:?}");
        }
        assert_eq!(found(&house, mine, RecordingFilter { format: text("mp3"), ..none() }).await, []);
        let reader = house.store.reader();
        assert_eq!(reader.recording(mine, c.id).await.unwrap(), None);
        assert_eq!(reader.recording(RecordsOf::SubAccount(&sub), a.id).await.unwrap(), None);
        assert_eq!(house.writer.submit(delete(vec![c.id], Some(&account))).await.unwrap(), 0);
        assert_eq!(house.writer.submit(delete(vec![a.id], Some(&sub))).await.unwrap(), 0);
    }

    async fn a_deleted_recording_is_gone_at_once_and_its_row_once_its_file_is(house: House) {
        let account = house.account("MA_A", 100).await;
        let (a, b) = (of(&account, CallId::random()), of(&account, CallId::random()));
        keep(&house, &a).await;
        keep(&house, &b).await;
        assert_eq!(house.writer.submit(PurgeRecordings(vec![a.id])).await.unwrap(), 0, "kept rows are not purged");
        assert_eq!(house.writer.submit(delete(vec![a.id, b.id, a.id], Some(&account))).await.unwrap(), 2);
        assert_eq!(found(&house, RecordsOf::Account(&account), RecordingFilter::default()).await, []);
        let reader = house.store.reader();
        assert_eq!(reader.recording(RecordsOf::Account(&account), a.id).await.unwrap(), None);
        assert_eq!(reader.recordings_to_remove("node-2", 10).await.unwrap(), [], "another node's disk");
        assert_eq!(reader.recordings_to_remove("node-1", 10).await.unwrap().len(), 2);
        assert_eq!(reader.recorded_files("node-1", std::slice::from_ref(&a.file)).await.unwrap().len(), 1);
        assert_eq!(house.writer.submit(PurgeRecordings(vec![a.id, b.id])).await.unwrap(), 2);
        assert_eq!(reader.recordings_to_remove("node-1", 10).await.unwrap(), []);
        assert_eq!(house.writer.submit(delete(vec![a.id], None)).await.unwrap(), 0);
    }

    async fn what_a_crash_left_is_adopted_once_its_call_is_on_record(house: House) {
        let account = house.account("MA_A", 100).await;
        let recording = of(&account, CallId::random());
        let held = tandem_model::Money::from_units(1);
        let call = NewCall { call: recording.call, ..new_call(&account, held) };
        house.writer.submit(ReserveCall { call, events: Vec::new() }).await.unwrap();
        assert!(!house.writer.submit(AdoptRecording(recording.clone())).await.unwrap(), "the call lives");
        house.writer.submit(settle(&account, recording.call, tandem_model::Money::ZERO)).await.unwrap();
        assert!(house.writer.submit(AdoptRecording(recording.clone())).await.unwrap());
        assert!(!house.writer.submit(AdoptRecording(recording.clone())).await.unwrap(), "once");
        let twin = Recording { id: RecordingId(Ids::random()), ..recording.clone() };
        assert!(!house.writer.submit(AdoptRecording(twin)).await.unwrap(), "one row for a file");
        let unknown = of(&account, CallId::random());
        assert!(!house.writer.submit(AdoptRecording(unknown)).await.unwrap(), "nobody's call");
    }

    async fn figures_come_later_or_the_row_goes(house: House) {
        let account = house.account("MA_A", 100).await;
        let unmeasured = |recording| Recording { bytes: None, duration_ms: None, ..recording };
        let (a, b) = (unmeasured(of(&account, CallId::random())), unmeasured(of(&account, CallId::random())));
        keep(&house, &a).await;
        keep(&house, &b).await;
        let reader = house.store.reader();
        assert_eq!(reader.recordings_to_measure("node-1", 10).await.unwrap().len(), 2);
        assert!(house.writer.submit(MeasureRecording { id: a.id, bytes: 44, duration_ms: 7, events: Vec::new() }).await.unwrap());
        assert!(house.writer.submit(DropRecording(b.id)).await.unwrap());
        assert!(!house.writer.submit(DropRecording(a.id)).await.unwrap(), "it has a file");
        assert_eq!(reader.recordings_to_measure("node-1", 10).await.unwrap(), []);
        let read = reader.recording(RecordsOf::Account(&account), a.id).await.unwrap().unwrap();
        assert_eq!((read.bytes, read.duration_ms), (Some(44), Some(7)));
        assert_eq!(reader.recordings_added_before(at(11), 10).await.unwrap(), [a.id]);
        assert_eq!(reader.recordings_added_before(at(10), 10).await.unwrap(), []);
    }
}
