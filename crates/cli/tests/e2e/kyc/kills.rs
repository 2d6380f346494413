//! kill -9 in between: a letter is never sent twice, one that is due is not lost, one key makes one session.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tandem_testkit::{MailManners, Mailbox};

use super::{session, world};
use crate::stage::PATIENCE;

/// Longer than the clerk waits between two looks after a start.
const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_under_way_at_a_kill_is_never_sent_again_and_a_due_one_is_not_lost() {
    let mailbox = Mailbox::start(MailManners::Silent).await;
    let mut world = world(&mailbox, None).await;
    let first = world.customer("first", 0.0, (1, 1)).await;
    session(&world, &first, json!({"customer_email": "first@firm.example"})).await;
    mailbox.wait(PATIENCE, 1).await;
    world.platform.kill();
    mailbox.behave(MailManners::Takes);
    world.platform.restart();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(mailbox.mails().len(), 1, "the server may have it: not again");
    assert!(world.platform.log().contains("in doubt"));

    mailbox.behave(MailManners::Busy);
    let second = world.customer("second", 0.0, (1, 1)).await;
    session(&world, &second, json!({"customer_email": "second@firm.example"})).await;
    crate::stage::until("letter put off", || async {
        world.platform.log().contains("did not leave").then_some(())
    })
    .await;
    world.platform.kill();
    mailbox.behave(MailManners::Takes);
    world.platform.restart();
    let mails = mailbox.wait(PATIENCE, 2).await;
    assert!(mails[1].contains("second@firm.example"));
    world.platform.kill();
    world.platform.restart();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(mailbox.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_twins_and_a_kill_make_one_session() {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let mut world = world(&mailbox, None).await;
    for round in 0..4_u64 {
        let customer = world.customer(&format!("twin{round}"), 0.0, (1, 1)).await;
        let body = json!({"account_auth_id": customer.who.id, "flow_type": "redirect", "redirect_url": "http://partner.example/"});
        let key = format!("twin-{round}");
        let (platform, partner) = (&world.platform, &world.partner);
        let one = || async {
            let headers = [("idempotency-key", key.as_str())];
            let ask = platform.rest_with("POST", "/partner/kyc-sessions", partner, &headers, Some(&body));
            // A server that is killed answers nothing: the test's client panics, and that is no failure here.
            futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(ask)).await.ok()
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(2 + round * 7)).await;
            let killed =
                std::process::Command::new("kill").args(["-9", &platform.pid().to_string()]).status();
            assert!(killed.unwrap().success());
        };
        let (answers, ()) = tokio::join!(join_all((0..50).map(|_| one())), kill);
        world.platform.kill();
        world.platform.restart();
        let headers = [("idempotency-key", key.as_str())];
        let last = world
            .platform
            .rest_with("POST", "/partner/kyc-sessions", &world.partner, &headers, Some(&body))
            .await;
        assert_eq!(last.status, 201, "{}", last.body);
        for answer in answers.into_iter().flatten().filter(|answer| answer.status == 201) {
            assert_eq!(answer.body, last.body, "what was promised before the kill holds");
        }
        let path = format!("/partner/kyc-sessions?account_auth_id={}", customer.who.id);
        let list = world.platform.rest("GET", &path, &world.partner, None).await.ok();
        assert_eq!(list["total"], 1, "round {round}");
    }
}
