//! `tandem migrate`: the schema of this version.

use serde_json::json;
use tandem_server::config::Overrides;

use super::{block_on, load};
use crate::arguments::{Arguments, Migrate};
use crate::output;

pub(crate) fn run(arguments: &Arguments, migrate: &Migrate) -> anyhow::Result<()> {
    let loaded = load(&migrate.configuration, Overrides::default())?;
    block_on(1, async {
        let applied = tandem_server::migrate(&loaded.config).await?;
        output::data(arguments, &json!({"ok": true, "applied": applied}), |_| {
            if applied.is_empty() {
                "The schema is up to date.".to_owned()
            } else {
                format!("Applied: {}", applied.join(", "))
            }
        });
        Ok(())
    })
}
