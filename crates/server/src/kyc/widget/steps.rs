//! What a form does: one document shown, the session changed by what came of it.

use std::collections::BTreeMap;

use tandem_model::kyc::{Document, Pan};
use tandem_model::{Ids, clock};
use tandem_store::kyc::{DocumentChange, NewCheck};

use super::stage::Stage;
use crate::kyc::checks::weighed;
use crate::kyc::private::{Evidence, Visit};
use crate::kyc::session::With;
use crate::kyc::verdict::{Presence, take};
use crate::kyc::verifier::Showing;
use crate::kyc::{Desk, KycError, Opened};

impl Desk {
    /// The step a session is at.
    pub(super) async fn stage(&self, opened: &Opened) -> Result<Stage, KycError> {
        let states = self.states(&opened.row.id).await?;
        Ok(Stage::of(opened, &states, self.verifier.visits_digilocker(), clock::wall()))
    }

    /// Notes the PAN, which says whom the session is about; or forgets it again.
    pub(super) async fn note_pan(&self, mut opened: Opened, pan: Option<Pan>) -> Result<(), KycError> {
        opened.row.status = tandem_model::kyc::SessionStatus::InProgress;
        opened.row.kyc_type = pan.as_ref().map(Pan::kind);
        opened.private.pan = pan.map(|pan| pan.reveal().to_owned());
        opened.private.reason = None;
        // Stale: another tab was quicker, and this one shows what is next.
        self.commit(&opened, With::default(), clock::wall()).await.map(drop)
    }

    /// Begins a visit to DigiLocker.
    pub(super) async fn begin_visit(&self, mut opened: Opened) -> Result<(), KycError> {
        let state = Ids::random().simple().to_string();
        let back = format!("{}/verify/digilocker/return", self.public_url);
        let visit = self.verifier.digilocker(&back, &state).await?;
        opened.private.reason = None;
        opened.private.visit =
            Some(Visit { auth_url: visit.auth_url, access_request_id: visit.access_request_id, state });
        self.commit(&opened, With::default(), clock::wall()).await.map(drop)
    }

    /// Ends a visit without a document.
    pub(super) async fn end_visit(&self, mut opened: Opened) -> Result<(), KycError> {
        opened.private.visit = None;
        self.commit(&opened, With::default(), clock::wall()).await.map(drop)
    }

    /// What was shown with the PAN of a session.
    pub(super) async fn shown_with_pan(&self, opened: &Opened) -> Result<BTreeMap<String, String>, KycError> {
        let checks = self.reader.kyc_session_checks(&opened.row.id).await?;
        let pan = checks.into_iter().find(|check| check.document == Document::Pan);
        let Some((id, sealed)) = pan.and_then(|check| Some((check.id, check.evidence_sealed?))) else {
            return Ok(BTreeMap::new());
        };
        let evidence: Evidence = opened.key.unseal(&id, &sealed)?;
        Ok(evidence.fields)
    }

    /// Shows a document in a session.
    pub(super) async fn show_in(
        &self,
        mut opened: Opened,
        document: Document,
        fields: BTreeMap<String, String>,
    ) -> Result<(), KycError> {
        let showing = Showing { check: Ids::random().to_string(), document, fields, mock: false };
        let finding = self.verifier.show(&showing).await?;
        let at = clock::wall();
        let mut evidence = Evidence { fields: showing.fields, ..Evidence::default() };
        let (state, reference, poll_at) = weighed(finding, &mut evidence, at);
        let others = self.states(&opened.row.id).await?;
        opened.private.visit = None;
        let mut with = take(&mut opened, &others, document, state, &evidence, Presence::AtThePage, at);
        with.account_status = self.not_undone(&opened, with.account_status).await?;
        with.document = Some(DocumentChange::Put(NewCheck {
            account: opened.row.account.clone(),
            subject: opened.row.subject.clone(),
            session: Some(opened.row.id.clone()),
            document,
            state,
            verifier: self.verifier.name(),
            mock: false,
            reference,
            poll_at,
            evidence_sealed: opened.key.seal(&showing.check, &evidence),
            id: showing.check,
            at,
        }));
        // Stale: the same form was sent twice, and the first one counts.
        self.commit(&opened, with, at).await?;
        self.wake();
        Ok(())
    }
}
