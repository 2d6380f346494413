//! A session's handle to its leg on a worker.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tandem_media::energy::Tone;
use tandem_media::{
    Beneath, LatchPolicy, ListenFor, Material, Negotiated, PlayId, PlayItem, RecordFormat, Repeat, Start,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::command::{Closing, Command, LegCommand, MediaCommand};
use super::event::MediaEvent;
use super::plane::{MediaKey, MediaPlane};
use super::report::LegReport;

/// A leg's place on the media plane. Dropping it closes the leg.
///
/// Every command is queued for the leg's worker and returns at once; commands of one session are
/// carried out in order, those that name two legs included.
#[derive(Debug)]
pub struct RtpLeg {
    plane: MediaPlane,
    key: MediaKey,
    local: SocketAddr,
    state: HandleState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandleState {
    Open,
    Closed,
}

/// What the worker must know to speak and listen.
///
/// [`Self::negotiated`] may change with every re-INVITE; the other fields count from the first
/// [`RtpLeg::configure`] on.
#[derive(Clone, Copy, Debug)]
pub struct LegMedia {
    /// Codec, payload types, packet time, remote addresses, direction.
    pub negotiated: Negotiated,
    /// How the peer's address is learned.
    pub latch: LatchPolicy,
    /// Where signalling comes from.
    pub signalling_ip: Option<IpAddr>,
    /// Whether the SDP address must prove itself before it gets more than a few packets.
    pub guard: ReflectionGuard,
    /// Silence of this length, where the peer should speak, is reported. `None` is off.
    pub media_timeout: Option<Duration>,
    /// When playout may start.
    pub start: Start,
}

/// What an SDP address must do before we pour media on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReflectionGuard {
    /// A configured carrier: nothing.
    Trusted,
    /// Answer with RTP or RTCP within 50 packets, unless it is the address signalling comes from.
    Prove,
}

/// Which way a bridge carries audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Both ways.
    Both,
    /// From this leg to the other only (early media).
    Onward,
}

/// Recordings of one leg at a time; one more is refused.
pub const MAX_RECORDINGS: usize = 16;

/// Names a recording of a leg among those of its session. Whoever starts it chooses the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordName(pub u64);

/// A recording of one leg: what its peer says on the caller's channel (left), what its peer hears
/// on the callee's (right), so that one tapped leg holds both sides of a bridge and of an IVR. In
/// mono the two are added up.
#[derive(Clone, Debug)]
pub struct RecordRequest {
    /// Its name.
    pub name: RecordName,
    /// The file; created, or truncated.
    pub path: PathBuf,
    /// Encoding and channels.
    pub format: RecordFormat,
    /// It ends after the peer was silent this long.
    pub silence: Option<Duration>,
    /// It ends when it is this long, pauses not counted.
    pub max_length: Option<Duration>,
}

/// Whether a recording goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Everything is left out from here on.
    Pause,
    /// It goes on.
    Resume,
}

/// Why a command was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The worker's queue is full: the node is overloaded. Nothing happened.
    #[error("the media worker's command queue is full")]
    Full,
    /// The two legs live on different workers: open the second one beside the first.
    #[error("the legs live on different media workers")]
    Elsewhere,
    /// The media plane has stopped.
    #[error("the media plane has stopped")]
    Gone,
}

impl RtpLeg {
    pub(super) fn new(plane: MediaPlane, key: MediaKey, local: SocketAddr) -> Self {
        Self { plane, key, local, state: HandleState::Open }
    }

    /// Names this leg in events and to other legs.
    pub fn key(&self) -> MediaKey {
        self.key
    }

    /// The address for our SDP: advertised IP and even RTP port. RTCP is the port above.
    pub fn local_rtp(&self) -> SocketAddr {
        self.local
    }

    /// SDP settled something: the first time the leg comes to life, later it changes (re-INVITE,
    /// hold) with identity and counters going on.
    pub fn configure(&self, media: LegMedia) -> Result<(), CommandError> {
        self.command(LegCommand::Configure(Box::new(media)))
    }

    /// The ACK arrived (or was sent): playout may start, by [`LegMedia::start`].
    pub fn start_playout(&self) -> Result<(), CommandError> {
        self.media(MediaCommand::StartPlayout)
    }

    /// Queues a sound; its end comes as [`super::MediaEvent::PlaybackDone`]. Before `configure` a
    /// few items wait, one more is refused. While something plays, nothing is relayed to this leg.
    pub fn play(&self, item: PlayItem) -> Result<(), CommandError> {
        self.media(MediaCommand::Play(Box::new(item)))
    }

    /// Queues a tone until [`RtpLeg::stop_playback`].
    pub fn tone(&self, play: PlayId, tone: Tone) -> Result<(), CommandError> {
        let material = Material::Tone(tone, tone_period(tone));
        self.play(PlayItem { id: play, material, repeat: Repeat::Forever })
    }

