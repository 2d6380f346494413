//! XML documents: from bytes to verbs, or to an error with a position.
//!
//! Names are matched exactly, then by alias, then in any case. Numbers out of range are clamped, unknown
//! attributes noted and ignored; unknown elements, and elements and attributes that are not built, refuse
//! the whole document: half a document run is worse than none. DTDs and with them entities of any cleverness are
//! refused by the parser.

mod element;
mod reference;
pub(crate) mod spec;

use std::cell::RefCell;

use roxmltree::{Node, ParsingOptions};
use thiserror::Error;

pub(crate) use element::Element;
pub use reference::reference;

use crate::verbs::{self, Placed};

/// The longest document.
pub const MAX_DOCUMENT_BYTES: usize = 100 * 1024;

/// Warnings kept per document.
const MAX_WARNINGS: usize = 20;

/// A document that can be run.
#[derive(Debug)]
pub struct Document {
    pub(crate) verbs: Vec<Placed>,
    warnings: Vec<String>,
}

impl Document {
    /// The elements to run, in order, by canonical name.
    pub fn elements(&self) -> impl Iterator<Item = &'static str> {
        self.verbs.iter().map(|placed| placed.name)
    }

    /// What was ignored in reading, for the author.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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
}

/// Reads a document of at most [`MAX_DOCUMENT_BYTES`].
pub fn parse(body: &[u8]) -> Result<Document, DocumentError> {
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError {
            line: 1,
            column: 1,
            message: format!("the document is longer than {MAX_DOCUMENT_BYTES} bytes"),
            element: None,
        });
    }
    let (text, broken) = match std::str::from_utf8(body) {
        Ok(text) => (text, false),
        Err(error) => (std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(), true),
    };
    let xml = text.trim_start_matches('\u{feff}').trim_start();
    let source = Source { text, offset: text.len() - xml.len(), warnings: RefCell::default() };
    if broken {
        return Err(source.error_at(xml.len(), "the document is not UTF-8".to_owned(), None));
    }
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let tree =
        roxmltree::Document::parse_with_options(xml, options).map_err(|error| source.malformed(&error))?;
    let root = tree.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("Response") {
        let message = format!("the root is <{}>, not <Response>", root.tag_name().name());
        return Err(source.error_at(root.range().start, message, None));
    }
    let mut verbs = Vec::new();
    for node in root.children() {
        if node.is_element() {
            verbs.push(verbs::parse(node, &source)?);
        } else if node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty()) {
            source.warn(format!(
                "text between elements is ignored (line {})",
                source.position(node.range().start).0
            ));
        }
    }
    Ok(Document { verbs, warnings: source.warnings.into_inner() })
}

/// The text being read: knows positions, collects warnings.
pub(crate) struct Source<'a> {
    text: &'a str,
    /// Bytes of `text` before the XML that the parser sees.
    offset: usize,
    warnings: RefCell<Vec<String>>,
}

impl Source<'_> {
    /// Notes something ignored.
    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < MAX_WARNINGS {
            warnings.push(warning);
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
        DocumentError { line, column, message, element: element.map(str::to_owned) }
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
        DocumentError {
            line: first_line + position.row - 1,
            column,
            message: format!("malformed XML: {words}"),
            element: None,
        }
    }
}

#[cfg(test)]
mod tests;
