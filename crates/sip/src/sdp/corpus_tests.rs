//! Descriptions as real peers send them, and the limits of what is read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;

/// Joins lines as the wire has them.
fn wire(lines: &[&str]) -> String {
    let mut text = lines.join("\r\n");
    text.push_str("\r\n");
    text
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn local() -> LocalMedia {
    LocalMedia::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 30_000)
}

const SESSION: LocalSession = LocalSession { id: 77, version: 1 };

fn take(text: &str) -> Negotiated {
    answer(&parse(text), &local(), &AudioCapabilities::g711(), Preference::Offerer, SESSION).unwrap()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn sipp_default_scenario_is_answered() {
    let agreed = take(&wire(&[
        "v=0",
        "o=user1 53655765 2353687637 IN IP4 127.0.1.1",
        "s=-",
        "c=IN IP4 127.0.1.1",
        "t=0 0",
        "m=audio 6000 RTP/AVP 0",
        "a=rtpmap:0 PCMU/8000",
    ]));
    assert_eq!((agreed.codec, agreed.send_payload_type), (AudioCodec::Pcmu, 0));
    assert_eq!(agreed.telephone_event, None);
    assert_eq!(agreed.remote_rtp, socket("127.0.1.1:6000"));
    assert_eq!(agreed.remote_rtcp, socket("127.0.1.1:6001"));
    assert_eq!(agreed.ptime_ms, 20);
}

#[test]
fn sipp_bare_payload_type_without_rtpmap_is_known_from_the_static_table() {
    let agreed =
        take("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8\n");
    assert_eq!(agreed.codec, AudioCodec::Pcma);
}

#[test]
fn baresip_with_many_codecs_and_video_gets_audio_and_a_refused_video_in_place() {
    let offer = wire(&[
        "v=0",
        "o=- 3821870123 1504861247 IN IP4 192.168.1.20",
        "s=-",
        "c=IN IP4 192.168.1.20",
        "t=0 0",
        "a=tool:baresip 3.10.0",
        "m=audio 12804 RTP/AVP 96 9 0 8 101",
        "b=AS:125",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 stereo=1;sprop-stereo=1",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtcp:12805",
        "a=sendrecv",
        "a=label:1",
        "a=rtcp-rsize",
        "a=ssrc:2891013812 cname:sip:alice@example.com",
        "a=ptime:20",
        "m=video 28340 RTP/AVP 97",
        "a=rtpmap:97 H264/90000",
        "a=fmtp:97 packetization-mode=0;profile-level-id=42e01f",
    ]);
    let agreed = take(&offer);
    assert_eq!(agreed.codec, AudioCodec::Pcmu);
    assert_eq!(
        agreed.local.to_string(),
        wire(&[
            "v=0",
            "o=tandem 77 1 IN IP4 198.51.100.7",
            "s=tandem",
            "c=IN IP4 198.51.100.7",
            "t=0 0",
            "m=audio 30000 RTP/AVP 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=ptime:20",
            "a=sendrecv",
            "m=video 0 RTP/AVP 97",
        ])
    );
}

#[test]
fn linphone_with_secure_section_first_is_answered_on_the_plain_one() {
    let agreed = take(&wire(&[
        "v=0",
        "o=alice 2890 1024 IN IP4 10.0.0.5",
        "s=Talk",
        "c=IN IP4 10.0.0.5",
        "t=0 0",
        "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics",
        "a=record:off",
        "m=audio 7076 RTP/SAVP 0 8",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "m=audio 7078 RTP/AVPF 96 97 98 0 8 18 101 99 100",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:97 speex/16000",
        "a=fmtp:97 vbr=on",
        "a=rtpmap:98 speex/8000",
        "a=fmtp:18 annexb=yes",
        "a=rtpmap:101 telephone-event/48000",
        "a=rtpmap:99 telephone-event/16000",
        "a=rtpmap:100 telephone-event/8000",
        "a=rtcp-fb:* trr-int 1000",
    ]));
    assert_eq!(agreed.codec, AudioCodec::Pcmu);
    // The event clock follows the codec: 100, not 101.
    assert_eq!(
        agreed.telephone_event,
        Some(TelephoneEvent { send_payload_type: 100, receive_payload_type: 100, clock_rate: 8_000 })
    );
    assert_eq!(agreed.remote_rtp, socket("10.0.0.5:7078"));
    let ports: Vec<u16> = agreed.local.media.iter().map(|media| media.port).collect();
    assert_eq!(ports, [0, 30_000]);
    assert_eq!(agreed.local.media[1].transport, Transport::RtpAvpf);
}

#[test]
fn asterisk_with_maxptime_and_event_range_of_sixteen_is_answered() {
    let agreed = take(&wire(&[
        "v=0",
        "o=- 1622730216 1622730216 IN IP4 203.0.113.9",
        "s=Asterisk",
        "c=IN IP4 203.0.113.9",
        "t=0 0",
        "m=audio 17638 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=maxptime:140",
        "a=sendrecv",
    ]));
    assert_eq!((agreed.codec, agreed.ptime_ms), (AudioCodec::Pcma, 20));
}

#[test]
fn ribbon_like_carrier_with_blanks_in_the_user_name_is_answered() {
    let agreed = take(&wire(&[
        "v=0",
        "o=Sonus UAC 421021 310411 IN IP4 203.0.113.20",
        "s=SIP Media Capabilities",
        "c=IN IP4 203.0.113.84",
        "t=0 0",
        "m=audio 22086 RTP/AVP 8 18 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:18 G729/8000",
        "a=fmtp:18 annexb=no",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=sendrecv",
        "a=maxptime:20",
        "a=ptime:20",
    ]));
    // Media goes to c=, not to the address of o=.
    assert_eq!(agreed.remote_rtp, socket("203.0.113.84:22086"));
    assert_eq!(agreed.codec, AudioCodec::Pcma);
}

#[test]
fn dynamic_payload_types_are_kept_per_leg() {
    let agreed = take(&wire(&[
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 97 96",
        "a=rtpmap:97 pcma/8000/1",
        "a=rtpmap:96 TELEPHONE-EVENT/8000",
        "a=ptime:30",
    ]));
    assert_eq!((agreed.codec, agreed.send_payload_type), (AudioCodec::Pcma, 97));
    assert_eq!(agreed.telephone_event.unwrap().send_payload_type, 96);
    assert_eq!(agreed.ptime_ms, 30);
    assert_eq!(agreed.local.media[0].formats, ["97", "96"]);
}

#[test]
fn ipv6_offer_is_answered_over_ipv6() {
    let offer = parse(&wire(&[
        "v=0",
        "o=- 1 1 IN IP6 2001:db8::1",
        "s=-",
        "c=IN IP6 2001:db8::1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0",
        "a=rtcp:4005 IN IP6 2001:db8::2",
    ]));
    let local = LocalMedia::new("2001:db8::99".parse().unwrap(), 30_000);
    let agreed = answer(&offer, &local, &AudioCapabilities::g711(), Preference::Offerer, SESSION).unwrap();
    assert_eq!(agreed.remote_rtp, socket("[2001:db8::1]:4000"));
    assert_eq!(agreed.remote_rtcp, socket("[2001:db8::2]:4005"));
    assert!(agreed.local.to_string().contains("c=IN IP6 2001:db8::99\r\n"));

    let ipv4 = answer(&offer, &self::local(), &AudioCapabilities::g711(), Preference::Offerer, SESSION);
    assert!(matches!(ipv4, Err(NegotiationError::AddressFamily { .. })));
}

#[test]
fn t38_and_chrome_like_attributes_are_carried_and_refused() {
    let text = wire(&[
        "v=0",
        "o=- 46117317 2 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 192.0.2.4",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=image 4002 udptl t38",
        "a=T38FaxVersion:0",
        "a=T38FaxRateManagement:transferredTCF",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-mux",
    ]);
    let description = parse(&text);
    assert_eq!(description.to_string(), text);
    let outcome =
        answer(&description, &local(), &AudioCapabilities::g711(), Preference::Offerer, SESSION).unwrap_err();
    assert_eq!(outcome, NegotiationError::UnsupportedTransport { transport: "UDP/TLS/RTP/SAVPF".into() });
    assert_eq!(outcome.warning().0, 302);
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let description = parse(&wire(&[
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "m=audio 4000 RTP/SAVP 0",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRETSECRET",
    ]));
    assert_eq!(description.media[0].crypto[0].suite(), Some("AES_CM_128_HMAC_SHA1_80"));
    assert!(!format!("{description:?}").contains("SECRET"));
}

#[test]
fn malformed_attributes_stay_text_and_unknown_lines_are_dropped() {
    let description = parse(&wire(&[
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=",
        "i=information",
        "b=AS:64",
        "z=0 0",
        "m=audio 4000/2 RTP/AVP 0",
        "a=ptime:twenty",
        "a=rtpmap:300 PCMU/8000",
        "a=fmtp:101",
        "a=",
        "k=clear:secret",
    ]));
    assert_eq!(description.session_name, "-");
    let media = &description.media[0];
    assert_eq!((media.port, media.ptime_ms, media.rtpmaps.len()), (4000, None, 0));
    let names: Vec<&str> = media.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["ptime", "rtpmap", "fmtp"]);
}

