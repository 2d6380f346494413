//! Documents that could not be had, and the hangup cause of each way and place of failing.

use tandem_model::HangupCause;
use tandem_model::ports::{FetchFailure, FetchKind};

use crate::session::BadTarget;

/// How a document failed, as far as causes tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer, or not a 2xx, or more documents than a call may run: 701x.
    Unreachable,
    /// Not `http` or `https`: 702x.
    Url,
    /// Neither GET nor POST: 703x.
    Method,
    /// No document, or one too long: 801x.
    Xml,
}

impl Failure {
    /// Of a fetch.
    pub(super) fn of_fetch(failure: FetchFailure) -> Self {
        match failure {
            FetchFailure::InvalidUrl => Self::Url,
            FetchFailure::TooLarge => Self::Xml,
            FetchFailure::Refused
            | FetchFailure::Unreachable
            | FetchFailure::TimedOut
            | FetchFailure::Status(_) => Self::Unreachable,
        }
    }

    /// Of a target that could not even be asked.
    pub(super) fn of_target(bad: BadTarget) -> Self {
        match bad {
            BadTarget::Url => Self::Url,
            BadTarget::Method => Self::Method,
        }
    }

    /// The cause, by what the document was for. An answer URL has no causes of its own for a bad URL
    /// or method: it could not be reached.
    pub(super) fn cause(self, kind: FetchKind) -> HangupCause {
        match (kind, self) {
            (FetchKind::Answer | FetchKind::Fallback, Self::Xml) => HangupCause::InvalidAnswerXml,
            (FetchKind::Answer | FetchKind::Fallback, _) => HangupCause::AnswerUrlError,
            // A sound that cannot be had never ends a call.
            (FetchKind::Sound, _) => HangupCause::InternalError,
            (FetchKind::Action, Self::Unreachable) => HangupCause::ActionUrlError,
            (FetchKind::Action, Self::Url) => HangupCause::InvalidActionUrl,
            (FetchKind::Action, Self::Method) => HangupCause::InvalidActionMethod,
            (FetchKind::Action, Self::Xml) => HangupCause::InvalidActionXml,
            (FetchKind::Redirect, Self::Unreachable) => HangupCause::RedirectUrlError,
            (FetchKind::Redirect, Self::Url) => HangupCause::InvalidRedirectUrl,
            (FetchKind::Redirect, Self::Method) => HangupCause::InvalidRedirectMethod,
            (FetchKind::Redirect, Self::Xml) => HangupCause::InvalidRedirectXml,
            (FetchKind::Transfer, Self::Unreachable) => HangupCause::TransferUrlError,
            (FetchKind::Transfer, Self::Url) => HangupCause::InvalidTransferUrl,
            (FetchKind::Transfer, Self::Method) => HangupCause::InvalidTransferMethod,
            (FetchKind::Transfer, Self::Xml) => HangupCause::InvalidTransferXml,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_says_where_and_how_it_failed() {
        let codes = |kind| {
            [Failure::Unreachable, Failure::Url, Failure::Method, Failure::Xml]
                .map(|failure: Failure| failure.cause(kind).code())
        };
        assert_eq!(codes(FetchKind::Answer), [7011, 7011, 7011, 8011]);
        assert_eq!(codes(FetchKind::Action), [7012, 7022, 7032, 8012]);
        assert_eq!(codes(FetchKind::Transfer), [7013, 7023, 7033, 8013]);
        assert_eq!(codes(FetchKind::Redirect), [7014, 7024, 7034, 8014]);
    }

    #[test]
    fn a_document_too_long_is_invalid_xml() {
        assert_eq!(Failure::of_fetch(FetchFailure::TooLarge), Failure::Xml);
        assert_eq!(Failure::of_fetch(FetchFailure::Status(503)), Failure::Unreachable);
    }
}
