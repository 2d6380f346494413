//! A tenant's URL, parsed once. The fragment never leaves; user info becomes a Basic header and
//! is not part of the URL any more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

use super::EgressError;

/// Longest URL accepted, before parameters are merged into its query.
pub(super) const URL_BYTES_MAX: usize = 8 * 1024;

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct EgressTarget {
    url: Url,
    authorization: Option<HeaderValue>,
}

impl EgressTarget {
    /// Parses an absolute `http` or `https` URL as a customer wrote it.
    pub fn parse(text: &str) -> Result<Self, EgressError> {
        if text.len() > URL_BYTES_MAX {
            return Err(EgressError::Url(format!("longer than {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(text).map_err(|error| EgressError::Url(error.to_string()))?;
        Self::from_url(url)
    }

    /// Resolves `reference` (a Location) against this target.
    pub(super) fn join(&self, reference: &str) -> Result<Self, EgressError> {
        if reference.len() > URL_BYTES_MAX {
            return Err(EgressError::Url(format!("longer than {URL_BYTES_MAX} bytes")));
        }
        let url = self.url.join(reference).map_err(|error| EgressError::Url(error.to_string()))?;
        let mut next = Self::from_url(url)?;
        if next.authorization.is_none() && next.url.origin() == self.url.origin() {
            next.authorization = self.authorization.clone();
        }
        Ok(next)
    }

    /// Appends parameters to the query, behind what the URL has already.
    #[must_use]
    pub fn with_query(mut self, params: &[(impl AsRef<str>, String)]) -> Self {
        if !params.is_empty() {
            self.url.query_pairs_mut().extend_pairs(params);
        }
        self
    }

    /// The URL that is requested: no fragment, no user info.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The host, for people and metrics.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// `Authorization: Basic` from the URL's user info.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    fn from_url(mut url: Url) -> Result<Self, EgressError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Url(format!("{} is neither http nor https", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EgressError::Url("it has no host".to_owned()));
        }
        if url.port() == Some(0) {
            return Err(EgressError::Url("port 0 cannot be reached".to_owned()));
        }
        let authorization = basic(&url)?;
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        if cleared.is_err() {
            return Err(EgressError::Url("its user info is not usable".to_owned()));
        }
        url.set_fragment(None);
        Ok(Self { url, authorization })
    }
}

fn basic(url: &Url) -> Result<Option<HeaderValue>, EgressError> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    let mut pair = percent_decode_str(user).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(password.unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| EgressError::Url("its user info is not usable".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragment_and_the_user_info_do_not_travel() {
        let target = EgressTarget::parse("https://u%40x:p%3Aw@Host.example:8443/a?b=1#rc=2").unwrap();
        assert_eq!(target.url().as_str(), "https://host.example:8443/a?b=1");
        let header = target.authorization().unwrap().to_str().unwrap();
        assert_eq!(header, format!("Basic {}", STANDARD.encode("u@x:p:w")));
        assert!(target.authorization().unwrap().is_sensitive());
    }

    #[test]
    fn parameters_follow_the_urls_own_query() {
        let params = [("From".to_owned(), "a b&c".to_owned()), ("To".to_owned(), "+1".to_owned())];
        let target = EgressTarget::parse("http://h.example/x?keep=%20as%2Dis").unwrap().with_query(&params);
        assert_eq!(target.url().as_str(), "http://h.example/x?keep=%20as%2Dis&From=a+b%26c&To=%2B1");
        let bare = EgressTarget::parse("http://h.example/x").unwrap().with_query(&params[..0]);
        assert_eq!(bare.url().as_str(), "http://h.example/x");
    }

    #[test]
    fn credentials_follow_a_redirect_only_to_the_same_origin() {
        let target = EgressTarget::parse("https://u:p@a.example/x").unwrap();
        assert!(target.join("/y").unwrap().authorization().is_some());
        assert!(target.join("https://b.example/y").unwrap().authorization().is_none());
        assert!(target.join("http://a.example/y").unwrap().authorization().is_none());
        assert!(target.join("gopher://a.example/").is_err());
    }

    #[test]
    fn urls_that_cannot_be_requested_are_refused() {
        for text in [
            "",
            "/relative",
            "ftp://h/",
            "file:///etc/passwd",
            "http://",
            "http://h:0/",
            "mailto:a@b",
            "http://[::1",
        ] {
            assert!(matches!(EgressTarget::parse(text), Err(EgressError::Url(_))), "{text}");
        }
        let base = "http://h.example/";
        let longest = format!("{base}{}", "a".repeat(URL_BYTES_MAX - base.len()));
        assert!(EgressTarget::parse(&longest).is_ok());
        assert!(EgressTarget::parse(&format!("{longest}a")).is_err());
    }
}