#[test]
fn framing_errors_name_the_line() {
    let refused = |text: &str| SessionDescription::parse(text.as_bytes()).unwrap_err();
    assert_eq!(refused(""), SdpError::NotVersionZero);
    assert_eq!(refused("v=1\r\n"), SdpError::NotVersionZero);
    assert_eq!(refused("v=0\r\ns=-\r\n"), SdpError::NoOrigin);
    assert_eq!(refused("v=0\r\nnonsense\r\n"), SdpError::BadLine { line: 2 });
    assert_eq!(refused("v=0\r\ns=a\u{0}b\r\n"), SdpError::BadLine { line: 2 });
    assert_eq!(refused("v=0\r\ns=a\rb=c\r\n"), SdpError::BadLine { line: 2 });
    assert_eq!(refused("v=0\r\no=- 1 1 IN IP4\r\n"), SdpError::BadValue { line: 2, kind: 'o' });
    let origin = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";
    for (line, kind) in [
        ("c=IN IP5 192.0.2.1", 'c'),
        ("c=IN IP4 /24", 'c'),
        ("m=audio 70000 RTP/AVP 0", 'm'),
        ("m=audio 4000 RTP/AVP", 'm'),
        ("o=- 1 1 IN IP4 192.0.2.1", 'o'),
    ] {
        assert_eq!(refused(&format!("{origin}{line}\r\n")), SdpError::BadValue { line: 3, kind }, "{line}");
    }
}

