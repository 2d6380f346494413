//! The hosted page in a real browser, as large as a phone: filled in by hand as it were, pictures taken, forward, back and
//! refreshed. Needs Chromium, so it runs with `make slow`.

use std::path::PathBuf;

use serde_json::json;
use tandem_testkit::{Browser, BrowserOptions, MailManners, Mailbox};

use super::{PAN, id_of, link_of, read, session, world};
use crate::stage::PATIENCE;
use crate::stage::world::text;

/// Pictures go there, for people to look at.
fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kyc-pictures");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The page fits the phone's width, and every control has a name that screen readers say.
async fn is_usable(browser: &Browser) {
    let wide = browser.script("return document.documentElement.scrollWidth > window.innerWidth").await;
    assert_eq!(wide, false, "it must not scroll sideways: {}", browser.url().await);
    let nameless = browser
        .script(
            "return [...document.querySelectorAll('input:not([type=hidden])')].filter(i => !i.labels.length).length \
             + [...document.querySelectorAll('button, a')].filter(e => !e.textContent.trim()).length",
        )
        .await;
    assert_eq!(nameless, 0);
    let small = browser
        .script(
            "return [...document.querySelectorAll('button, a.button, input:not([type=hidden]):not([type=checkbox]), nav a')]\
             .filter(e => e.getBoundingClientRect().height < 40).map(e => e.outerHTML)",
        )
        .await;
    assert_eq!(small, json!([]), "large enough for a thumb");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: make slow"]
async fn a_person_walks_through_the_page_in_a_browser() {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let world = world(&mailbox, None).await;
    let customer = world.customer("shop", 0.0, (1, 1)).await;
    let back = world.sink.url("back");
    let made = session(&world, &customer, json!({"flow_type": "redirect", "redirect_url": back})).await;
    let browser = Browser::start(BrowserOptions::default()).await;
    let folder = pictures();
    browser.open(&text(&made, "widget_url")).await;
    assert!(browser.url().await.ends_with("/verify/step"), "the secret leaves the address bar");
    is_usable(&browser).await;
    browser.shoot(&folder.join("1-pan.png")).await;
    browser.type_into("#pan", "abc").await;
    browser.click("main form button").await;
    browser.shows(".summary", "ten characters").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("2-pan-errors.png")).await;
    browser.type_into("#pan", PAN).await;
    browser.click("#consent").await;
    browser.click("main form button").await;
    browser.shows("h1", "About you").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("3-person.png")).await;
    browser.refresh().await;
    browser.shows("h1", "About you").await;
    browser.back().await;
    browser.open(&format!("{}/verify/step", world.platform.api)).await;
    browser.shows("h1", "About you").await;
    browser.click("nav a[lang=hi]").await;
    browser.shows("h1", "आपके बारे में").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("4-person-hindi.png")).await;
    browser.click("nav a[lang=en]").await;
    browser.shows("h1", "About you").await;
    browser.type_into("#name", "Canary Person").await;
    browser.script("document.querySelector('#birth_date').value = '1990-04-01'").await;
    browser.click("main form button").await;
    browser.shows("h1", "Aadhaar through DigiLocker").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("5-digilocker.png")).await;
    browser.click("main form button").await;
    browser.shows("main a.button", "Go to DigiLocker").await;
    browser.shoot(&folder.join("6-digilocker-ready.png")).await;
    browser.click("main a.button").await;
    browser.shows("h1", "DigiLocker (sandbox)").await;
    browser.shoot(&folder.join("7-sandbox.png")).await;
    browser.click("button[value=denied]").await;
    browser.shows(".summary", "not allowed").await;
    browser.shoot(&folder.join("8-denied.png")).await;
    browser.click("main form button").await;
    browser.shows("main a.button", "Go to DigiLocker").await;
    browser.click("main a.button").await;
    browser.shows("h1", "DigiLocker (sandbox)").await;
    browser.click("button[value=granted]").await;
    browser.shows("h1", "You are verified").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("9-done.png")).await;
    // The page takes the browser back by itself, with the three hints.
    let came = world.sink.wait(PATIENCE, |requests| requests.iter().any(|one| one.path() == "/back")).await;
    let hint = came.iter().find(|one| one.path() == "/back").unwrap();
    assert_eq!(hint.param("session_id").as_deref(), Some(id_of(&made).as_str()));
    assert_eq!(
        (hint.param("status"), hint.param("auth_id")),
        (Some("kyc_completed".to_owned()), Some(customer.who.id.clone()))
    );
    assert_eq!(read(&world, &id_of(&made)).await["status"], "kyc_completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium: make slow"]
async fn a_company_follows_its_mail_in_the_dark_and_in_hindi() {
    let mailbox = Mailbox::start(MailManners::Takes).await;
    let world = world(&mailbox, None).await;
    let customer = world.customer("firm", 0.0, (1, 1)).await;
    let made = session(&world, &customer, json!({"customer_email": "owner@firm.example"})).await;
    let link = link_of(&mailbox.wait(PATIENCE, 1).await[0]);
    let browser = Browser::start(BrowserOptions { dark: true }).await;
    let folder = pictures();
    browser.open(&format!("{link}&lang=hi")).await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("a-pan-hindi-dark.png")).await;
    browser.type_into("#pan", "AAPFU0939F").await;
    browser.click("#consent").await;
    browser.click("main form button").await;
    browser.shows("h1", "संस्था के बारे में").await;
    browser.type_into("#entity_name", "Canary Firm").await;
    browser.click("main form button").await;
    browser.shows("h1", "GST पंजीकरण").await;
    browser.type_into("#gstin", "29AAGCB7383J1Z4").await;
    browser.click("main form button").await;
    browser.shows(".summary", "GSTIN").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("b-gst-error-hindi-dark.png")).await;
    browser.type_into("#gstin", "27AAPFU0939F1ZV").await;
    browser.click("main form button").await;
    browser.shows("h1", "आपका सत्यापन पूरा हुआ").await;
    is_usable(&browser).await;
    browser.shoot(&folder.join("c-done-hindi-dark.png")).await;
    assert_eq!(read(&world, &id_of(&made)).await["status"], "kyc_completed");
    browser.open(&format!("{}/verify?token=kst_{}", world.platform.api, "0".repeat(64))).await;
    browser.shoot(&folder.join("d-over-hindi-dark.png")).await;
}
