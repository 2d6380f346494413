//! What a SIP URI, a trunk's destination or a carrier's row names: a host, perhaps a port, perhaps a transport.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tandem_model::ports::Transport;

/// The port of SIP over UDP and TCP where nothing says otherwise (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;
/// The port of SIP over TLS.
const SIPS_PORT: u16 = 5061;

/// Where the port of a transport is when nobody names one.
pub(super) fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => SIP_PORT,
        Transport::Tls => SIPS_PORT,
    }
}

/// A host that calls may go to, as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    host: Host,
    port: Option<u16>,
    transport: Option<Transport>,
}

/// A name is kept in lower case and without its last dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Literal(IpAddr),
    Name(String),
}

impl Place {
    /// An operator's words: a host, with or without brackets when it is a literal; port 0 for none.
    pub(crate) fn new(host: &str, port: u16, transport: Option<Transport>) -> Self {
        Self { host: Host::read(host), port: Some(port).filter(|port| *port != 0), transport }
    }

    /// `host[:port]` as it stands in a URI.
    pub(crate) fn of_host_port(text: &str, transport: Option<Transport>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (literal, rest) = rest.split_once(']')?;
                (literal, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(str::parse::<u16>).transpose().ok()?;
        if host.is_empty() || port == Some(0) {
            return None;
        }
        Some(Self { host: Host::read(host), port, transport })
    }

    /// `sip:[user@]host[:port][;parameters]`.
    pub(crate) fn of_uri(uri: &str) -> Option<Self> {
        let rest = uri.trim().strip_prefix("sip:")?;
        let rest = rest.split(['?', '>']).next()?;
        let (address, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let transport = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("transport").then(|| value.trim().to_ascii_lowercase())
        });
        let transport = match transport.as_deref() {
            None => None,
            Some("udp") => Some(Transport::Udp),
            Some("tcp") => Some(Transport::Tcp),
            Some("tls") => Some(Transport::Tls),
            Some(_) => return None,
        };
        Self::of_host_port(address.rsplit('@').next()?, transport)
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The transport that is named.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The host as a TLS peer's certificate has to name it (RFC 5922 §4): before any look-up, without brackets.
    pub(crate) fn name(&self) -> String {
        match &self.host {
            Host::Literal(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// The address of a literal, which needs no look-up; the default port is its transport's.
    pub(crate) fn literal(&self) -> Option<(SocketAddr, Transport)> {
        let Host::Literal(ip) = self.host else { return None };
        let transport = self.transport.unwrap_or(Transport::Udp);
        Some((SocketAddr::new(ip, self.port.unwrap_or_else(|| default_port(transport))), transport))
    }
}

impl Host {
    fn read(text: &str) -> Self {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Literal(ip.to_canonical()),
            Err(_) => Self::Name(bare.trim_end_matches('.').to_ascii_lowercase()),
        }
    }
}

/// As it is written into a URI: `host[:port]`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Literal(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
            Host::Literal(ip) => write!(f, "{ip}")?,
            Host::Name(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_host_port_and_transport_and_is_printed_as_it_was() {
        let read = |uri: &str| {
            let place = Place::of_uri(uri)?;
            Some((place.to_string(), place.transport(), place.name()))
        };
        assert_eq!(
            read("sip:a@PBX.example.:5071;lr;Transport=TCP"),
            Some(("pbx.example:5071".into(), Some(Transport::Tcp), "pbx.example".into()))
        );
        assert_eq!(read("sip:pbx.example"), Some(("pbx.example".into(), None, "pbx.example".into())));
        assert_eq!(
            read("sip:[2001:db8::1]:5061;transport=tls"),
            Some(("[2001:db8::1]:5061".into(), Some(Transport::Tls), "2001:db8::1".into()))
        );
        for bad in ["pbx.example", "sip:", "sip:a@:5060", "sip:a@b:0", "sip:a@b:x", "sip:a@b;transport=sctp"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_literal_needs_no_look_up_and_has_the_port_of_its_transport() {
        let literal = |uri: &str| {
            Place::of_uri(uri).unwrap().literal().map(|(at, transport)| (at.to_string(), transport))
        };
        assert_eq!(literal("sip:192.0.2.1"), Some(("192.0.2.1:5060".into(), Transport::Udp)));
        assert_eq!(literal("sip:192.0.2.1;transport=tls"), Some(("192.0.2.1:5061".into(), Transport::Tls)));
        assert_eq!(
            literal("sip:[2001:db8::1];transport=tcp"),
            Some(("[2001:db8::1]:5060".into(), Transport::Tcp))
        );
        assert_eq!(
            literal("sip:192.0.2.1:5080;transport=tls"),
            Some(("192.0.2.1:5080".into(), Transport::Tls))
        );
        assert_eq!(literal("sip:pbx.example"), None);
        assert_eq!(Place::new("[2001:db8::1]", 0, None).literal().unwrap().0.port(), SIP_PORT);
    }
}
