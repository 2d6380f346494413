//! What is known of a demo call from the outside: its record by REST, what the application was told.

use http::Method;
use serde::Serialize;

use super::app::{ExampleApp, Received};
use super::seed::{Doors, Seeds};

/// One claim about a call and whether it holds.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) claim: String,
    pub(super) holds: bool,
}

impl Finding {
    pub(super) fn of(claim: &str, holds: bool) -> Self {
        Self { claim: claim.to_owned(), holds }
    }
}

/// One call of the demo.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CallFacts {
    pub(super) name: &'static str,
    pub(super) call_uuid: String,
    pub(super) billsec: u64,
    pub(super) cost_micros: i64,
    /// How many records the call has.
    pub(super) cdr: usize,
    /// What the application was told, documents not counted.
    pub(super) webhooks: Vec<Received>,
    #[serde(skip)]
    pub(super) findings: Vec<Finding>,
}

impl CallFacts {
    /// Gathers them.
    pub(super) async fn of(
        name: &'static str,
        call: String,
        doors: &Doors<'_>,
        seeds: &Seeds,
        app: &ExampleApp,
    ) -> anyhow::Result<Self> {
        let path = format!("/Account/{}/cdr?per_page=100", seeds.account_id);
        let list = doors.api(Method::GET, &path, &seeds.account_id, &seeds.account_token, None).await?;
        let rows = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let own: Vec<_> = rows.iter().filter(|row| row["uuid"] == call.as_str()).collect();
        let row = own.first().copied().cloned().unwrap_or_default();
        let about = app.about(&call);
        let signed = !about.is_empty() && about.iter().all(|received| received.signature_valid);
        let webhooks = about.into_iter().filter(|received| received.is_webhook).collect();
        let cost = row["total_cost"].as_f64().unwrap_or(-1.0);
        let mut facts = Self {
            name,
            billsec: row["billsec"].as_u64().unwrap_or_default(),
            // A price below 2^53 micro-units comes back from JSON exactly.
            cost_micros: (cost * 1_000_000.0).round() as i64,
            cdr: own.len(),
            webhooks,
            call_uuid: call,
            findings: Vec::new(),
        };
        facts.claim(&format!("{name}: exactly one record"), facts.cdr == 1);
        facts.claim(&format!("{name}: every request to the application was signed rightly"), signed);
        Ok(facts)
    }

    /// Adds a claim.
    pub(super) fn claim(&mut self, claim: &str, holds: bool) {
        self.findings.push(Finding::of(claim, holds));
    }
}
