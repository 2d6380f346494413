//! Offer and answer: codecs, hold, late offers, refreshes, refusals.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const SESSION: LocalSession = LocalSession { id: 9, version: 4 };

fn local() -> LocalMedia {
    LocalMedia::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 30_000)
}

/// A peer's description with this connection address and these lines after `t=`.
fn peer_at(address: &str, lines: &str) -> SessionDescription {
    let text = format!("v=0\no=p 5 5 IN IP4 192.0.2.1\ns=-\nc=IN IP4 {address}\nt=0 0\n{lines}\n");
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn peer(lines: &str) -> SessionDescription {
    peer_at("192.0.2.1", lines)
}

fn respond(offer: &SessionDescription) -> Result<Negotiated, NegotiationError> {
    answer(offer, &local(), &AudioCapabilities::g711(), Preference::Offerer, SESSION)
}

fn our_offer() -> SessionDescription {
    make_offer(&local(), &AudioCapabilities::g711(), SESSION)
}

#[test]
fn our_offer_prints_as_agreed_with_carriers() {
    assert_eq!(
        our_offer().to_string(),
        "v=0\r\no=tandem 9 4 IN IP4 198.51.100.7\r\ns=tandem\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn offer_with_opus_and_g729_names_events_at_both_clocks() {
    let capabilities = AudioCapabilities::new([AudioCodec::Opus, AudioCodec::G729]);
    let text = make_offer(&local(), &capabilities, SESSION).to_string();
    for line in [
        "m=audio 30000 RTP/AVP 111 18 101 110\r\n",
        "a=rtpmap:111 opus/48000/2\r\n",
        "a=rtpmap:110 telephone-event/48000\r\n",
        "a=fmtp:18 annexb=no\r\n",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
}

#[test]
fn preference_decides_between_offerer_and_us() {
    let offer = peer("m=audio 4000 RTP/AVP 0 8");
    assert_eq!(respond(&offer).unwrap().codec, AudioCodec::Pcmu);
    let following_b = AudioCapabilities::g711().preferring(AudioCodec::Pcma);
    let agreed = answer(&offer, &local(), &following_b, Preference::Ours, SESSION).unwrap();
    assert_eq!(agreed.codec, AudioCodec::Pcma);
    assert_eq!(agreed.local.media[0].formats, ["8"]);
}

#[test]
fn preferring_an_unknown_codec_adds_nothing() {
    let capabilities = AudioCapabilities::g711().preferring(AudioCodec::Opus);
    assert_eq!(capabilities.codecs(), [AudioCodec::Pcmu, AudioCodec::Pcma]);
}

#[test]
fn pcma_only_offer_meets_pcmu_only_leg_with_a_named_refusal() {
    let pcmu = AudioCapabilities::new([AudioCodec::Pcmu]);
    let refusal = answer(&peer("m=audio 4000 RTP/AVP 8 13"), &local(), &pcmu, Preference::Offerer, SESSION)
        .unwrap_err();
    assert_eq!(refusal, NegotiationError::NoCommonCodec { offered: vec!["PCMA".into(), "13".into()] });
    assert_eq!(refusal.warning().0, 305);
}

#[test]
fn rtpmap_overrides_the_static_table_and_checks_the_clock() {
    let offer = peer("m=audio 4000 RTP/AVP 0 8\na=rtpmap:0 PCMU/16000");
    assert_eq!(respond(&offer).unwrap().codec, AudioCodec::Pcma);
}

#[test]
fn audio_with_port_zero_or_no_audio_is_refused() {
    assert_eq!(respond(&peer("m=audio 0 RTP/AVP 0")), Err(NegotiationError::NoAudio));
    assert_eq!(respond(&peer("m=video 4000 RTP/AVP 97")), Err(NegotiationError::NoAudio));
    let no_sections = peer("");
    assert_eq!(respond(&no_sections), Err(NegotiationError::NoAudio));
}

#[test]
fn addresses_that_are_names_or_groups_or_missing_are_refused() {
    for address in ["media.example.com", "224.2.36.42/127"] {
        let offer = peer_at(address, "m=audio 4000 RTP/AVP 0");
        assert_eq!(respond(&offer), Err(NegotiationError::UnusableAddress), "{address}");
    }
    let text = "v=0\no=p 5 5 IN IP4 192.0.2.1\ns=-\nm=audio 4000 RTP/AVP 0\n";
    let offer = SessionDescription::parse(text.as_bytes()).unwrap();
    assert_eq!(respond(&offer), Err(NegotiationError::UnusableAddress));
}

#[test]
fn media_level_connection_wins() {
    let agreed = respond(&peer("m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.55")).unwrap();
    assert_eq!(agreed.remote_rtp, "192.0.2.55:4000".parse().unwrap());
}

#[test]
fn hold_in_each_of_its_three_forms_is_answered_locally() {
    let cases = [
        ("192.0.2.1", "sendonly", HoldState::SendOnly, Direction::RecvOnly, Direction::SendOnly),
        ("192.0.2.1", "inactive", HoldState::Inactive, Direction::Inactive, Direction::Inactive),
        ("0.0.0.0", "sendrecv", HoldState::ZeroAddress, Direction::RecvOnly, Direction::SendOnly),
        ("0.0.0.0", "inactive", HoldState::ZeroAddress, Direction::Inactive, Direction::Inactive),
        ("192.0.2.1", "recvonly", HoldState::Active, Direction::SendOnly, Direction::RecvOnly),
        ("192.0.2.1", "sendrecv", HoldState::Active, Direction::SendRecv, Direction::SendRecv),
    ];
    for (address, attribute, hold, ours, theirs) in cases {
        let offer = peer_at(address, &format!("m=audio 4000 RTP/AVP 0\na={attribute}"));
        let agreed = respond(&offer).unwrap();
        assert_eq!(
            (agreed.hold, agreed.direction_local, agreed.direction_remote),
            (hold, ours, theirs),
            "{address} {attribute}"
        );
        assert_eq!(agreed.local.media[0].direction, Some(ours));
    }
}

#[test]
fn session_level_direction_holds_for_the_audio() {
    let offer = peer("a=sendonly\nm=audio 4000 RTP/AVP 0");
    assert_eq!(respond(&offer).unwrap().hold, HoldState::SendOnly);
}

#[test]
fn our_own_hold_is_not_taken_for_theirs() {
    for (ours, theirs) in [(Direction::SendOnly, "recvonly"), (Direction::Inactive, "inactive")] {
        let holding = LocalMedia { direction: ours, ..local() };
        let offer = make_offer(&holding, &AudioCapabilities::g711(), SESSION);
        let agreed = accept_answer(&offer, &peer(&format!("m=audio 4000 RTP/AVP 0\na={theirs}"))).unwrap();
        assert_eq!((agreed.hold, agreed.direction_local), (HoldState::Active, ours));
    }
    // Both hold: they answer our sendonly with inactive.
    let holding = LocalMedia { direction: Direction::SendOnly, ..local() };
    let offer = make_offer(&holding, &AudioCapabilities::g711(), SESSION);
    let agreed = accept_answer(&offer, &peer("m=audio 4000 RTP/AVP 0\na=inactive")).unwrap();
    assert_eq!((agreed.hold, agreed.direction_local), (HoldState::Inactive, Direction::Inactive));
}

#[test]
fn answer_maps_payload_types_per_direction() {
    let offer = our_offer();
    let agreed = accept_answer(
        &offer,
        &peer("m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000\na=ptime:40"),
    )
    .unwrap();
    assert_eq!(
        (agreed.codec, agreed.send_payload_type, agreed.receive_payload_type),
        (AudioCodec::Pcma, 8, 8)
    );
    assert_eq!(
        agreed.telephone_event,
        Some(TelephoneEvent { send_payload_type: 96, receive_payload_type: 101, clock_rate: 8_000 })
    );
    assert_eq!(agreed.ptime_ms, 40);
    assert_eq!(agreed.local, offer);
}

#[test]
fn answer_with_several_codecs_lets_the_peer_switch_among_them() {
    let agreed = accept_answer(&our_offer(), &peer("m=audio 4000 RTP/AVP 8 0")).unwrap();
    assert_eq!(agreed.codec, AudioCodec::Pcma);
    assert_eq!(agreed.receive_codecs, [(8, AudioCodec::Pcma), (0, AudioCodec::Pcmu)]);
}

#[test]
fn answer_without_rtpmap_for_our_dynamic_type_means_our_codec() {
    let offer = make_offer(&local(), &AudioCapabilities::new([AudioCodec::Opus]), SESSION);
    let agreed = accept_answer(&offer, &peer("m=audio 4000 RTP/AVP 111")).unwrap();
    assert_eq!(agreed.codec, AudioCodec::Opus);
}

#[test]
fn answers_that_refuse_or_miss_the_audio_are_named() {
    let offer = our_offer();
    assert_eq!(accept_answer(&offer, &peer("m=audio 0 RTP/AVP 0")), Err(NegotiationError::AudioRefused));
    assert_eq!(accept_answer(&offer, &peer("")), Err(NegotiationError::AudioRefused));
    assert!(matches!(
        accept_answer(&offer, &peer("m=audio 4000 RTP/AVP 18")),
        Err(NegotiationError::NoCommonCodec { .. })
    ));
    assert!(matches!(
        accept_answer(&offer, &peer("m=audio 4000 RTP/SAVP 0")),
        Err(NegotiationError::UnsupportedTransport { .. })
    ));
}

#[test]
fn late_offer_our_200_meets_the_answer_in_ack() {
    let ours = make_offer(&local(), &AudioCapabilities::g711(), SESSION);
    let theirs = answer(
        &SessionDescription::parse(ours.to_string().as_bytes()).unwrap(),
        &LocalMedia::new("192.0.2.8".parse().unwrap(), 5_000),
        &AudioCapabilities::g711(),
        Preference::Offerer,
        LocalSession { id: 1, version: 1 },
    )
    .unwrap();
    let agreed = accept_answer(&ours, &theirs.local).unwrap();
    assert_eq!(agreed.remote_rtp, "192.0.2.8:5000".parse().unwrap());
    assert_eq!(theirs.remote_rtp, "198.51.100.7:30000".parse().unwrap());
    assert_eq!((agreed.codec, theirs.codec), (AudioCodec::Pcmu, AudioCodec::Pcmu));
    assert_eq!(agreed.telephone_event, theirs.telephone_event);
}

#[test]
fn ptime_is_bounded_by_maxptime_and_by_ten_to_sixty() {
    let cases = [
        ("a=ptime:10", 10),
        ("a=ptime:60", 60),
        ("a=ptime:61", 60),
        ("a=ptime:200", 60),
        ("a=ptime:5", 10),
        ("a=ptime:0", 20),
        ("a=ptime:25", 20),
        ("a=ptime:40\na=maxptime:30", 30),
        ("a=maxptime:150", 20),
    ];
    for (lines, expected) in cases {
        let agreed = respond(&peer(&format!("m=audio 4000 RTP/AVP 0\n{lines}"))).unwrap();
        assert_eq!(agreed.ptime_ms, expected, "{lines}");
        assert_eq!(agreed.local.media[0].ptime_ms, Some(expected));
    }
}

#[test]
fn rtcp_shares_the_port_only_if_both_say_so() {
    let offer = peer("m=audio 4000 RTP/AVP 0\na=rtcp-mux\na=rtcp:4009");
    let separate = respond(&offer).unwrap();
    assert_eq!((separate.rtcp_mux, separate.remote_rtcp.port()), (false, 4009));
    assert!(!separate.local.to_string().contains("rtcp-mux"));

    let willing = LocalMedia { rtcp_mux: RtcpMux::Accept, ..local() };
    let shared = answer(&offer, &willing, &AudioCapabilities::g711(), Preference::Offerer, SESSION).unwrap();
    assert_eq!((shared.rtcp_mux, shared.remote_rtcp), (true, shared.remote_rtp));

    let offering = LocalMedia { rtcp_mux: RtcpMux::Offer, ..local() };
    let ours = make_offer(&offering, &AudioCapabilities::g711(), SESSION);
    assert!(accept_answer(&ours, &peer("m=audio 4000 RTP/AVP 0\na=rtcp-mux")).unwrap().rtcp_mux);
    assert!(!accept_answer(&ours, &peer("m=audio 4000 RTP/AVP 0")).unwrap().rtcp_mux);
}

#[test]
fn g729_passes_through_with_annex_b_off() {
    let capabilities = AudioCapabilities::new([AudioCodec::G729]);
    let offer = peer("m=audio 4000 RTP/AVP 18\na=rtpmap:18 G729A/8000\na=fmtp:18 annexb=yes");
    let agreed = answer(&offer, &local(), &capabilities, Preference::Offerer, SESSION).unwrap();
    assert_eq!(agreed.codec_parameters.as_deref(), Some("annexb=yes"));
    assert!(agreed.local.to_string().contains("a=fmtp:18 annexb=no\r\n"));
    assert!(!agreed.codec.is_g711());
}

#[test]
fn leg_without_telephone_event_neither_offers_nor_accepts_it() {
    let capabilities = AudioCapabilities::g711().without_telephone_event();
    assert!(!make_offer(&local(), &capabilities, SESSION).to_string().contains("telephone-event"));
    let offer = peer("m=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000");
    let agreed = answer(&offer, &local(), &capabilities, Preference::Offerer, SESSION).unwrap();
    assert_eq!(agreed.telephone_event, None);
    assert_eq!(agreed.local.media[0].formats, ["0"]);
}

#[test]
fn telephone_event_type_of_our_offer_can_follow_the_peer_within_the_dynamic_range() {
    let capabilities = |payload_type| AudioCapabilities::g711().with_telephone_event(payload_type);
    assert_eq!(capabilities(96).telephone_event(), Some(96));
    assert_eq!(capabilities(127).telephone_event(), Some(127));
    assert_eq!(capabilities(128).telephone_event(), Some(101));
    assert_eq!(capabilities(95).telephone_event(), Some(101));
}

#[test]
fn refresh_is_recognised_and_silent_change_is_not_taken_for_one() {
    let first = peer("m=audio 4000 RTP/AVP 0");
    assert_eq!(first.clone().revision_since(&first), Revision::Unchanged);
    let held = peer("m=audio 4000 RTP/AVP 0\na=sendonly");
    assert_eq!(held.revision_since(&first), Revision::ChangedSilently);
    let mut raised = held.clone();
    raised.origin.version = "6".to_owned();
    assert_eq!(raised.revision_since(&held), Revision::Changed);
}

#[test]
fn fields_with_line_breaks_cannot_add_lines() {
    let mut offer = our_offer();
    offer.session_name = "x\r\na=sendonly".to_owned();
    let text = offer.to_string();
    assert!(text.contains("s=x  a=sendonly\r\n"));
}

#[test]
fn last_rtp_port_does_not_overflow_into_rtcp() {
    let agreed = respond(&peer("m=audio 65535 RTP/AVP 0")).unwrap();
    assert_eq!(agreed.remote_rtcp.port(), 65535);
}

#[test]
fn comfort_noise_is_offered_and_accepted_only_where_the_other_leg_has_it() {
    let with = |wanted| AudioCapabilities::g711().with_comfort_noise(wanted);
    let offered = |text: &str, wanted| {
        answer(&peer(text), &local(), &with(wanted), Preference::Offerer, SESSION).unwrap()
    };
    let agreed = offered("m=audio 4000 RTP/AVP 8 13 101\r\na=rtpmap:101 telephone-event/8000", true);
    assert_eq!(agreed.comfort_noise, Some((13, 13)));
    assert!(
        agreed.local.to_string().contains("m=audio 30000 RTP/AVP 8 13 101\r\n")
            || agreed.local.to_string().contains(" 8 13 101\r\n")
    );
    assert_eq!(offered("m=audio 4000 RTP/AVP 8 13", false).comfort_noise, None);
    assert_eq!(offered("m=audio 4000 RTP/AVP 8", true).comfort_noise, None);
    let dynamic = "m=audio 4000 RTP/AVP 8 97\r\na=rtpmap:97 cn/8000";
    assert_eq!(offered(dynamic, true).comfort_noise, Some((97, 97)));
    let wideband = "m=audio 4000 RTP/AVP 8 97\r\na=rtpmap:97 CN/16000";
    assert_eq!(offered(wideband, true).comfort_noise, None);

    let ours = make_offer(&local(), &with(true), SESSION);
    let answered =
        |formats: &str| accept_answer(&ours, &peer(&format!("m=audio 4000 RTP/AVP {formats}"))).unwrap();
    assert_eq!(answered("0 13").comfort_noise, Some((13, 13)));
    assert_eq!(answered("0").comfort_noise, None);
    let without = make_offer(&local(), &with(false), SESSION);
    assert!(!without.to_string().contains("CN/8000"));
    assert_eq!(accept_answer(&without, &peer("m=audio 4000 RTP/AVP 0 13")).unwrap().comfort_noise, None);
}
