//! The driver's part that gives calls their media: ports, lines and what these say.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::sync::mpsc;

use super::behaviour::{MELODY_HZ, Voice};
use super::carrier::CarrierError;
use super::driver::{CallKey, Driver};
use super::line::{self, LINE_QUEUE, LineCommand, LineSetup};
use super::mouth::tone_clip;
use super::negotiation::{CallMedia, Terms};

/// Ports tried before a call is refused: others on this host may have taken some.
const PORT_ATTEMPTS: usize = 64;
/// One note of the melody.
const NOTE: Duration = Duration::from_millis(400);

impl Driver {
    /// Media for a new call: a port of its own, or the sink.
    pub(super) fn open_media(&mut self, now: Instant, voice: Voice) -> Result<CallMedia, CarrierError> {
        let session_id = u64::from(self.random.next_u32());
        if voice == Voice::Absent {
            let port = self.sink.local_addr().map_err(|_| CarrierError::NoPort)?.port();
            return Ok(CallMedia::new(self.advertised, port, session_id));
        }
        for _ in 0..PORT_ATTEMPTS {
            let port = self.ports.allocate(now).map_err(|_| CarrierError::NoPort)?;
            let socket = UdpSocket::bind(SocketAddr::new(self.config.listen.ip(), port));
            if let Ok(socket) = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)) {
                let mut media = CallMedia::new(self.advertised, port, session_id);
                media.socket = Some(socket);
                media.port = Some(port);
                return Ok(media);
            }
            self.ports.release(now, port);
        }
        Err(CarrierError::NoPort)
    }

    /// Gives the line new terms; starts it with the first ones, saying `voice`.
    pub(super) fn agree(&mut self, now: Instant, key: CallKey, terms: Terms, voice: Voice) {
        let seed = self.random.next_u64();
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.note(now, format!("media {} to {}", terms.codec_name(), terms.remote));
        let Some(socket) = call.media.socket.take() else {
            return call.tell_line(now, LineCommand::Agree(terms));
        };
        let (loss_percent, listen_for, records) = call.ear_settings();
        let live = call.live.clone();
        let setup = LineSetup { key, socket, seed, terms, loss_percent, listen_for, records, live };
        let (line, commands) = mpsc::channel(LINE_QUEUE);
        let task = self.lines.spawn(line::run(setup, commands, self.report_sender.clone()));
        self.line_keys.insert(task.id(), key);
        call.media.line = Some(line);
        if call.answered_at.is_some() {
            call.tell_line(now, LineCommand::Answered);
        }
        self.speak(now, key, voice);
    }

    /// Says this from now on.
    pub(super) fn speak(&mut self, now: Instant, key: CallKey, voice: Voice) {
        let clip = Arc::clone(&self.clip);
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.tell_line(now, LineCommand::Speak(voice));
        if voice == Voice::Speak {
            call.tell_line(now, LineCommand::Play { id: u32::MAX, samples: clip });
        }
    }
}

/// What is said where no clip was given.
pub(super) fn melody() -> Vec<i16> {
    MELODY_HZ.map(|hz| tone_clip(hz, NOTE)).concat()
}
