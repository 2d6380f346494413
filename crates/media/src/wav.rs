//! WAV files: read from bytes, written crash-safe.

/// Sample encoding of a WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 16-bit little-endian linear.
    Pcm16,
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
}

/// Channel layout of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Both sides mixed.
    Mono,
    /// Caller left, callee right.
    Stereo,
}

/// Bytes to overwrite in a file already written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where.
    pub offset: u64,
    /// What: a little-endian size.
    pub bytes: [u8; 4],
}
