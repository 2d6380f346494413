//! sipp processes with a role: the carrier that is called, the caller (PBX or carrier) with a handset.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tandem_testkit::{Sipp, SippOutcome};

use super::handset::{Handset, Heard};
use super::script::Dialog;
use super::until;

/// Longest call of any scenario.
const LONGEST_CALL: Duration = Duration::from_secs(45);
/// Ports of sipp processes: below those the system hands out and those of any platform here.
const FIRST_PORT: u16 = 6_000;
const PORTS: u16 = 3_900;

/// A UDP port for sipp that nobody has, nor any other process of these tests: what is taken is said by
/// listening on the TCP port of that number for as long as this process lives.
pub(crate) fn free_port(ip: IpAddr) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    for _ in 0..PORTS {
        let port = FIRST_PORT + NEXT.fetch_add(4, Ordering::Relaxed) % PORTS;
        let Ok(claim) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if UdpSocket::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port + 2)).is_ok() {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
            return port;
        }
    }
    panic!("no UDP port of {FIRST_PORT}–{} is free", FIRST_PORT + PORTS);
}

/// A carrier: sipp answering every call in one way, echoing what it hears.
pub(crate) struct CarrierPeer {
    sipp: Sipp,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl CarrierPeer {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(scenario: &str) -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let address = SocketAddr::new(ip, free_port(ip));
        let media = free_port(ip).to_string();
        let sipp = Sipp::start(scenario, address, None, &["-rtp_echo", "-mi", "127.0.0.1", "-mp", &media]);
        until("carrier", || async { UdpSocket::bind(address).is_err().then_some(()) }).await;
        Self { sipp, address }
    }

    /// How many different calls it was offered for this number.
    pub(crate) fn invited(&self, number: &str) -> usize {
        let line = format!("INVITE {number}");
        self.sipp.logged().lines().filter(|logged| logged.trim() == line).count()
    }
}

impl CarrierPeer {
    /// How many calls it was offered.
    pub(crate) fn invited_at_all(&self) -> usize {
        self.sipp.logged().lines().filter(|logged| logged.trim().starts_with("INVITE ")).count()
    }

    /// As whom it was called for this number.
    pub(crate) fn caller_of(&self, number: &str) -> Option<String> {
        let head = format!("FROM {number} ");
        let log = self.sipp.logged();
        log.lines().find_map(|line| line.trim().strip_prefix(&head)).map(str::to_owned)
    }

    /// The hop cookie and Max-Forwards of the call it was offered for this number.
    pub(crate) fn hops(&self, number: &str) -> Option<(String, u8)> {
        let head = format!("HOPS {number} ");
        let log = self.sipp.logged();
        let (cookie, forwards) =
            log.lines().find_map(|line| line.trim().strip_prefix(&head))?.split_once(' ')?;
        Some((cookie.to_owned(), forwards.trim().parse().ok()?))
    }
}

/// What a caller lived through.
pub(crate) struct Called {
    /// sipp's verdict.
    pub(crate) outcome: SippOutcome,
    /// What its handset heard.
    pub(crate) heard: Heard,
}

impl Called {
    /// The scenario went as written.
    ///
    /// # Panics
    /// When it did not; sipp's trace is in the message.
    #[track_caller]
    pub(crate) fn went_as_written(&self) {
        assert!(self.outcome.success, "sipp ended with {:?}:\n{}", self.outcome.code, self.outcome.words);
    }
}

/// A caller: sipp for the signalling, a handset for the audio.
pub(crate) struct Caller {
    sipp: Sipp,
    handset: Handset,
}

impl Caller {
    /// Calls the platform from this address as `dialog` says. The handset speaks a tone once answered.
    pub(crate) async fn call(
        from: IpAddr,
        platform: SocketAddr,
        tone: Option<u16>,
        dialog: impl FnOnce(SocketAddr) -> Dialog,
    ) -> Self {
        Self::call_from(SocketAddr::new(from, free_port(from)), platform, tone, dialog).await
    }

    /// The same from a given port, such as a carrier's.
    pub(crate) async fn call_from(
        local: SocketAddr,
        platform: SocketAddr,
        tone: Option<u16>,
        dialog: impl FnOnce(SocketAddr) -> Dialog,
    ) -> Self {
        let handset = Handset::open(local.ip(), tone).await;
        let scenario = dialog(handset.address).xml();
        // sipp takes a port for media although the handset does the talking.
        let (ip, media) = (local.ip().to_string(), free_port(local.ip()).to_string());
        let arguments = ["-m", "1", "-recv_timeout", "40000", "-mi", &ip, "-mp", &media];
        let sipp = Sipp::start(&scenario, local, Some(platform), &arguments);
        Self { sipp, handset }
    }

    /// Waits for the answer and lets the handset speak to where it says.
    pub(crate) async fn connected(&self) -> &Handset {
        let far: SocketAddr = until("answer", || async {
            let log = self.sipp.logged();
            let line = log.lines().find_map(|line| line.trim().strip_prefix("MEDIA "))?;
            line.parse().ok()
        })
        .await;
        self.handset.speak_to(far);
        &self.handset
    }

    /// Talks if it is answered, until the scenario ends.
    pub(crate) async fn finish(self) -> Called {
        let Self { sipp, handset } = self;
        let media = async {
            loop {
                let log = sipp.logged();
                let far = log.lines().find_map(|line| line.trim().strip_prefix("MEDIA "));
                if let Some(far) = far.and_then(|far| far.parse().ok()) {
                    handset.speak_to(far);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let outcome = tokio::select! {
            outcome = sipp.finished(LONGEST_CALL) => outcome,
            () = media => unreachable!("it loops for ever"),
        };
        Called { outcome, heard: handset.heard() }
    }
}
