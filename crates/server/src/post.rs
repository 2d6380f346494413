//! SMTP: one letter at a time, and what became of it in the only three ways that matter.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use thiserror::Error;

/// For each answer of the server.
const PATIENCE: Duration = Duration::from_secs(20);

/// A letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// Why a letter did not leave. Says nothing that the server said: it quotes addresses.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum PostError {
    /// The server's URL is none.
    #[error("the mail server's URL is not usable")]
    Url,
    /// The sender's or the recipient's address is none.
    #[error("the address is not usable")]
    Address,
    /// It was not taken, and may be later.
    #[error("the mail server did not take it ({0})")]
    Again(String),
    /// It will never be taken.
    #[error("the mail server refused it ({0})")]
    Refused(String),
    /// It may have been taken.
    #[error("the mail server did not say whether it took it")]
    InDoubt,
}

/// The way to the mail server.
#[derive(Clone)]
pub(crate) struct Post {
    transport: Arc<AsyncSmtpTransport<Tokio1Executor>>,
    from: Mailbox,
}

impl Post {
    /// By `smtp://host:port` (plain), `smtp://…?tls=required` (STARTTLS) or `smtps://user:password@host`.
    pub(crate) fn new(url: &str, from: &str) -> Result<Self, PostError> {
        let from = from.parse().map_err(|_| PostError::Address)?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| PostError::Url)?;
        let transport = Arc::new(builder.timeout(Some(PATIENCE)).build());
        Ok(Self { transport, from })
    }

    /// Whether the server is there: asked before a letter is claimed, so that an absence leaves no doubt.
    pub(crate) async fn is_open(&self) -> Result<(), PostError> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(PostError::Again("it closed the connection".to_owned())),
            Err(error) => Err(PostError::Again(words(&error))),
        }
    }

    /// Sends a letter.
    pub(crate) async fn send(&self, letter: Letter) -> Result<(), PostError> {
        let to: Mailbox = letter.to.parse().map_err(|_| PostError::Address)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject)
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))
            .map_err(|_| PostError::Address)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => Err(PostError::Again(words(&error))),
            Err(error) if error.is_permanent() => Err(PostError::Refused(words(&error))),
            Err(_) => Err(PostError::InDoubt),
        }
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("it answered {code}"),
        None if error.is_tls() => "TLS failed".to_owned(),
        None if error.is_timeout() => "it did not answer in time".to_owned(),
        None => "it cannot be reached".to_owned(),
    }
}
