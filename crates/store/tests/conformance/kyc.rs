//! KYC rows: one live session an account, changes of what was read only, letters claimed once, and nothing left of what
//! was erased.

use tandem_model::kyc::{BusinessType, CheckState, Document, KycType, SessionStatus};
use tandem_model::{AccountId, DeliveryChannel, EventId};
use tandem_store::audit::Actor;
use tandem_store::idempotency::{ClaimIdempotent, IdempotencyKey};
use tandem_store::kyc::*;
use tandem_store::outbox::EnqueueEvents;
use tandem_store::{Dialect, OutboxEvent, WriterConfig};

use crate::support::*;

/// Stands for what is sealed: found byte for byte wherever it is left.
const SEALED: &[u8] = b"SEALED-CANARY-0f3c51";
const KEY: &[u8] = b"KEY-CANARY-77b1c2-KEY-CANARY-77b1c2";

async fn subject(house: &House, account: &AccountId) -> Subject {
    let subject = Subject { id: format!("s-{account}"), account: account.clone(), key_sealed: KEY.to_vec() };
    house.writer.submit(EnsureSubject { subject, at: at(0) }).await.unwrap()
}

fn create(id: &str, account: &AccountId, letters: &[(&str, i64)]) -> CreateSession {
    CreateSession {
        session: NewSession {
            id: id.to_owned(),
            owner: AccountId::new("PA_A"),
            account: account.clone(),
            subject: format!("s-{account}"),
            flow: "email",
            status: SessionStatus::EmailSent,
            private_sealed: SEALED.to_vec(),
            reminder_schedule: "[]".to_owned(),
            request_key: Some(format!("POST /kyc {id}")),
            expires_at: at(1000),
            link_hash: Some(format!("hash-{id}")),
        },
        letters: letters
            .iter()
            .map(|(step, due)| NewLetter { step: (*step).to_owned(), due_at: at(*due) })
            .collect(),
        events: Vec::new(),
        actor: Actor::system(),
        at: at(1),
    }
}

fn change(row: &Session, status: SessionStatus) -> ChangeSession {
    ChangeSession {
        id: row.id.clone(),
        revision: row.revision,
        account: row.account.clone(),
        status,
        kyc_type: Some(KycType::Individual),
        private_sealed: SEALED.to_vec(),
        first_opened_at: Some(at(2)),
        submitted_at: None,
        completed_at: None,
        document: None,
        account_status: None,
        events: Vec::new(),
        audited: None,
        at: at(3),
    }
}

fn check(id: &str, account: &AccountId, document: Document, state: CheckState) -> NewCheck {
    NewCheck {
        id: id.to_owned(),
        account: account.clone(),
        subject: format!("s-{account}"),
        session: None,
        document,
        state,
        verifier: "manual",
        mock: false,
        reference: None,
        poll_at: None,
        evidence_sealed: SEALED.to_vec(),
        at: at(5),
    }
}

fn put(check: NewCheck) -> PutCheck {
    PutCheck { check, business: BusinessType::Individual, actor: Actor::system() }
}

async fn read(house: &House, id: &str) -> Session {
    house.store.reader().kyc_session_by_id(id).await.unwrap().unwrap()
}

async fn kyc_status(house: &House, account: &AccountId) -> String {
    house.store.reader().directory_account(account.as_str()).await.unwrap().unwrap().kyc_status
}

