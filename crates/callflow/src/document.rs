//! XML documents.

use thiserror::Error;

/// A document that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {}

/// Why a body is no document: 8011 and its kin.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message} (line {line}, column {column})")]
pub struct DocumentError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// For the customer: what is wrong with what.
    pub message: String,
    /// The element, when it is about one.
    pub element: Option<String>,
}

/// Reads a document.
pub fn parse(body: &[u8]) -> Result<Document, DocumentError> {
    let _ = body;
    todo!("document")
}

/// The reference page of elements, in Markdown, generated from the elements' specifications.
pub fn reference() -> String {
    todo!("document")
}
