//! What an ear would make of a recording: how loud, for how long, which tone. The oracle of tests that are
//! about being heard.

use std::f64::consts::TAU;
use std::path::Path;

/// Windows that loudness is measured in: short enough to tell words from pauses.
const WINDOW_S: f64 = 0.05;

/// One channel of a recording.
#[derive(Clone, Debug)]
pub struct Hearing {
    rate: u32,
    samples: Vec<f64>,
}

impl Hearing {
    /// The channels of a WAV file.
    ///
    /// # Errors
    /// When it cannot be read or is not 16-bit PCM.
    pub fn read(path: &Path) -> Result<Vec<Self>, hound::Error> {
        let mut reader = hound::WavReader::open(path)?;
        let spec = reader.spec();
        let samples: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>()?;
        let channels = usize::from(spec.channels);
        let channel = |number| Self {
            rate: spec.sample_rate,
            samples: samples
                .iter()
                .skip(number)
                .step_by(channels)
                .map(|s| f64::from(*s) / 32_768.0)
                .collect(),
        };
        Ok((0..channels).map(channel).collect())
    }

    /// A sine at half of full scale, for a microphone.
    pub fn tone(rate: u32, hz: u16, seconds: u32) -> Self {
        let step = TAU * f64::from(hz) / f64::from(rate);
        let samples = (0..rate * seconds).map(|n| 0.5 * (step * f64::from(n)).sin()).collect();
        Self { rate, samples }
    }

    /// Writes it as 16-bit PCM.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for sample in &self.samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
        }
        writer.finalize()
    }

    /// How long it is.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// Mean level of all of it, in dB below full scale; −120 is digital silence.
    pub fn dbfs(&self) -> f64 {
        level(&self.samples)
    }

    /// Seconds louder than `dbfs`.
    pub fn louder_than(&self, dbfs: f64) -> f64 {
        self.windows().filter(|window| level(window) > dbfs).count() as f64 * WINDOW_S
    }

    /// Seconds in which a tone of `hz` carries most of the energy and is louder than −40 dBFS.
    pub fn tone_for(&self, hz: u16) -> f64 {
        let tonal = |window: &&[f64]| {
            let all = power(window);
            all > 1e-4 && tone_power(window, hz, self.rate) > all / 2.0
        };
        self.windows().filter(tonal).count() as f64 * WINDOW_S
    }

    fn windows(&self) -> impl Iterator<Item = &[f64]> {
        self.samples.chunks_exact((f64::from(self.rate) * WINDOW_S) as usize)
    }
}

fn power(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len().max(1) as f64
}

fn level(samples: &[f64]) -> f64 {
    10.0 * power(samples).max(1e-12).log10()
}

/// Power of one frequency, by Goertzel.
fn tone_power(samples: &[f64], hz: u16, rate: u32) -> f64 {
    let turn = TAU * f64::from(hz) / f64::from(rate);
    let coefficient = 2.0 * turn.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (sample + coefficient * last - before, last);
    }
    let count = samples.len().max(1) as f64;
    2.0 * (last * last + before * before - coefficient * last * before) / (count * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_another_and_from_silence() {
        let tone = Hearing::tone(8_000, 523, 2);
        assert!((tone.dbfs() + 9.03).abs() < 0.1, "{}", tone.dbfs());
        assert!((tone.tone_for(523) - 2.0).abs() < 0.01);
        assert!(tone.tone_for(700) < 0.01);
        assert!((tone.louder_than(-35.0) - 2.0).abs() < 0.01);
        let silence = Hearing { rate: 8_000, samples: vec![0.0; 16_000] };
        assert!(silence.tone_for(523) < 0.01 && silence.louder_than(-100.0) < 0.01);
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.wav");
        Hearing::tone(8_000, 440, 1).write(&path).unwrap();
        let channels = Hearing::read(&path).unwrap();
        assert_eq!(channels.len(), 1);
        assert!((channels[0].seconds() - 1.0).abs() < 0.001 && channels[0].tone_for(440) > 0.9);
    }
}
