//! Both flows, walked through.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tandem_testkit::{MailManners, Mailbox, Request};

use super::visitor::Visitor;
use super::{PAN, id_of, link_of, read, session, world};
use crate::stage::PATIENCE;
use crate::stage::world::text;

fn genuine(request: &Request, token: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes any key");
    mac.update(&request.body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    request.headers.get("x-vobiz-signature").is_some_and(|value| value == expected.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_verified_by_redirect_and_the_partner_is_told_with_its_signature() {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let world = world(&mailbox, None).await;
    let customer = world.customer("shop", 0.0, (1, 1)).await;
    let made = session(
        &world,
        &customer,
        json!({"flow_type": "redirect", "redirect_url": "http://partner.example/back?keep=1"}),
    )
    .await;
    let (id, link, base) = (id_of(&made), text(&made, "widget_url"), world.platform.api.clone());
    let mut visitor = Visitor::default();
    let page = visitor.open(&link).await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(!page.html.contains("kst_"), "the secret is not in the page");
    assert_eq!(read(&world, &id).await["status"], "opened");

    let wrong = visitor.send(&base, &page, "pan", &[("pan", "nonsense")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.html.contains("id=\"pan-error\"") && wrong.html.contains("id=\"consent-error\""));
    let details = visitor.send(&base, &page, "pan", &[("pan", PAN), ("consent", "yes")]).await;
    assert!(details.html.contains("name=\"birth_date\""), "{}", details.html);
    let again = visitor.send(&base, &page, "pan", &[("pan", "ABCPE1234F"), ("consent", "yes")]).await;
    assert!(again.html.contains("name=\"birth_date\""), "a step that was done is not done again");
    let full = visitor
        .send(&base, &page, "details", &[("name", "9999 4105 7058"), ("birth_date", "1990-04-01")])
        .await;
    assert_eq!(full.status, 422);
    assert!(!full.html.contains("9999 4105 7058"), "an Aadhaar number is not shown again");
    let digilocker = visitor
        .send(&base, &page, "details", &[("name", "Canary Person"), ("birth_date", "1990-04-01")])
        .await;
    assert!(digilocker.html.contains("/verify/digilocker"), "{}", digilocker.html);
    let ready = visitor.send(&base, &digilocker, "digilocker", &[]).await;
    let visit = ready.between("class=\"button\" href=\"", "\"").unwrap();
    let pretended = visitor.open(&visit).await;
    let request = pretended.between("name=\"request\" value=\"", "\"").unwrap();
    let denied = visitor
        .send(&base, &pretended, "sandbox/digilocker", &[("request", &request), ("say", "denied")])
        .await;
    assert!(denied.html.contains("role=\"alert\""), "{}", denied.html);
    let ready = visitor.send(&base, &denied, "digilocker", &[]).await;
    let visit = ready.between("class=\"button\" href=\"", "\"").unwrap();
    let request = visit.split("request=").nth(1).unwrap().to_owned();
    let done =
        visitor.send(&base, &ready, "sandbox/digilocker", &[("request", &request), ("say", "granted")]).await;
    assert!(done.html.contains("You are verified"), "{}", done.html);
    let back = done.between("http-equiv=\"refresh\" content=\"8;url=", "\"").unwrap();
    assert_eq!(
        back,
        format!(
            "http://partner.example/back?keep=1&session_id={id}&status=kyc_completed&auth_id={}",
            customer.who.id
        )
    );

    let finished = read(&world, &id).await;
    assert_eq!((&finished["status"], &finished["kyc_type"]), (&json!("kyc_completed"), &json!("individual")));
    let verified = &finished["verified_data"];
    assert_eq!(
        (&verified["pan_number"], &verified["completed_steps"]),
        (&json!("XXXXXX531K"), &json!(["pan", "aadhaar"]))
    );
    assert_eq!(verified["masked_aadhaar"], "XXXXXXXX7058");
    let account = world
        .platform
        .rest("GET", &format!("/partner/accounts/{}", customer.who.id), &world.partner, None)
        .await
        .ok();
    assert_eq!(account["kyc_status"], "completed");

    let told = world.sink.wait(PATIENCE, |requests| requests.len() >= 3).await;
    let mut kinds: Vec<_> = told.iter().map(|request| text(&request.json(), "event")).collect();
    kinds.sort();
    assert_eq!(kinds, ["kyc.completed", "kyc.initiated", "kyc.submitted"]);
    for request in &told {
        assert!(genuine(request, &world.partner.token), "{}", request.json());
        assert!(!genuine(request, &customer.who.token));
        assert_eq!(request.headers["x-vobiz-event"].to_str().unwrap(), text(&request.json(), "event"));
        assert!(!String::from_utf8_lossy(&request.body).contains(PAN));
        assert_eq!(request.json()["metadata"]["order"], "CANARY-ORDER");
    }
    let over = Visitor::default().open(&format!("{base}/verify?token=kst_{}", "0".repeat(64))).await;
    assert_eq!(over.status, 404);
    let forged = visitor.send(&base, &over, "pan", &[("pan", PAN), ("consent", "yes")]).await;
    assert_eq!(forged.status, 403, "a form without its token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_company_is_invited_by_mail_in_its_language_and_shows_its_gstin() {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let world = world(&mailbox, None).await;
    let customer = world.customer("firm", 0.0, (1, 1)).await;
    let made = session(&world, &customer, json!({"customer_email": "owner@firm.example"})).await;
    let id = id_of(&made);
    let mails = mailbox.wait(PATIENCE, 1).await;
    assert!(
        mails[0].contains("To: owner@firm.example")
            && mails[0].contains("From: Partner <kyc@partner.example>")
    );
    let mut visitor = Visitor::default();
    let base = world.platform.api.clone();
    let page = visitor.open(&format!("{}&lang=hi", link_of(&mails[0]))).await;
    assert!(page.html.contains("<html lang=\"hi\"") && page.html.contains("आपका PAN"), "{}", page.html);
    // The firm of the GSTIN 27AAPFU0939F1ZV.
    let company = visitor.send(&base, &page, "pan", &[("pan", "AAPFU0939F"), ("consent", "yes")]).await;
    assert!(company.html.contains("name=\"entity_name\""), "{}", company.html);
    let gst = visitor.send(&base, &page, "details", &[("entity_name", "Canary Firm")]).await;
    assert!(gst.html.contains("name=\"gstin\""), "{}", gst.html);
    let other = visitor.send(&base, &page, "gst", &[("gstin", "29AAGCB7383J1Z4")]).await;
    assert_eq!(other.status, 422, "another firm's");
    let done = visitor.send(&base, &page, "gst", &[("gstin", "27AAPFU0939F1ZV")]).await;
    assert!(done.html.contains("आपका सत्यापन पूरा हुआ"), "{}", done.html);
    let finished = read(&world, &id).await;
    assert_eq!((&finished["status"], &finished["kyc_type"]), (&json!("kyc_completed"), &json!("company")));
    assert_eq!(finished["verified_data"]["gstin"], "XXXXXXXXXXXF1ZV");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(mailbox.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_mail_server_refuses_for_good_is_not_tried_again() {
    let mailbox = Mailbox::start(MailManners::Refuses).await;
    let world = world(&mailbox, None).await;
    let customer = world.customer("shop", 0.0, (1, 1)).await;
    session(&world, &customer, json!({"customer_email": "canary-nobody@firm.example"})).await;
    crate::stage::until("refused letter", || async {
        world.platform.log().contains("did not leave").then_some(())
    })
    .await;
    assert!(!world.platform.log().contains("canary-nobody"), "a log holds no address");
    assert!(mailbox.mails().is_empty());
}
