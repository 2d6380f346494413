//! XML documents: from bytes to verbs, or to an error with a position.
//!
//! Names are matched exactly, then by alias, then in any case. Numbers out of range are clamped; unknown
//! attributes are noted and ignored, and so are unknown elements unless the reading is strict. Elements in the
//! wrong place refuse the whole document: half a document run is worse than none. Elements that are not built end the
//! call where they are reached. DTDs and with them entities of any cleverness are refused by the parser.

mod check;
mod coverage;
mod element;
mod finding;
mod reference;
pub(crate) mod spec;
mod ssml;

use std::cell::RefCell;
use std::ops::Range;

use roxmltree::{Node, ParsingOptions};
use thiserror::Error;

pub use check::{Check, Planned, check};
pub use coverage::coverage;
pub(crate) use element::Element;
pub(crate) use finding::nearest;
pub use finding::{Finding, Severity};
pub use reference::reference;
pub use ssml::is_speech_markup;

use crate::verbs::{self, Cue, Placed};

/// The longest document.
pub const MAX_DOCUMENT_BYTES: usize = 100 * 1024;

/// Findings kept per document.
const MAX_FINDINGS: usize = 100;

/// Warnings of a document that are shown on a call's timeline.
const MAX_WARNINGS: usize = 20;

/// What becomes of elements that are none of the language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// They are skipped with a warning.
    #[default]
    Tolerant,
    /// They make the document invalid.
    Strict,
}

/// A document that can be run.
#[derive(Debug)]
pub struct Document {
    pub(crate) verbs: Vec<Placed>,
    findings: Vec<Finding>,
}

impl Document {
    /// The elements to run, in order, by canonical name.
    pub fn elements(&self) -> impl Iterator<Item = &'static str> {
        self.verbs.iter().map(|placed| placed.name)
    }

    /// What was ignored in reading, for the author.
    pub fn warnings(&self) -> Vec<String> {
        let telling = self.findings.iter().filter(|finding| finding.severity != Severity::Note);
        telling.take(MAX_WARNINGS).map(ToString::to_string).collect()
    }
}

/// Why a body is no document: causes 8011 to 8014.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message} (line {line}, column {column})")]
pub struct DocumentError {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// For the author: what is wrong with what.
    pub message: String,
    /// The element, when it is about one.
    pub element: Option<String>,
    /// What to do about it; empty when that is plain.
    pub remedy: String,
}

impl DocumentError {
    /// With a remedy.
    pub(crate) fn remedied(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Reads a document of at most [`MAX_DOCUMENT_BYTES`].
pub fn parse(body: &[u8], reading: Reading) -> Result<Document, DocumentError> {
    read(body, reading, |root, source| {
        let mut verbs = Vec::new();
        for node in root.children() {
            if node.is_element() {
                verbs.extend(verbs::parse(node, source)?);
            }
        }
        Ok(Document { verbs, findings: source.findings.take() })
    })
}

/// Reads a document that may only be heard, as `confirmSound` and `dialMusic` name: Speak, Play and Wait.
pub(crate) fn parse_sounds(body: &[u8]) -> Result<Vec<Cue>, DocumentError> {
    read(body, Reading::Tolerant, |root, source| {
        let mut cues = Vec::new();
        for node in root.children().filter(Node::is_element) {
            cues.extend(verbs::cues(node, source).ok_or_else(|| {
                let message = format!(
                    "<{}> may not stand in a document that is only heard: Speak, Play and Wait may",
                    node.tag_name().name()
                );
                source.error_in(node, message)
            })?);
        }
        Ok(cues)
    })
}

/// Finds the root of a body and hands it to `content`.
fn read<T>(
    body: &[u8],
    reading: Reading,
    content: impl FnOnce(Node<'_, '_>, &Source<'_>) -> Result<T, DocumentError>,
) -> Result<T, DocumentError> {
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError {
            line: 1,
            column: 1,
            message: format!("the document is longer than {MAX_DOCUMENT_BYTES} bytes"),
            element: None,
            remedy: "Split it: <Redirect> fetches the next part.".to_owned(),
        });
    }
    let (text, broken) = match std::str::from_utf8(body) {
        Ok(text) => (text, false),
        Err(error) => (std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(), true),
    };
    let xml = text.trim_start_matches('\u{feff}').trim_start();
    let source = Source { text, offset: text.len() - xml.len(), reading, findings: RefCell::default() };
    if broken {
        let error = source.error_at(xml.len(), "the document is not UTF-8".to_owned(), None);
        return Err(error.remedied("Save it as UTF-8, without another encoding in its XML declaration."));
    }
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let tree =
        roxmltree::Document::parse_with_options(xml, options).map_err(|error| source.malformed(&error))?;
    let root = tree.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("Response") {
        let message = format!("the root is <{}>, not <Response>", root.tag_name().name());
        let error = source.error_at(root.range().start, message, None);
        return Err(error.remedied("Put everything inside one <Response>."));
    }
    source.note_stray_text(root, "text between elements is ignored");
    content(root, &source)
}

/// The text being read: knows positions, collects findings.
pub(crate) struct Source<'a> {
    text: &'a str,
    /// Bytes of `text` before the XML that the parser sees.
    offset: usize,
    reading: Reading,
    findings: RefCell<Vec<Finding>>,
}

