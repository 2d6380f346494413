//! RFC 3263 §4.1 and §4.2: which transport, which port, which addresses.
//!
//! A literal or an explicit port skips the service records; a named transport skips NAPTR. Where a step brings nothing the
//! next one is tried: SRV for each transport, then A and AAAA at the default port. A step that nobody answers is passed
//! over too (there are name servers that do not know NAPTR), but what is found then is not certain.

use std::time::Duration;

use futures_util::future::join_all;
use tandem_model::ports::Transport;

use super::Means;
use super::dns::{Answer, Dns, Server, Service, Unanswered};
use super::order::Step;
use super::place::{Host, Place, default_port};

/// Transports in the order in which they are looked for where the domain does not say (UDP first: everybody has it).
const BY_USE: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];
/// Hosts of one service that are looked up; a zone with more names the best ones first.
const MOST_SERVERS: usize = 16;
/// Addresses of one host.
const MOST_ADDRESSES: usize = 16;

/// What a look-up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Empty when the place has no address.
    pub(super) steps: Vec<Step>,
    /// How long it is good.
    pub(super) ttl: Duration,
    /// Every question had its answer.
    pub(super) certain: bool,
}

struct Walk<'a> {
    dns: &'a dyn Dns,
    means: Means,
    ttl: Duration,
    certain: bool,
}

/// Looks a named place up. Literals have no need of it.
pub(super) async fn locate(dns: &dyn Dns, means: Means, place: &Place) -> Located {
    let mut walk = Walk { dns, means, ttl: Duration::MAX, certain: true };
    let steps = walk.steps(place).await;
    Located { steps, ttl: walk.ttl, certain: walk.certain }
}

impl Walk<'_> {
    async fn steps(&mut self, place: &Place) -> Vec<Step> {
        let Host::Name(name) = place.host() else { return Vec::new() };
        match (place.transport(), place.port()) {
            (transport, Some(port)) => self.host(name, port, transport.unwrap_or(Transport::Udp)).await,
            (Some(transport), None) => match self.servers(&service_name(transport, name), transport).await {
                Some(steps) => steps,
                None => self.host(name, default_port(transport), transport).await,
            },
            (None, None) => self.by_service(name).await,
        }
    }

    /// Neither port nor transport is named: the domain says what it prefers.
    async fn by_service(&mut self, name: &str) -> Vec<Step> {
        let found = self.dns.services(name).await;
        let mut services: Vec<(Service, Transport)> = self
            .take(found)
            .into_iter()
            .filter_map(|service| {
                let transport = transport_of(&service.service)?;
                self.has(transport).then_some((service, transport))
            })
            .collect();
        services.sort_by_key(|(service, _)| (service.order, service.preference));
        for (service, transport) in services {
            if let Some(steps) = self.servers(&service.replacement, transport).await {
                return steps;
            }
        }
        for transport in BY_USE.into_iter().filter(|transport| self.has(*transport)).collect::<Vec<_>>() {
            if let Some(steps) = self.servers(&service_name(transport, name), transport).await {
                return steps;
            }
        }
        self.host(name, default_port(Transport::Udp), Transport::Udp).await
    }

    /// The hosts of a service; `None` when there is no such service. One that is decidedly not available is an empty list.
    async fn servers(&mut self, name: &str, transport: Transport) -> Option<Vec<Step>> {
        let found = self.dns.servers(name).await;
        let mut servers = self.take(found);
        if servers.is_empty() {
            return None;
        }
        servers.sort_by_key(|server: &Server| (server.priority, u16::MAX - server.weight));
        servers.retain(|server| !server.target.is_empty() && server.port != 0);
        servers.truncate(MOST_SERVERS);
        let dns = self.dns;
        let found = join_all(servers.iter().map(|server| dns.addresses(&server.target))).await;
        let mut steps = Vec::new();
        for (server, found) in servers.iter().zip(found) {
            let addresses = self.take_addresses(found, server.port);
            if !addresses.is_empty() {
                let Server { priority, weight, .. } = *server;
                steps.push(Step { priority, weight, transport, addresses });
            }
        }
        Some(steps)
    }

    async fn host(&mut self, name: &str, port: u16, transport: Transport) -> Vec<Step> {
        let found = self.dns.addresses(name).await;
        let addresses = self.take_addresses(found, port);
        if addresses.is_empty() {
            Vec::new()
        } else {
            vec![Step { priority: 0, weight: 0, transport, addresses }]
        }
    }

    fn take_addresses(
        &mut self,
        found: Result<Answer<std::net::IpAddr>, Unanswered>,
        port: u16,
    ) -> Vec<std::net::SocketAddr> {
        let Means { v4, v6, .. } = self.means;
        let found = self.take(found).into_iter().filter(|ip| if ip.is_ipv4() { v4 } else { v6 });
        found.take(MOST_ADDRESSES).map(|ip| (ip, port).into()).collect()
    }

    fn take<T>(&mut self, found: Result<Answer<T>, Unanswered>) -> Vec<T> {
        match found {
            Ok(answer) => {
                self.ttl = self.ttl.min(answer.ttl);
                answer.records
            }
            Err(Unanswered) => {
                self.certain = false;
                Vec::new()
            }
        }
    }

    fn has(&self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => true,
            Transport::Tcp => self.means.tcp,
            Transport::Tls => self.means.tls,
        }
    }
}

/// Where a transport's SRV records are (RFC 3263 §4.1).
fn service_name(transport: Transport, name: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    format!("{service}.{name}")
}

fn transport_of(service: &str) -> Option<Transport> {
    match service {
        "SIP+D2U" => Some(Transport::Udp),
        "SIP+D2T" => Some(Transport::Tcp),
        "SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
