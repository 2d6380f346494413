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
    /// Answers the submitter: the kept output when the commit is durable, or what went wrong.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
    /// Accounts to lock.
    fn accounts(&self) -> Vec<&AccountId>;
    /// Whether it may share round trips.
    fn interleaving(&self) -> Interleaving;
}

/// A command and the way back to whoever submitted it.
pub(crate) struct Typed<C: Command> {
    command: C,
    output: Option<C::Output>,
    reply: Option<oneshot::Sender<Result<C::Output, StoreError>>>,
}

impl<C: Command> Typed<C> {
    pub(crate) fn new(command: C, reply: Option<oneshot::Sender<Result<C::Output, StoreError>>>) -> Self {
        Self { command, output: None, reply }
    }
}

impl<C: Command> Job for Typed<C> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.output = Some(self.command.run(tx).await?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { output, reply, .. } = *self;
        let outcome = committed.and_then(|()| output.ok_or(StoreError::Closed));
        match reply {
            // The submitter may have stopped waiting; its command stands all the same.
            Some(reply) => drop(reply.send(outcome)),
            None => {
                if let Err(error) = outcome {
                    tracing::error!(
                        %error,
                        command = std::any::type_name::<C>(),
                        "a command nobody waits for failed"
                    );
                }
            }
        }
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.command.accounts()
    }

    fn interleaving(&self) -> Interleaving {
        self.command.interleaving()
    }
}
