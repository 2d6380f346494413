//! Audio that scripts make themselves: tones, keys as tones, WAV files. 8 kHz, mono, 16 bit.

use std::time::Duration;

use tandem_media::dtmf::Digit;
use tandem_media::energy::{SAMPLE_RATE, Tone};

/// Level of tones.
const TONE_DBFS: i8 = -10;
/// A key sounds so long, and so long passes before the next (Q.24 asks for 40 ms of each).
const KEY: Duration = Duration::from_millis(100);
const GAP: Duration = Duration::from_millis(80);

/// A tone.
pub fn tone(hz: u16, lasting: Duration) -> Vec<i16> {
    Tone::Sine { hz, level_dbfs: TONE_DBFS }.samples(lasting)
}

/// Keys as tones; `w` is half a second of silence, `W` a second.
pub fn keys(keys: &str) -> Vec<i16> {
    let silence = |length: Duration| vec![0; samples(length)];
    let mut audio = Vec::new();
    for key in keys.chars() {
        match Digit::from_char(key) {
            Some(digit) => {
                audio.extend(Tone::Digit(digit).samples(KEY));
                audio.extend(silence(GAP));
            }
            None => audio.extend(silence(Duration::from_millis(if key == 'W' { 1_000 } else { 500 }))),
        }
    }
    audio
}

/// How many samples a length of time has.
pub fn samples(length: Duration) -> usize {
    (length.as_millis() as u64 * u64::from(SAMPLE_RATE) / 1_000) as usize
}

/// A WAV file of 16-bit samples.
pub fn wav(audio: &[i16]) -> Vec<u8> {
    let bytes = (audio.len() * 2) as u32;
    let mut file = Vec::with_capacity(44 + audio.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    for sample in audio {
        file.extend_from_slice(&sample.to_le_bytes());
    }
    file
}

/// What is heard, in the order of arrival, with silence where nothing came: as long as the time it took.
#[derive(Debug, Default)]
pub struct Tape {
    audio: Vec<i16>,
}

/// Longest tape: the longest script.
pub const MAX_TAPE: usize = SAMPLE_RATE as usize * 3_600;
/// A packet may be so late before the silence before it is kept.
const JITTER: Duration = Duration::from_millis(100);

impl Tape {
    /// A packet that came so long after the tape's start.
    pub fn add(&mut self, at: Duration, packet: &[i16]) {
        let due = samples(at.saturating_sub(JITTER)).saturating_sub(packet.len());
        let begins = self.audio.len().max(due).min(MAX_TAPE);
        self.audio.resize(begins, 0);
        let room = MAX_TAPE.saturating_sub(begins);
        self.audio.extend_from_slice(packet.get(..room.min(packet.len())).unwrap_or_default());
    }

    /// All of it.
    pub fn audio(&self) -> &[i16] {
        &self.audio
    }
}

#[cfg(test)]
mod tests {
    use tandem_media::dtmf::{DigitEvent, InbandDetector};

    use super::*;

    #[test]
    fn a_wav_file_is_what_others_read() {
        let audio = tone(440, Duration::from_millis(100));
        let wav = tandem_media::wav::parse(&wav(&audio)).unwrap();
        assert_eq!((wav.sample_rate, wav.channels, wav.samples), (8_000, 1, audio));
    }

    #[test]
    fn keys_are_heard_as_they_were_pressed() {
        let mut detector = InbandDetector::new();
        let audio = keys("1w1#A");
        let heard: String = audio
            .as_chunks::<160>()
            .0
            .iter()
            .filter_map(|block| match detector.on_block(block) {
                Some(DigitEvent::Began(digit)) => Some(digit.as_char()),
                _ => None,
            })
            .collect();
        assert_eq!(heard, "11#A");
    }

    #[test]
    fn a_tape_keeps_the_silence_between_packets() {
        let mut tape = Tape::default();
        tape.add(Duration::from_millis(20), &[1; 160]);
        tape.add(Duration::from_millis(90), &[2; 160]);
        assert_eq!(tape.audio().len(), 320, "a late packet is no silence");
        tape.add(Duration::from_millis(1_120), &[3; 160]);
        assert_eq!(tape.audio().len(), samples(Duration::from_millis(1_020)));
        assert_eq!(tape.audio().last(), Some(&3));
        tape.add(Duration::from_hours(2), &[4; 160]);
        assert_eq!(tape.audio().len(), MAX_TAPE);
    }
}
