//! What relaying one packet costs, in nanoseconds, without sockets: judge, rewrite, count.
//!
//! `cargo run --release -p tandem-media --example relay_cost`

use std::hint::black_box;
use std::time::{Duration, Instant};

use tandem_media::rtp::{Header, MAX_DATAGRAM};
use tandem_media::{
    Bridge, Direction, LatchPolicy, LegConfig, MediaLeg, Negotiated, PayloadMap, Received, Start, Tap,
};

/// Calls relayed in turn, so that legs come from memory as they do in a busy worker.
const CALLS: usize = 1_000;
const PACKETS: usize = 500;

struct Call {
    from: MediaLeg,
    to: MediaLeg,
    bridge: Bridge,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock it measures with")]
fn clock() -> Instant {
    Instant::now()
}

fn leg(now: Instant, map: PayloadMap, ptime_ms: u8) -> MediaLeg {
    let remote = Some(([127, 0, 0, 1], 4_000).into());
    let direction = Direction::SendRecv;
    MediaLeg::new(
        now,
        LegConfig {
            ssrc: 1,
            first_sequence: 1,
            first_timestamp: 1,
            unix_time: Duration::from_secs(1_700_000_000),
            negotiated: Negotiated {
                receive: map,
                send: map,
                ptime_ms,
                remote,
                remote_rtcp: None,
                direction,
            },
            latch: LatchPolicy::Strict,
            signalling_ip: None,
            media_timeout: Some(Duration::from_mins(1)),
            start: Start::AtAck,
            unproven_packets: None,
        },
    )
}

/// Nanoseconds per incoming packet.
fn measure(out_map: PayloadMap, ptime_ms: u8) -> f64 {
    let origin = clock();
    let mut calls: Vec<Call> = (0..CALLS)
        .map(|_| Call {
            from: leg(origin, PayloadMap::PCMU_101, 20),
            to: leg(origin, out_map, ptime_ms),
            bridge: Bridge::new(),
        })
        .collect();
    let source = ([127, 0, 0, 1], 4_000).into();
    let mut buffer = [0u8; MAX_DATAGRAM];
    let mut bytes = 0;
    let begun = clock();
    for n in 0..PACKETS {
        let now = origin + Duration::from_millis(20 * n as u64);
        let header =
            Header { marker: false, payload_type: 0, sequence: n as u16, timestamp: n as u32 * 160, ssrc: 9 };
        for call in &mut calls {
            let len = header.write(&[0x55; 160], &mut buffer).unwrap_or(0);
            let Received::Audio(incoming) = call.from.on_datagram(now, source, &buffer[..len]) else {
                continue;
            };
            bytes += call.bridge.relay(now, &mut buffer, &incoming, &mut call.to).unwrap_or(0);
            while let Some(len) = call.bridge.poll(now, &mut call.to, &mut buffer) {
                bytes += len;
            }
        }
    }
    let spent = clock() - begun;
    black_box(bytes);
    spent.as_nanos() as f64 / (CALLS * PACKETS) as f64
}

/// Nanoseconds per recorded packet, both sides, µ-law.
fn measure_tap() -> f64 {
    let origin = clock();
    let mut tap = Tap::new(origin, tandem_media::RecordFormat::default());
    let mut out = Vec::with_capacity(1 << 20);
    let begun = clock();
    for n in 0..50_000u32 {
        let now = origin + Duration::from_millis(20 * u64::from(n));
        for (side, ssrc) in [(tandem_media::Side::Caller, 1), (tandem_media::Side::Callee, 2)] {
            tap.place(now, side, ssrc, n * 160, tandem_media::Codec::Pcmu, &[0x55; 160]);
        }
        tap.drain(now, &mut out);
        if out.len() > 1 << 19 {
            out.clear();
        }
    }
    (clock() - begun).as_nanos() as f64 / 100_000.0
}

#[expect(clippy::print_stdout, reason = "the figures are the point")]
fn main() {
    println!("leg                     {:>6} bytes", size_of::<MediaLeg>());
    println!("relay PCMU to PCMU      {:>6.0} ns per packet", measure(PayloadMap::PCMU_101, 20));
    println!("relay PCMU to PCMA      {:>6.0} ns per packet", measure(PayloadMap::PCMA_101, 20));
    println!("relay 20 ms to 30 ms    {:>6.0} ns per packet", measure(PayloadMap::PCMU_101, 30));
    println!("record                  {:>6.0} ns per packet", measure_tap());
}
