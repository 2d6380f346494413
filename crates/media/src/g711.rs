//! G.711 µ-law and A-law: decode, encode, and law to law by table.
//!
//! All tables are built at compile time. Transcoding a relayed packet is one table look-up per
//! byte, in place. Decoding yields 16-bit linear samples.

/// The byte of µ-law silence.
pub const ULAW_SILENCE: u8 = 0xff;

/// The byte of A-law silence.
pub const ALAW_SILENCE: u8 = 0xd5;

const ULAW_BIAS: i32 = 132;
const ULAW_CLIP: i32 = 32_635;

static ULAW_TO_LINEAR: [i16; 256] = linear_table(Law::Ulaw);
static ALAW_TO_LINEAR: [i16; 256] = linear_table(Law::Alaw);
static ULAW_TO_ALAW: [u8; 256] = cross_table(Law::Ulaw);
static ALAW_TO_ULAW: [u8; 256] = cross_table(Law::Alaw);

/// One of the two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law (PCMU).
    Ulaw,
    /// A-law (PCMA).
    Alaw,
}

impl Law {
    /// The byte that decodes to (almost) zero.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Ulaw => ULAW_SILENCE,
            Self::Alaw => ALAW_SILENCE,
        }
    }

    /// One sample to linear.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Ulaw => ULAW_TO_LINEAR[usize::from(byte)],
            Self::Alaw => ALAW_TO_LINEAR[usize::from(byte)],
        }
    }

    /// One linear sample to the law.
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Ulaw => encode_ulaw(sample),
            Self::Alaw => encode_alaw(sample),
        }
    }

    /// Decodes as many samples as both slices hold; returns how many.
    pub fn decode_into(self, bytes: &[u8], out: &mut [i16]) -> usize {
        for (byte, sample) in bytes.iter().zip(out.iter_mut()) {
            *sample = self.decode(*byte);
        }
        bytes.len().min(out.len())
    }

    /// Encodes as many samples as both slices hold; returns how many.
    pub fn encode_into(self, samples: &[i16], out: &mut [u8]) -> usize {
        for (sample, byte) in samples.iter().zip(out.iter_mut()) {
            *byte = self.encode(*sample);
        }
        samples.len().min(out.len())
    }

    /// Rewrites bytes of this law as bytes of `to`, in place.
    pub fn transcode(self, to: Self, bytes: &mut [u8]) {
        let table = match (self, to) {
            (Self::Ulaw, Self::Alaw) => &ULAW_TO_ALAW,
            (Self::Alaw, Self::Ulaw) => &ALAW_TO_ULAW,
            (Self::Ulaw, Self::Ulaw) | (Self::Alaw, Self::Alaw) => return,
        };
        for byte in bytes {
            *byte = table[usize::from(*byte)];
        }
    }
}

const fn encode_ulaw(sample: i16) -> u8 {
    let value = sample as i32;
    let sign = if value < 0 { 0x80 } else { 0 };
    let clipped = if value.abs() > ULAW_CLIP { ULAW_CLIP } else { value.abs() };
    let magnitude = (clipped + ULAW_BIAS) as u32;
    let exponent = magnitude.ilog2() - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

const fn decode_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = ((((byte & 0x0f) as i32) << 3) + ULAW_BIAS) << exponent;
    let value = magnitude - ULAW_BIAS;
    (if byte & 0x80 != 0 { -value } else { value }) as i16
}

const fn encode_alaw(sample: i16) -> u8 {
    let value = (sample as i32) >> 3;
    // Even bits are inverted on the line (G.711 table 1a); the sign bit is set for positive.
    let (mask, magnitude) = if value >= 0 { (0xd5, value as u32) } else { (0x55, (-value - 1) as u32) };
    let segment = if magnitude < 32 { 0 } else { magnitude.ilog2() - 4 };
    let shift = if segment < 2 { 1 } else { segment };
    let quantum = (magnitude >> shift) & 0x0f;
    (((segment as u8) << 4) | quantum as u8) ^ mask
}

const fn decode_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let segment = (byte >> 4) & 7;
    let base = ((byte & 0x0f) as i32) << 4;
    let value = match segment {
        0 => base + 8,
        _ => (base + 0x108) << (segment - 1),
    };
    (if byte & 0x80 != 0 { value } else { -value }) as i16
}

