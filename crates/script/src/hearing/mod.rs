//! What a party hears, kept in the shape that steps ask for: sounds with their beginnings and ends, tones, keys.
//!
//! Audio comes in as decoded packets in order of arrival; time is that of arrival. No packets are silence.

mod pitch;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tandem_media::dtmf::{DigitEvent, InbandDetector};
use tandem_media::energy;

use self::pitch::{WINDOW, WINDOW_MS};
use crate::script::Pitch;

/// Samples of one block: 20 ms, the step of all times heard.
const BLOCK: usize = 160;
const BLOCK_TIME: Duration = Duration::from_millis(20);
/// Quieter blocks are silence.
const LOUD_DBFS: f64 = -45.0;
/// Pauses no longer than this belong to what is being heard: the gaps between words.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);
/// Different tones kept between two judgements.
const MAX_TONES: usize = 64;
/// Keys kept.
const MAX_KEYS: usize = 1_024;
/// A key heard in both ways within this time was pressed once.
const SAME_KEY: Duration = Duration::from_millis(300);
/// Two windows whose pitches differ by no more are one tone.
const SAME_HZ: f64 = 10.0;
/// A tone this long is worth telling about.
const TOLD_TONE_MS: u64 = 150;

/// A sound: from the first loud block to the last, with no pause longer than [`PAUSE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sounding {
    pub(crate) began: Instant,
    /// End of the last loud block so far.
    pub(crate) until: Instant,
}

/// A tone without a break.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ToneRun {
    pub(crate) hz: f64,
    pub(crate) began: Instant,
    pub(crate) ms: u64,
}

/// A tone that steps ask for by name.
#[derive(Debug)]
struct Sought {
    pitch: Pitch,
    now: Option<ToneRun>,
    /// The longest since the last judgement.
    longest: Option<ToneRun>,
}

/// The last key heard, and how.
#[derive(Debug)]
struct LastKey {
    key: char,
    by: By,
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Signal,
    Tones,
}

/// What was heard since the last judgement, in figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Since {
    /// Sounds, short pauses included.
    pub(crate) length: Duration,
    /// Mean level of the loud blocks; silence without any.
    pub(crate) level_dbfs: f64,
    /// Tones that were alone, and how many milliseconds of each.
    pub(crate) tones: Vec<(f64, u64)>,
    pub(crate) digits: String,
}

/// Listens to one call.
pub(crate) struct Hearing {
    block: Vec<i16>,
    window: Vec<i16>,
    inband: InbandDetector,
    sounding: Option<Sounding>,
    sought: Vec<Sought>,
    strongest: Option<ToneRun>,
    /// Keys that nobody has waited for.
    keys: VecDeque<char>,
    last_key: Option<LastKey>,
    /// All keys of the call.
    all_keys: String,
    /// Since the last judgement:
    lengths: Duration,
    squares: f64,
    loud_samples: u64,
    tones: Vec<(f64, u64)>,
    digits: String,
    judged_at: Option<Instant>,
}

impl Hearing {
    /// Hears nothing yet; looks for these tones besides the strongest.
    pub(crate) fn new(sought: impl IntoIterator<Item = Pitch>) -> Self {
        Self {
            block: Vec::with_capacity(BLOCK),
            window: Vec::with_capacity(WINDOW),
            inband: InbandDetector::new(),
            sounding: None,
            sought: sought.into_iter().map(|pitch| Sought { pitch, now: None, longest: None }).collect(),
            strongest: None,
            keys: VecDeque::new(),
            last_key: None,
            all_keys: String::new(),
            lengths: Duration::ZERO,
            squares: 0.0,
            loud_samples: 0,
            tones: Vec::new(),
            digits: String::new(),
            judged_at: None,
        }
    }

    /// A packet's audio, whose last sample was heard now.
    pub(crate) fn on_audio(&mut self, now: Instant, samples: &[i16]) {
        for sample in samples {
            self.block.push(*sample);
            self.window.push(*sample);
            if self.block.len() == BLOCK {
                self.on_block(now);
                self.block.clear();
            }
            if self.window.len() == WINDOW {
                self.on_window(now);
                self.window.clear();
            }
        }
    }

    /// A key by telephone-event or INFO.
    pub(crate) fn on_key(&mut self, now: Instant, key: char) {
        self.note_key(now, key, By::Signal);
    }

    fn note_key(&mut self, now: Instant, key: char, by: By) {
        // Some send a key in both ways at once.
        let twice = |last: &LastKey| last.key == key && last.by != by && now - last.at <= SAME_KEY;
        if self.all_keys.len() >= MAX_KEYS || self.last_key.as_ref().is_some_and(twice) {
            return;
        }
        self.last_key = Some(LastKey { key, by, at: now });
        self.all_keys.push(key);
        self.digits.push(key);
        self.keys.push_back(key);
    }

    /// The sound that is being heard now, or was until at most [`PAUSE`] ago.
    pub(crate) fn sounding(&self, now: Instant) -> Option<Sounding> {
        self.sounding.filter(|sound| now.saturating_duration_since(sound.until) <= PAUSE)
    }

    /// End of the last loud block of the call.
    pub(crate) fn last_loud(&self) -> Option<Instant> {
        self.sounding.map(|sound| sound.until)
    }

