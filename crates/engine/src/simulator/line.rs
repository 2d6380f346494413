//! One telephone's RTP: a socket, an ear and a mouth, in a task of its own.
//!
//! The driver tells it what was negotiated and what to say, over a bounded queue whose closing ends
//! the task; it tells the driver when something has been said, and at the end what it heard.

use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tandem_media::rtp::{self, HEADER_LEN, MAX_DATAGRAM, Packet};
use tandem_model::clock;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::behaviour::Voice;
use super::driver::CallKey;
use super::ear::{Ear, Phase};
use super::live::{LiveEvent, LiveSender};
use super::mouth::Mouth;
use super::negotiation::Terms;
use super::outcome::RtpFacts;

/// Commands waiting for a line; more than any script makes.
pub(super) const LINE_QUEUE: usize = 32;

/// Where a line with nothing to say sleeps until.
const IDLE: Duration = Duration::from_hours(1);

/// What a line is born with.
pub(super) struct LineSetup {
    pub(super) key: CallKey,
    pub(super) socket: StdUdpSocket,
    pub(super) seed: u64,
    pub(super) terms: Terms,
    pub(super) loss_percent: u8,
    pub(super) listen_for: Vec<u16>,
    pub(super) records: bool,
    /// Is told of everything that is heard.
    pub(super) live: Option<LiveSender>,
}

/// What the driver tells a line.
pub(super) enum LineCommand {
    /// Something else was negotiated.
    Agree(Terms),
    /// The call was answered.
    Answered,
    /// What to say when nothing else is to be said.
    Speak(Voice),
    /// Play to the end, then report the id.
    Play { id: u32, samples: Arc<[i16]> },
    /// Dial, then report the id.
    Dial { id: u32, digits: String },
}

/// What a line tells the driver.
pub(super) struct LineReport {
    pub(super) key: CallKey,
    pub(super) id: u32,
    pub(super) result: LineResult,
}

/// What became of something to say.
pub(super) enum LineResult {
    /// It has been said.
    Done,
    /// It cannot be said: no telephone-event, or not digits.
    Impossible,
}

/// What a line leaves behind.
pub(super) struct LineEnd {
    pub(super) facts: RtpFacts,
    pub(super) recording: Vec<i16>,
}

struct Line {
    key: CallKey,
    socket: UdpSocket,
    terms: Terms,
    ear: Ear,
    mouth: Mouth,
    random: StdRng,
    loss_percent: u8,
    answered: bool,
    packets_sent: u64,
    bytes_sent: u64,
    live: Option<LiveSender>,
    /// Events that nobody took in time.
    unheard: u64,
}

/// Runs until the driver drops its end of `commands`.
pub(super) async fn run(
    setup: LineSetup,
    mut commands: mpsc::Receiver<LineCommand>,
    reports: mpsc::Sender<LineReport>,
) -> LineEnd {
    let mut line = match Line::new(setup) {
        Ok(line) => line,
        Err(error) => {
            tracing::warn!(%error, "simulator RTP socket is unusable");
            return LineEnd { facts: RtpFacts::default(), recording: Vec::new() };
        }
    };
    let mut heard = [0_u8; MAX_DATAGRAM + 1];
    let mut alarm = pin!(sleep_until(line.wake()));
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => line.obey(command, &reports).await,
                None => return line.finish(),
            },
            received = line.socket.recv(&mut heard) => {
                if let Some(datagram) = received.ok().and_then(|len| heard.get(..len)) {
                    line.on_datagram(datagram).await;
                }
            }
            () = &mut alarm => {}
        }
        line.speak(&reports).await;
        alarm.as_mut().reset(line.wake());
    }
}

impl Line {
    fn new(setup: LineSetup) -> io::Result<Self> {
        let socket = UdpSocket::from_std(setup.socket)?;
        let mut random = StdRng::seed_from_u64(setup.seed);
        let mouth = Mouth::new(clock::monotonic(), setup.terms.clone(), &mut random);
        Ok(Self {
            key: setup.key,
            socket,
            terms: setup.terms,
            ear: Ear::new(&setup.listen_for, setup.records),
            mouth,
            random,
            loss_percent: setup.loss_percent,
            answered: false,
            packets_sent: 0,
            bytes_sent: 0,
            live: setup.live,
            unheard: 0,
        })
    }

