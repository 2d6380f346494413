//! Events from their commit to their delivery or their death.

use tandem_model::{CallId, EventId};
use tandem_store::outbox::*;
use tandem_store::{Dialect, OutboxEvent, WriterConfig};

use crate::support::*;

fn lease(owner: &str, now: i64, limit: u32) -> LeaseDue {
    LeaseDue { owner: owner.to_owned(), now: at(now), until: at(now + 30), limit }
}

fn outcome(event: EventId, attempt: u32, verdict: AttemptVerdict) -> RecordAttempts {
    RecordAttempts(vec![AttemptOutcome {
        event,
        attempt,
        at: at(20),
        status: Some(503),
        duration_ms: 12,
        error: Some("status 503".to_owned()),
        response_excerpt: Some("busy".to_owned()),
        verdict,
    }])
}

async fn enqueue(house: &House, count: u64) -> Vec<OutboxEvent> {
    let account = tandem_model::AccountId::new("MA_A");
    let call = CallId::random();
    let events: Vec<_> = (1..=count).map(|n| event(&account, Some(call), "Hangup", n)).collect();
    house.writer.submit(EnqueueEvents(events.clone())).await.unwrap();
    events
}

on_both! {
    async fn a_committed_event_reaches_delivery_and_stays_leased_to_its_node(house: House) {
        let mut house = house;
        let events = enqueue(&house, 1).await;
        assert_eq!(house.feed.next().await.as_ref(), Some(&events[0]));
        assert!(house.writer.submit(lease("other/1", 39, 10)).await.unwrap().is_empty(), "within its 30 s");
        let leased = house.writer.submit(lease("other/1", 40, 10)).await.unwrap();
        assert_eq!(leased.len(), 1, "its node did not deliver it");
        assert_eq!(leased[0].event, events[0], "with every column");
        assert!(house.writer.submit(lease("third/1", 69, 10)).await.unwrap().is_empty(), "leased again");
    }

    async fn enqueueing_an_event_twice_keeps_the_first(house: House) {
        let events = enqueue(&house, 1).await;
        house.writer.submit(EnqueueEvents(events.clone())).await.unwrap();
        assert_eq!(house.store.reader().outbox_counts().await.unwrap().pending, 1);
    }

    async fn a_delivered_event_is_not_leased_again(house: House) {
        let events = enqueue(&house, 2).await;
        house.writer.submit(outcome(events[0].event, 1, AttemptVerdict::Delivered)).await.unwrap();
        let leased = house.writer.submit(lease("n/1", 100, 10)).await.unwrap();
        assert_eq!(leased.iter().map(|row| row.event.event).collect::<Vec<_>>(), [events[1].event]);
        let row = house.store.reader().outbox_event(&events[0].account, events[0].event).await.unwrap().unwrap();
        assert_eq!((row.state.as_str(), row.attempts, row.last_status), ("delivered", 1, Some(503)));
        assert_eq!(row.delivered_at, Some(at(20)));
    }

    async fn a_retry_is_due_when_it_says_and_every_attempt_is_kept(house: House) {
        let events = enqueue(&house, 1).await;
        let event = events[0].event;
        let retry = AttemptVerdict::Retry { due_at: at(60), keep_lease_until: None };
        house.writer.submit(outcome(event, 1, retry)).await.unwrap();
        house.writer.submit(outcome(event, 1, retry)).await.unwrap();
        let kept = AttemptVerdict::Retry { due_at: at(60), keep_lease_until: Some(at(90)) };
        house.writer.submit(outcome(event, 2, kept)).await.unwrap();
        assert_eq!(house.store.reader().next_due().await.unwrap(), Some(at(60)));
        assert!(house.writer.submit(lease("n/1", 60, 10)).await.unwrap().is_empty(), "its node keeps it in memory");
        assert_eq!(house.writer.submit(lease("n/1", 90, 10)).await.unwrap().len(), 1);
        let attempts = house.store.reader().delivery_attempts(event).await.unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((attempts[0].status, attempts[0].error.as_deref()), (Some(503), Some("status 503")));
    }

    async fn dead_letters_are_listed_replayed_and_purged(house: House) {
        let events = enqueue(&house, 3).await;
        let account = events[0].account.clone();
        for event in &events {
            house.writer.submit(outcome(event.event, 1, AttemptVerdict::Dead)).await.unwrap();
        }
        let reader = house.store.reader();
        assert!(house.writer.submit(lease("n/1", 1000, 10)).await.unwrap().is_empty());
        let page = reader.dead_letters(Some(&account), None, 2).await.unwrap();
        assert_eq!(page.len(), 2);
        let last = page.last().map(|row| (row.event.created_at, row.event.event));
        assert_eq!(reader.dead_letters(Some(&account), last, 2).await.unwrap().len(), 1);
        let other = tandem_model::AccountId::new("MA_B");
        assert!(reader.dead_letters(Some(&other), None, 9).await.unwrap().is_empty());
        let replay = |account: &tandem_model::AccountId, event, since| ReplayDead { account: account.clone(), event, since, at: at(50) };
        assert_eq!(house.writer.submit(replay(&other, Some(events[0].event), None)).await.unwrap(), 0, "not another's");
        assert_eq!(house.writer.submit(replay(&account, Some(events[0].event), None)).await.unwrap(), 1);
        assert_eq!(house.writer.submit(replay(&account, None, Some(at(11)))).await.unwrap(), 0);
        assert_eq!(house.writer.submit(lease("n/1", 50, 10)).await.unwrap().len(), 1);
        let purge = PurgeOutbox { before: at(100), limit: 100 };
        assert_eq!(house.writer.submit(purge).await.unwrap(), 2, "what still waits stays");
        let counts = reader.outbox_counts().await.unwrap();
        assert_eq!(counts, OutboxCounts { pending: 1, delivered: 0, dead: 0 });
        assert!(reader.delivery_attempts(events[1].event).await.unwrap().is_empty());
    }

    /// What a killed process held is delivered as soon as its successor asks; other nodes' leases stand.
    async fn a_restarted_node_takes_over_its_predecessors_leases_at_once(house: House) {
        enqueue(&house, 4).await;
        let take = async |owner, limit| house.writer.submit(lease(owner, 100, limit)).await.unwrap().len();
        assert_eq!(take("a/1", 1).await + take("a/1/1", 1).await + take("ab/1", 1).await + take("b/1", 1).await, 4);
        assert_eq!(take("a/1", 9).await, 0, "its own are under way");
        assert_eq!(take("c/2", 9).await, 0, "another node's are not its own");
        let inherit = async |owner: &str| {
            let release = ReleaseFormer { owner: owner.to_owned(), limit: 9 };
            house.writer.submit(release).await.unwrap()
        };
        assert_eq!(inherit("c/2").await, 0, "nor does it free them");
        assert_eq!(inherit("a/2").await, 1, "only the one of a/1");
        assert_eq!(take("a/2", 9).await, 1);
        assert_eq!(inherit("a/10").await, 1, "and again after the next crash");
        assert_eq!(take("a/10", 9).await, 1);
        assert_eq!(inherit("a/10").await + take("a/10", 9).await as u64, 0);
    }

    async fn a_lease_takes_the_oldest_first_and_no_more_than_asked(house: House) {
        enqueue(&house, 5).await;
        let first = house.writer.submit(lease("a/1", 100, 2)).await.unwrap();
        let second = house.writer.submit(lease("b/1", 100, 10)).await.unwrap();
        assert_eq!((first.len(), second.len()), (2, 3), "nobody gets what another holds");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_leasing_at_once_never_share_a_row() {
    let house = House::open(Dialect::Postgres).await;
    let (second, _feed) = house.store.start_writer(WriterConfig::for_node("node-2", at(0))).await.unwrap();
    enqueue(&house, 200).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let (one, two) =
            tokio::join!(house.writer.submit(lease("a/1", 100, 15)), second.submit(lease("b/1", 100, 15)));
        for row in one.unwrap().into_iter().chain(two.unwrap()) {
            assert!(seen.insert(row.event.event), "leased twice");
        }
    }
    assert_eq!(seen.len(), 200);
}