    /// A tone that is being heard, unbroken.
    pub(crate) fn tone(&self, pitch: Pitch) -> Option<ToneRun> {
        self.sought.iter().find(|sought| sought.pitch == pitch).and_then(|sought| sought.now)
    }

    /// The longest run of a tone since the last judgement.
    pub(crate) fn longest(&self, pitch: Pitch) -> Option<ToneRun> {
        self.sought.iter().find(|sought| sought.pitch == pitch).and_then(|sought| sought.longest)
    }

    /// Takes the keys that nobody has waited for yet, up to the end of `wanted` (any one without).
    pub(crate) fn take_keys(&mut self, wanted: Option<&str>) -> Result<Option<String>, String> {
        let heard: String = self.keys.iter().collect();
        let wanted_len = wanted.map_or(1, str::len);
        let matches = wanted.is_none_or(|wanted| wanted.starts_with(&heard) || heard.starts_with(wanted));
        if !matches {
            return Err(heard);
        }
        if heard.len() < wanted_len {
            return Ok(None);
        }
        Ok(Some(self.keys.drain(..wanted_len).collect()))
    }

    /// Keys that nobody has waited for.
    pub(crate) fn pending_keys(&self) -> String {
        self.keys.iter().collect()
    }

    /// All keys of the call.
    pub(crate) fn all_keys(&self) -> &str {
        &self.all_keys
    }

    /// The figures since the last judgement.
    pub(crate) fn since(&self) -> Since {
        let going_on = self.sounding.map_or(Duration::ZERO, |sound| self.length_of(sound));
        let level_dbfs = if self.loud_samples == 0 {
            energy::SILENCE_DBFS
        } else {
            let rms = (self.squares / self.loud_samples as f64).sqrt();
            (20.0 * (rms * 2f64.sqrt() / 32_768.0).log10()).max(energy::SILENCE_DBFS)
        };
        let tones = self.tones.iter().copied().filter(|(_, ms)| *ms >= TOLD_TONE_MS).collect();
        Since { length: self.lengths + going_on, level_dbfs, tones, digits: self.digits.clone() }
    }

    /// Forgets what has been judged.
    pub(crate) fn judge(&mut self, now: Instant) {
        self.lengths = Duration::ZERO;
        self.squares = 0.0;
        self.loud_samples = 0;
        self.tones.clear();
        self.digits.clear();
        self.judged_at = Some(now);
        for sought in &mut self.sought {
            sought.longest = None;
        }
    }

    /// As much of a sound as came after the last judgement.
    fn length_of(&self, sound: Sounding) -> Duration {
        let began = self.judged_at.map_or(sound.began, |judged| judged.max(sound.began));
        sound.until.saturating_duration_since(began)
    }

    fn on_block(&mut self, now: Instant) {
        let Some(block) = self.block.first_chunk::<BLOCK>() else { return };
        if let Some(DigitEvent::Began(digit)) = self.inband.on_block(block) {
            self.note_key(now, digit.as_char(), By::Tones);
        }
        let Some(block) = self.block.first_chunk::<BLOCK>() else { return };
        if energy::level_dbfs(block) < LOUD_DBFS {
            return;
        }
        self.squares += block.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        self.loud_samples += BLOCK as u64;
        let began = now.checked_sub(BLOCK_TIME).unwrap_or(now);
        match self.sounding.as_mut() {
            Some(sound) if began.saturating_duration_since(sound.until) <= PAUSE => sound.until = now,
            _ => {
                if let Some(over) = self.sounding.replace(Sounding { began, until: now }) {
                    self.lengths += self.length_of(over);
                }
            }
        }
    }

    fn on_window(&mut self, now: Instant) {
        let window = self.window.as_slice();
        let is_loud = energy::level_dbfs(window) >= LOUD_DBFS;
        for sought in &mut self.sought {
            let wanted = f64::from(sought.pitch.hz);
            let found = is_loud.then(|| pitch::near(window, wanted)).flatten();
            let found = found.filter(|hz| (hz - wanted).abs() <= f64::from(sought.pitch.tolerance));
            sought.now = run(sought.now, found, now);
            if sought.now.is_some_and(|run| sought.longest.is_none_or(|longest| run.ms > longest.ms)) {
                sought.longest = sought.now;
            }
        }
        let found = is_loud.then(|| pitch::strongest(window)).flatten();
        let same = |hz: f64| self.strongest.is_some_and(|run| (run.hz - hz).abs() <= SAME_HZ);
        let before = self.strongest.filter(|_| found.is_some_and(same));
        self.strongest = run(before, found, now);
        if let Some(hz) = found {
            let has_room = self.tones.len() < MAX_TONES;
            match self.tones.iter_mut().find(|(known, _)| (known - hz).abs() <= SAME_HZ) {
                Some((_, ms)) => *ms += WINDOW_MS,
                None if has_room => self.tones.push((hz, WINDOW_MS)),
                None => {}
            }
        }
    }
}

/// A run of windows, one longer or broken off.
fn run(before: Option<ToneRun>, found: Option<f64>, now: Instant) -> Option<ToneRun> {
    let hz = found?;
    let began = now.checked_sub(Duration::from_millis(WINDOW_MS)).unwrap_or(now);
    Some(match before {
        Some(run) => ToneRun { hz, began: run.began, ms: run.ms + WINDOW_MS },
        None => ToneRun { hz, began, ms: WINDOW_MS },
    })
}

#[cfg(test)]
mod tests;