#[test]
fn limits_hold_at_and_one_past() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";
    let parse = |text: String| SessionDescription::parse(text.as_bytes());

    let media = |count: usize| format!("{head}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(count));
    assert!(parse(media(MAX_MEDIA_LINES)).is_ok());
    assert_eq!(parse(media(MAX_MEDIA_LINES + 1)), Err(SdpError::TooManyMedia));

    let attributes = |count: usize| format!("{}{}", media(1), "a=x:y\r\n".repeat(count));
    assert!(parse(attributes(MAX_ATTRIBUTES_PER_SECTION)).is_ok());
    assert_eq!(parse(attributes(MAX_ATTRIBUTES_PER_SECTION + 1)), Err(SdpError::TooManyAttributes));

    let formats = |count: usize| format!("{head}m=audio 4000 RTP/AVP{}\r\n", " 0".repeat(count));
    assert!(parse(formats(MAX_FORMATS_PER_MEDIA)).is_ok());
    assert_eq!(parse(formats(MAX_FORMATS_PER_MEDIA + 1)), Err(SdpError::TooManyFormats));

    let sized = |bytes: usize| format!("{head}i={}", "x".repeat(bytes - head.len() - 2));
    assert!(parse(sized(MAX_SDP_BYTES)).is_ok());
    assert_eq!(parse(sized(MAX_SDP_BYTES + 1)), Err(SdpError::TooLong { bytes: MAX_SDP_BYTES + 1 }));
}
