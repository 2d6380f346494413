//! Writing WAV as bytes: a header, the data, and patches that put the true sizes in at the end.

use smallvec::SmallVec;

use super::{Channels, Encoding};

/// A WAV holds less than 4 GiB; past this the recorder starts another file.
pub const MAX_DATA_BYTES: u64 = 0xffff_0000;

/// The size that says "until the file ends": what players assume of a stream.
const UNTIL_END: u32 = u32::MAX;

const SAMPLE_RATE: u32 = 8_000;
const PCM_HEADER: u32 = 44;
const LAW_HEADER: u32 = 58;
/// Where the G.711 header counts samples.
const FACT_COUNT: u64 = 46;

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecordFormat {
    /// Linear or a G.711 law.
    pub encoding: Encoding,
    /// Mono mixes both sides.
    pub channels: Channels,
}

/// Bytes to overwrite in a file already written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where.
    pub offset: u64,
    /// What: a little-endian size.
    pub bytes: [u8; 4],
}

/// The patches of one file.
pub type Patches = SmallVec<[Patch; 3]>;

/// Produces the bytes around a recording's data. The driver writes them.
#[derive(Clone, Debug)]
pub struct WavWriter {
    format: RecordFormat,
    data_bytes: u64,
}

impl RecordFormat {
    /// Bytes of one moment of all channels.
    pub fn frame_bytes(self) -> u16 {
        self.encoding.sample_bytes() * self.channels.count()
    }

    /// Bytes of so much audio, whole moments only.
    pub fn bytes_of(self, length: std::time::Duration) -> u64 {
        let moments = length.as_millis() * u128::from(SAMPLE_RATE) / 1_000;
        u64::try_from(moments).unwrap_or(u64::MAX).saturating_mul(u64::from(self.frame_bytes()))
    }

    fn header_len(self) -> u32 {
        match self.encoding {
            Encoding::Pcm16 => PCM_HEADER,
            Encoding::Ulaw | Encoding::Alaw => LAW_HEADER,
        }
    }

    fn tag(self) -> u16 {
        match self.encoding {
            Encoding::Pcm16 => 1,
            Encoding::Alaw => 6,
            Encoding::Ulaw => 7,
        }
    }

    fn patches(self, data_bytes: u64) -> Patches {
        let whole = data_bytes - data_bytes % u64::from(self.frame_bytes());
        let data = u32::try_from(whole).unwrap_or(UNTIL_END);
        let header = self.header_len();
        let patch = |offset: u64, value: u32| Patch { offset, bytes: value.to_le_bytes() };
        let mut patches = Patches::new();
        patches.push(patch(4, data.saturating_add(header - 8)));
        if self.encoding != Encoding::Pcm16 {
            patches.push(patch(FACT_COUNT, data / u32::from(self.frame_bytes())));
        }
        patches.push(patch(u64::from(header) - 4, data));
        patches
    }
}

impl WavWriter {
    /// An empty recording.
    pub fn new(format: RecordFormat) -> Self {
        Self { format, data_bytes: 0 }
    }

    /// The first bytes of the file. Their sizes say "until the end", so the file plays as far as
    /// it was written, whenever the process died.
    pub fn header(&self) -> Vec<u8> {
        let RecordFormat { encoding, channels } = self.format;
        let frame = self.format.frame_bytes();
        let mut header = Vec::with_capacity(LAW_HEADER as usize);
        header.extend(b"RIFF");
        header.extend(UNTIL_END.to_le_bytes());
        header.extend(b"WAVEfmt ");
        header.extend(if encoding == Encoding::Pcm16 { 16u32 } else { 18 }.to_le_bytes());
        header.extend(self.format.tag().to_le_bytes());
        header.extend(channels.count().to_le_bytes());
        header.extend(SAMPLE_RATE.to_le_bytes());
        header.extend((SAMPLE_RATE * u32::from(frame)).to_le_bytes());
        header.extend(frame.to_le_bytes());
        header.extend((encoding.sample_bytes() * 8).to_le_bytes());
        if encoding != Encoding::Pcm16 {
            // No extension; encodings other than PCM carry a fact chunk.
            header.extend(0u16.to_le_bytes());
            header.extend(b"fact");
            header.extend(4u32.to_le_bytes());
            header.extend(UNTIL_END.to_le_bytes());
        }
        header.extend(b"data");
        header.extend(UNTIL_END.to_le_bytes());
        header
    }

    /// How many of `bytes` still fit, counted as written; whole frames only. Less than asked means
    /// the file is full.
    pub fn reserve(&mut self, bytes: usize) -> usize {
        let room = MAX_DATA_BYTES.saturating_sub(self.data_bytes);
        let fit = room - room % u64::from(self.format.frame_bytes());
        let taken = (bytes as u64).min(fit);
        self.data_bytes += taken;
        taken as usize
    }

