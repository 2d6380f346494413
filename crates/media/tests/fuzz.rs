//! The fuzz target of RTP and RTCP as an ordinary test; see `fuzz/`.

#[path = "../../../fuzz/bodies/mutation.rs"]
mod mutation;
#[path = "../../../fuzz/bodies/rtp.rs"]
mod rtp;

use std::time::Instant;

use mutation::Mutator;

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn now() -> Instant {
    Instant::now()
}

/// Datagrams as [`rtp::check`] reads them: length, milliseconds, bytes.
fn recorded() -> Vec<u8> {
    let mut bytes = Vec::new();
    for sequence in 0..12_u8 {
        let mut packet =
            vec![0x80, if sequence > 8 { 101 } else { 0 }, 0, sequence, 0, 0, sequence, 0, 0, 0, 0, 9];
        let payload = if sequence > 8 { vec![4, 0x0a, 1, 0x40] } else { vec![0xff; 160] };
        packet.extend(payload);
        bytes.extend([packet.len() as u8, 20]);
        bytes.extend(packet);
    }
    let sender_report = [
        [0x81, 200, 0, 12, 0, 0, 0, 9].as_slice(),
        &[0; 20],
        &[0, 0, 0, 1],
        &[0; 20],
        &[0x81, 203, 0, 1, 0, 0, 0, 9],
    ]
    .concat();
    bytes.extend([sender_report.len() as u8, 20]);
    bytes.extend(sender_report);
    bytes
}

#[test]
fn mutated_datagrams_leave_a_media_leg_whole() {
    let start = now();
    let mut mutator = Mutator::new(1);
    let recorded = recorded();
    rtp::check(start, &recorded);
    for _ in 0..4_000 {
        rtp::check(start, &mutator.mutate(&recorded));
        let noise: Vec<u8> = (0..mutator.below(300)).map(|_| mutator.below(256) as u8).collect();
        rtp::check(start, &noise);
    }
}
