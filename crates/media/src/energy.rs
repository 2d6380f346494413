//! Loudness and tones.

/// A tone to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A pure tone.
    Sine {
        /// Frequency.
        hz: u16,
        /// Level below full scale.
        level_dbfs: i8,
    },
    /// Ringback, 425 Hz 1 s on 4 s off (E.180).
    Ring,
    /// Busy, 425 Hz 0.5 s on 0.5 s off.
    Busy,
    /// A DTMF pair.
    Digit(crate::dtmf::Digit),
}
