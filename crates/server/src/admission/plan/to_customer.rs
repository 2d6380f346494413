//! Calls to a customer's own PBX: the origination URIs of its trunk, by priority, equal ones drawn by weight.

use tandem_model::ports::{Failover, InviteFacts, NextHop, Route, RouteDestination};
use tandem_model::{CountryRules, Dialled, E164, normalise};

use super::super::next_hop;
use super::super::routing::{self, Presented};
use super::{Planner, draw};
use crate::directory::{TrunkEntry, UriEntry};

/// Most origination URIs tried for one call.
const MOST_URIS: usize = 4;

/// An origination URI in the draw.
struct Candidate {
    /// A gateway whose probes fail comes after all others.
    down: bool,
    priority: i64,
    drawn: f64,
    host: String,
    hops: Vec<NextHop>,
}

impl Planner<'_> {
    pub(super) fn to_customer(
        &self,
        trunk: &TrunkEntry,
        called: E164,
        invite: &InviteFacts,
        visits: u8,
    ) -> Vec<Route> {
        let home = CountryRules::of(&self.config.billing.country);
        let written = trunk.format.write(called, home);
        // A caller the network gave no number of is passed on as it said.
        let caller = match normalise(&invite.from_user, home) {
            Ok(Dialled::Number(number)) => trunk.format.write(number, home),
            Ok(Dialled::Short(_)) | Err(_) => invite.from_user.clone(),
        };
        let mut headers = routing::headers(&Presented {
            number: None,
            name: String::new(),
            diversion: None,
            private: false,
            headers: invite.custom_headers.clone(),
            hops: self.hops.sign(visits),
        });
        if let Some(diversion) = &invite.diversion {
            headers.push(("Diversion".to_owned(), format!("<sip:{diversion}@{}>", invite.domain)));
        }
        self.candidates(trunk)
            .into_iter()
            .take(MOST_URIS)
            .map(|Candidate { host, hops, .. }| Route {
                carrier: None,
                destination: RouteDestination::Hosts(hops),
                request_uri: format!("sip:{written}@{host}"),
                from_uri: format!("sip:{caller}@{}", self.directory.hosts().trunk_domain),
                display_name: invite.display_name.clone().unwrap_or_default(),
                to_uri: format!("sip:{written}@{host}"),
                asserted_identity: None,
                headers: headers.clone(),
                credentials: None,
                nat: false,
                failover: Failover::of_origination(),
            })
            .collect()
    }

    fn candidates(&self, trunk: &TrunkEntry) -> Vec<Candidate> {
        let mut found: Vec<_> = trunk.uris.iter().filter_map(|uri| self.candidate(trunk, uri)).collect();
        if trunk.uris.is_empty() {
            found.extend(trunk.inbound_destination.iter().map(|place| Candidate {
                down: false,
                priority: 0,
                drawn: 0.0,
                host: place.to_string(),
                hops: next_hop::to_customer(self.directory, place),
            }));
        }
        found.retain(|candidate| !candidate.hops.is_empty());
        found.sort_by(|a, b| {
            (a.down, a.priority).cmp(&(b.down, b.priority)).then(b.drawn.total_cmp(&a.drawn))
        });
        found
    }

    /// `primary_uri_uuid` comes before all others, `fallback_uri_uuid` after them.
    fn candidate(&self, trunk: &TrunkEntry, uri: &UriEntry) -> Option<Candidate> {
        let named = |name: &Option<String>| name.as_deref() == Some(uri.id.as_str());
        let priority = match (named(&trunk.primary_uri), named(&trunk.fallback_uri)) {
            (true, _) => i64::MIN,
            (false, true) => i64::MAX,
            (false, false) => uri.priority,
        };
        let place = uri.place.as_ref()?;
        let hops = next_hop::to_customer(self.directory, place);
        Some(Candidate {
            down: next_hop::are_down(self.directory, &hops),
            priority,
            drawn: routing::weighted(uri.weight, draw()),
            host: place.to_string(),
            hops,
        })
    }
}
