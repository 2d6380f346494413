//! A mail server (RFC 5321) of the tests: it counts every mail that came whole, and answers as badly as a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How it treats who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailManners {
    /// Takes everything.
    Takes,
    /// Turns everybody away for now (421).
    Busy,
    /// Refuses every recipient for good (550).
    Refuses,
    /// Takes the whole mail and never says so.
    Silent,
}

struct Shared {
    manners: Mutex<MailManners>,
    mails: Mutex<Vec<String>>,
    news: Notify,
}

/// The running server; it stops when dropped.
pub struct Mailbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: AbortHandle,
}

impl Mailbox {
    /// Listens on loopback.
    ///
    /// # Panics
    /// When no port is free.
    #[expect(clippy::disallowed_methods, reason = "the tasks end with the mailbox, or with the test")]
    pub async fn start(manners: MailManners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            manners: Mutex::new(manners),
            mails: Mutex::new(Vec::new()),
            news: Notify::new(),
        });
        let server = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = server.clone();
                tokio::spawn(async move { drop(serve(stream, &shared).await) });
            }
        })
        .abort_handle();
        Self { shared, address, task }
    }

    /// Its URL for `mail.smtp_url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// From now on.
    pub fn behave(&self, manners: MailManners) {
        *self.shared.manners.lock().unwrap_or_else(PoisonError::into_inner) = manners;
    }

    /// Every mail that came whole, as sent.
    pub fn mails(&self) -> Vec<String> {
        self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many.
    ///
    /// # Panics
    /// After `patience`.
    pub async fn wait(&self, patience: Duration, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let news = self.shared.news.notified();
                let mails = self.mails();
                if mails.len() >= count {
                    return mails;
                }
                news.await;
            }
        };
        let came = tokio::time::timeout(patience, enough).await;
        came.unwrap_or_else(|_| panic!("{} mails after {patience:?}, not {count}", self.mails().len()))
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let manners = || *shared.manners.lock().unwrap_or_else(PoisonError::into_inner);
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    if manners() == MailManners::Busy {
        return write.write_all(b"421 Come back later\r\n").await;
    }
    write.write_all(b"220 mailbox.test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250-mailbox.test\r\n250 8BITMIME\r\n",
            "RCPT" if manners() == MailManners::Refuses => b"550 No such user here\r\n",
            "DATA" => {
                write.write_all(b"354 Go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push_str("\r\n");
                }
                shared.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                shared.news.notify_waiters();
                if manners() == MailManners::Silent {
                    std::future::pending::<()>().await;
                }
                b"250 Taken\r\n"
            }
            "QUIT" => return write.write_all(b"221 Bye\r\n").await,
            _ => b"250 OK\r\n",
        };
        write.write_all(answer).await?;
    }
    Ok(())
}
