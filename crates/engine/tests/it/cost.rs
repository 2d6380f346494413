//! What a bridged call costs the signalling thread, in CPU and memory. A measurement, run by hand in
//! release: `cargo test --release -p tandem-engine --test it -- --ignored --nocapture cost`.

use std::time::Duration;

use tandem_sip::Event;

use crate::support::{Peer, World, engine_with, route_to};

/// Calls measured.
const CALLS: usize = 4_000;
/// Calls in flight at once.
const BATCH: usize = 100;
/// Clock ticks a second in /proc (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of this process's threads of that name.
fn cpu_of(thread: &str) -> Duration {
    let ticks: u64 = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains(&format!("({thread})")))
        .map(|stat| {
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const SDP: &str = "v=0\r\no=peer 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 9 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

async fn set_up(a: &Peer, b: &Peer, engine: std::net::SocketAddr, count: usize) -> Vec<tandem_sip::LegId> {
    let mut legs = Vec::with_capacity(count);
    for _ in 0..count {
        legs.push(a.invite(engine, "+918012345678", "trunk.test", SDP));
    }
    for _ in 0..count {
        let (leg, _) = b.invited().await;
        let _ = b.command(|endpoint, now| endpoint.ringing(now, leg));
        let _ = b.command(|endpoint, now| endpoint.answer(now, leg, SDP.as_bytes()));
    }
    for _ in 0..count {
        a.expect("200", |event| matches!(event, Event::Answered { .. }).then_some(())).await;
    }
    legs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a claim"]
async fn cost_of_a_bridged_call() {
    let world = World::new();
    world.unwatch();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| {
        config.rtp_ports = 20_000..=60_000;
        config.timing.port_quarantine = Duration::ZERO;
    })
    .await;
    let before = cpu_of("sip-0");
    let mut done = 0;
    while done < CALLS {
        let legs = set_up(&a, &b, engine.sip_addr(), BATCH).await;
        for leg in legs {
            let _ = a.command(|endpoint, now| endpoint.bye(now, leg, None));
        }
        done += BATCH;
        world.ends(done).await;
    }
    let spent = cpu_of("sip-0").saturating_sub(before);
    println!(
        "signalling thread: {:.1} us CPU a call over {CALLS} calls",
        spent.as_micros() as f64 / CALLS as f64
    );

    let before = resident_kib();
    let mut live = 0;
    while live < 1_000 {
        set_up(&a, &b, engine.sip_addr(), BATCH).await;
        live += BATCH;
    }
    let grown = resident_kib().saturating_sub(before);
    println!(
        "{grown} KiB for {live} live calls, both peers, media and the fake service included: {:.1} KiB each",
        grown as f64 / live as f64
    );
    engine.abandon().await;
}
