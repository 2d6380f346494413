//! A queued command with its type forgotten and its reply channel.

use futures_util::future::BoxFuture;
use tandem_model::AccountId;
use tokio::sync::oneshot;

use crate::command::{Command, Interleaving};
use crate::{StoreError, Tx};

/// What the batch runner knows of a command.
pub(crate) trait Job: Send {
    /// Runs it and keeps the output for [`Job::finish`]. May be called again after a rollback.
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Tells its audience, once: the kept output when the commit is durable, or what went wrong.
    fn finish(&mut self, committed: Result<(), StoreError>);
    /// Accounts to lock.
    fn accounts(&self) -> Vec<&AccountId>;
    /// Whether it may share round trips.
    fn interleaving(&self) -> Interleaving;
}

/// Who hears what became of a command.
pub(crate) enum Audience<T> {
    /// A submitter, waiting.
    Submitter(oneshot::Sender<Result<T, StoreError>>),
    /// Nobody but the log.
    Log,
}

/// A command and its audience, which is gone once it was told.
pub(crate) struct Typed<C: Command> {
    command: C,
    output: Option<C::Output>,
    audience: Option<Audience<C::Output>>,
}

impl<C: Command> Typed<C> {
    pub(crate) fn new(command: C, audience: Audience<C::Output>) -> Self {
        Self { command, output: None, audience: Some(audience) }
    }
}

impl<C: Command> Job for Typed<C> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.output = Some(self.command.run(tx).await?);
            Ok(())
        })
    }

    fn finish(&mut self, committed: Result<(), StoreError>) {
        let outcome = committed.and_then(|()| self.output.take().ok_or(StoreError::Closed));
        match (self.audience.take(), outcome) {
            // The submitter may have stopped waiting; its command stands all the same.
            (Some(Audience::Submitter(reply)), outcome) => drop(reply.send(outcome)),
            (Some(Audience::Log), Err(error)) => {
                let command = std::any::type_name::<C>();
                tracing::error!(%error, command, "a command nobody waits for failed");
            }
            (Some(Audience::Log), Ok(_)) | (None, _) => {}
        }
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.command.accounts()
    }

    fn interleaving(&self) -> Interleaving {
        self.command.interleaving()
    }
}