on_both! {
    async fn a_new_session_replaces_the_live_one_and_drops_its_letters(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        let first = house.writer.submit(create("k1", &account, &[("invitation", 1), ("reminder:1", 500)])).await.unwrap();
        assert_eq!(first, CreateOutcome::Created { replaced: 0 });
        let second = house.writer.submit(create("k2", &account, &[("invitation", 1)])).await.unwrap();
        assert_eq!(second, CreateOutcome::Created { replaced: 1 });
        assert_eq!(read(&house, "k1").await.status, SessionStatus::Revoked);
        let letters = house.store.reader().kyc_letters("k1").await.unwrap();
        assert!(letters.iter().all(|letter| letter.state == "dropped"), "{letters:?}");
        let by_link = house.store.reader().kyc_session_by_link("hash-k2").await.unwrap().unwrap();
        assert_eq!((by_link.id.as_str(), by_link.private_sealed.as_deref()), ("k2", Some(SEALED)));
        let owner = AccountId::new("PA_A");
        let revoked = SessionFilter { status: Some("revoked"), account: None };
        let (rows, total) = house.store.reader().kyc_sessions(&owner, revoked, 0, 10).await.unwrap();
        assert_eq!((rows.len(), total, rows[0].id.as_str()), (1, 1, "k1"));
        let stranger = AccountId::new("PA_B");
        assert!(house.store.reader().kyc_session(&stranger, "k2").await.unwrap().is_none());
        assert_eq!(house.store.reader().kyc_sessions(&stranger, SessionFilter::default(), 0, 10).await.unwrap().1, 0);
    }

    async fn a_change_applies_only_to_what_was_read(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        house.writer.submit(create("k1", &account, &[])).await.unwrap();
        let row = read(&house, "k1").await;
        assert_eq!(house.writer.submit(change(&row, SessionStatus::Opened)).await.unwrap(), SessionOutcome::Changed);
        assert_eq!(house.writer.submit(change(&row, SessionStatus::Revoked)).await.unwrap(), SessionOutcome::Stale);
        let row = read(&house, "k1").await;
        assert_eq!((row.status, row.revision, row.first_opened_at), (SessionStatus::Opened, 2, Some(at(2))));
        let completed = ChangeSession { account_status: Some("completed"), ..change(&row, SessionStatus::Completed) };
        house.writer.submit(completed).await.unwrap();
        assert_eq!(kyc_status(&house, &account).await, "completed");
        let row = read(&house, "k1").await;
        assert_eq!(
            house.writer.submit(change(&row, SessionStatus::Opened)).await.unwrap(),
            SessionOutcome::Stale,
            "what is final stays"
        );
    }

    async fn a_letter_is_claimed_once_and_never_after_its_process_died(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        house.writer.submit(create("k1", &account, &[("invitation", 1), ("reminder:1", 500)])).await.unwrap();
        let due = house.store.reader().kyc_letters_due(at(2), 10).await.unwrap();
        assert_eq!(due.iter().map(|due| due.step.as_str()).collect::<Vec<_>>(), ["invitation"]);
        let claim = |hash: &str| ClaimLetter { letter: due[0].clone(), link_hash: hash.to_owned(), at: at(2) };
        assert!(house.writer.submit(claim("l1")).await.unwrap());
        assert!(!house.writer.submit(claim("l2")).await.unwrap(), "somebody sends it already");
        assert!(house.store.reader().kyc_session_by_link("l1").await.unwrap().is_some());
        // Not sent: pending again, and its link closed.
        let again = SettleLetter {
            letter: due[0].clone(), state: LetterState::Again(at(60), "busy".to_owned()), link_hash: "l1".to_owned(), at: at(3),
        };
        house.writer.submit(again).await.unwrap();
        assert!(house.store.reader().kyc_session_by_link("l1").await.unwrap().is_none());
        assert!(house.store.reader().kyc_letters_due(at(59), 10).await.unwrap().is_empty());
        let due = house.store.reader().kyc_letters_due(at(60), 10).await.unwrap();
        assert_eq!(due[0].attempts, 1);
        let claim = ClaimLetter { letter: due[0].clone(), link_hash: "l3".to_owned(), at: at(60) };
        assert!(house.writer.submit(claim).await.unwrap());
        // Claimed, and the process is gone: the next one of its name finds it in doubt.
        house.writer.shutdown().await;
        let (next, _feed) = house.store.start_writer(WriterConfig::for_node("node-1", at(61))).await.unwrap();
        assert_eq!(next.submit(DoubtLetters { before: at(0), at: at(61) }).await.unwrap(), 1);
        assert!(house.store.reader().kyc_letters_due(at(400), 10).await.unwrap().is_empty());
        let letters = house.store.reader().kyc_letters("k1").await.unwrap();
        assert_eq!((letters[0].state.as_str(), letters[1].state.as_str()), ("in_doubt", "pending"));
        assert_eq!(house.store.reader().kyc_letters_due(at(500), 10).await.unwrap()[0].step, "reminder:1");
    }

    async fn letters_asked_for_keep_their_distance(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        house.writer.submit(create("k1", &account, &[("invitation", 1)])).await.unwrap();
        let ask = |now: i64| QueueLetter {
            session: "k1".to_owned(), account: account.clone(), step: format!("resend:{now}"), quiet_since: at(now - 30),
            actor: Actor::system(), at: at(now),
        };
        assert_eq!(house.writer.submit(ask(30)).await.unwrap(), QueueOutcome::TooSoon(at(1)), "one second short");
        assert_eq!(house.writer.submit(ask(31)).await.unwrap(), QueueOutcome::Queued);
        assert_eq!(house.writer.submit(ask(32)).await.unwrap(), QueueOutcome::TooSoon(at(31)));
        let row = read(&house, "k1").await;
        house.writer.submit(change(&row, SessionStatus::Revoked)).await.unwrap();
        assert_eq!(house.writer.submit(ask(900)).await.unwrap(), QueueOutcome::Over);
    }

    async fn an_accounts_documents_decide_its_status_until_each_is_redone(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        let show = async |id: &str, document, state| {
            house.writer.submit(put(check(id, &account, document, state))).await.unwrap()
        };
        assert_eq!(show("c1", Document::Pan, CheckState::Verified).await, Some(CheckState::Pending));
        assert_eq!(show("c2", Document::Aadhaar, CheckState::Failed).await, Some(CheckState::Failed));
        assert_eq!(kyc_status(&house, &account).await, "failed");
        assert_eq!(show("c3", Document::Aadhaar, CheckState::Pending).await, Some(CheckState::Pending));
        assert_eq!(house.store.reader().kyc_work(CheckWork::Manual, 10).await.unwrap()[0].id, "c3");
        let decide = || DecideCheck {
            id: "c3".to_owned(), account: account.clone(), state: CheckState::Verified, evidence_sealed: SEALED.to_vec(),
            business: BusinessType::Individual, actor: Actor::system(), at: at(9),
        };
        assert!(house.writer.submit(decide()).await.unwrap());
        assert!(!house.writer.submit(decide()).await.unwrap(), "once");
        assert_eq!(kyc_status(&house, &account).await, "completed");
        assert_eq!(house.store.reader().kyc_current(&account).await.unwrap().len(), 2);
    }

    async fn only_one_node_asks_for_a_verdict(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        let waiting = NewCheck {
            poll_at: Some(at(20)), reference: Some("r1".to_owned()), ..check("c1", &account, Document::Pan, CheckState::Pending)
        };
        house.writer.submit(put(waiting)).await.unwrap();
        assert!(house.store.reader().kyc_work(CheckWork::Poll(at(19)), 10).await.unwrap().is_empty());
        let due = house.store.reader().kyc_work(CheckWork::Poll(at(20)), 10).await.unwrap();
        assert_eq!(house.store.reader().kyc_next_due().await.unwrap(), Some(at(20)));
        let ask = || PostponePoll { id: due[0].id.clone(), polls: due[0].polls, poll_at: at(40) };
        assert!(house.writer.submit(ask()).await.unwrap());
        assert!(!house.writer.submit(ask()).await.unwrap());
    }

    async fn what_is_kept_too_long_is_forgotten_and_the_rest_stays(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        house.writer.submit(create("k1", &account, &[])).await.unwrap();
        house.writer.submit(create("k2", &account, &[])).await.unwrap();
        let forget = |abandoned: i64| ForgetAbandoned {
            abandoned_before: at(abandoned), verified_before: at(0), events_before: at(0), limit: 10,
        };
        assert_eq!(house.writer.submit(forget(1)).await.unwrap(), 0, "revoked at 1: not before it");
        assert_eq!(house.writer.submit(forget(2)).await.unwrap(), 1);
        assert!(read(&house, "k1").await.private_sealed.is_none());
        assert!(read(&house, "k2").await.private_sealed.is_some());
        assert!(house.store.reader().kyc_session_by_link("hash-k1").await.unwrap().is_none());
    }

    async fn erasure_leaves_no_key_and_nothing_sealed_under_it(house: House) {
        let account = house.account("MA_A", 0).await;
        subject(&house, &account).await;
        house.writer.submit(create("k1", &account, &[("invitation", 1)])).await.unwrap();
        house.writer.submit(put(check("c1", &account, Document::Pan, CheckState::Verified))).await.unwrap();
        let told = OutboxEvent {
            event: EventId::random(), channel: DeliveryChannel::DurableSealed, body: "SEALED-CANARY-0f3c51".to_owned(),
            secret_kind: "subject".to_owned(), secret_ref: format!("s-{account}"),
            ..event(&AccountId::new("PA_A"), None, "kyc.completed", 3)
        };
        house.writer.submit(EnqueueEvents(vec![told])).await.unwrap();
        let key = IdempotencyKey {
            account: AccountId::new("PA_A"), key: "POST /kyc k1".to_owned(), fingerprint: "f".to_owned(), at: at(1),
        };
        house.writer.submit(ClaimIdempotent(key)).await.unwrap();
        if house.url.is_none() {
            assert!(remains(&house, &[SEALED, KEY]) > 0, "the search finds what is there");
        }
        let erase = || EraseSubject { account: account.clone(), actor: Actor::system(), at: at(9) };
        let erased = house.writer.submit(erase()).await.unwrap();
        assert_eq!(erased, Erased { subjects: 1, sessions: 1, documents: 1, events: 1 });
        house.store.scrubber().scrub().await.unwrap();
        let reader = house.store.reader();
        assert!(reader.kyc_subject(&account).await.unwrap().is_none());
        let row = read(&house, "k1").await;
        assert_eq!((row.status, row.private_sealed), (SessionStatus::Revoked, None));
        assert_eq!(reader.outbox_counts().await.unwrap().pending, 0);
        assert!(reader.kyc_session_by_link("hash-k1").await.unwrap().is_none());
        assert!(reader.idempotency_claimed_at(&AccountId::new("PA_A"), "POST /kyc k1").await.unwrap().is_none());
        assert_eq!(kyc_status(&house, &account).await, "pending", "what was decided is no personal data");
        if house.url.is_none() {
            assert_eq!(remains(&house, &[SEALED, KEY]), 0, "database and write-ahead log");
        }
        let again = house.writer.submit(erase()).await.unwrap();
        assert_eq!(again, Erased::default());
        let gone = house.writer.submit(create("k3", &account, &[])).await.unwrap();
        assert_eq!(gone, CreateOutcome::SubjectGone, "nothing is sealed under a key that is gone");
    }
}

/// How many files of the data folder hold one of the canaries.
fn remains(house: &House, canaries: &[&[u8]]) -> usize {
    let files = std::fs::read_dir(house.directory.path()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| std::fs::read(path).unwrap())
        .filter(|bytes| {
            canaries.iter().any(|canary| bytes.windows(canary.len()).any(|window| window == *canary))
        })
        .count()
}

#[tokio::test]
async fn a_session_waits_for_the_verdict_beyond_its_time() {
    let house = House::open(Dialect::Sqlite).await;
    let account = house.account("MA_A", 0).await;
    subject(&house, &account).await;
    house.writer.submit(create("k1", &account, &[])).await.unwrap();
    assert!(house.store.reader().kyc_sessions_overdue(at(999), 10).await.unwrap().is_empty());
    assert_eq!(house.store.reader().kyc_sessions_overdue(at(1000), 10).await.unwrap().len(), 1);
    let row = read(&house, "k1").await;
    let submitted = ChangeSession { submitted_at: Some(at(4)), ..change(&row, SessionStatus::InProgress) };
    house.writer.submit(submitted).await.unwrap();
    assert!(house.store.reader().kyc_sessions_overdue(at(2000), 10).await.unwrap().is_empty());
}
