//! How a hosted session begins and changes. What changes it reads it first; a change applies only to what was read.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tandem_model::kyc::SessionStatus;
use tandem_model::{AccountId, EventKind, Ids, clock, entropy};
use tandem_store::audit::Actor;
use tandem_store::kyc::{
    ChangeSession, CreateSession, DocumentChange, EraseSubject, Erased, NewLetter, NewSession, Session,
    SessionOutcome,
};

use super::events::event;
use super::private::Private;
use super::subject::SubjectKey;
use super::{Desk, KycError};

/// Times a change is tried anew before giving up.
const ATTEMPTS: usize = 4;
/// First letter of a session.
pub(super) const INVITATION: &str = "invitation";

/// A session and what it knows of people.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) row: Session,
    pub(crate) private: Private,
    pub(super) key: SubjectKey,
}

/// What is asked for.
pub(crate) struct NewRequest {
    pub(crate) owner: AccountId,
    pub(crate) account: AccountId,
    /// Mailed to `private.customer_email`; otherwise the link is handed out.
    pub(crate) by_mail: bool,
    pub(crate) private: Private,
    pub(crate) days: i64,
    /// As it was asked for.
    pub(crate) reminder_schedule: Value,
    /// Days before the end.
    pub(crate) reminders: Vec<i64>,
    pub(crate) request_key: Option<String>,
    pub(crate) actor: Actor,
}

/// What the asker is told.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) status: SessionStatus,
    pub(crate) expires_at: Timestamp,
    /// Only when it is not mailed.
    pub(crate) widget_url: Option<String>,
}

/// What goes with a change.
#[derive(Default)]
pub(super) struct With {
    pub(super) document: Option<DocumentChange>,
    pub(super) account_status: Option<&'static str>,
    pub(super) events: Vec<EventKind>,
    pub(super) audited: Option<(&'static str, Actor)>,
}

/// What became of a revocation.
pub(crate) enum Revocation {
    Revoked,
    /// It was over already.
    Over(SessionStatus),
}

/// A link's secret.
pub(super) fn mint_link() -> String {
    format!("kst_{}", hex::encode(entropy::bytes::<32>()))
}

impl Desk {
    /// The address that a link's secret opens.
    pub(super) fn widget_url(&self, token: &str) -> String {
        format!("{}/verify?token={token}", self.public_url)
    }

    /// A command that makes the session, and what its asker is told once it ran.
    pub(crate) async fn prepare(&self, request: NewRequest) -> Result<(CreateSession, Live), KycError> {
        let (subject, key) = self.subject(&request.account).await?;
        let at = clock::wall();
        let expires_at = at + SignedDuration::from_hours(24 * request.days);
        let id = Ids::random().to_string();
        let token = (!request.by_mail).then(mint_link);
        let status = if request.by_mail { SessionStatus::EmailSent } else { SessionStatus::LinkReady };
        let row = Session {
            id: id.clone(),
            owner: request.owner,
            account: request.account,
            subject: subject.id,
            flow: if request.by_mail { "email" } else { "redirect" }.to_owned(),
            status,
            kyc_type: None,
            private_sealed: None,
            reminder_schedule: request.reminder_schedule.to_string(),
            revision: 1,
            mailed_at: None,
            expires_at,
            first_opened_at: None,
            submitted_at: None,
            completed_at: None,
            created_at: at,
            updated_at: at,
        };
        let mut letters = Vec::new();
        if request.by_mail {
            letters.push(NewLetter { step: INVITATION.to_owned(), due_at: at });
            for days in request.reminders {
                let due_at = expires_at - SignedDuration::from_hours(24 * days);
                if due_at > at {
                    letters.push(NewLetter { step: format!("reminder:{days}"), due_at });
                }
            }
        }
        let opened = Opened { row, private: request.private, key };
        let row = &opened.row;
        let command = CreateSession {
            session: NewSession {
                id: id.clone(),
                owner: row.owner.clone(),
                account: row.account.clone(),
                subject: row.subject.clone(),
                flow: if request.by_mail { "email" } else { "redirect" },
                status,
                private_sealed: opened.key.seal(&id, &opened.private),
                reminder_schedule: row.reminder_schedule.clone(),
                request_key: request.request_key,
                expires_at,
                link_hash: token.as_deref().map(|token| self.vault.token_hash(token)),
            },
            letters,
            events: event(&opened, EventKind::KycInitiated, at).into_iter().collect(),
            actor: request.actor,
            at,
        };
        let widget_url = token.as_deref().map(|token| self.widget_url(token));
        Ok((command, Live { id, status, expires_at, widget_url }))
    }

