//! [`SessionDescription`] to text, always in the same order, with CRLF.

use std::fmt::{self, Write as _};

use super::description::{Attribute, Connection, Direction, Host, Media, SessionDescription};

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(
            f,
            "v=0\r\no={} {} {} {}\r\ns={}\r\n",
            Clean(&origin.username),
            Clean(&origin.session_id),
            Clean(&origin.version),
            origin.host,
            Clean(&self.session_name),
        )?;
        print_connection(f, self.connection.as_ref())?;
        write!(f, "t={} {}\r\n", self.timing.0, self.timing.1)?;
        print_direction(f, self.direction)?;
        print_attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| print_media(f, media))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) if address.is_ipv6() => write!(f, "IN IP6 {address}"),
            Self::Ip(address) => write!(f, "IN IP4 {address}"),
            Self::Name { ipv6: true, name } => write!(f, "IN IP6 {}", Clean(name)),
            Self::Name { ipv6: false, name } => write!(f, "IN IP4 {}", Clean(name)),
        }
    }
}

/// Text without line breaks: a field filled from elsewhere must not become a line of its own.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            f.write_char(if character.is_ascii_control() && character != '\t' { ' ' } else { character })?;
        }
        Ok(())
    }
}

fn print_media(f: &mut fmt::Formatter<'_>, media: &Media) -> fmt::Result {
    write!(f, "m={} {} {}", Clean(media.kind.as_str()), media.port, Clean(media.transport.as_str()))?;
    for format in &media.formats {
        write!(f, " {}", Clean(format))?;
    }
    f.write_str("\r\n")?;
    print_connection(f, media.connection.as_ref())?;
    for map in &media.rtpmaps {
        write!(f, "a=rtpmap:{} {}/{}", map.payload_type, Clean(&map.encoding), map.clock_rate)?;
        if map.channels > 1 {
            write!(f, "/{}", map.channels)?;
        }
        f.write_str("\r\n")?;
    }
    for fmtp in &media.fmtps {
        write!(f, "a=fmtp:{} {}\r\n", fmtp.payload_type, Clean(&fmtp.parameters))?;
    }
    if let Some(ptime) = media.ptime_ms {
        write!(f, "a=ptime:{ptime}\r\n")?;
    }
    if let Some(maxptime) = media.maxptime_ms {
        write!(f, "a=maxptime:{maxptime}\r\n")?;
    }
    if let Some(rtcp) = &media.rtcp {
        write!(f, "a=rtcp:{}", rtcp.port)?;
        if let Some(address) = rtcp.address {
            write!(f, " {}", Host::Ip(address))?;
        }
        f.write_str("\r\n")?;
    }
    if media.rtcp_mux {
        f.write_str("a=rtcp-mux\r\n")?;
    }
    for crypto in &media.crypto {
        write!(f, "a=crypto:{}\r\n", Clean(crypto.as_str()))?;
    }
    print_attributes(f, &media.attributes)?;
    print_direction(f, media.direction)
}

fn print_connection(f: &mut fmt::Formatter<'_>, connection: Option<&Connection>) -> fmt::Result {
    match connection {
        Some(connection) => write!(f, "c={}\r\n", connection.host),
        None => Ok(()),
    }
}

fn print_direction(f: &mut fmt::Formatter<'_>, direction: Option<Direction>) -> fmt::Result {
    match direction {
        Some(direction) => write!(f, "a={}\r\n", direction.as_str()),
        None => Ok(()),
    }
}

fn print_attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    for attribute in attributes {
        write!(f, "a={}", Clean(&attribute.name))?;
        if let Some(value) = &attribute.value {
            write!(f, ":{}", Clean(value))?;
        }
        f.write_str("\r\n")?;
    }
    Ok(())
}