    async fn obey(&mut self, command: LineCommand, reports: &mpsc::Sender<LineReport>) {
        let now = clock::monotonic();
        match command {
            LineCommand::Agree(terms) => {
                self.mouth.agree(terms.clone());
                self.terms = terms;
            }
            LineCommand::Answered => self.answered = true,
            LineCommand::Speak(voice) => self.mouth.set_voice(now, voice),
            LineCommand::Play { id, samples } => self.mouth.play(now, id, samples),
            LineCommand::Dial { id, digits } => {
                if !self.mouth.dial(now, id, &digits) {
                    self.report(reports, id, LineResult::Impossible).await;
                }
            }
        }
    }

    async fn on_datagram(&mut self, datagram: &[u8]) {
        let now = clock::monotonic();
        if rtp::is_rtcp(datagram) {
            return self.ear.on_rtcp();
        }
        let Ok(packet) = Packet::parse(datagram) else { return self.ear.on_unexpected() };
        let (header, payload) = (packet.header, packet.payload(datagram));
        let phase = match (self.answered, self.terms.receives) {
            (false, _) => Phase::Early,
            (true, true) => Phase::Talking,
            (true, false) => Phase::Held,
        };
        self.ear.on_packet(now, header, payload.len(), phase);
        let event = self.terms.telephone_event.map(|(_, receive)| receive);
        if event == Some(header.payload_type) {
            if let Some(key) = self.ear.on_event(now, header, payload) {
                self.tell(now, || LiveEvent::Key(key));
            }
            return;
        }
        let law = self.terms.receive.iter().find(|(payload_type, _)| *payload_type == header.payload_type);
        let Some((_, law)) = law.copied() else { return self.ear.on_unexpected() };
        self.ear.on_audio(law, payload);
        self.tell(now, || LiveEvent::Heard(payload.iter().map(|byte| law.decode(*byte)).collect()));
        let mut out = [0_u8; MAX_DATAGRAM];
        if let Some(len) = self.mouth.echo(now, law, payload, &mut out) {
            self.send(out.get(..len).unwrap_or_default()).await;
        }
    }

    /// Tells whoever steers the call; audio is not kept for whoever is slow.
    fn tell(&mut self, now: std::time::Instant, event: impl FnOnce() -> LiveEvent) {
        if let Some(live) = &self.live
            && live.try_send((now, event())).is_err()
        {
            self.unheard += 1;
        }
    }

    /// Sends what is due and reports what has been said.
    async fn speak(&mut self, reports: &mpsc::Sender<LineReport>) {
        let mut out = [0_u8; MAX_DATAGRAM];
        let now = clock::monotonic();
        while let Some(len) = self.mouth.tick(now, &mut out) {
            self.send(out.get(..len).unwrap_or_default()).await;
        }
        while let Some(id) = self.mouth.said() {
            self.report(reports, id, LineResult::Done).await;
        }
    }

    async fn send(&mut self, datagram: &[u8]) {
        let lost = self.loss_percent > 0 && self.random.random_range(0..100) < self.loss_percent;
        if lost || datagram.is_empty() {
            return;
        }
        // A refusal (ICMP) is the far side's business; what counts is what left.
        if self.socket.send_to(datagram, self.terms.remote).await.is_ok() {
            self.packets_sent += 1;
            self.bytes_sent += datagram.len().saturating_sub(HEADER_LEN) as u64;
        }
    }

    async fn report(&self, reports: &mpsc::Sender<LineReport>, id: u32, result: LineResult) {
        // The driver never waits for a line, so waiting for it cannot deadlock; when it is gone so
        // are we.
        let _ = reports.send(LineReport { key: self.key, id, result }).await;
    }

    fn wake(&self) -> Instant {
        let deadline = self.mouth.deadline().unwrap_or_else(|| clock::monotonic() + IDLE);
        Instant::from_std(deadline)
    }

    fn finish(self) -> LineEnd {
        if self.unheard > 0 {
            tracing::warn!(packets = self.unheard, "a steered call was heard too slowly: audio was dropped");
        }
        let (mut facts, recording) = self.ear.finish();
        facts.packets_sent = self.packets_sent;
        facts.bytes_sent = self.bytes_sent;
        facts.codec = Some(self.terms.codec_name());
        LineEnd { facts, recording }
    }
}
