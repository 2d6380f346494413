//! Any text as a URI and as the value of an address header.

use tandem_sip::message::{Address, MAX_URI_BYTES, NameAddr, OwnedUri, Scheme, Uri};

/// Reads the text both ways and prints what was accepted.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(address) = NameAddr::parse(text) {
        let _ = (address.display_name(), address.tag(), address.parameters.iter().count());
        if let Ok(uri) = address.uri() {
            look_at(uri);
        }
    }
    let Ok(uri) = Uri::parse(text) else { return };
    look_at(uri);
    let owned = OwnedUri::parse(text).expect("the owned twin accepts the same");
    assert_eq!(owned.view(), uri);
    let printed = Address::new(owned).with_display_name("Some \"one\"").expect("plain").to_string();
    let reread = NameAddr::parse(&printed).unwrap_or_else(|| panic!("{printed}"));
    assert_eq!((reread.uri_text, reread.display_name().as_deref()), (text, Some("Some \"one\"")));
}

fn look_at(uri: Uri<'_>) {
    assert!(uri.as_str().len() <= MAX_URI_BYTES);
    assert!(!uri.as_str().bytes().any(|byte| byte <= b' '));
    match uri.scheme() {
        Scheme::Tel => assert!(uri.user().is_some()),
        Scheme::Sip | Scheme::Sips => assert!(!uri.host().is_empty()),
    }
    assert_ne!(uri.port(), Some(0));
    let _ =
        (uri.user(), uri.ip(), uri.parameters(), uri.parameter("lr"), uri.headers(), uri.is_loose_router());
    assert!(uri.has_headers() || uri.headers().is_empty());
}
