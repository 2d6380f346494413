//! The three questions of RFC 3263 to the DNS, and name servers that answer them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use tandem_model::clock;

/// One name server gets this long for one question, and is asked twice.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
/// A name that does not exist is asked for again after this, where the zone does not say.
const NEGATIVE_TTL: Duration = Duration::from_mins(1);

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Records, and how long they are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer<T> {
    pub(crate) records: Vec<T>,
    pub(crate) ttl: Duration,
}

impl<T> Answer<T> {
    /// There are none, says the zone.
    pub(crate) fn nothing(ttl: Duration) -> Self {
        Self { records: Vec::new(), ttl }
    }
}

/// Nobody answered, or with an error: nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered;

/// One SIP service of a domain (RFC 3263 §4.1), from a NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) order: u16,
    pub(crate) preference: u16,
    /// `SIP+D2U` and the like.
    pub(crate) service: String,
    /// Where its SRV records are.
    pub(crate) replacement: String,
}

/// A host that serves (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    /// Empty when the service is decidedly not available (a target of `.`).
    pub(crate) target: String,
}

/// Who answers. An answer without records is an answer: there are none.
pub(crate) trait Dns: Send + Sync + 'static {
    fn services<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Answer<Service>, Unanswered>>;
    fn servers<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Server>, Unanswered>>;
    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Answer<IpAddr>, Unanswered>>;
}

/// Name servers as a configuration lists them: addresses, with a port or without.
pub(crate) fn name_servers(list: &[String]) -> Result<Vec<SocketAddr>, String> {
    let read = |text: &String| {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let plain = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
        text.parse::<SocketAddr>().or(plain).map_err(|_| text.clone())
    };
    list.iter().map(read).collect()
}

/// The configuration of a resolver that asks these servers; `None` for the system's.
pub(crate) fn asking(servers: &[SocketAddr]) -> Option<ResolverConfig> {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| {
            let mut asked = NameServerConfig::udp_and_tcp(server.ip());
            asked.connections.iter_mut().for_each(|connection| connection.port = server.port());
            asked
        })
        .collect();
    (!servers.is_empty()).then(|| ResolverConfig::from_parts(None, Vec::new(), servers))
}

/// The configured name servers, or the system's, with its hosts file; `localhost` never leaves the machine (RFC 6761 §6.3).
pub(crate) struct SystemDns {
    resolver: TokioResolver,
}

impl SystemDns {
    /// Asks these servers, or the system's when there are none.
    pub(crate) fn asking(servers: &[SocketAddr]) -> Result<Self, String> {
        let builder = match asking(servers) {
            Some(config) => Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio(),
        };
        let mut builder = builder.map_err(|error| error.to_string())?;
        let options = builder.options_mut();
        options.timeout = PATIENCE;
        options.attempts = ATTEMPTS;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { resolver })
    }

    /// Records of a whole name: search domains are for hosts only.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Answer<RData>, Unanswered> {
        let found = self.resolver.lookup(format!("{name}."), kind).await;
        answer(found, |found| {
            let records = found.answers().iter().filter(|record| record.record_type() == kind);
            (records.map(|record| record.data.clone()).collect(), found.valid_until())
        })
    }
}

fn answer<L, T>(
    found: Result<L, NetError>,
    read: impl FnOnce(&L) -> (Vec<T>, Instant),
) -> Result<Answer<T>, Unanswered> {
    match found {
        Ok(found) => {
            let (records, until) = read(&found);
            Ok(Answer { records, ttl: until.saturating_duration_since(clock::monotonic()) })
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            let ttl = none.negative_ttl.map(u64::from).map(Duration::from_secs);
            Ok(Answer::nothing(ttl.unwrap_or(NEGATIVE_TTL)))
        }
        Err(error) => {
            tracing::debug!(%error, "a name server did not answer");
            Err(Unanswered)
        }
    }
}

impl Dns for SystemDns {
    fn services<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Answer<Service>, Unanswered>> {
        Box::pin(async move {
            let found = self.records(domain, RecordType::NAPTR).await?;
            let records = found.records.into_iter().filter_map(|data| {
                let RData::NAPTR(record) = data else { return None };
                // Only "s" leads to SRV records; a regular expression has no place here (RFC 3263 §4.1).
                if !record.flags.eq_ignore_ascii_case(b"s") || !record.regexp.is_empty() {
                    return None;
                }
                Some(Service {
                    order: record.order,
                    preference: record.preference,
                    service: String::from_utf8_lossy(&record.services).to_ascii_uppercase(),
                    replacement: host_of(&record.replacement.to_ascii()),
                })
            });
            Ok(Answer { records: records.collect(), ttl: found.ttl })
        })
    }

    fn servers<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Answer<Server>, Unanswered>> {
        Box::pin(async move {
            let found = self.records(name, RecordType::SRV).await?;
            let records = found.records.into_iter().filter_map(|data| {
                let RData::SRV(record) = data else { return None };
                let target = host_of(&record.target.to_ascii());
                Some(Server { priority: record.priority, weight: record.weight, port: record.port, target })
            });
            Ok(Answer { records: records.collect(), ttl: found.ttl })
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Answer<IpAddr>, Unanswered>> {
        Box::pin(async move {
            if host == "localhost" || host.ends_with(".localhost") {
                let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                return Ok(Answer { records: loopback, ttl: NEGATIVE_TTL });
            }
            let found = self.resolver.lookup_ip(host).await;
            answer(found, |found| (found.iter().map(|ip| ip.to_canonical()).collect(), found.valid_until()))
        })
    }
}

/// A name as we keep it.
fn host_of(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_addresses_with_a_port_or_without() {
        let read = |text: &str| name_servers(&[text.to_owned()]).map(|list| list[0].to_string());
        assert_eq!(read("192.0.2.53"), Ok("192.0.2.53:53".to_owned()));
        assert_eq!(read("192.0.2.53:5353"), Ok("192.0.2.53:5353".to_owned()));
        assert_eq!(read("2001:db8::53"), Ok("[2001:db8::53]:53".to_owned()));
        assert_eq!(read("[2001:db8::53]:5353"), Ok("[2001:db8::53]:5353".to_owned()));
        assert_eq!(read("dns.example"), Err("dns.example".to_owned()));
    }
}
