//! A document looked at without being run: everything that is wrong with it, and what it would do.

use roxmltree::Node;

use super::{DocumentError, Finding, Reading, Severity, Source, read};
use crate::verbs;

/// What the look at a document showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// What ends the call, or keeps the document from being run.
    pub errors: Vec<Finding>,
    /// What is ignored, replaced or not built yet.
    pub warnings: Vec<Finding>,
    /// What would run, in order, were there no errors.
    pub plan: Vec<Planned>,
}

/// One element that would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its canonical name.
    pub element: &'static str,
    /// The line it begins on.
    pub line: u32,
}

impl Check {
    /// Whether the document would be run to its end.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Looks at a document. Of several errors inside one element the first is told.
pub fn check(body: &[u8]) -> Check {
    let mut check = Check::default();
    let outcome = read(body, Reading::Tolerant, |root, source| {
        for node in root.children().filter(Node::is_element) {
            match verbs::parse(node, source) {
                Ok(placed) => check
                    .plan
                    .extend(placed.map(|placed| Planned { element: placed.name, line: placed.line })),
                Err(error) => check.errors.push(error.into()),
            }
        }
        check.sort_in(source);
        Ok(())
    });
    if let Err(error) = outcome {
        check.errors.push(error.into());
    }
    check
}

impl Check {
    fn sort_in(&mut self, source: &Source<'_>) {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            source.findings.take().into_iter().partition(|finding| finding.severity == Severity::Error);
        self.errors.extend(errors);
        self.warnings = warnings;
        let place = |finding: &Finding| (finding.line, finding.column);
        self.errors.sort_by_key(place);
        self.warnings.sort_by_key(place);
    }
}

impl From<DocumentError> for Finding {
    fn from(error: DocumentError) -> Self {
        let DocumentError { line, column, message, element, remedy } = error;
        Self { severity: Severity::Error, line, column, element, attribute: None, message, remedy }
    }
}
