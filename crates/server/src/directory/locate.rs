//! Who is this stranger: the engine's first question about every request (telephony rules, "Answering strangers").
//!
//! Order: a trunk's domain; a carrier's address; the registrar's host or one of our own addresses, where
//! an IP ACL that is unique on the platform names a trunk and anybody else must prove to be an endpoint; else silence.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secrecy::SecretString;
use tandem_model::ports::{
    self, DigestPolicy, DigestScope, EdgeFacts, Gateway, GatewayHealth, Located, TrunkAccess,
};

use super::Directory;
use super::entry::TrunkEntry;

/// Names and addresses this node answers to.
#[derive(Clone, Debug)]
pub(crate) struct OurHosts {
    /// Trunks live below this name.
    pub(crate) trunk_domain: String,
    /// Phones register here; the realm of their digest.
    pub(crate) registrar: String,
    /// Applications' URIs.
    pub(crate) application_domain: String,
    /// Addresses we listen on or advertise, and `localhost` in development.
    pub(crate) addresses: HashSet<String>,
}

impl OurHosts {
    fn label<'a>(&self, host: &'a str) -> Option<&'a str> {
        host.strip_suffix(self.trunk_domain.as_str())?.strip_suffix('.').filter(|label| !label.contains('.'))
    }

    fn is_own(&self, host: &str) -> bool {
        host == self.registrar
            || host == self.application_domain
            || host == self.trunk_domain
            || self.addresses.contains(host)
    }
}

impl Directory {
    /// The trunk a host name belongs to, if any; `Err` when it is below our domain but nobody's.
    fn trunk_of_host(&self, host: &str) -> Option<Result<Arc<TrunkEntry>, ()>> {
        let label = self.hosts.label(host)?;
        // The older documentation names a trunk by its whole id: its first eight digits are the label.
        let label = if label.len() == 36 || label.len() == 32 { &label[..8] } else { label };
        Some(self.read(|table| table.trunk_of_label(label)).ok_or(()))
    }

    /// How to prove to be this trunk's PBX. Whether the trunk is on, only those learn who have proven it.
    fn trunk_access(&self, trunk: &TrunkEntry, source: IpAddr) -> Located {
        let acl_match = trunk.acl.iter().any(|net| net.contains(&source));
        let digest = (!trunk.credentials.is_empty())
            .then(|| (format!("{}.{}", trunk.label, self.hosts.trunk_domain), trunk.digest));
        Located::Trunk(TrunkAccess { trunk: trunk.id, account: trunk.account.clone(), acl_match, digest })
    }

    fn is_known_source(&self, source: SocketAddr) -> bool {
        self.read(|table| table.carrier_of_source(source).is_some() || table.is_acl_source(source.ip()))
    }
}

impl ports::Directory for Directory {
    fn locate(&self, facts: &EdgeFacts<'_>) -> Located {
        // The Request-URI names the trunk; a PBX that sends to a proxy address names it in From or To.
        let hosts = if facts.method == "REGISTER" {
            [facts.to_host, facts.request_host, facts.from_host]
        } else {
            [facts.request_host, facts.to_host, facts.from_host]
        };
        for host in hosts {
            match self.trunk_of_host(host) {
                Some(Ok(trunk)) => return self.trunk_access(&trunk, facts.source.ip()),
                Some(Err(())) if self.is_known_source(facts.source) => return Located::UnknownDomain,
                Some(Err(())) => return Located::Stranger,
                None => {}
            }
        }
        if let Some(carrier) = self.read(|table| table.carrier_of_flow(facts.source, facts.transport)) {
            return Located::Carrier(carrier.id);
        }
        if !hosts.iter().any(|host| self.hosts.is_own(host)) {
            return Located::Stranger;
        }
        if facts.request_host != self.hosts.registrar
            && facts.method != "REGISTER"
            && let Some(trunk) = self.read(|table| table.only_trunk_of_source(facts.source.ip()))
        {
            return self.trunk_access(&trunk, facts.source.ip());
        }
        Located::Endpoint { realm: self.hosts.registrar.clone(), policy: DigestPolicy::Md5 }
    }

    fn knows(&self, source: SocketAddr, transport: ports::Transport) -> bool {
        self.read(|table| {
            table.is_acl_source(source.ip()) || table.carrier_of_flow(source, transport).is_some()
        })
    }

    fn password(&self, scope: &DigestScope, username: &str) -> Option<SecretString> {
        match scope {
            DigestScope::Trunk(trunk) => {
                let trunk = self.trunk(trunk)?;
                trunk
                    .credentials
                    .iter()
                    .find(|entry| entry.username == username)
                    .map(|entry| entry.password.clone())
            }
            DigestScope::Endpoints => self.endpoint(username).map(|endpoint| endpoint.password.clone()),
        }
    }

    fn gateways(&self) -> Vec<Gateway> {
        self.gateways_in_use()
    }

    fn mark_gateway(&self, gateway: &Gateway, health: GatewayHealth) {
        self.gateways.mark(gateway.address, health);
    }

    fn may_send_to(&self, address: SocketAddr) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        // Peers the operator configured or that proved themselves may be private; strangers' words may not point there.
        self.egress.permits(address.ip())
            || self.is_known_source(address)
            || self.hosts.addresses.contains(&address.ip().to_string())
            || self.read(|table| {
                table
                    .carriers()
                    .iter()
                    .any(|carrier| carrier.addresses.iter().any(|known| known.ip() == address.ip()))
            })
    }
}