    /// Queues silence, at the end of which `PlaybackDone` comes.
    pub fn silence(&self, play: PlayId, length: Duration) -> Result<(), CommandError> {
        self.play(PlayItem { id: play, material: Material::Silence(length), repeat: Repeat::ONCE })
    }

    /// Plays a sound over what the leg hears otherwise, which goes on beneath it.
    pub fn overlay(&self, item: PlayItem, beneath: Beneath) -> Result<(), CommandError> {
        self.media(MediaCommand::Overlay(Box::new(item), beneath))
    }

    /// Drops one sound, queued or over the queue; nothing happens when it has ended.
    pub fn stop(&self, play: PlayId) -> Result<(), CommandError> {
        self.media(MediaCommand::Stop(play))
    }

    /// Drops everything queued and playing: each item ends as [`super::PlayEnd::Cleared`].
    pub fn stop_playback(&self) -> Result<(), CommandError> {
        self.media(MediaCommand::StopPlayback)
    }

    /// Dials `digits` (`0-9*#A-D`, `w` half a second, `W` a second) as telephone-events;
    /// [`super::MediaEvent::DigitsSent`] tells the end or the refusal.
    pub fn send_digits(&self, digits: &str) -> Result<(), CommandError> {
        self.media(MediaCommand::SendDigits(digits.into()))
    }

    /// Hears DTMF in the audio itself, for peers with neither telephone-event nor INFO.
    pub fn detect_inband(&self, detect: bool) -> Result<(), CommandError> {
        self.media(MediaCommand::DetectInband(detect))
    }

    /// Waits for silence or a beep in what the peer says: [`super::MediaEvent::Noticed`] tells, once. `None` ends that.
    pub fn listen_for(&self, wanted: Option<ListenFor>) -> Result<(), CommandError> {
        self.media(MediaCommand::ListenFor(wanted))
    }

    /// Relays to `other`, and back if `flow` says so, until [`RtpLeg::unbridge`]. A leg speaks to
    /// one other leg at a time: a new bridge replaces what either had in that direction.
    pub fn bridge(&self, other: MediaKey, flow: Flow) -> Result<(), CommandError> {
        if other.worker() != self.key.worker() {
            return Err(CommandError::Elsewhere);
        }
        self.command(LegCommand::Bridge(other, flow))
    }

    /// Ends relaying to and from this leg.
    pub fn unbridge(&self) -> Result<(), CommandError> {
        self.command(LegCommand::Unbridge)
    }

    /// Starts a recording beside those that run already, up to [`MAX_RECORDINGS`]. Its end comes as
    /// [`super::MediaEvent::RecordingDone`], that of one too many at once.
    pub fn record(&self, request: RecordRequest) -> Result<(), CommandError> {
        self.command(LegCommand::Record(Box::new(request)))
    }

    /// Ends a recording; [`super::MediaEvent::RecordingDone`] comes when the file is complete.
    pub fn stop_recording(&self, name: RecordName) -> Result<(), CommandError> {
        self.command(LegCommand::StopRecording(name))
    }

    /// Interrupts a recording, or lets it go on. What was said meanwhile is not in the file, not even as silence.
    pub fn pause_recording(&self, name: RecordName, recorded: Recorded) -> Result<(), CommandError> {
        self.command(LegCommand::PauseRecording(name, recorded))
    }

    /// Events of this leg and of its recordings go there from now on: another session has it.
    pub fn tell_to(&self, events: mpsc::Sender<MediaEvent>) -> Result<(), CommandError> {
        self.command(LegCommand::TellTo(events))
    }

    /// Current figures; `None` if the worker is overloaded or gone.
    pub async fn report(&self) -> Option<LegReport> {
        let (sender, receiver) = oneshot::channel();
        self.command(LegCommand::Report(sender)).ok()?;
        receiver.await.ok()
    }

    /// Closes the leg at once (never lost, never blocks); await the result for the final figures.
    /// Running recordings end; its ports rest in quarantine.
    pub fn close(mut self) -> impl Future<Output = Option<LegReport>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.latch_close(Some(sender));
        async move { receiver.await.ok() }
    }

    fn latch_close(&mut self, report: Option<oneshot::Sender<LegReport>>) {
        if self.state == HandleState::Open {
            self.state = HandleState::Closed;
            self.plane.close(Closing { key: self.key, report });
        }
    }

    fn media(&self, command: MediaCommand) -> Result<(), CommandError> {
        self.command(LegCommand::Media(command))
    }

    fn command(&self, command: LegCommand) -> Result<(), CommandError> {
        self.plane.command(self.key, Command::Leg(self.key, command))
    }
}

impl Drop for RtpLeg {
    fn drop(&mut self) {
        self.latch_close(None);
    }
}

/// One turn of the tone's cadence, so that repeating it has no seam. A whole second holds whole
/// periods of every frequency in whole hertz.
fn tone_period(tone: Tone) -> Duration {
    match tone {
        Tone::Ring => Duration::from_secs(5),
        Tone::Busy | Tone::Sine { .. } | Tone::Digit(_) => Duration::from_secs(1),
    }
}
