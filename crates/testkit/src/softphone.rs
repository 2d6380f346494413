//! baresip, Debian's, without head or hands: registers, answers by itself, plays a tone into its microphone and
//! keeps what it hears.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_model::clock;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::hearing::Hearing;
use crate::nat::Namespace;

/// Where Debian keeps baresip's modules.
const MODULES: &str = "/usr/lib/baresip/modules";
/// G.711's rate, so that nothing resamples the tone.
const RATE: u32 = 8_000;
/// Length of the tone: longer than any test's call.
const MICROPHONE_S: u32 = 300;
/// Longest a start may take.
const START: Duration = Duration::from_secs(10);

/// What somebody types into a phone.
#[derive(Clone, Debug)]
pub struct PhoneSettings {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Domain: the registrar's name.
    pub domain: String,
    /// Outbound proxy, a SIP URI.
    pub proxy: String,
    /// How often the phone registers again.
    pub register_every: Duration,
    /// `udp`, `tcp` or `tls`. On TLS the server's certificate is not verified: in development nobody vouches for it.
    pub transport: String,
}

/// Where the phone stands.
#[derive(Clone, Copy)]
pub struct PhonePlace<'a> {
    /// The network it is in; this machine's when absent.
    pub network: Option<&'a Namespace>,
    /// Its own address there.
    pub address: IpAddr,
}

/// The running phone; it is killed when dropped.
pub struct Softphone {
    child: Child,
    folder: TempDir,
    events: Arc<Events>,
    control: OwnedWriteHalf,
    reader: AbortHandle,
    aor: String,
}

#[derive(Default)]
struct Events {
    seen: Mutex<Vec<Value>>,
    news: Notify,
}

impl Softphone {
    /// Starts a phone with `hz` in its microphone.
    ///
    /// # Panics
    /// When baresip is not installed (`apt-get install baresip-core`) or does not start; its log is in the message.
    #[expect(clippy::disallowed_methods, reason = "the task is aborted when the phone is dropped")]
    pub async fn start(settings: &PhoneSettings, place: PhonePlace<'_>, hz: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = place.run(free_port);
        let control = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        configure(folder.path(), settings, place.address, control, hz).expect("the folder is writable");
        let mut child = place
            .run(|| launch(folder.path()))
            .unwrap_or_else(|error| panic!("baresip does not start (apt-get install baresip-core): {error}"));
        let deadline = clock::monotonic() + START;
        let stream = loop {
            match place.run(|| std::net::TcpStream::connect(control)) {
                Ok(stream) => break stream,
                Err(_) if clock::monotonic() < deadline && matches!(child.try_wait(), Ok(None)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => {
                    drop(child.kill());
                    panic!("baresip gives no control port: {error}\n{}", log(folder.path()));
                }
            }
        };
        stream.set_nonblocking(true).expect("a socket");
        let (reading, control) = TcpStream::from_std(stream).expect("a socket").into_split();
        let events = Arc::new(Events::default());
        let reader = tokio::spawn(listen(reading, Arc::clone(&events))).abort_handle();
        let aor = format!("sip:{}@{}", settings.user, settings.domain);
        Self { child, folder, events, control, reader, aor }
    }

    /// Its address of record.
    pub fn aor(&self) -> &str {
        &self.aor
    }

    /// Waits until the registrar has said yes.
    ///
    /// # Panics
    /// After `patience`, with the phone's log.
    pub async fn registered(&self, patience: Duration) {
        // From the log: the control port opens only after the first REGISTER is out.
        let deadline = clock::monotonic() + patience;
        while !self.log().contains(" 200 OK () [") {
            assert!(clock::monotonic() < deadline, "the phone is not registered:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// REGISTER requests sent so far, the challenged one included.
    pub fn register_requests(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("REGISTER sip:")).count()
    }

    /// Types of the events so far: `CALL_INCOMING`, `CALL_RINGING`, `CALL_ESTABLISHED`, `CALL_CLOSED`, …
    pub fn events(&self) -> Vec<String> {
        let seen = self.events.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter_map(|event| event["type"].as_str().map(str::to_owned)).collect()
    }

    /// How often an event has come.
    pub fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|seen| *seen == event).count()
    }

    /// Waits until an event has come `times` times since the start.
    ///
    /// # Panics
    /// After `patience`, with all events and the phone's log.
    pub async fn wait(&self, event: &str, times: usize, patience: Duration) {
        let all = async {
            loop {
                let news = self.events.news.notified();
                if self.count(event) >= times {
                    return;
                }
                news.await;
            }
        };
        let came = tokio::time::timeout(patience, all).await.is_ok();
        assert!(
            came,
            "the phone did not come to {event} ×{times} in {patience:?}; events: {:?}\n{}",
            self.events(),
            self.log()
        );
    }

    /// Dials a SIP URI or a user of the phone's own domain.
    pub async fn dial(&mut self, whom: &str) {
        self.order("dial", whom).await;
    }

    /// Hangs up.
    pub async fn hang_up(&mut self) {
        self.order("hangup", "").await;
    }

    /// What the phone heard in each call that is over, oldest first.
    ///
    /// # Panics
    /// When a file of the phone cannot be read.
    pub fn heard(&self) -> Vec<Hearing> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .expect("the phone's folder")
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        files.iter().map(|file| Hearing::read(file).expect("a WAV file").swap_remove(0)).collect()
    }

