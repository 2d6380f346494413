//! Any bytes as a session description: bounded, prints and reads back the same, and an answer to it keeps its shape.

use tandem_sip::sdp::{
    AudioCapabilities, LocalMedia, LocalSession, MAX_ATTRIBUTES_PER_SECTION, MAX_FORMATS_PER_MEDIA,
    MAX_MEDIA_LINES, MAX_PTIME_MS, MIN_PTIME_MS, Preference, SessionDescription, accept_answer, answer,
    make_offer,
};

/// Reads, prints, answers and accepts.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(description) = SessionDescription::parse(bytes) else { return };
    assert!(description.media.len() <= MAX_MEDIA_LINES);
    for media in &description.media {
        assert!(media.formats.len() <= MAX_FORMATS_PER_MEDIA);
        assert!(media.attributes.len() <= MAX_ATTRIBUTES_PER_SECTION);
        let _ = (description.direction_of(media), description.connection_of(media));
    }
    let printed = description.to_string();
    match SessionDescription::parse(printed.as_bytes()) {
        Ok(reread) => assert_eq!(reread, description, "{printed}"),
        // Canonical spelling may be longer than what came.
        Err(error) => assert!(printed.len() > bytes.len(), "{error}: {printed}"),
    }
    let local = LocalMedia::new(std::net::IpAddr::from([198, 51, 100, 7]), 30_000);
    let session = LocalSession { id: 1, version: 1 };
    let capabilities = AudioCapabilities::g711().with_telephone_event(101);
    for preference in [Preference::Ours, Preference::Offerer] {
        let Ok(agreed) = answer(&description, &local, &capabilities, preference, session) else { continue };
        assert_eq!(agreed.local.media.len(), description.media.len());
        assert_eq!(agreed.local.media.iter().filter(|media| media.port != 0).count(), 1);
        assert!((MIN_PTIME_MS..=MAX_PTIME_MS).contains(&agreed.ptime_ms));
        let printed = agreed.local.to_string();
        assert_eq!(SessionDescription::parse(printed.as_bytes()).as_ref(), Ok(&agreed.local), "{printed}");
        let _ = description.revision_since(&agreed.local);
    }
    let offer = make_offer(&local, &capabilities, session);
    let _ = accept_answer(&offer, &description);
}
