//! The printer: outbound messages line by line from typed parts.
//!
//! Names come from [`HeaderName`] or a checked [`HeaderField`]; any control character in a value is
//! printed as a space, so no value can start a line of its own.

use std::fmt::{self, Write};

use super::field::HeaderField;
use super::name::HeaderName;
use super::status::reason_phrase;

/// Prints one message into a reused buffer.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> MessageWriter<'b> {
    /// Start a request; the buffer is cleared.
    pub fn request(out: &'b mut Vec<u8>, method: &str, uri: &str) -> Self {
        out.clear();
        let mut writer = Self { out };
        writer.text(method);
        writer.out.push(b' ');
        writer.text(uri);
        writer.out.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// Start a response; the buffer is cleared. `None` prints the registered phrase.
    pub fn response(out: &'b mut Vec<u8>, status: u16, phrase: Option<&str>) -> Self {
        out.clear();
        let mut writer = Self { out };
        writer.out.extend_from_slice(b"SIP/2.0 ");
        writer.display(status);
        writer.out.push(b' ');
        writer.text(phrase.unwrap_or_else(|| reason_phrase(status)));
        writer.end_line();
        writer
    }

    /// Print a header with a text value.
    pub fn field(&mut self, name: HeaderName, value: &str) -> &mut Self {
        self.name(name.as_str());
        self.text(value);
        self.end_line();
        self
    }

    /// Print a header with a formatted value.
    pub fn formatted(&mut self, name: HeaderName, value: fmt::Arguments<'_>) -> &mut Self {
        self.name(name.as_str());
        self.display(value);
        self.end_line();
        self
    }

    /// Print a header that a caller made.
    pub fn extra(&mut self, field: &HeaderField) -> &mut Self {
        self.name(field.name().as_str());
        self.text(field.value());
        self.end_line();
        self
    }

    /// Print header lines that an earlier writer produced.
    pub(crate) fn printed_lines(&mut self, lines: &[u8]) -> &mut Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// Print Content-Type (if there is a body), Content-Length, the empty line and the body.
    pub fn finish(&mut self, content_type: &str, body: &[u8]) {
        if !body.is_empty() {
            self.field(HeaderName::ContentType, content_type);
        }
        self.formatted(HeaderName::ContentLength, format_args!("{}", body.len()));
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
    }

    fn text(&mut self, value: &str) {
        if value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            let masked = value.bytes().map(|byte| if byte < b' ' || byte == 0x7f { b' ' } else { byte });
            self.out.extend(masked);
        } else {
            self.out.extend_from_slice(value.as_bytes());
        }
    }

    fn display(&mut self, value: impl fmt::Display) {
        // `write_str` below never fails.
        let _ = write!(self, "{value}");
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

impl Write for MessageWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}