    /// The sizes as they are now: at the end, or on the way for readers that trust sizes.
    pub fn patches(&self) -> Patches {
        self.format.patches(self.data_bytes)
    }

    /// Length of the audio so far.
    pub fn duration_ms(&self) -> u64 {
        self.data_bytes / u64::from(self.format.frame_bytes()) * 1_000 / u64::from(SAMPLE_RATE)
    }
}

/// The patches for a file of ours that a crash left open: from its first 58 bytes and its length.
/// `None` if it is none of ours or was closed.
pub fn recover(head: &[u8], file_len: u64) -> Option<Patches> {
    let tag = u16::from_le_bytes(*head.get(20..)?.first_chunk::<2>()?);
    let channels = match head.get(22..24)? {
        [1, 0] => Channels::Mono,
        [2, 0] => Channels::Stereo,
        _ => return None,
    };
    let encoding = match tag {
        1 => Encoding::Pcm16,
        6 => Encoding::Alaw,
        7 => Encoding::Ulaw,
        _ => return None,
    };
    let format = RecordFormat { encoding, channels };
    let expected = WavWriter::new(format).header();
    if head.get(..expected.len())? != expected.as_slice() {
        return None;
    }
    Some(format.patches(file_len.checked_sub(u64::from(format.header_len()))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::parse;

    fn formats() -> impl Iterator<Item = RecordFormat> {
        [Encoding::Pcm16, Encoding::Ulaw, Encoding::Alaw].into_iter().flat_map(|encoding| {
            [Channels::Mono, Channels::Stereo].map(|channels| RecordFormat { encoding, channels })
        })
    }

    fn apply(file: &mut [u8], patches: &Patches) {
        for patch in patches {
            let at = patch.offset as usize;
            file[at..at + 4].copy_from_slice(&patch.bytes);
        }
    }

    fn recording(format: RecordFormat, data: usize) -> (Vec<u8>, WavWriter) {
        let mut writer = WavWriter::new(format);
        let mut file = writer.header();
        assert_eq!(writer.reserve(data), data);
        file.extend((0..data).map(|n| n as u8));
        (file, writer)
    }

    #[test]
    fn a_file_cut_at_every_byte_plays_as_far_as_it_goes() {
        for format in formats() {
            let (file, writer) = recording(format, 400);
            let header = writer.header().len();
            assert_eq!(header as u32, format.header_len());
            for cut in header..=file.len() {
                let wav = parse(&file[..cut]).unwrap();
                let frames = (cut - header) / usize::from(format.frame_bytes());
                assert_eq!(wav.samples.len(), frames, "{format:?} cut at {cut}");

                let mut recovered = file[..cut].to_vec();
                let patches = recover(&recovered, cut as u64).unwrap();
                apply(&mut recovered, &patches);
                assert_eq!(parse(&recovered).unwrap(), wav);
                assert!(recover(&recovered, cut as u64).is_none(), "closed files are left alone");
            }
        }
    }

    #[test]
    fn other_readers_accept_a_closed_file() {
        for channels in [Channels::Mono, Channels::Stereo] {
            let format = RecordFormat { encoding: Encoding::Pcm16, channels };
            let (mut file, writer) = recording(format, 640);
            apply(&mut file, &writer.patches());
            let mut reader = hound::WavReader::new(std::io::Cursor::new(&file)).unwrap();
            assert_eq!(reader.spec().channels, channels.count());
            assert_eq!(reader.spec().sample_rate, 8_000);
            assert_eq!(reader.samples::<i16>().map(Result::unwrap).count(), 320);
        }
    }

    #[test]
    fn sizes_of_a_closed_g711_file_add_up() {
        let format = RecordFormat { encoding: Encoding::Ulaw, channels: Channels::Stereo };
        let (mut file, writer) = recording(format, 320);
        apply(&mut file, &writer.patches());
        assert_eq!(file[4..8], (file.len() as u32 - 8).to_le_bytes());
        assert_eq!(&file[38..42], b"fact");
        assert_eq!(file[46..50], 160u32.to_le_bytes());
        assert_eq!(&file[50..54], b"data");
        assert_eq!(file[54..58], 320u32.to_le_bytes());
        assert_eq!(writer.duration_ms(), 20);
    }

    #[test]
    fn a_file_is_full_at_its_limit() {
        let mut writer =
            WavWriter::new(RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Stereo });
        assert_eq!(writer.reserve(MAX_DATA_BYTES as usize), MAX_DATA_BYTES as usize);
        assert_eq!(writer.reserve(4), 0);
    }

    #[test]
    fn strangers_files_are_not_patched() {
        assert!(recover(b"", 0).is_none());
        assert!(recover(&[0; 58], 58).is_none());
    }
}
