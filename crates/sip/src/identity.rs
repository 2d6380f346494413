//! The marks we leave in messages: branch, tag and Contact carry shard, process generation and a
//! random number, so that whatever comes back can be routed and found without a text table.

use std::fmt;

use crate::message::BRANCH_COOKIE;

const MARK: &str = "tdm";
const HEX_DIGITS: usize = 4 + 4 + 16;

/// `tdm`, shard (4 hex), generation (4 hex), random (16 hex).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    pub(crate) shard: u16,
    pub(crate) generation: u16,
    pub(crate) unique: u64,
}

impl Mark {
    /// Read a tag that we made.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(MARK)?;
        if digits.len() != HEX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self {
            shard: u16::from_str_radix(digits.get(..4)?, 16).ok()?,
            generation: u16::from_str_radix(digits.get(4..8)?, 16).ok()?,
            unique: u64::from_str_radix(digits.get(8..)?, 16).ok()?,
        })
    }

    /// Read a branch that we made.
    pub(crate) fn parse_branch(text: &str) -> Option<Self> {
        let cookie = text.get(..BRANCH_COOKIE.len())?;
        if !cookie.eq_ignore_ascii_case(BRANCH_COOKIE) {
            return None;
        }
        Self::parse(text.get(BRANCH_COOKIE.len()..)?)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0_u8; MARK.len() + HEX_DIGITS];
        text[..MARK.len()].copy_from_slice(MARK.as_bytes());
        let prefix = u64::from(self.shard) << 16 | u64::from(self.generation);
        for (at, slot) in text.iter_mut().skip(MARK.len()).enumerate() {
            let nibble = if at < 8 { prefix >> (28 - 4 * at) } else { self.unique >> (60 - 4 * (at - 8)) };
            *slot = DIGITS[(nibble & 15) as usize];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or(MARK))
    }
}

/// The shard a message belongs to, read from the To-tag (requests) or the topmost Via's branch
/// (responses) where we put it; `None` if the message carries neither, and then the caller takes a
/// hash of [`call_id_of`]. Looks at bytes only; works on malformed messages too.
pub fn shard_of(bytes: &[u8]) -> Option<u16> {
    let is_response = bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    let value = if is_response { header(bytes, b"via", b'v')? } else { header(bytes, b"to", b't')? };
    let value = std::str::from_utf8(value).ok()?;
    let (key, cookie) = if is_response { ("branch", BRANCH_COOKIE) } else { ("tag", "") };
    // The topmost Via only.
    let value = if is_response { value.split(',').next()? } else { value };
    value.split(';').skip(1).find_map(|parameter| {
        let (name, text) = parameter.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case(key) {
            return None;
        }
        Mark::parse(text.trim().strip_prefix(cookie)?).map(|mark| mark.shard)
    })
}

/// The raw Call-ID of a message, to choose a shard for those without one.
pub fn call_id_of(bytes: &[u8]) -> Option<&[u8]> {
    header(bytes, b"call-id", b'i')
}

/// The value of the first line with this name, up to its end (a folded rest is left out).
fn header<'a>(bytes: &'a [u8], name: &[u8], compact: u8) -> Option<&'a [u8]> {
    for line in bytes.split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (key, value) = line.split_at(colon);
        let key = key.trim_ascii();
        if key.eq_ignore_ascii_case(name) || (key.len() == 1 && key.eq_ignore_ascii_case(&[compact])) {
            return Some(value.get(1..)?.trim_ascii());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_as_printed() {
        let mark = Mark { shard: 0xbeef, generation: 7, unique: 0x0123_4567_89ab_cdef };
        assert_eq!(mark.to_string(), "tdmbeef00070123456789abcdef");
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        assert_eq!(Mark::parse_branch(&format!("z9hG4bK{mark}")), Some(mark));
        assert_eq!(Mark::parse("tdmbeef0007+123456789abcdef"), None);
    }

    #[test]
    fn the_shard_is_found_in_requests_and_responses() {
        let request = b"BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKabc\r\n\
            t: <sip:a@h>;tag=tdm000300010123456789abcdef\r\nCall-ID: abc\r\n\r\n";
        assert_eq!(shard_of(request), Some(3));
        assert_eq!(call_id_of(request), Some(&b"abc"[..]));
        let response =
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bKtdm000400010123456789abcdef\r\n\
            To: <sip:a@h>;tag=x\r\n\r\n";
        assert_eq!(shard_of(response), Some(4));
        assert_eq!(shard_of(b"INVITE sip:x SIP/2.0\r\nTo: <sip:x>\r\nCall-ID: c\r\n\r\n"), None);
        assert_eq!(shard_of(b""), None);
    }
}
