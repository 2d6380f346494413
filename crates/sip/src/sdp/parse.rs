//! Bytes to [`SessionDescription`]: strict about framing and limits, lenient about content.

use super::description::SessionDescription;

/// Largest description that is read.
pub const MAX_SDP_BYTES: usize = 8 * 1024;
/// Most `m=` lines.
pub const MAX_MEDIA_LINES: usize = 8;
/// Most `a=` lines in the session section and in each media section.
pub const MAX_ATTRIBUTES_PER_SECTION: usize = 64;
/// Most formats on one `m=` line.
pub const MAX_FORMATS_PER_MEDIA: usize = 64;

/// Why bytes are not a session description. Answered 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_SDP_BYTES`].
    #[error("the description has {bytes} bytes, more than {MAX_SDP_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The first line is not `v=0`.
    #[error("the description does not start with v=0")]
    NotVersionZero,
    /// A line is not `<letter>=<value>`, or holds a control character.
    #[error("line {line} is not of the form <letter>=<value>")]
    BadLine {
        /// Line number from 1.
        line: usize,
    },
    /// A line that we must understand is malformed.
    #[error("line {line}: malformed {kind}= line")]
    BadValue {
        /// Line number from 1.
        line: usize,
        /// Its type letter.
        kind: char,
    },
    /// No `o=` line.
    #[error("the description has no o= line")]
    NoOrigin,
    /// More than [`MAX_MEDIA_LINES`].
    #[error("more than {MAX_MEDIA_LINES} media sections")]
    TooManyMedia,
    /// More than [`MAX_ATTRIBUTES_PER_SECTION`].
    #[error("more than {MAX_ATTRIBUTES_PER_SECTION} attributes in one section")]
    TooManyAttributes,
    /// More than [`MAX_FORMATS_PER_MEDIA`].
    #[error("more than {MAX_FORMATS_PER_MEDIA} formats on one media line")]
    TooManyFormats,
}

impl SessionDescription {
    /// Parses a body of type `application/sdp`.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let _ = body;
        todo!()
    }
}