    /// What it wrote to its terminal, SIP messages included.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    async fn order(&mut self, command: &str, parameters: &str) {
        let order = json!({"command": command, "params": parameters, "token": command}).to_string();
        let netstring = format!("{}:{order},", order.len());
        self.control.write_all(netstring.as_bytes()).await.expect("the phone listens");
    }
}

impl Drop for Softphone {
    fn drop(&mut self) {
        self.reader.abort();
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(80).collect();
            eprintln!("the phone's last words:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

impl PhonePlace<'_> {
    fn run<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        match self.network {
            Some(network) => network.run(work),
            None => work(),
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn configure(
    folder: &Path,
    settings: &PhoneSettings,
    address: IpAddr,
    control: SocketAddr,
    hz: u16,
) -> io::Result<()> {
    let microphone = folder.join("microphone.wav");
    Hearing::tone(RATE, hz, MICROPHONE_S).write(&microphone).map_err(io::Error::other)?;
    let mut config = format!("module_path {MODULES}\nsip_listen {address}:0\nnet_interface {address}\n");
    for module in ["g711", "aufile", "sndfile", "aubridge"] {
        let _ = writeln!(config, "module {module}.so");
    }
    for module in ["account", "menu", "ctrl_tcp"] {
        let _ = writeln!(config, "module_app {module}.so");
    }
    let _ = write!(
        config,
        "ctrl_tcp_listen {control}\naudio_source aufile,{}\naudio_player aubridge,ear\naudio_alert aubridge,bell\n\
         audio_channels 1-1\nsnd_path {}\nsip_verify_server no\n",
        microphone.display(),
        folder.display()
    );
    std::fs::write(folder.join("config"), config)?;
    let PhoneSettings { user, password, domain, proxy, register_every, transport } = settings;
    let account = format!(
        "<sip:{user}@{domain};transport={transport}>;auth_pass={password};outbound=\"{proxy}\";regint={};answermode=auto;\
         audio_codecs=PCMU,PCMA\n",
        register_every.as_secs()
    );
    std::fs::write(folder.join("accounts"), account)
}

fn launch(folder: &Path) -> io::Result<Child> {
    let log = std::fs::File::create(folder.join("log"))?;
    Command::new("baresip")
        .arg("-f")
        .arg(folder)
        .arg("-s")
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn log(folder: &Path) -> String {
    std::fs::read(folder.join("log"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Reads netstrings of JSON until the phone is gone.
async fn listen(mut from: OwnedReadHalf, events: Arc<Events>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..length]);
        while let Some((event, used)) = netstring(&bytes) {
            events.seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            bytes.drain(..used);
        }
        events.news.notify_waiters();
    }
}

/// The first netstring (`12:{…},`) and its length, once all of it is there.
fn netstring(bytes: &[u8]) -> Option<(Value, usize)> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let end = colon + 1 + length;
    let body = bytes.get(colon + 1..end)?;
    bytes.get(end)?;
    Some((serde_json::from_slice(body).unwrap_or_default(), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_come_whole() {
        assert_eq!(netstring(b"7:{\"a\":1},3:"), Some((json!({"a": 1}), 10)));
        assert_eq!(netstring(b"7:{\"a\":1}"), None);
        assert_eq!(netstring(b"7"), None);
    }
}
