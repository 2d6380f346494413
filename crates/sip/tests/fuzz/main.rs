//! The fuzz targets of `fuzz/` as ordinary tests: the same bodies, fed with the torture messages and with what a seeded
//! mutator makes of them. `make fuzz` looks further; what it finds is kept in `regressions`.

#[path = "../../../../fuzz/bodies/digest.rs"]
mod digest;
#[path = "../../../../fuzz/bodies/endpoint.rs"]
mod endpoint;
#[path = "../../../../fuzz/bodies/message.rs"]
mod message;
#[path = "../../../../fuzz/bodies/mutation.rs"]
mod mutation;
mod regressions;
#[path = "../../../../fuzz/bodies/sdp.rs"]
mod sdp;
#[path = "../../../../fuzz/bodies/uri.rs"]
mod uri;

use std::time::Instant;

use mutation::Mutator;

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn now() -> Instant {
    Instant::now()
}

/// The messages of both RFCs.
fn corpus() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for folder in ["rfc4475", "rfc5118"] {
        let folder = format!("{}/tests/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(folder).expect("the messages are there") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "dat") {
                messages.push(std::fs::read(path).expect("readable"));
            }
        }
    }
    assert_eq!(messages.len(), 61);
    messages
}

/// Every message, and mutants of it.
fn each_mutant(seed: u64, mutants: usize, mut check: impl FnMut(&[u8])) {
    let mut mutator = Mutator::new(seed);
    for message in corpus() {
        check(&message);
        for _ in 0..mutants {
            check(&mutator.mutate(&message));
        }
    }
}

#[test]
fn mutated_messages_are_refused_or_mean_what_they_say() {
    each_mutant(1, 400, message::check);
}

#[test]
fn mutated_uris_are_refused_or_mean_what_they_say() {
    let mut mutator = Mutator::new(2);
    for text in [
        "sip:+9180;npdi:pw@Example.COM:5070;transport=tcp;lr?Subject=x&y=z",
        "sips:[2001:db8::1]:5061",
        "tel:+1234;phone-context=+91",
        "\"A \\\"B\\\", C\" <sip:x@h;p=1> ; tag = t1",
        "Bell, Alexander <sip:x@h>;q=0.3",
    ] {
        for _ in 0..10_000 {
            uri::check(&mutator.mutate(text.as_bytes()));
        }
    }
}

#[test]
fn mutated_credentials_and_challenges_let_nobody_in() {
    let mut mutator = Mutator::new(3);
    for text in [
        "Digest username=\"bob\", realm=\"r\", nonce=\"n\", uri=\"sip:h\", response=\"6629fae49393a05397450978507c4ef1\", \
         algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001, opaque=\"o\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\", stale=true, opaque=\"o\"",
    ] {
        for _ in 0..10_000 {
            digest::check(&mutator.mutate(text.as_bytes()));
        }
    }
}

#[test]
fn mutated_descriptions_are_refused_or_read_back_the_same() {
    let mut mutator = Mutator::new(4);
    let text = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 9 18 96 101\r\n\
        a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n\
        a=rtcp:4001 IN IP6 2001:db8::1\r\na=rtcp-mux\r\nm=audio 5000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n\
        m=video 6000 RTP/AVP 31\r\na=inactive\r\nc=IN IP6 2001:db8::2\r\n";
    for _ in 0..20_000 {
        sdp::check(&mutator.mutate(text.as_bytes()));
    }
}

#[test]
fn no_script_leaves_anything_behind_in_an_endpoint() {
    let start = now();
    let mut mutator = Mutator::new(5);
    for _ in 0..4_000 {
        let script: Vec<u8> = (0..mutator.below(400)).map(|_| mutator.below(256) as u8).collect();
        endpoint::check(start, &script);
    }
}
