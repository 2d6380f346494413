//! Names to addresses, within [`DNS_TIMEOUT`]. `localhost` never leaves the machine (RFC 6761 §6.3);
//! the caller judges every address that comes back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long a name may take.
pub(super) const DNS_TIMEOUT: Duration = Duration::from_secs(1);

/// Names to addresses.
pub trait Resolve: Send + Sync + 'static {
    /// Every address of `name`; the error is for people.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>>;
}

/// The system's name servers and hosts file, with a cache that honours TTLs.
pub struct SystemResolver {
    /// `None` when the system has no usable configuration: then the C library is asked.
    dns: Option<TokioResolver>,
}

impl SystemResolver {
    /// Reads the system's resolver configuration.
    pub fn from_system() -> Self {
        Self::asking(&[])
    }

    /// Asks these name servers, or the system's when there are none.
    pub fn asking(servers: &[SocketAddr]) -> Self {
        let builder = match crate::names::asking(servers) {
            Some(config) => Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio(),
        };
        let dns = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = DNS_TIMEOUT / 2;
            options.attempts = 1;
            options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        });
        match dns {
            Ok(dns) => Self { dns: Some(dns) },
            Err(error) => {
                tracing::warn!(%error, "no usable resolver configuration; asking the C library for names");
                Self { dns: None }
            }
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(async move {
            match &self.dns {
                Some(dns) => {
                    let found = dns.lookup_ip(name).await.map_err(|error| error.to_string())?;
                    Ok(found.iter().collect())
                }
                None => {
                    let found =
                        tokio::net::lookup_host((name, 0)).await.map_err(|error| error.to_string())?;
                    Ok(found.map(|address| address.ip()).collect())
                }
            }
        })
    }
}

/// The addresses of a host as a URL names it: a literal stands for itself.
pub(super) async fn addresses(resolver: &dyn Resolve, host: &str) -> Result<Vec<IpAddr>, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(literal) = bare.parse::<IpAddr>() {
        return Ok(vec![literal]);
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
    match tokio::time::timeout(DNS_TIMEOUT, resolver.resolve(bare)).await {
        Ok(Ok(found)) if found.is_empty() => Err("it has no address".to_owned()),
        Ok(found) => found,
        Err(_) => Err("the name servers did not answer in time".to_owned()),
    }
}
