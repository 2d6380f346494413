//! One file a command.

pub(crate) mod admin;
mod caller;
pub(crate) mod demo;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod migrate;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod xml;

use std::future::Future;

use tandem_server::config::{self, Loaded, Overrides};

use crate::arguments::Configuration;

/// Reads the configuration with what the command line adds.
fn load(configuration: &Configuration, more: Overrides) -> anyhow::Result<Loaded> {
    let overrides = more
        .set_some("node.data", configuration.data.as_ref().map(|path| path.display().to_string()))
        .set_some("database.url", configuration.database.clone());
    Ok(config::load(configuration.config.as_deref(), &overrides)?)
}

/// Runs a future on a runtime of its own.
fn block_on<T>(threads: usize, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()?.block_on(work)
}
