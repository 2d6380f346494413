//! URLs as documents write them: trimmed, relative ones resolved against the document. A fragment stays: it tunes
//! the fetcher's retries, which never sends it.

use tandem_model::HttpMethod;
use url::{ParseError, Url};

/// A URL as written, and how to request it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As written; empty means the document's own.
    pub(crate) url: String,
    /// `None` when the document asked for something other than GET or POST.
    pub(crate) method: Option<HttpMethod>,
}

/// The absolute `http`/`https` URL meant by `written` in a document from `base`, or `None`.
///
/// An absolute URL keeps its spelling, because signatures are over the text the customer wrote.
pub(crate) fn resolve(base: &str, written: &str) -> Option<String> {
    let written = written.trim();
    let absolute = match Url::parse(written) {
        Ok(url) if written.contains(|c: char| c.is_ascii_whitespace() || c.is_control()) => url.to_string(),
        Ok(_) => written.to_owned(),
        Err(ParseError::RelativeUrlWithoutBase) => Url::parse(base).ok()?.join(written).ok()?.to_string(),
        Err(_) => return None,
    };
    let scheme = absolute.split_once("://")?.0;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    web.then_some(absolute)
}

/// Whether `written` can be an `http`/`https` URL, or one relative to such a document.
pub(crate) fn could_be_web(written: &str) -> bool {
    resolve("https://document.invalid/", written).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://app.example:8443/ivr/start.xml?lang=hi";

    #[test]
    fn relative_urls_resolve_against_the_document() {
        let resolved = |written| resolve(BASE, written).unwrap();
        assert_eq!(resolved("menu"), "https://app.example:8443/ivr/menu");
        assert_eq!(resolved("/menu?x=1"), "https://app.example:8443/menu?x=1");
        assert_eq!(resolved("../up"), "https://app.example:8443/up");
        assert_eq!(resolved("//other.example/x"), "https://other.example/x");
    }

    #[test]
    fn an_empty_url_is_the_document_itself() {
        assert_eq!(resolve(BASE, " ").as_deref(), Some(BASE));
    }

    #[test]
    fn absolute_urls_keep_their_spelling_but_lose_white_space() {
        assert_eq!(
            resolve(BASE, "\n https://User:p@Other.example/%7Ex?q=a b#rt=500 \n").as_deref(),
            Some("https://User:p@other.example/%7Ex?q=a%20b#rt=500"),
            "a space inside cannot be kept"
        );
        assert_eq!(
            resolve(BASE, "HTTPS://Other.example/%7Ex#rc=2").as_deref(),
            Some("HTTPS://Other.example/%7Ex#rc=2")
        );
    }

    #[test]
    fn anything_but_http_is_refused() {
        for written in
            ["ftp://x.example/a", "localhost:3000/a", "mailto:a@b", "javascript:1", "http://", "data:,x"]
        {
            assert_eq!(resolve(BASE, written), None, "{written}");
        }
        assert_eq!(resolve("", "menu"), None);
    }
}
