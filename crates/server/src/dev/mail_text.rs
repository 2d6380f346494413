//! Reads of a caught mail what people want to see: its subject and its plain text (RFC 2045, RFC 2047), as far as the mails
//! of this program go. Development only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Subject and plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readable {
    pub(super) subject: String,
    pub(super) text: String,
}

pub(super) fn readable(raw: &[u8]) -> Readable {
    let whole = String::from_utf8_lossy(raw);
    let (head, body) = split(&whole);
    let subject = words(&field(head, "Subject").unwrap_or_default());
    let kind = field(head, "Content-Type").unwrap_or_default();
    let boundary = kind.split("boundary=").nth(1).map(|rest| rest.trim_matches(['"', ';', ' ']).to_owned());
    let text = match boundary {
        None => decoded(head, body),
        Some(boundary) => {
            let delimiter = format!("--{boundary}");
            let parts = body.split(&delimiter);
            let plain = parts.map(|part| split(part.trim_start_matches("\r\n"))).find(|(head, _)| {
                field(head, "Content-Type").is_some_and(|kind| kind.starts_with("text/plain"))
            });
            plain.map(|(head, body)| decoded(head, body)).unwrap_or_default()
        }
    };
    Readable { subject, text: text.replace("\r\n", "\n").trim().to_owned() }
}

fn split(mail: &str) -> (&str, &str) {
    mail.split_once("\r\n\r\n").unwrap_or((mail, ""))
}

/// A field with its folds taken out.
fn field(head: &str, name: &str) -> Option<String> {
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn decoded(head: &str, body: &str) -> String {
    let bytes = match field(head, "Content-Transfer-Encoding").as_deref() {
        Some("base64") => {
            let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
            STANDARD.decode(compact).unwrap_or_default()
        }
        Some("quoted-printable") => quoted(&body.replace("=\r\n", "")),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        let pair: Vec<u8> = bytes.by_ref().take(2).collect();
        match std::str::from_utf8(&pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => out.push(byte),
            None => out.extend(pair),
        }
    }
    out
}

/// `=?utf-8?b?…?=` and its like, side by side without the blanks between.
fn words(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("=?").enumerate() {
        if index == 0 {
            out.push_str(part);
            continue;
        }
        let mut pieces = part.splitn(3, '?');
        let (_, encoding, rest) = (pieces.next(), pieces.next(), pieces.next().unwrap_or_default());
        let (coded, after) = rest.split_once("?=").unwrap_or((rest, ""));
        let bytes = match encoding {
            Some("b" | "B") => STANDARD.decode(coded).unwrap_or_default(),
            _ => quoted(&coded.replace('_', " ")),
        };
        out.push_str(&String::from_utf8_lossy(&bytes));
        if !after.trim().is_empty() {
            out.push_str(after);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_of_two_parts_and_an_encoded_subject_is_read() {
        let raw = "Subject: =?utf-8?b?4KSq4KS54KSa4KS+4KSo?=\r\nContent-Type: multipart/alternative;\r\n boundary=\"x\"\r\n\r\n\
            --x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            one =E0=A4=AA li=\r\nne\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>\r\n--x--\r\n";
        let read = readable(raw.as_bytes());
        assert_eq!(read, Readable { subject: "पहचान".to_owned(), text: "one प line".to_owned() });
        let plain = readable(b"Subject: a b\r\n\r\nbody\r\n");
        assert_eq!(plain, Readable { subject: "a b".to_owned(), text: "body".to_owned() });
        let coded = readable(b"Content-Transfer-Encoding: base64\r\n\r\nYm9k\r\neQ==\r\n");
        assert_eq!(coded.text, "body");
    }
}
