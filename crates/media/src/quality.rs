//! How a call sounded: jitter, loss and a mean opinion score by the E-model (G.107, simplified).
//!
//! R = 93.2 − Id − Ie,eff: the default rating less what one-way delay and the codec under packet
//! loss take away. The score is for call records and dashboards; it is not billed.

use std::time::Duration;

use crate::codec::Codec;

/// One leg's quality, as call records show it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Quality {
    /// Mean opinion score, 1.0–4.5.
    pub mos: f32,
    /// Smoothed interarrival jitter.
    pub jitter_ms: f32,
    /// Largest smoothed jitter.
    pub jitter_ms_max: f32,
    /// Packets lost of packets expected.
    pub loss_percent: f32,
    /// Round trip from RTCP, if measured.
    pub round_trip_ms: Option<f32>,
}

/// R of a perfect narrowband connection (G.107 default values).
const DEFAULT_RATING: f64 = 93.2;

/// Equipment impairment Ie and loss robustness Bpl (G.113 appendix I).
fn impairment(codec: Codec) -> (f64, f64) {
    match codec {
        // With the packet loss concealment (G.711 appendix I) that every phone has.
        Codec::Pcmu | Codec::Pcma => (0.0, 25.1),
        // On the narrowband scale wideband codecs count as unimpaired.
        Codec::G722 | Codec::Opus => (0.0, 25.1),
        Codec::G729 => (11.0, 19.0),
    }
}

/// The mean opinion score of `codec` at this random loss and one-way delay, mouth to ear.
pub fn mos(codec: Codec, loss_percent: f64, one_way_delay: Duration) -> f64 {
    let (base, robustness) = impairment(codec);
    let loss = loss_percent.clamp(0.0, 100.0);
    let equipment = base + (95.0 - base) * loss / (loss + robustness);
    let delay_ms = one_way_delay.as_secs_f64() * 1_000.0;
    let delay = 0.024 * delay_ms + if delay_ms > 177.3 { 0.11 * (delay_ms - 177.3) } else { 0.0 };
    rating_to_mos(DEFAULT_RATING - delay - equipment)
}

/// One-way delay estimated from what can be measured: half the round trip, one packet, and a
/// jitter buffer of twice the jitter.
pub fn one_way_delay(round_trip: Option<Duration>, jitter: Duration, ptime: Duration) -> Duration {
    round_trip.unwrap_or_default() / 2 + ptime + jitter * 2
}

/// G.107 annex B.
fn rating_to_mos(rating: f64) -> f64 {
    if rating <= 0.0 {
        1.0
    } else if rating >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(codec: Codec, loss: f64, delay_ms: u64) -> f64 {
        mos(codec, loss, Duration::from_millis(delay_ms))
    }

    #[test]
    fn reference_points_of_the_e_model() {
        // R 93.2 is MOS 4.41 (G.107 table B.1: R 90 is 4.34, 80 is 4.03, 70 is 3.60, 60 is 3.10).
        assert!((score(Codec::Pcmu, 0.0, 0) - 4.41).abs() < 0.01);
        for (rating, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((rating_to_mos(rating) - expected).abs() < 0.01, "R {rating}");
        }
        assert_eq!(rating_to_mos(-5.0), 1.0);
        assert_eq!(rating_to_mos(120.0), 4.5);
        // G.729 without loss: R 82.2.
        assert!((score(Codec::G729, 0.0, 0) - 4.10).abs() < 0.02);
    }

    #[test]
    fn loss_and_delay_only_ever_lower_the_score() {
        for codec in [Codec::Pcmu, Codec::G729] {
            for loss in 0..30 {
                assert!(score(codec, f64::from(loss) + 1.0, 20) < score(codec, f64::from(loss), 20));
            }
            for delay in (0..600).step_by(50) {
                assert!(score(codec, 0.0, delay + 50) < score(codec, 0.0, delay));
            }
        }
        assert!(score(Codec::Pcmu, 100.0, 2_000) >= 1.0);
    }

    #[test]
    fn delay_is_half_the_round_trip_a_packet_and_the_jitter_buffer() {
        let ms = Duration::from_millis;
        assert_eq!(one_way_delay(Some(ms(100)), ms(5), ms(20)), ms(80));
        assert_eq!(one_way_delay(None, ms(0), ms(20)), ms(20));
    }
}
