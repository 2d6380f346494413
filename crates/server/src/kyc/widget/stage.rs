//! Which step of a session is next.

use jiff::Timestamp;
use tandem_model::kyc::{CheckState, Document, KycType, SessionStatus};

use crate::kyc::Opened;

/// A step of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Type the PAN, and consent.
    Pan,
    /// Name and date of birth, or the registered name.
    Details(KycType),
    /// GSTIN of a company.
    Gst,
    /// Go to DigiLocker; with the address once it is prepared.
    DigiLocker(Option<String>),
    /// Last four digits, for the operator's eyes.
    Aadhaar,
    /// Everything is given.
    Waiting,
    /// Verified.
    Done,
    /// Refused for good.
    Failed,
    /// Revoked, expired, unknown.
    Over,
}

impl Stage {
    /// The next step.
    pub(super) fn of(
        opened: &Opened,
        states: &[(Document, CheckState)],
        visits_digilocker: bool,
        now: Timestamp,
    ) -> Self {
        let row = &opened.row;
        match row.status {
            SessionStatus::Completed => return Self::Done,
            SessionStatus::Failed => return Self::Failed,
            SessionStatus::Revoked | SessionStatus::Expired => return Self::Over,
            _ if row.submitted_at.is_none() && row.expires_at <= now => return Self::Over,
            _ => {}
        }
        let given = |document: Document| {
            states.iter().any(|(one, state)| *one == document && *state != CheckState::Failed)
        };
        let kyc_type = row.kyc_type.unwrap_or(KycType::Individual);
        if !given(Document::Pan) {
            return if opened.private.pan.is_some() { Self::Details(kyc_type) } else { Self::Pan };
        }
        match kyc_type {
            KycType::Company if given(Document::Gst) => Self::Waiting,
            KycType::Company => Self::Gst,
            KycType::Individual if given(Document::Aadhaar) => Self::Waiting,
            KycType::Individual if visits_digilocker => {
                Self::DigiLocker(opened.private.visit.as_ref().map(|visit| visit.auth_url.clone()))
            }
            KycType::Individual => Self::Aadhaar,
        }
    }

    /// Its name in the template.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Pan => "pan",
            Self::Details(KycType::Individual) => "person",
            Self::Details(KycType::Company) => "company",
            Self::Gst => "gst",
            Self::DigiLocker(_) => "digilocker",
            Self::Aadhaar => "aadhaar",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Over => "over",
        }
    }

    /// Its number of three, while there is something to do.
    pub(super) const fn number(&self) -> Option<u8> {
        match self {
            Self::Pan => Some(1),
            Self::Details(_) => Some(2),
            Self::Gst | Self::DigiLocker(_) | Self::Aadhaar => Some(3),
            Self::Waiting | Self::Done | Self::Failed | Self::Over => None,
        }
    }

    /// The document it is about.
    pub(super) const fn document(&self) -> Option<Document> {
        match self {
            Self::Pan | Self::Details(_) => Some(Document::Pan),
            Self::Gst => Some(Document::Gst),
            Self::DigiLocker(_) | Self::Aadhaar => Some(Document::Aadhaar),
            Self::Waiting | Self::Done | Self::Failed | Self::Over => None,
        }
    }
}