const fn linear_table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match law {
            Law::Ulaw => decode_ulaw(byte as u8),
            Law::Alaw => decode_alaw(byte as u8),
        };
        byte += 1;
    }
    table
}

const fn cross_table(from: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match from {
            Law::Ulaw => encode_alaw(decode_ulaw(byte as u8)),
            Law::Alaw => encode_ulaw(decode_alaw(byte as u8)),
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 table 2a as a formula, in 14-bit units scaled to 16.
    fn reference_ulaw(byte: u8) -> i32 {
        let bits = u32::from(!byte);
        let chord = (bits >> 4) & 7;
        let step = f64::from(bits & 15);
        let magnitude = (2.0 * step + 33.0) * 2f64.powi(chord as i32) - 33.0;
        let signed = if bits & 0x80 != 0 { -magnitude } else { magnitude };
        (signed * 4.0) as i32
    }

    /// G.711 table 1a as a formula, in 13-bit units scaled to 16.
    fn reference_alaw(byte: u8) -> i32 {
        let bits = u32::from(byte ^ 0x55);
        let chord = ((bits >> 4) & 7) as i32;
        let step = f64::from(bits & 15);
        let magnitude =
            if chord == 0 { 2.0 * step + 1.0 } else { (2.0 * step + 33.0) * 2f64.powi(chord - 1) };
        let signed = if bits & 0x80 != 0 { magnitude } else { -magnitude };
        (signed * 8.0) as i32
    }

    #[test]
    fn every_byte_decodes_as_the_recommendation_says() {
        for byte in 0..=255u8 {
            assert_eq!(i32::from(Law::Ulaw.decode(byte)), reference_ulaw(byte), "µ {byte:#x}");
            assert_eq!(i32::from(Law::Alaw.decode(byte)), reference_alaw(byte), "A {byte:#x}");
        }
    }

    #[test]
    fn every_byte_survives_decode_and_encode() {
        for byte in 0..=255u8 {
            assert_eq!(Law::Alaw.encode(Law::Alaw.decode(byte)), byte);
            // µ-law has two zeros; the negative one encodes as the positive.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(Law::Ulaw.encode(Law::Ulaw.decode(byte)), expected);
        }
    }

    #[test]
    fn every_sample_encodes_within_half_a_step() {
        for law in [Law::Ulaw, Law::Alaw] {
            let mut values: Vec<i32> = (0..=255).map(|byte| i32::from(law.decode(byte))).collect();
            values.sort_unstable();
            values.dedup();
            let (lowest, highest) = (values[0], values[values.len() - 1]);
            for sample in i16::MIN..=i16::MAX {
                let chosen = i32::from(law.decode(law.encode(sample)));
                let place = values.binary_search(&chosen).unwrap();
                let below = values.get(place.wrapping_sub(1)).map_or(0, |value| chosen - value);
                let above = values.get(place + 1).map_or(0, |value| value - chosen);
                let error = (i32::from(sample).clamp(lowest, highest) - chosen).abs();
                // Three low bits are below A-law's resolution.
                assert!(error <= below.max(above) / 2 + 8, "{law:?} {sample} became {chosen}");
            }
        }
    }

    #[test]
    fn known_bytes_of_the_recommendation() {
        assert_eq!(Law::Ulaw.decode(0x80), 32_124);
        assert_eq!(Law::Ulaw.decode(0x00), -32_124);
        assert_eq!(Law::Alaw.decode(0xaa), 32_256);
        assert_eq!(Law::Alaw.decode(0x2a), -32_256);
        assert_eq!(Law::Ulaw.decode(ULAW_SILENCE), 0);
        assert_eq!(Law::Alaw.decode(ALAW_SILENCE), 8);
    }

    #[test]
    fn transcoding_keeps_level_and_silence() {
        for (from, to) in [(Law::Ulaw, Law::Alaw), (Law::Alaw, Law::Ulaw)] {
            let mut silence = [from.silence(); 4];
            from.transcode(to, &mut silence);
            assert!(silence.iter().all(|byte| to.decode(*byte).abs() <= 8));
            for byte in 0..=255u8 {
                let mut one = [byte];
                from.transcode(to, &mut one);
                let (before, after) = (i32::from(from.decode(byte)), i32::from(to.decode(one[0])));
                assert!((before - after).abs() <= before.abs() / 16 + 16, "{before} became {after}");
            }
        }
    }
}