impl Source<'_> {
    /// What becomes of unknown elements.
    pub(crate) fn reading(&self) -> Reading {
        self.reading
    }

    /// Notes something found at a place in the XML.
    pub(crate) fn note(&self, at: &Range<usize>, severity: Severity, words: Words<'_>) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < MAX_FINDINGS {
            let (line, column) = self.position(at.start);
            findings.push(Finding {
                severity,
                line,
                column,
                element: words.element.map(str::to_owned),
                attribute: words.attribute.map(str::to_owned),
                message: words.message,
                remedy: words.remedy,
            });
        }
    }

    /// Notes text that stands directly in an element where none belongs.
    pub(crate) fn note_stray_text(&self, node: Node<'_, '_>, message: &str) {
        let stray =
            |node: &Node<'_, '_>| node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty());
        for text in node.children().filter(stray) {
            let words = Words {
                element: Some(node.tag_name().name()),
                attribute: None,
                message: message.to_owned(),
                remedy: "Remove it, or put it into a <Speak>.".to_owned(),
            };
            // Where the words are, not where the white space before them is.
            let blank = text.text().map_or(0, |text| text.len() - text.trim_start().len());
            let range = text.range();
            self.note(&(range.start + blank..range.end), Severity::Warning, words);
        }
    }

    /// Line and column of an offset into the XML, both from 1.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..self.offset + offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line as u32, before[start..].chars().count() as u32 + 1)
    }

    /// An error at an offset into the XML.
    pub(crate) fn error_at(&self, offset: usize, message: String, element: Option<&str>) -> DocumentError {
        let (line, column) = self.position(offset);
        DocumentError { line, column, message, element: element.map(str::to_owned), remedy: String::new() }
    }

    /// An error about a node that no spec describes.
    pub(crate) fn error_in(&self, node: Node<'_, '_>, message: String) -> DocumentError {
        self.error_at(node.range().start, message, Some(node.tag_name().name()))
    }

    fn malformed(&self, error: &roxmltree::Error) -> DocumentError {
        let position = error.pos();
        let (first_line, first_column) = self.position(0);
        let column = if position.row <= 1 { first_column + position.col - 1 } else { position.col };
        // The parser's words end in its own idea of the position.
        let words = error.to_string();
        let words = words.rsplit_once(" at ").map_or(words.as_str(), |(words, _)| words);
        let remedy = match error {
            roxmltree::Error::DtdDetected => "Remove the <!DOCTYPE …>.",
            roxmltree::Error::MalformedEntityReference(_) | roxmltree::Error::UnknownEntityReference(..) => {
                "Write `&amp;` for `&`, also inside URLs."
            }
            _ => "",
        };
        DocumentError {
            line: first_line + position.row - 1,
            column,
            message: format!("malformed XML: {words}"),
            element: None,
            remedy: remedy.to_owned(),
        }
    }
}

/// What is said of something found.
pub(crate) struct Words<'a> {
    pub(crate) element: Option<&'a str>,
    pub(crate) attribute: Option<&'a str>,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

#[cfg(test)]
mod tests;
