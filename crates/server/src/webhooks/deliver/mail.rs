//! An event that leaves as a letter. What a mail server may have taken is not sent again.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use tandem_store::OutboxEvent;

use super::attempt::Report;
use super::words::Finish;
use crate::post::{Letter, Post, PostError};

/// SMTP's own word for done (RFC 5321 §4.2.3), in the place of an HTTP status.
const TAKEN: u16 = 250;

/// Makes one attempt.
pub(super) async fn attempt(
    post: Option<&Post>,
    event: &OutboxEvent,
    at: Timestamp,
    begun: Instant,
) -> Report {
    let sent = match (post, letter(event)) {
        (Some(post), Some(letter)) => post.send(letter).await,
        (Some(_), None) => Err(PostError::Address),
        (None, _) => Err(PostError::Again("no mail server is configured".to_owned())),
    };
    let taken = Finish::Answered { status: TAKEN, retry_after: None };
    let (status, finish) = match &sent {
        Ok(()) | Err(PostError::InDoubt) => (Some(TAKEN), taken),
        Err(PostError::Again(_)) => (None, Finish::Unreachable),
        Err(_) => (None, Finish::Impossible),
    };
    Report {
        at,
        duration_ms: begun.elapsed().as_millis() as u64,
        status,
        error: sent.err().map(|error| error.to_string()),
        excerpt: None,
        finish,
    }
}

/// The letter of an event; `None` when nobody has written one.
fn letter(event: &OutboxEvent) -> Option<Letter> {
    let to = event.url.strip_prefix("mailto:")?.to_owned();
    let body: Value = serde_json::from_str(&event.body).ok()?;
    let (subject, text) = match event.kind.as_str() {
        "number.unpaid" | "number.released" => of_number(event, &body)?,
        "recording.export" => (body["subject"].as_str()?.to_owned(), body["text"].as_str()?.to_owned()),
        _ => low_balance(event, &body)?,
    };
    let html: Vec<String> =
        text.split("\n\n").map(|part| escaped(part.trim()).replace('\n', "<br>")).collect();
    let html = html.join("</p><p>");
    let html =
        format!("<!doctype html><html><body style=\"font-family:sans-serif\"><p>{html}</p></body></html>");
    Some(Letter { to, subject, text, html })
}

/// Subject and text.
fn low_balance(event: &OutboxEvent, body: &Value) -> Option<(String, String)> {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let amount = |name: &str| {
        let amount: tandem_model::Money = text(name)?.parse().ok()?;
        Some(amount.to_fixed(2))
    };
    let (name, currency) = (text("account_name")?, text("currency")?);
    let (balance, threshold) = (amount("balance")?, amount("threshold")?);
    let subject = format!("Low balance: {balance} {currency} left");
    let text = format!(
        "The balance of {name} ({account}) has fallen to {balance} {currency}, below the {threshold} {currency} you set.\n\n\
         Calls are refused when nothing is left. Top up the account, or change the threshold under /alerts.\n",
        account = event.account,
    );
    Some((subject, text))
}

/// Of a number whose month is owed, or that went because of it.
fn of_number(event: &OutboxEvent, body: &Value) -> Option<(String, String)> {
    let text = |name: &str| body[name].as_str();
    let day = |name: &str| text(name)?.get(..10);
    let fee: tandem_model::Money = text("monthly_fee")?.parse().ok()?;
    let (number, name, currency) = (text("number")?, text("account_name")?, text("currency")?);
    let (due, ends, fee) = (day("due_at")?, day("released_at")?, fee.to_fixed(2));
    Some(if event.kind == "number.released" {
        (
            format!("{number} has been released"),
            format!(
                "The month of {number} from {due} ({fee} {currency}) was not paid, and the number is no longer {name}'s \
                 ({account}).\n\nIt cannot be bought again for a while; write to your operator if you need it back.\n",
                account = event.account,
            ),
        )
    } else {
        (
            format!("{number} is not paid"),
            format!(
                "The month of {number} from {due} ({fee} {currency}) could not be paid from the balance of {name} \
                 ({account}).\n\nThe number stays in service until {ends}. Top up the account before then, or it is released.\n",
                account = event.account,
            ),
        )
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
