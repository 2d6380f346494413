//! The fold: every record is in the daily sums and the slices exactly once, whatever order things happen in; and every list
//! says the same with it as without.

use std::collections::BTreeSet;

use tandem_model::{AccountId, CallDirection, CallId, Money};
use tandem_store::calls::*;
use tandem_store::{BoxFuture, Command, Reader, StoreError, Tx};

use crate::support::*;

const DAY: i64 = 86_400;

async fn keep(house: &House, record: CallRecord) {
    house.writer.submit(RefuseCall { record, events: Vec::new() }).await.unwrap();
}

/// The next step. Transactions of other databases of the same server may hold it up for a moment.
async fn next(reader: &Reader, limit: u32) -> Fold {
    for _ in 0..100 {
        if let Some(fold) = reader.next_fold(limit).await.unwrap() {
            return fold;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing is folded though there is something to fold");
}

/// Folds until all is folded; at most so many records a step.
async fn fold_all(house: &House, limit: u32) -> usize {
    let (reader, mut folded) = (house.store.reader(), 0);
    while reader.unfolded().await.unwrap() > 0 {
        let fold = next(&reader, limit).await;
        let records = fold.records;
        assert!(house.writer.submit(fold).await.unwrap(), "nobody else folds");
        folded += records;
    }
    folded
}

/// The records of a made-up month: two accounts, one with a sub-account, numbers that share endings.
fn made_up(n: i64) -> CallRecord {
    let account = AccountId::new(if n % 3 == 0 { "MA_B" } else { "MA_A" });
    let is_answered = n % 4 != 0;
    let cause = match n % 7 {
        0 => "USER_BUSY",
        1 => "NO_ANSWER",
        _ => "NORMAL_CLEARING",
    };
    CallRecord {
        sub_account: (n % 3 == 1).then(|| AccountId::new("SA_A")),
        start_time: at((n * 7919) % 30 * DAY + n),
        answer_time: is_answered.then(|| at(n)),
        duration: (n % 90) as u64,
        billsec: if is_answered { (n % 80) as u64 } else { 0 },
        cost: Money::from_micros(n * 1_000),
        caller_id_number: format!("9180{:08}", n * 31),
        destination_number: format!("9198{:08}", n * 97),
        call_direction: if n % 5 == 0 { CallDirection::Inbound } else { CallDirection::Outbound },
        context: if n % 2 == 0 { CallContext::VoiceApi } else { CallContext::SipTrunking },
        hangup_cause: Some(cause.to_owned()),
        ..record(&account, CallId::random())
    }
}

/// What a filter finds and what that adds up to, by reading every record.
fn by_hand(
    records: &[CallRecord],
    whose: RecordsOf<'_>,
    filter: &RecordFilter,
) -> (Vec<CallId>, RecordSummary) {
    let is_theirs = |record: &&CallRecord| match whose {
        RecordsOf::Account(id) => record.account == *id,
        RecordsOf::SubAccount(id) => record.sub_account.as_ref() == Some(id),
        RecordsOf::CustomersOf(_) => false,
    };
    let has = |wanted: &Option<String>, text: &str| {
        wanted.as_ref().is_none_or(|wanted| text.contains(wanted.as_str()))
    };
    let mut found: Vec<&CallRecord> = records
        .iter()
        .filter(is_theirs)
        .filter(|record| {
            filter.started_from.is_none_or(|from| record.start_time >= from)
                && filter.started_before.is_none_or(|before| record.start_time < before)
                && filter.min_duration.is_none_or(|least| record.duration >= least)
                && filter.direction.is_none_or(|direction| record.call_direction == direction)
                && filter.context.is_none_or(|context| record.context == context)
                && filter
                    .hangup_cause
                    .as_ref()
                    .is_none_or(|cause| record.hangup_cause.as_ref() == Some(cause))
                && has(&filter.from_number, &record.caller_id_number)
                && has(&filter.to_number, &record.destination_number)
                && filter.search.as_ref().is_none_or(|text| {
                    record.caller_id_number.contains(text.as_str())
                        || record.destination_number.contains(text.as_str())
                })
                && filter.status.is_none_or(|status| status == status_of(record))
        })
        .collect();
    found.sort_by_key(|record| std::cmp::Reverse(record.start_time));
    let mut summary = RecordSummary {
        last_call_at: found.first().map(|record| record.start_time),
        ..RecordSummary::default()
    };
    for record in &found {
        summary.total += 1;
        summary.answered += u64::from(record.answer_time.is_some());
        summary.duration_s += record.duration;
        summary.billsec += record.billsec;
        summary.cost += record.total_cost();
    }
    (found.into_iter().map(|record| record.uuid).collect(), summary)
}

fn status_of(record: &CallRecord) -> RecordStatus {
    match (record.answer_time, record.hangup_cause.as_deref()) {
        (Some(_), _) => RecordStatus::Answered,
        (None, Some("USER_BUSY")) => RecordStatus::Busy,
        (None, Some("NO_ANSWER")) => RecordStatus::NoAnswer,
        (None, _) => RecordStatus::Failed,
    }
}

fn filters() -> Vec<RecordFilter> {
    let none = RecordFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let midnight = |day: i64| {
        let micros = at(0).as_second().div_euclid(DAY) * DAY;
        Some(jiff::Timestamp::from_second(micros + day * DAY).unwrap())
    };
    vec![
        none(),
        RecordFilter { started_from: midnight(3), started_before: midnight(9), ..none() },
        RecordFilter { started_from: Some(at(3 * DAY + 5)), ..none() },
        RecordFilter { from_number: text("31"), ..none() },
        RecordFilter { to_number: text("9198"), ..none() },
        RecordFilter { search: text("7"), ..none() },
        RecordFilter { search: text("000"), direction: Some(CallDirection::Inbound), ..none() },
        RecordFilter { min_duration: Some(60), context: Some(CallContext::VoiceApi), ..none() },
        RecordFilter { hangup_cause: text("USER_BUSY"), ..none() },
        RecordFilter { status: Some(RecordStatus::Busy), ..none() },
        RecordFilter { status: Some(RecordStatus::NoAnswer), ..none() },
        RecordFilter { status: Some(RecordStatus::Failed), ..none() },
    ]
}

async fn agree(reader: &Reader, records: &[CallRecord], when: &str) {
    let (a, b, sub) = (AccountId::new("MA_A"), AccountId::new("MA_B"), AccountId::new("SA_A"));
    for whose in [RecordsOf::Account(&a), RecordsOf::Account(&b), RecordsOf::SubAccount(&sub)] {
        for filter in filters() {
            let (uuids, sums) = by_hand(records, whose, &filter);
            for (offset, limit) in [(0, 20), (7, 3), (uuids.len().saturating_sub(2) as u64, 20), (5_000, 20)]
            {
                let (page, summary) = reader.call_list(whose, &filter, offset, limit).await.unwrap();
                let found: Vec<CallId> = page.records.iter().map(|record| record.uuid).collect();
                let wanted: Vec<CallId> =
                    uuids.iter().skip(offset as usize).take(limit as usize).copied().collect();
                assert_eq!(found, wanted, "{when}: {whose:?} {filter:?} {offset}");
                assert_eq!((page.total, &summary), (sums.total, &sums), "{when}: {whose:?} {filter:?}");
            }
        }
    }
}

on_both! {
    async fn lists_and_sums_say_the_same_before_during_and_after_the_fold(house: House) {
        house.account("MA_A", 0).await;
        house.account("MA_B", 0).await;
        let records: Vec<CallRecord> = (1..=300).map(made_up).collect();
        for record in &records[..200] {
            keep(&house, record.clone()).await;
        }
        let reader = house.store.reader();
        agree(&reader, &records[..200], "nothing folded").await;
        // PostgreSQL first notes how far it may go.
        let mut steps = 0;
        while reader.unfolded().await.unwrap() > 100 {
            house.writer.submit(next(&reader, 33).await).await.unwrap();
            steps += 1;
        }
        assert!(steps >= 4);
        agree(&reader, &records[..200], "half folded").await;
        fold_all(&house, 33).await;
        assert_eq!(reader.unfolded().await.unwrap(), 0);
        agree(&reader, &records[..200], "all folded").await;
        for record in &records[200..] {
            keep(&house, record.clone()).await;
        }
        agree(&reader, &records, "a tail of late settlements").await;
        assert_eq!(fold_all(&house, 1_000).await, 100);
        agree(&reader, &records, "folded again").await;
        while let Some(fold) = reader.next_fold(10).await.unwrap() {
            assert_eq!(fold.records, 0, "nothing is left to fold");
            house.writer.submit(fold).await.unwrap();
        }
    }

    async fn a_step_worked_out_twice_is_taken_once(house: House) {
        let account = house.account("MA_A", 0).await;
        for n in 1..=10 {
            keep(&house, CallRecord { account: account.clone(), ..made_up(n) }).await;
        }
        let reader = house.store.reader();
        if house.url.is_some() {
            house.writer.submit(next(&reader, 100).await).await.unwrap();
        }
        let (one, other) = (next(&reader, 100).await, next(&reader, 100).await);
        assert_eq!((one.records, other.records), (10, 10));
        assert!(house.writer.submit(one).await.unwrap());
        assert!(!house.writer.submit(other).await.unwrap(), "the watermark has moved");
        let summary = reader.call_record_summary(&account, &RecordFilter::default()).await.unwrap();
        assert_eq!(summary.total, 10);
    }

    async fn a_record_whose_commit_comes_late_is_not_passed_over(house: House) {
        let account = house.account("MA_A", 0).await;
        let slow = CallRecord { account: account.clone(), ..made_up(1) };
        let quick = CallRecord { account: account.clone(), ..made_up(2) };
        let reader = house.store.reader();
        let Some(url) = house.url.clone() else {
            // One writer: commits come in the order of ids.
            keep(&house, slow).await;
            keep(&house, quick).await;
            assert_eq!(fold_all(&house, 10).await, 2);
            return;
        };
        let second = tandem_store::Store::open_postgres(&url).await.unwrap();
        let (writer, _feed) = second.start_writer(tandem_store::WriterConfig::for_node("node-2", at(0))).await.unwrap();
        let mut committing = tokio::task::JoinSet::new();
        committing.spawn(async move { writer.submit(Slow(slow)).await });
        let mut quick_id = 1;
        while quick_id < 2 {
            // Until the slow one has its id, ours would be the first.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let record = CallRecord { uuid: CallId::random(), ..quick.clone() };
            let uuid = record.uuid;
            keep(&house, record).await;
            quick_id = reader.call_record(&account, uuid).await.unwrap().unwrap().id;
        }
        for _ in 0..5 {
            if let Some(fold) = reader.next_fold(10).await.unwrap() {
                house.writer.submit(fold).await.unwrap();
            }
        }
        assert!(committing.try_join_next().is_none(), "the slow one is still under way");
        committing.join_next().await.unwrap().unwrap().unwrap();
        fold_all(&house, 10).await;
        assert_eq!(reader.unfolded().await.unwrap(), 0);
        let filter = RecordFilter::default();
        let (page, summary) = reader.call_list(&account, &filter, 0, 100).await.unwrap();
        let ids: BTreeSet<u64> = page.records.iter().map(|record| record.id).collect();
        assert!(ids.contains(&1), "the slow one is listed");
        assert_eq!(summary.total, ids.len() as u64, "and counted");
    }
}

/// Writes a record, and takes its time to commit.
struct Slow(CallRecord);

impl Command for Slow {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            RefuseCall { record: self.0.clone(), events: Vec::new() }.run(tx).await?;
            tx.query("select 1 as one from pg_sleep(1.5)", &[]).await?;
            Ok(())
        })
    }
}
