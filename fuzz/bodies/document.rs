//! Any bytes as a document that steers a call: no panic, an error with a position, bounded warnings.

use tandem_callflow::document::{MAX_DOCUMENT_BYTES, Reading, check as look_at, parse};

/// Reads the document.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let checked = look_at(bytes);
    let outcome = parse(bytes, Reading::Tolerant);
    // What the check of a document says is what a call does with it.
    if outcome.is_err() {
        assert!(!checked.is_valid());
    }
    match outcome {
        Ok(document) => {
            assert_eq!(checked.plan.len(), document.elements().count());
            assert!(bytes.len() <= MAX_DOCUMENT_BYTES);
            assert!(document.warnings().len() <= 20);
            assert!(document.elements().all(|name| !name.is_empty()));
        }
        Err(error) => {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u32;
            assert!((1..=lines).contains(&error.line), "line {} of {lines}", error.line);
            assert!(error.column >= 1 && error.column as usize <= bytes.len() + 1);
            assert!(!error.message.is_empty());
        }
    }
}
