//! What a carrier is told at its start.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use tandem_model::entropy;
use tokio::sync::mpsc;

use super::call_log::SimEvent;
use super::live::LiveCall;

/// RTP ports where the caller does not care.
const DEFAULT_RTP_PORTS: RangeInclusive<u16> = 36_000..=39_999;

/// Everything a simulated carrier is told at its start.
#[derive(Debug)]
pub struct CarrierConfig {
    /// SIP address to bind; port 0 takes any.
    pub listen: SocketAddr,
    /// The address to print into SDP, Via and Contact. `None` takes `listen`'s, or, if that is
    /// unspecified, the one this host uses towards `platform`.
    pub advertise: Option<IpAddr>,
    /// Where calls and registrations go: the SIP port of the platform under test.
    pub platform: SocketAddr,
    /// RTP ports; even ones are used, one per call with media.
    pub rtp_ports: RangeInclusive<u16>,
    /// Where all randomness of the simulation comes from.
    pub seed: u64,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// Digest demanded (401) of every INVITE and REGISTER that comes in. Numbers that demand it by
    /// themselves (407) use these credentials too, or [`Demand::default`].
    pub demand: Option<Demand>,
    /// What speaking behaviours and [`Step::PlayClip`](super::Step::PlayClip) say: 8 kHz mono.
    /// `None` is the melody of [`MELODY_HZ`](super::MELODY_HZ).
    pub clip: Option<Vec<i16>>,
    /// Gets one JSON line at INVITE, answer and end of each call, written through at once.
    pub log_path: Option<PathBuf>,
    /// Gets the same as values. When it is full, events are dropped: the network does not wait.
    pub observer: Option<mpsc::Sender<SimEvent>>,
    /// Takes every call that comes in, in place of the behaviours of its number. A full one means 503.
    pub reception: Option<mpsc::Sender<LiveCall>>,
}

/// Digest credentials that this network demands.
#[derive(Clone, PartialEq, Eq)]
pub struct Demand {
    /// Realm of the challenge.
    pub realm: String,
    /// The one user.
    pub username: String,
    /// Its password; hidden from `Debug`.
    pub password: String,
}

impl CarrierConfig {
    /// Loopback, any port, random seed, no digest, the melody, no log.
    pub fn new(platform: SocketAddr) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            platform,
            rtp_ports: DEFAULT_RTP_PORTS,
            seed: entropy::number(),
            user_agent: "Tandem carrier simulator".to_owned(),
            demand: None,
            clip: None,
            log_path: None,
            observer: None,
            reception: None,
        }
    }
}

impl Default for Demand {
    /// `simulator` with password `simulator` in realm `simulator`.
    fn default() -> Self {
        let word = || "simulator".to_owned();
        Self { realm: word(), username: word(), password: word() }
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand")
            .field("realm", &self.realm)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