    /// A session with what it knows; nothing once that was forgotten.
    pub(crate) async fn open(&self, row: Session) -> Result<Option<Opened>, KycError> {
        let Some(sealed) = &row.private_sealed else { return Ok(None) };
        let Some(key) = self.key(&row.subject).await? else { return Ok(None) };
        let private = key.unseal(&row.id, sealed)?;
        Ok(Some(Opened { row, private, key }))
    }

    /// The session that a link's secret opens.
    pub(super) async fn by_link(&self, token: &str) -> Result<Option<Opened>, KycError> {
        match self.reader.kyc_session_by_link(&self.vault.token_hash(token)).await? {
            Some(row) => self.open(row).await,
            None => Ok(None),
        }
    }

    /// Commits a session as it is now, if it is still the revision that was read.
    pub(super) async fn commit(
        &self,
        opened: &Opened,
        with: With,
        at: Timestamp,
    ) -> Result<SessionOutcome, KycError> {
        let row = &opened.row;
        let events = with.events.iter().filter_map(|kind| event(opened, *kind, at)).collect();
        let change = ChangeSession {
            id: row.id.clone(),
            revision: row.revision,
            account: row.account.clone(),
            status: row.status,
            kyc_type: row.kyc_type,
            private_sealed: opened.key.seal(&row.id, &opened.private),
            first_opened_at: row.first_opened_at,
            submitted_at: row.submitted_at,
            completed_at: row.completed_at,
            document: with.document,
            account_status: with.account_status,
            events,
            audited: with.audited,
            at,
        };
        Ok(self.writer.submit(change).await?)
    }

    /// Takes a session back.
    pub(crate) async fn revoke(
        &self,
        owner: &AccountId,
        id: &str,
        reason: Option<String>,
        actor: Actor,
    ) -> Result<Option<Revocation>, KycError> {
        for _ in 0..ATTEMPTS {
            let Some(row) = self.reader.kyc_session(owner, id).await? else { return Ok(None) };
            if row.status.is_final() {
                return Ok(Some(Revocation::Over(row.status)));
            }
            let Some(mut opened) = self.open(row).await? else { return Err(KycError::Erased) };
            opened.row.status = SessionStatus::Revoked;
            opened.private.reason.clone_from(&reason);
            let with = With {
                events: vec![EventKind::KycSessionRevoked],
                audited: Some(("revoke", actor.clone())),
                ..With::default()
            };
            if self.commit(&opened, with, clock::wall()).await? == SessionOutcome::Changed {
                return Ok(Some(Revocation::Revoked));
            }
        }
        Err(KycError::Busy)
    }

    /// Ends a session whose time ran out. Somebody else may have been quicker.
    pub(super) async fn expire(&self, row: Session, at: Timestamp) -> Result<(), KycError> {
        let Some(mut opened) = self.open(row).await? else { return Ok(()) };
        opened.row.status = SessionStatus::Expired;
        let with = With {
            events: vec![EventKind::KycSessionExpired],
            audited: Some(("expire", Actor::system())),
            ..With::default()
        };
        self.commit(&opened, with, at).await.map(drop)
    }

    /// Notes that its page was seen.
    pub(super) async fn seen(&self, mut opened: Opened) -> Result<(), KycError> {
        if opened.row.first_opened_at.is_some() || opened.row.status.is_final() {
            return Ok(());
        }
        let at = clock::wall();
        opened.row.first_opened_at = Some(at);
        if matches!(opened.row.status, SessionStatus::EmailSent | SessionStatus::LinkReady) {
            opened.row.status = SessionStatus::Opened;
        }
        // Stale: somebody else saw it in the same moment.
        self.commit(&opened, With::default(), at).await.map(drop)
    }

    /// Forgets everything personal of an account, for good: its key first.
    pub(crate) async fn erase(&self, account: &AccountId, actor: Actor) -> Result<Erased, KycError> {
        let erase = EraseSubject { account: account.clone(), actor, at: clock::wall() };
        let erased = self.writer.submit(erase).await?;
        if erased.subjects > 0
            && let Err(error) = self.scrubber.scrub().await
        {
            // Nothing left can be opened; the remains go with the next checkpoint.
            tracing::warn!(%error, account_id = %account, "erased, but its sealed remains are not overwritten yet");
        }
        Ok(erased)
    }
}
