//! Starting the media plane and opening legs on it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tandem_media::PortError;
use thiserror::Error;
use tokio::sync::mpsc;

use super::event::MediaEvent;
use super::leg::RtpLeg;

/// Names a leg; unique for the life of the process. Knows which worker the leg lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaKey(u64);

/// Where and how the media plane runs.
#[derive(Clone, Debug)]
pub struct MediaPlaneConfig {
    /// The address sockets are bound to.
    pub bind_ip: IpAddr,
    /// The address written into SDP.
    pub advertised_ip: IpAddr,
    /// Ports legs are opened on: RTP on even ones, RTCP on the odd one above.
    pub ports: RangeInclusive<u16>,
    /// How long a port rests after its leg.
    pub quarantine: Duration,
    /// Worker threads, at least one.
    pub threads: usize,
    /// Seed of port order, SSRCs, sequence numbers and timestamps: from the operating system.
    pub seed: u64,
    /// Legs open at once; one more is refused before any port or descriptor is taken.
    pub max_legs: usize,
}

/// The media plane of a node. Clones name the same one; it stops when the last clone and the last
/// leg are gone, or at [`MediaPlane::shutdown`].
#[derive(Clone, Debug)]
pub struct MediaPlane {}

/// A leg to open.
#[derive(Debug)]
pub struct OpenLeg {
    /// Place it on the worker of this leg, so that the two can be bridged. Without one, workers
    /// take turns.
    pub beside: Option<MediaKey>,
    /// Where its events go.
    pub events: mpsc::Sender<MediaEvent>,
}

/// Why the media plane did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port range holds no pair.
    #[error("cannot use the RTP port range")]
    Ports(#[source] PortError),
    /// A thread or its poll could not be had.
    #[error("cannot start a media worker")]
    Thread(#[source] std::io::Error),
}

/// Why a leg was not opened: answer 503.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Every port is in use or resting.
    #[error(transparent)]
    Ports(#[from] PortError),
    /// As many legs as [`MediaPlaneConfig::max_legs`].
    #[error("{0} media legs are open, as many as may be")]
    TooManyLegs(usize),
    /// The operating system refused socket after socket (descriptors exhausted, range taken).
    #[error("cannot bind an RTP port")]
    Bind(#[source] std::io::Error),
    /// The worker's command queue is full, or the plane has stopped.
    #[error(transparent)]
    Command(#[from] super::CommandError),
}

impl MediaPlane {
    /// Starts the worker threads.
    pub fn start(config: MediaPlaneConfig) -> Result<Self, StartError> {
        let _ = config;
        todo!()
    }

    /// Binds a port pair and hands it to a worker. Synchronous and cheap (two sockets, no wait).
    pub fn open(&self, open: OpenLeg) -> Result<RtpLeg, OpenError> {
        let _ = open;
        todo!()
    }

    /// Legs open now.
    pub fn live_legs(&self) -> usize {
        todo!()
    }

    /// Closes every leg, completes recordings and joins the threads. Blocks for at most a few
    /// hundred milliseconds; call it from a blocking context.
    pub fn shutdown(&self) {
        todo!()
    }
}
