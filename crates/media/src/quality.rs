//! Quality.
/// One leg's quality, as call records show it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Quality {
    /// Mean opinion score 1.0–4.5 (E-model).
    pub mos: f32,
    /// Smoothed interarrival jitter.
    pub jitter_ms: f32,
    /// Largest jitter seen.
    pub jitter_ms_max: f32,
    /// Packets lost over packets expected.
    pub loss_percent: f32,
    /// Round trip from RTCP, if measured.
    pub round_trip_ms: Option<f32>,
}
