//! What a finding changes: of the session it belongs to, or of the account when it belongs to none.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tandem_model::kyc::{CheckState, Document, KycType, SessionStatus};
use tandem_model::{EventKind, clock};
use tandem_store::audit::Actor;
use tandem_store::kyc::{Check, DecideCheck, DocumentChange, SessionOutcome};

use super::mode::{business_type, is_complete};
use super::private::Evidence;
use super::session::{Opened, With};
use super::{Desk, KycError, mask};

/// Times a document may be shown in a session before it fails for good.
pub(super) const SHOWN_MAX: u32 = 5;
/// Times a verdict is tried anew before giving up.
const ATTEMPTS: usize = 4;

/// Whether the person who showed a document can still correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// They look at the page.
    AtThePage,
    /// They left; a refusal is final.
    Gone,
}

/// What a session of a type must show.
pub(super) const fn required(kyc_type: KycType) -> [Document; 2] {
    match kyc_type {
        KycType::Individual => [Document::Pan, Document::Aadhaar],
        KycType::Company => [Document::Pan, Document::Gst],
    }
}

/// Takes a finding into a session: what is verified, where it stands, what is told. `others` are the states of its
/// other documents.
pub(super) fn take(
    opened: &mut Opened,
    others: &[(Document, CheckState)],
    document: Document,
    state: CheckState,
    evidence: &Evidence,
    presence: Presence,
    at: Timestamp,
) -> With {
    let mut with = With::default();
    let Opened { row, private, .. } = opened;
    let kyc_type = row.kyc_type.unwrap_or(KycType::Individual);
    row.status = SessionStatus::InProgress;
    match state {
        CheckState::Pending => private.reason = None,
        CheckState::Verified => {
            private.reason = None;
            learn(&mut private.verified_data, kyc_type, document, evidence);
        }
        CheckState::Failed => {
            private.reason.clone_from(&evidence.reason);
            let shown = private.attempts.entry(document).or_default();
            *shown += 1;
            if presence == Presence::Gone || *shown >= SHOWN_MAX {
                private.pan = None;
                row.status = SessionStatus::Failed;
                with.events.push(EventKind::KycFailed);
                with.account_status = Some("failed");
                return with;
            }
        }
    }
    let state_of = |wanted: Document| {
        if wanted == document {
            return Some(state);
        }
        others.iter().find(|(other, _)| *other == wanted).map(|(_, state)| *state)
    };
    let states = required(kyc_type).map(state_of);
    let all =
        |good: &[CheckState]| states.iter().all(|state| state.is_some_and(|state| good.contains(&state)));
    if row.submitted_at.is_none() && all(&[CheckState::Verified, CheckState::Pending]) {
        row.submitted_at = Some(at);
        with.events.push(EventKind::KycSubmitted);
    }
    if all(&[CheckState::Verified]) {
        row.status = SessionStatus::Completed;
        row.completed_at = Some(at);
        private.pan = None;
        private.visit = None;
        with.events.push(EventKind::KycCompleted);
        with.account_status = Some("completed");
    }
    with
}

/// The contract's words for what a verified document says (REST reference §5.6).
fn learn(data: &mut Map<String, Value>, kyc_type: KycType, document: Document, evidence: &Evidence) {
    let shown = |name: &str| evidence.fields.get(name).cloned();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            data.insert(name.to_owned(), value);
        }
    };
    match document {
        Document::Pan => {
            put("pan_type", Some(json!(kyc_type)));
            put("pan_number", shown("pan").map(|pan| mask::number(&pan).into()));
            put("pan_name", shown("name").or_else(|| shown("entity_name")).map(Value::from));
        }
        Document::Gst => put("gstin", shown("gstin").map(|gstin| mask::number(&gstin).into())),
        Document::Cin => put("cin", shown("cin").map(Value::from)),
        Document::Aadhaar => {
            put("masked_aadhaar", shown("last_four").and_then(|four| mask::aadhaar(&four)).map(Value::from));
            put("aadhaar_name", shown("name").map(Value::from));
        }
    }
    data.extend(evidence.found.clone());
    let steps = data.entry("completed_steps").or_insert_with(|| json!([]));
    if let Value::Array(steps) = steps
        && !steps.iter().any(|step| step == document.as_str())
    {
        steps.push(document.as_str().into());
    }
}

impl Desk {
    /// Gives a pending document its verdict, on behalf of the verifier or the operator. False when it has one.
    pub(crate) async fn decide(
        &self,
        check: &Check,
        state: CheckState,
        found: Map<String, Value>,
        reason: Option<String>,
        actor: Actor,
    ) -> Result<bool, KycError> {
        let Some(key) = self.key(&check.subject).await? else { return Err(KycError::Erased) };
        let sealed = check.evidence_sealed.as_ref().ok_or(KycError::Erased)?;
        let mut evidence: Evidence = key.unseal(&check.id, sealed)?;
        evidence.found = found;
        evidence.reason = reason;
        let evidence_sealed = key.seal(&check.id, &evidence);
        let Some(session) = &check.session else {
            let account = self.reader.directory_account(check.account.as_str()).await?;
            let business = business_type(account.as_ref().map_or("{}", |account| account.profile.as_str()));
            let decide = DecideCheck {
                id: check.id.clone(),
                account: check.account.clone(),
                state,
                evidence_sealed,
                business,
                actor,
                at: clock::wall(),
            };
            return Ok(self.writer.submit(decide).await?);
        };
        for _ in 0..ATTEMPTS {
            let current = self.reader.kyc_check(&check.id).await?;
            if current.is_none_or(|current| current.state != CheckState::Pending) {
                return Ok(false);
            }
            let row = self.reader.kyc_session_by_id(session).await?.ok_or(KycError::Erased)?;
            if row.status.is_final() {
                return Ok(false);
            }
            let mut opened = self.open(row).await?.ok_or(KycError::Erased)?;
            let others = self.states(session).await?;
            let at = clock::wall();
            let mut with = take(&mut opened, &others, check.document, state, &evidence, Presence::Gone, at);
            with.account_status = self.not_undone(&opened, with.account_status).await?;
            with.document = Some(DocumentChange::Decide {
                check: check.id.clone(),
                state,
                evidence_sealed: evidence_sealed.clone(),
            });
            let action = if state == CheckState::Verified { "approve" } else { "reject" };
            with.audited = Some((action, actor.clone()));
            if self.commit(&opened, with, at).await? == SessionOutcome::Changed {
                return Ok(true);
            }
        }
        Err(KycError::Busy)
    }

    /// The documents of a session, the newest of each kind.
    pub(super) async fn states(&self, session: &str) -> Result<Vec<(Document, CheckState)>, KycError> {
        let checks = self.reader.kyc_session_checks(session).await?;
        Ok(checks.iter().map(|check| (check.document, check.state)).collect())
    }

    /// A later session that fails does not undo an earlier one that was completed.
    pub(super) async fn not_undone(
        &self,
        opened: &Opened,
        status: Option<&'static str>,
    ) -> Result<Option<&'static str>, KycError> {
        if status != Some("failed") {
            return Ok(status);
        }
        let account = self.reader.directory_account(opened.row.account.as_str()).await?;
        Ok(status.filter(|_| !account.is_some_and(|account| is_complete(&account.kyc_status))))
    }
}
