//! Seeded mutation of messages in the manner of the PROTOS suites: what breaks parsers is rarely noise, it is a
//! well-formed message with one thing repeated, missing, endless, negative, unterminated or of another alphabet.
//!
//! Used where libFuzzer is not: by the bounded tests of the crates and by the end-to-end test of the binary. The
//! same seed gives the same bytes.

/// A small generator (xorshift64*), so that nobody has to depend on one.
#[derive(Clone, Debug)]
pub(crate) struct Mutator {
    state: u64,
}

/// Pieces that take the place of something or are put in between.
const PIECES: &[&[u8]] = &[
    b"",
    b" ",
    b"\t",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n ",
    b"\r\n\r\n",
    b"\0",
    b"\x7f",
    b"\xff\xfe",
    b"\xc3",
    b"\xf0\x9f\x93\x9e",
    b"\"",
    b"\\\"",
    b"\\",
    b"<",
    b">",
    b"<<sip:x@h>>",
    b";",
    b";;",
    b";=",
    b",",
    b",,,,",
    b"@",
    b"@@",
    b":",
    b"::",
    b"[::1]",
    b"[2001:db8:::1]",
    b"%00",
    b"%0d%0a",
    b"%s%n%x",
    b"?a=b",
    b"=",
    b"0",
    b"-1",
    b"2147483647",
    b"2147483648",
    b"4294967296",
    b"18446744073709551616",
    b"99999999999999999999999999999999",
    b"SIP/2.0",
    b"SIP/9.9",
    b"z9hG4bK",
    b"Content-Length: 5\r\n",
    b"l: 99999\r\n",
    b"Via: SIP/2.0/UDP 203.0.113.1:1;branch=z9hG4bKx\r\n",
    b"Max-Forwards: 0\r\n",
    b"Require: 100rel\r\n",
    b"Session-Expires: 4294967295;refresher=uas\r\n",
    b"Record-Route: <sip:203.0.113.9;lr>\r\n",
    b"INVITE ",
    b"*",
];

/// Lengths that a repeated byte is brought to.
const LENGTHS: &[usize] = &[2, 16, 63, 64, 65, 127, 128, 255, 256, 1_023, 1_024, 1_025, 4_096, 9_000];

/// Longest message that mutation makes.
const LONGEST: usize = 20_000;

impl Mutator {
    /// A mutator whose choices follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() >> 11) as usize % limit }
    }

    /// The message with one to four mutations.
    pub(crate) fn mutate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..=self.below(4) {
            self.once(&mut bytes);
            bytes.truncate(LONGEST);
        }
        bytes
    }

    fn once(&mut self, bytes: &mut Vec<u8>) {
        match self.below(12) {
            0 => self.flip(bytes),
            1 | 2 => self.insert(bytes),
            3 | 4 => self.replace_word(bytes),
            5 => self.repeat_byte(bytes),
            6 => self.repeat_line(bytes),
            7 => self.drop_line(bytes),
            8 => self.swap_lines(bytes),
            9 => {
                let at = self.below(bytes.len());
                bytes.truncate(at);
            }
            10 => self.delete(bytes),
            _ => self.replace_number(bytes),
        }
    }

    fn piece(&mut self) -> &'static [u8] {
        let at = self.below(PIECES.len());
        PIECES.get(at).copied().unwrap_or_default()
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        let mask = 1 << self.below(8);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= mask;
        }
    }

    fn insert(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let piece = self.piece();
        bytes.splice(at..at, piece.iter().copied());
    }

    fn delete(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len());
        let to = bytes.len().min(from + 1 + self.below(24));
        bytes.drain(from..to);
    }

    /// Something between separators gives way to a piece.
    fn replace_word(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let is_edge = |byte: &u8| b" \t\r\n;,:=<>@\"/".contains(byte);
        let from = bytes.iter().take(at).rposition(is_edge).map_or(0, |edge| edge + 1);
        let to = bytes.iter().skip(at).position(is_edge).map_or(bytes.len(), |edge| at + edge);
        let piece = self.piece();
        bytes.splice(from..to.max(from), piece.iter().copied());
    }

    fn replace_number(&mut self, bytes: &mut Vec<u8>) {
        let digits: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect();
        let Some(&at) = digits.get(self.below(digits.len())) else { return };
        let from = bytes.iter().take(at).rposition(|byte| !byte.is_ascii_digit()).map_or(0, |edge| edge + 1);
        let to = bytes
            .iter()
            .skip(at)
            .position(|byte| !byte.is_ascii_digit())
            .map_or(bytes.len(), |edge| at + edge);
        let number = match self.below(4) {
            0 => (self.next() % 70_000).to_string(),
            1 => self.next().to_string(),
            2 => "-1".to_owned(),
            _ => "9".repeat(1 + self.below(40)),
        };
        bytes.splice(from..to, number.into_bytes());
    }

    fn repeat_byte(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let Some(&byte) = bytes.get(at) else { return };
        let length = LENGTHS.get(self.below(LENGTHS.len())).copied().unwrap_or(2);
        bytes.splice(at..at, std::iter::repeat_n(byte, length));
    }

    fn repeat_line(&mut self, bytes: &mut Vec<u8>) {
        let Some((from, to)) = self.line(bytes) else { return };
        let line: Vec<u8> = bytes.get(from..to).unwrap_or_default().to_vec();
        let times = if self.below(8) == 0 { 70 } else { 1 };
        bytes.splice(from..from, line.repeat(times));
    }

    fn drop_line(&mut self, bytes: &mut Vec<u8>) {
        if let Some((from, to)) = self.line(bytes) {
            bytes.drain(from..to);
        }
    }

    fn swap_lines(&mut self, bytes: &mut Vec<u8>) {
        let Some((from, to)) = self.line(bytes) else { return };
        let line: Vec<u8> = bytes.drain(from..to).collect();
        let at = self.line(bytes).map_or(bytes.len(), |(start, _)| start);
        bytes.splice(at..at, line);
    }

    /// Where a line begins and where the next one does.
    fn line(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let at = self.below(bytes.len());
        let from = bytes.iter().take(at).rposition(|byte| *byte == b'\n').map_or(0, |edge| edge + 1);
        let to =
            bytes.iter().skip(at).position(|byte| *byte == b'\n').map_or(bytes.len(), |edge| at + edge + 1);
        (from < to).then_some((from, to))
    }
}
