//! Properties: what is printed reads back the same; nothing panics; answers keep their shape.

use proptest::prelude::*;

use super::*;

/// Lines as peers compose them, well and badly.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "a=rtpmap:[0-9]{1,3} [A-Za-z0-9-]{1,8}/(8000|48000|16000)(/[0-3])?",
        "a=fmtp:[0-9]{1,3} [ -~]{0,20}",
        "a=(ptime|maxptime):[0-9]{1,6}",
        "a=(sendrecv|sendonly|recvonly|inactive|rtcp-mux)",
        "a=rtcp:[0-9]{1,5}( IN IP4 192\\.0\\.2\\.[0-9]{1,3})?",
        "a=crypto:[ -~]{0,30}",
        "a=[ -~]{0,30}",
        "c=IN IP4 (192\\.0\\.2\\.[0-9]{1,3}|0\\.0\\.0\\.0|host\\.example|224\\.0\\.0\\.1/127)",
        "c=IN IP6 (2001:db8::[0-9a-f]{1,4}|::)",
        "m=(audio|video|image|text) [0-9]{1,5} (RTP/AVP|RTP/AVPF|RTP/SAVP|udptl)( [0-9]{1,3}){1,5}",
        "m=audio [0-9]{1,5} RTP/AVP 0 8 101",
        "[a-z]=[ -~\u{80}-\u{ff}]{0,20}",
    ]
}

fn any_description() -> impl Strategy<Value = String> {
    proptest::collection::vec(any_line(), 0..24).prop_map(|lines| {
        format!("v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{}\r\n", lines.join("\r\n"))
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = SessionDescription::parse(&bytes);
    }

    #[test]
    fn what_is_read_prints_and_reads_back_the_same(text in any_description()) {
        if let Ok(description) = SessionDescription::parse(text.as_bytes()) {
            let printed = description.to_string();
            prop_assert_eq!(SessionDescription::parse(printed.as_bytes()), Ok(description), "{}", printed);
        }
    }

    #[test]
    fn answers_keep_the_offers_sections_and_read_back(text in any_description()) {
        let Ok(offer) = SessionDescription::parse(text.as_bytes()) else { return Ok(()) };
        let local = LocalMedia::new("198.51.100.7".parse().unwrap(), 30_000);
        let session = LocalSession { id: 1, version: 1 };
        let capabilities = AudioCapabilities::g711();
        let Ok(agreed) = answer(&offer, &local, &capabilities, Preference::Ours, session) else { return Ok(()) };
        let kinds = |description: &SessionDescription| {
            description.media.iter().map(|media| (media.kind.clone(), media.transport.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(kinds(&offer), kinds(&agreed.local));
        prop_assert_eq!(agreed.local.media.iter().filter(|media| media.port != 0).count(), 1);
        prop_assert!((MIN_PTIME_MS..=MAX_PTIME_MS).contains(&agreed.ptime_ms));
        let printed = agreed.local.to_string();
        prop_assert_eq!(SessionDescription::parse(printed.as_bytes()), Ok(agreed.local.clone()));
        // We send only where the peer listens.
        prop_assert!(!agreed.direction_local.sends() || agreed.direction_remote.receives());
    }

    #[test]
    fn our_offer_is_always_answerable_by_ourselves(
        opus in any::<bool>(), g729 in any::<bool>(), ptime_ms in 0u16..200, event in any::<u8>(),
    ) {
        let codecs = [AudioCodec::Opus, AudioCodec::G729, AudioCodec::Pcmu];
        let chosen = codecs.into_iter().filter(|codec| match codec {
            AudioCodec::Opus => opus,
            AudioCodec::G729 => g729,
            _ => true,
        });
        let capabilities = AudioCapabilities::new(chosen).with_telephone_event(event);
        let local = LocalMedia { ptime_ms, ..LocalMedia::new("198.51.100.7".parse().unwrap(), 30_000) };
        let session = LocalSession { id: 1, version: 1 };
        let offer = make_offer(&local, &capabilities, session);
        let theirs = answer(&offer, &local, &capabilities, Preference::Offerer, session).unwrap();
        let ours = accept_answer(&offer, &theirs.local).unwrap();
        prop_assert_eq!(ours.codec, theirs.codec);
        prop_assert_eq!(ours.ptime_ms, theirs.ptime_ms);
        prop_assert!(ours.telephone_event.is_some());
    }
}
