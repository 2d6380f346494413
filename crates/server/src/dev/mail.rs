//! `GET /dev/mail`: the caught mails, newest first; `.json` for programs.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::mail_text::readable;
use super::smtp::Mailbox;

pub(super) fn routes<S: Clone + Send + Sync + 'static>(mailbox: Mailbox) -> Router<S> {
    Router::new().route("/dev/mail", get(page)).route("/dev/mail.json", get(list)).with_state(mailbox)
}

async fn list(State(mailbox): State<Mailbox>) -> Json<Value> {
    let mails: Vec<_> = mailbox
        .mails()
        .iter()
        .map(|mail| {
            let read = readable(&mail.raw);
            json!({"number": mail.number, "at": mail.at, "to": mail.to, "subject": read.subject, "text": read.text})
        })
        .collect();
    Json(json!({ "mails": mails }))
}

#[cfg(test)]
impl Mailbox {
    /// The plain texts, newest first.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.mails().iter().map(|mail| readable(&mail.raw).text).collect()
    }
}

async fn page(State(mailbox): State<Mailbox>) -> Response {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>Tandem: mail</title><style>:root{color-scheme:light dark}\
         body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}article{border:1px solid \
         color-mix(in srgb,currentColor 25%,transparent);border-radius:.6rem;padding:.5rem 1rem;margin:1rem 0}\
         pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}h2{font-size:1.05rem;margin:.4rem 0}p{margin:.2rem 0;opacity:.75}\
         </style></head><body><h1>Mail</h1><p>Caught by this node, which delivers no mail in development.</p>",
    );
    let mails = mailbox.mails();
    if mails.is_empty() {
        html.push_str("<p>None yet.</p>");
    }
    for mail in mails {
        let read = readable(&mail.raw);
        html.push_str(&format!(
            "<article><h2>{}</h2><p>to {} at {}</p><pre>{}</pre></article>",
            escaped(&read.subject),
            escaped(&mail.to.join(", ")),
            mail.at.strftime("%H:%M:%S UTC"),
            linked(&read.text)
        ));
    }
    html.push_str("</body></html>");
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A line that is an address becomes a link.
fn linked(text: &str) -> String {
    let line = |line: &str| {
        let safe = escaped(line);
        let is_link = (line.starts_with("http://") || line.starts_with("https://")) && !line.contains(' ');
        if is_link { format!("<a href=\"{safe}\">{safe}</a>") } else { safe }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
