//! [`SessionDescription`] to text, always in the same order, with CRLF.

use std::fmt;

use super::description::SessionDescription;

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}
