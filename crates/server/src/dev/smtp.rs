//! A small SMTP server (RFC 5321) that keeps what it is given in memory and delivers nothing. Development only.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tandem_model::clock;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Mails kept; the oldest go.
const MAILS_MAX: usize = 100;
/// Longest command line (RFC 5321 §4.5.3.1.4) and then some.
const LINE_MAX: u64 = 4 * 1024;
/// Largest mail.
const MAIL_BYTES_MAX: usize = 1024 * 1024;
/// Recipients of a mail (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;
/// Silence after which a client is left.
const PATIENCE: Duration = Duration::from_mins(1);

/// A mail as it came.
#[derive(Clone, Debug)]
pub(crate) struct Caught {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) to: Vec<String>,
    /// Head and body, as sent, the dots of transparency taken out.
    pub(super) raw: Vec<u8>,
}

/// What was caught.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<(u64, VecDeque<Caught>)>>);

impl Mailbox {
    /// The mails, newest first.
    pub(super) fn mails(&self) -> Vec<Caught> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.iter().rev().cloned().collect()
    }

    fn put(&self, to: Vec<String>, raw: Vec<u8>) {
        let mut mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mails.0 += 1;
        let caught = Caught { number: mails.0, at: clock::wall(), to, raw };
        if mails.1.len() == MAILS_MAX {
            mails.1.pop_front();
        }
        mails.1.push_back(caught);
    }
}

/// Starts the server on a free port of this machine; its URL.
pub(crate) async fn catch_mail(
    tasks: &TaskTracker,
    mailbox: Mailbox,
    cancel: CancellationToken,
) -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("smtp://{}", listener.local_addr()?);
    let clients = tasks.clone();
    tasks.spawn(async move {
        loop {
            let client = tokio::select! {
                () = cancel.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = client else { continue };
            let (mailbox, cancel) = (mailbox.clone(), cancel.clone());
            clients.spawn(async move {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    _ = serve(stream, &mailbox) => {}
                }
            });
        }
    });
    Ok(url)
}

async fn serve(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut recipients: Vec<String> = Vec::new();
    let mut has_sender = false;
    write.write_all(b"220 tandem.localhost catches mail\r\n").await?;
    loop {
        let Some(line) = line(&mut lines).await? else { return Ok(()) };
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250-tandem.localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576\r\n",
            "HELO" | "NOOP" => b"250 OK\r\n",
            "MAIL" => {
                (has_sender, recipients) = (true, Vec::new());
                b"250 OK\r\n"
            }
            "RCPT" if !has_sender => b"503 MAIL first\r\n",
            "RCPT" if recipients.len() >= RECIPIENTS_MAX => b"452 Too many recipients\r\n",
            "RCPT" => {
                let address = text.split(['<', '>']).nth(1).unwrap_or_default();
                recipients.push(address.to_owned());
                b"250 OK\r\n"
            }
            "DATA" if recipients.is_empty() => b"503 RCPT first\r\n",
            "DATA" => {
                write.write_all(b"354 Go on, end with a dot\r\n").await?;
                let Some(mail) = mail(&mut lines).await? else { return Ok(()) };
                has_sender = false;
                match mail {
                    Mail::Whole(raw) => {
                        mailbox.put(std::mem::take(&mut recipients), raw);
                        b"250 Caught\r\n"
                    }
                    Mail::TooLarge => b"552 Too large\r\n",
                }
            }
            "RSET" => {
                (has_sender, recipients) = (false, Vec::new());
                b"250 OK\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 Bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 Not here\r\n",
        };
        write.write_all(answer).await?;
    }
}

/// A line; none at the end of the stream, after a silence, or when it is too long.
async fn line(lines: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = lines.take(LINE_MAX);
    let read = tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await;
    match read {
        Ok(read) => Ok((read? > 0 && line.ends_with(b"\n")).then_some(line)),
        Err(_) => Ok(None),
    }
}

enum Mail {
    Whole(Vec<u8>),
    TooLarge,
}

/// The mail up to its dot (RFC 5321 §4.5.2).
async fn mail(lines: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> std::io::Result<Option<Mail>> {
    let mut raw = Vec::new();
    let mut fits = true;
    loop {
        let Some(line) = line(lines).await? else { return Ok(None) };
        if line == b".\r\n" {
            return Ok(Some(if fits { Mail::Whole(raw) } else { Mail::TooLarge }));
        }
        let line = line.strip_prefix(b".").unwrap_or(&line);
        fits = fits && raw.len() + line.len() <= MAIL_BYTES_MAX;
        if fits {
            raw.extend_from_slice(line);
        }
    }
}
