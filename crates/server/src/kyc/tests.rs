//! The clerk, in time of the test's own, with a mail server that catches: letters leave once, in due time; sessions end.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tandem_model::clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::tests::{House, Login};
use crate::config::Overrides;
use crate::dev::{Mailbox, catch_mail};
use crate::kyc::SubjectBodies;
use crate::webhooks::SealedBodies as _;

struct Office {
    house: House,
    partner: Login,
    customer: Login,
    mailbox: Mailbox,
    _tasks: TaskTracker,
}

async fn office() -> Office {
    let (tasks, mailbox) = (TaskTracker::new(), Mailbox::default());
    let url = catch_mail(&tasks, mailbox.clone(), CancellationToken::new()).await.unwrap();
    let overrides = Overrides::default()
        .set("mail.smtp_url", url)
        .set("mail.from", "Acme <kyc@acme.example>")
        .set("kyc.verifier", "sandbox");
    let house = House::open_with(overrides).await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    Office { house, partner, customer, mailbox, _tasks: tasks }
}

impl Office {
    async fn session(&self) -> String {
        let body = json!({
            "account_auth_id": self.customer.id, "customer_email": "canary@person.example", "expires_in_days": 7,
            "reminder_schedule": [{"trigger": "days_before_expiry", "value": 3}, {"trigger": "days_before_expiry", "value": 1}],
            "webhook_url": "https://acme.example/kyc",
        });
        let made = self.house.ask("POST", "/partner/kyc-sessions", &self.partner, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["session_id"].as_str().unwrap().to_owned()
    }

    async fn status(&self, id: &str) -> String {
        let read = self.house.get(&format!("/partner/kyc-sessions/{id}"), &self.partner).await;
        read.body["status"].as_str().unwrap().to_owned()
    }

    fn links(&self) -> BTreeSet<String> {
        let mails = self.mailbox.texts();
        mails
            .iter()
            .flat_map(|text| {
                text.lines().filter(|line| line.contains("/verify?token=kst_")).map(str::to_owned)
            })
            .collect()
    }
}

fn days(now: Timestamp, days: i64) -> Timestamp {
    now + SignedDuration::from_hours(24 * days)
}

#[tokio::test]
async fn letters_leave_once_each_in_due_time_with_a_link_of_their_own() {
    let office = office().await;
    let id = office.session().await;
    let desk = &office.house.kyc;
    let now = clock::wall();
    for _ in 0..3 {
        desk.work(now).await.unwrap();
    }
    assert_eq!(office.mailbox.texts().len(), 1, "the invitation, once");
    desk.work(days(now, 3)).await.unwrap();
    assert_eq!(office.mailbox.texts().len(), 1);
    desk.work(days(now, 4)).await.unwrap();
    desk.work(days(now, 4)).await.unwrap();
    assert_eq!(office.mailbox.texts().len(), 2, "three days before the end");
    desk.work(days(now, 6)).await.unwrap();
    assert_eq!((office.mailbox.texts().len(), office.links().len()), (3, 3));
    let letters = desk.reader.kyc_letters(&id).await.unwrap();
    assert!(letters.iter().all(|letter| letter.state == "sent"), "{letters:?}");
    for link in office.links() {
        let token = link.split("token=").nth(1).unwrap().to_owned();
        assert_eq!(desk.by_link(&token).await.unwrap().unwrap().row.id, id, "every letter's link works");
    }
}

#[tokio::test]
async fn an_expired_session_tells_its_owner_and_sends_nothing_more() {
    let mut office = office().await;
    let id = office.session().await;
    let desk = office.house.kyc.clone();
    desk.work(days(clock::wall(), 7) + SignedDuration::from_secs(5)).await.unwrap();
    assert_eq!(office.status(&id).await, "expired");
    assert_eq!(office.mailbox.texts().len(), 0, "no letter about a session that is over");
    let bodies = SubjectBodies { reader: desk.reader.clone(), vault: desk.vault.clone() };
    let mut told = Vec::new();
    while let Some(event) = office.house.events.try_next() {
        assert!(!event.body.contains("canary"), "sealed at rest");
        let body: serde_json::Value = serde_json::from_str(&bodies.open(&event).await.unwrap()).unwrap();
        assert_eq!(
            (&body["session_id"], &body["customer_email"]),
            (&json!(id), &json!("canary@person.example"))
        );
        assert_eq!(body["status"], body["session_status"]);
        told.push((event.kind, body["status"].as_str().unwrap().to_owned()));
    }
    let expected = [("kyc.initiated", "email_sent"), ("kyc.session_expired", "expired")];
    assert_eq!(told, expected.map(|(kind, status)| (kind.to_owned(), status.to_owned())));
}

#[tokio::test]
async fn a_letter_waits_for_a_mail_server_that_is_away() {
    let overrides =
        Overrides::default().set("mail.smtp_url", "smtp://127.0.0.1:1").set("mail.from", "kyc@acme.example");
    let house = House::open_with(overrides).await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let body = json!({"account_auth_id": customer.id, "customer_email": "canary@person.example"});
    let made = house.ask("POST", "/partner/kyc-sessions", &partner, body).await.body;
    let id = made["session_id"].as_str().unwrap();
    let now = clock::wall();
    house.kyc.work(now).await.unwrap();
    let letter = house.kyc.reader.kyc_letters(id).await.unwrap().remove(0);
    assert_eq!(letter.state, "pending");
    assert!(letter.due_at > now && !letter.error.unwrap().contains("canary"));
    let mut at = now;
    for _ in 0..20 {
        at += SignedDuration::from_hours(13);
        house.kyc.work(at).await.unwrap();
    }
    let letters = house.kyc.reader.kyc_letters(id).await.unwrap();
    assert_eq!(letters[0].state, "failed", "given up in the end");
}

#[tokio::test]
async fn the_verdict_on_a_pending_document_is_asked_for() {
    let office = office().await;
    let desk = &office.house.kyc;
    let account = tandem_model::AccountId::new(&office.customer.id);
    let shown = super::checks::Shown {
        account: account.clone(),
        business: tandem_model::kyc::BusinessType::Individual,
        document: tandem_model::kyc::Document::Pan,
        fields: [("pan".to_owned(), "ABCPE0002F".to_owned())].into(),
        mock: false,
        actor: tandem_store::audit::Actor::system(),
    };
    let verdict = desk.show(shown).await.unwrap();
    assert_eq!(verdict.state, tandem_model::kyc::CheckState::Pending);
    desk.work(clock::wall()).await.unwrap();
    assert_eq!(
        desk.reader.kyc_current(&account).await.unwrap()[0].state,
        tandem_model::kyc::CheckState::Pending
    );
    desk.work(clock::wall() + SignedDuration::from_secs(21)).await.unwrap();
    assert_eq!(
        desk.reader.kyc_current(&account).await.unwrap()[0].state,
        tandem_model::kyc::CheckState::Verified
    );
}
