//! Everything of KYC that happens by itself: sessions end, letters leave, verdicts are asked for, what is kept too long is
//! forgotten. It takes no input, is idempotent, and begins anew after any crash: what is due stands in the database.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tandem_model::clock;
use tandem_model::kyc::CheckState;
use tandem_store::audit::Actor;
use tandem_store::kyc::{
    Check, CheckWork, ClaimLetter, DoubtLetters, DueLetter, ForgetAbandoned, LetterState, PostponePoll,
    SettleLetter,
};
use tokio_util::sync::CancellationToken;

use super::session::mint_link;
use super::verifier::Finding;
use super::{Desk, KycError, letter};
use crate::post::PostError;

/// Between two looks when nothing is due: other nodes' rows become due too.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Between two looks at least.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Rows taken at a time.
const AT_ONCE: u32 = 50;
/// What a process had claimed so long ago is nobody's: longer than any SMTP dialogue lasts.
const CLAIM_LIFE: SignedDuration = SignedDuration::from_mins(10);
/// Pauses after which a letter that was not taken is tried again; then it has failed.
const LETTER_PAUSES_S: [i64; 8] = [2, 10, 60, 300, 1_800, 7_200, 21_600, 43_200];
/// A verifier is asked for the same verdict at growing pauses up to this one.
const POLL_PAUSE_MAX_S: i64 = 3_600;
/// Delivered events are kept so long.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Between two rounds of forgetting.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Works until cancelled.
pub(crate) async fn run(desk: Desk, cancel: CancellationToken) {
    let mut forget_at = clock::wall();
    loop {
        let now = clock::wall();
        if let Err(error) = desk.work(now).await {
            tracing::warn!(%error, "KYC work that is due could not be done; trying again");
        }
        if now >= forget_at {
            forget_at = now + FORGET_EVERY;
            if let Err(error) = desk.forget(now).await {
                tracing::warn!(%error, "KYC data kept too long could not be forgotten; trying again");
            }
        }
        let pause = desk.until_due().await;
        tokio::select! {
            () = cancel.cancelled() => return,
            () = desk.nudge.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Desk {
    /// Everything that is due at `now`.
    pub(super) async fn work(&self, now: Timestamp) -> Result<(), KycError> {
        let doubtful = self.writer.submit(DoubtLetters { before: now - CLAIM_LIFE, at: now }).await?;
        if doubtful > 0 {
            tracing::warn!(
                letters = doubtful,
                "KYC letters are in doubt: a process ended while it sent them"
            );
        }
        for row in self.reader.kyc_sessions_overdue(now, AT_ONCE).await? {
            self.expire(row, now).await?;
        }
        for due in self.reader.kyc_letters_due(now, AT_ONCE).await? {
            if !self.send(due, now).await? {
                break;
            }
        }
        for check in self.reader.kyc_work(CheckWork::Poll(now), AT_ONCE).await? {
            self.ask(&check, now).await?;
        }
        Ok(())
    }

    async fn until_due(&self) -> Duration {
        let Ok(Some(due)) = self.reader.kyc_next_due().await else { return LOOK_EVERY };
        let until = Duration::try_from(due.duration_since(clock::wall())).unwrap_or_default();
        until.clamp(LOOK_AGAIN, LOOK_EVERY)
    }

    /// Sends one letter: reach the server, claim, send, write down. Only between the last two is there any doubt. False
    /// when the server cannot be reached: the others then wait for the next round.
    async fn send(&self, due: DueLetter, now: Timestamp) -> Result<bool, KycError> {
        let Some(post) = &self.post else { return Ok(false) };
        let Some(row) = self.reader.kyc_session_by_id(&due.session).await? else { return Ok(true) };
        let Some(opened) = self.open(row).await? else { return Ok(true) };
        let Some(to) = opened.private.customer_email.clone() else { return Ok(true) };
        let owner = self.reader.directory_account(opened.row.owner.as_str()).await?;
        let owner = owner.map_or_else(|| "Tandem".to_owned(), |owner| owner.name);
        let reached = post.is_open().await;
        let is_open = reached.is_ok();
        let token = mint_link();
        let link_hash = self.vault.token_hash(&token);
        let claim = ClaimLetter { letter: due.clone(), link_hash: link_hash.clone(), at: now };
        if !self.writer.submit(claim).await? {
            return Ok(true);
        }
        let sent = match reached {
            Ok(()) => {
                let link = self.widget_url(&token);
                post.send(letter::with_link(&due.step, &to, &owner, &link, opened.row.expires_at)).await
            }
            Err(error) => Err(error),
        };
        let state = match sent {
            Ok(()) => LetterState::Sent,
            Err(error @ (PostError::Refused(_) | PostError::Address | PostError::Url)) => {
                LetterState::Failed(error.to_string())
            }
            Err(PostError::InDoubt) => LetterState::InDoubt(PostError::InDoubt.to_string()),
            Err(error @ PostError::Again(_)) => match LETTER_PAUSES_S.get(due.attempts as usize) {
                Some(seconds) => {
                    LetterState::Again(now + SignedDuration::from_secs(*seconds), error.to_string())
                }
                None => LetterState::Failed(error.to_string()),
            },
        };
        if state != LetterState::Sent {
            tracing::warn!(session_id = %due.session, step = %due.step, ?state, "a KYC letter did not leave");
        }
        self.writer.submit(SettleLetter { letter: due, state, link_hash, at: now }).await?;
        Ok(is_open)
    }

    /// Asks the verifier for a verdict.
    async fn ask(&self, check: &Check, now: Timestamp) -> Result<(), KycError> {
        let Some(reference) = &check.reference else { return Ok(()) };
        let verifier = self.verifier_for(check.mock || check.verifier == "sandbox");
        let pause = (15_i64 << check.polls.min(10)).min(POLL_PAUSE_MAX_S);
        let postpone = PostponePoll {
            id: check.id.clone(),
            polls: check.polls,
            poll_at: now + SignedDuration::from_secs(pause),
        };
        if !self.writer.submit(postpone).await? || verifier.name() != check.verifier {
            return Ok(());
        }
        let (state, found, reason) = match verifier.ask(reference).await {
            Ok(Finding::Pending { .. }) => return Ok(()),
            Ok(Finding::Verified(found)) => (CheckState::Verified, found, None),
            Ok(Finding::Failed(reason)) => (CheckState::Failed, serde_json::Map::new(), Some(reason)),
            Err(error) => {
                tracing::warn!(%error, check_id = %check.id, "the verifier did not say what became of a document");
                return Ok(());
            }
        };
        match self.decide(check, state, found, reason, Actor::system()).await {
            Ok(_) | Err(KycError::Erased) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets what is kept longer than the configuration says.
    pub(super) async fn forget(&self, now: Timestamp) -> Result<(), KycError> {
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let kyc = &self.config.kyc;
        loop {
            let forget = ForgetAbandoned {
                abandoned_before: now - days(kyc.abandoned_retention_days),
                verified_before: now - days(kyc.retention_days),
                events_before: now - EVENTS_KEPT,
                limit: AT_ONCE,
            };
            let forgotten = self.writer.submit(forget).await?;
            if forgotten > 0 {
                tracing::info!(rows = forgotten, "KYC data past its retention is forgotten");
            }
            if forgotten < u64::from(AT_ONCE) {
                return Ok(());
            }
        }
    }
}
