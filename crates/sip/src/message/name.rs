//! Header names: the ones we know, their canonical spelling and their compact form.

macro_rules! header_names {
    ($($(#[$doc:meta])* $variant:ident = $canonical:literal $(/ $compact:literal)?;)*) => {
        /// The name of a header field (RFC 3261 §7.3.1: case does not matter).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HeaderName {
            $($(#[$doc])* $variant,)*
            /// A header that we do not interpret; its spelling stays with the header.
            Other,
        }

        const NAMES: &[(HeaderName, &str)] = &[$((HeaderName::$variant, $canonical),)*];
        const COMPACT: &[(HeaderName, u8)] = &[$($((HeaderName::$variant, $compact),)?)*];

        impl HeaderName {
            /// The canonical spelling; `X-Other` for [`HeaderName::Other`], which is never printed.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $canonical,)*
                    Self::Other => "X-Other",
                }
            }
        }
    };
}

// Ordered by how often they are met: recognition walks the table.
header_names! {
    /// RFC 3261 §20.42.
    Via = "Via" / b'v';
    /// RFC 3261 §20.20.
    From = "From" / b'f';
    /// RFC 3261 §20.39.
    To = "To" / b't';
    /// RFC 3261 §20.8.
    CallId = "Call-ID" / b'i';
    /// RFC 3261 §20.16.
    CSeq = "CSeq";
    /// RFC 3261 §20.10.
    Contact = "Contact" / b'm';
    /// RFC 3261 §20.22.
    MaxForwards = "Max-Forwards";
    /// RFC 3261 §20.14.
    ContentLength = "Content-Length" / b'l';
    /// RFC 3261 §20.15.
    ContentType = "Content-Type" / b'c';
    /// RFC 3261 §20.34.
    Route = "Route";
    /// RFC 3261 §20.30.
    RecordRoute = "Record-Route";
    /// RFC 3261 §20.5.
    Allow = "Allow";
    /// RFC 3261 §20.37.
    Supported = "Supported" / b'k';
    /// RFC 3261 §20.32.
    Require = "Require";
    /// RFC 3261 §20.29.
    ProxyRequire = "Proxy-Require";
    /// RFC 3261 §20.40.
    Unsupported = "Unsupported";
    /// RFC 3261 §20.41.
    UserAgent = "User-Agent";
    /// RFC 3261 §20.35.
    Server = "Server";
    /// RFC 3261 §20.7.
    Authorization = "Authorization";
    /// RFC 3261 §20.28.
    ProxyAuthorization = "Proxy-Authorization";
    /// RFC 3261 §20.44.
    WwwAuthenticate = "WWW-Authenticate";
    /// RFC 3261 §20.27.
    ProxyAuthenticate = "Proxy-Authenticate";
    /// RFC 3261 §20.19.
    Expires = "Expires";
    /// RFC 3261 §20.23.
    MinExpires = "Min-Expires";
    /// RFC 4028 §4.
    SessionExpires = "Session-Expires" / b'x';
    /// RFC 4028 §5.
    MinSe = "Min-SE";
    /// RFC 3326.
    Reason = "Reason";
    /// RFC 5806.
    Diversion = "Diversion";
    /// RFC 3325.
    PAssertedIdentity = "P-Asserted-Identity";
    /// draft-ietf-sip-privacy-04, still sent by many PBXes.
    RemotePartyId = "Remote-Party-ID";
    /// RFC 3323.
    Privacy = "Privacy";
    /// RFC 3327.
    Path = "Path";
    /// RFC 3608.
    ServiceRoute = "Service-Route";
    /// RFC 3261 §20.33.
    RetryAfter = "Retry-After";
    /// RFC 3262 §7.1.
    RSeq = "RSeq";
    /// RFC 3262 §7.2.
    RAck = "RAck";
    /// RFC 3261 §20.1.
    Accept = "Accept";
    /// RFC 3261 §20.12.
    ContentEncoding = "Content-Encoding" / b'e';
    /// RFC 3261 §20.11.
    ContentDisposition = "Content-Disposition";
    /// RFC 3515.
    ReferTo = "Refer-To" / b'r';
    /// RFC 6665.
    Event = "Event" / b'o';
    /// RFC 3261 §20.43.
    Warning = "Warning";
    /// RFC 3261 §20.17.
    Date = "Date";
    /// RFC 3261 §20.36.
    Subject = "Subject" / b's';
}

impl HeaderName {
    /// Recognise a name, compact forms included.
    pub fn parse(name: &str) -> Self {
        if let [letter] = name.as_bytes() {
            let letter = letter.to_ascii_lowercase();
            return COMPACT
                .iter()
                .find(|(_, compact)| *compact == letter)
                .map_or(Self::Other, |entry| entry.0);
        }
        NAMES
            .iter()
            .find(|(_, canonical)| canonical.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |entry| entry.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_compact_forms_do_not_matter() {
        for (text, name) in [
            ("VIA", HeaderName::Via),
            ("v", HeaderName::Via),
            ("K", HeaderName::Supported),
            ("call-id", HeaderName::CallId),
            ("x", HeaderName::SessionExpires),
            ("z", HeaderName::Other),
            ("X-VH-Foo", HeaderName::Other),
        ] {
            assert_eq!(HeaderName::parse(text), name, "{text}");
        }
    }
}
