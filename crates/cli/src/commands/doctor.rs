//! `tandem doctor`: what is installed, reachable and configured.

use serde_json::json;
use tandem_server::config::Overrides;

use super::{block_on, load};
use crate::arguments::{Arguments, Doctor};
use crate::output;

pub(crate) fn run(arguments: &Arguments, doctor: &Doctor) -> anyhow::Result<()> {
    let loaded = load(&doctor.configuration, Overrides::default())?;
    block_on(1, async {
        let findings = tandem_server::doctor::examine(&loaded).await;
        let well = findings.iter().all(|finding| !finding.is_fatal());
        let configuration: Vec<_> = loaded
            .provenance
            .iter()
            .map(|(key, value, origin)| json!({"key": key, "value": value, "origin": origin}))
            .collect();
        let value = json!({"ok": well, "findings": findings, "configuration": configuration});
        output::data(arguments, &value, |value| {
            format!(
                "{}\n\n{}",
                output::table(&value["findings"], &["state", "subject", "finding", "remedy"]),
                output::table(&value["configuration"], &["key", "value", "origin"])
            )
        });
        anyhow::ensure!(well, "something would not work; see the findings");
        Ok(())
    })
}
