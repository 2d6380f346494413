//! Documents shown over the API, outside any session.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use tandem_model::kyc::{BusinessType, CheckState, Document};
use tandem_model::{AccountId, Ids, clock};
use tandem_store::audit::Actor;
use tandem_store::kyc::{Check, NewCheck, NoteReading, PutCheck};

use super::private::Evidence;
use super::verifier::{Company, DigiLocker, Finding, Showing};
use super::{Desk, KycError};

/// A document that is shown over the API.
pub(crate) struct Shown {
    pub(crate) account: AccountId,
    pub(crate) business: BusinessType,
    pub(crate) document: Document,
    pub(crate) fields: BTreeMap<String, String>,
    /// Test mode.
    pub(crate) mock: bool,
    pub(crate) actor: Actor,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Of the document.
    pub(crate) state: CheckState,
    /// Of the account.
    pub(crate) overall: CheckState,
}

/// A finding as a state, what was learnt, and when to ask again.
pub(super) fn weighed(
    finding: Finding,
    evidence: &mut Evidence,
    at: Timestamp,
) -> (CheckState, Option<String>, Option<Timestamp>) {
    match finding {
        Finding::Verified(found) => {
            evidence.found = found;
            (CheckState::Verified, None, None)
        }
        Finding::Failed(reason) => {
            evidence.reason = Some(reason);
            (CheckState::Failed, None, None)
        }
        Finding::Pending { reference, after } => {
            let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::from_hours(1));
            let poll_at = reference.is_some().then(|| at + after);
            (CheckState::Pending, reference, poll_at)
        }
    }
}

impl Desk {
    /// Verifies a document and writes down what came of it.
    pub(crate) async fn show(&self, shown: Shown) -> Result<Verdict, KycError> {
        let (subject, key) = self.subject(&shown.account).await?;
        let verifier = self.verifier_for(shown.mock);
        let showing = Showing {
            check: Ids::random().to_string(),
            document: shown.document,
            fields: shown.fields,
            mock: shown.mock,
        };
        let finding = verifier.show(&showing).await?;
        let at = clock::wall();
        let mut evidence = Evidence { fields: showing.fields, ..Evidence::default() };
        let (state, reference, poll_at) = weighed(finding, &mut evidence, at);
        let check = NewCheck {
            account: shown.account,
            subject: subject.id,
            session: None,
            document: shown.document,
            state,
            verifier: verifier.name(),
            mock: shown.mock,
            reference,
            poll_at,
            evidence_sealed: key.seal(&showing.check, &evidence),
            id: showing.check,
            at,
        };
        let put = PutCheck { check, business: shown.business, actor: shown.actor };
        let overall = self.writer.submit(put).await?.ok_or(KycError::Erased)?;
        self.wake();
        Ok(Verdict { state, overall })
    }

    /// What was shown of a document, for the operator; the audit remembers that it was read.
    pub(crate) async fn evidence(&self, check: &Check, reader: Actor) -> Result<Evidence, KycError> {
        let key = self.key(&check.subject).await?.ok_or(KycError::Erased)?;
        let sealed = check.evidence_sealed.as_ref().ok_or(KycError::Erased)?;
        let noted = NoteReading {
            check: check.id.clone(),
            account: check.account.clone(),
            actor: reader,
            at: clock::wall(),
        };
        self.writer.submit(noted).await?;
        Ok(key.unseal(&check.id, sealed)?)
    }

    /// Companies of a name.
    pub(crate) async fn companies(&self, name: &str, mock: bool) -> Result<Vec<Company>, KycError> {
        Ok(self.verifier_for(mock).companies(name).await?)
    }

    /// Begins a visit to DigiLocker for somebody else's page.
    pub(crate) async fn digilocker(
        &self,
        return_url: &str,
        state: &str,
        mock: bool,
    ) -> Result<DigiLocker, KycError> {
        Ok(self.verifier_for(mock).digilocker(return_url, state).await?)
    }

    /// Test mode: gives the pending document of a kind its verdict. Nothing when none is pending.
    pub(crate) async fn finalize(
        &self,
        account: &AccountId,
        document: Document,
        state: CheckState,
        actor: Actor,
    ) -> Result<bool, KycError> {
        let current = self.reader.kyc_current(account).await?;
        let pending = current
            .into_iter()
            .find(|check| check.document == document && check.mock && check.state == CheckState::Pending);
        match pending {
            Some(check) => self.decide(&check, state, Map::new(), None, actor).await,
            None => Ok(false),
        }
    }
}
