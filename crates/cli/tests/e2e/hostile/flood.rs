//! A flood of strangers while good trunks call, and a spray of RTP while calls talk: short versions of `make flood` and
//! `make spray`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tandem_testkit::{Answer, Flood, Lines, LinesReport, Spray};

use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side};
use crate::stage::{peer::free_port, until};

const ACL_PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 31));
const DIGEST_PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 32));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FOREIGN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 88, 0, 1));

struct Stage {
    world: World,
    customer: Customer,
    number: String,
    by_address: Trunk,
    by_password: Trunk,
    _echo: CarrierPeer,
    lines: SocketAddr,
}

async fn stage(options: WorldOptions) -> Stage {
    let world = World::open(options, |_| Answer::status(204)).await;
    let customer = world.customer("good", 1_000.0, (200, 200)).await;
    let number = world.number(&customer).await;
    let by_address = world.trunk(&customer, "by address").await;
    world.acl(&customer, &by_address, &ACL_PBX.to_string()).await;
    let by_password = world.trunk(&customer, "by password").await;
    world.credential(&customer, &by_password, "pbx", "correct-horse-7").await;
    let echo = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", echo.address, &["9190"], 1).await;
    let lines = SocketAddr::new(LOOPBACK, free_port(LOOPBACK));
    world.carrier("lines", lines, &["9191"], 1).await;
    Stage { world, customer, number, by_address, by_password, _echo: echo, lines }
}

impl Stage {
    fn lines(&self, calls: u16, talk: Duration) -> Lines {
        Lines {
            platform: self.world.sip(),
            caller: SocketAddr::new(ACL_PBX, free_port(ACL_PBX)),
            callee: self.lines,
            domain: self.by_address.domain.clone(),
            number: format!("+{}", self.number),
            dialled: "91910000".to_owned(),
            calls,
            talk,
        }
    }

    async fn digest_call(&self, to: &str) -> bool {
        let call = Caller::call(DIGEST_PBX, self.world.sip(), None, |media| {
            Dialog::new(&self.number, to, &self.by_password.domain, media)
                .credentials("pbx", "correct-horse-7")
                .invite()
                .answered()
                .ack()
                .pause(300)
                .bye()
        });
        call.await.finish().await.outcome.success
    }

    async fn is_empty_again(&self) {
        until("calls to end", || async {
            self.world.live_calls(&self.customer).await.is_empty().then_some(())
        })
        .await;
        self.world.verify_ledger();
    }
}

fn all_is_well(report: LinesReport, calls: u64) {
    assert_eq!((report.answered, report.ended), (calls, calls), "{report:?}");
    assert_eq!((report.foreign, report.crossed), (0, 0), "{report:?}");
    assert!(report.heard * 100 >= report.sent * 98, "{report:?}");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_strangers_leaves_good_trunks_alone_and_gets_no_byte_more_than_it_sent() {
    let stage = stage(WorldOptions::default()).await;
    assert!(stage.digest_call("919000000100").await, "before the flood");
    let before = resident_kib(stage.world.platform.pid());
    let flood = Flood {
        target: stage.world.sip(),
        rate: 4_000,
        time: Duration::from_secs(5),
        sources: 1_000,
        hosts: vec![
            stage.by_password.domain.clone(),
            "registrar.tandem.localhost".to_owned(),
            stage.world.sip().ip().to_string(),
        ],
    };
    let calls = async {
        let lines = stage.lines(20, Duration::from_secs(2)).run(|| ()).await.expect("the ACL trunk calls");
        for number in 101..104 {
            assert!(stage.digest_call(&format!("919000000{number}")).await, "the digest trunk calls");
        }
        lines
    };
    let (report, lines) = tokio::join!(flood.run(), calls);
    let report = report.expect("sockets");
    let grown = resident_kib(stage.world.platform.pid()).saturating_sub(before);
    let counts = stage.world.platform.admin(&["edge"]);
    let told = format!("{report:#?} {counts:#} grown by {grown} KiB");
    all_is_well(lines, 20);
    assert!(report.sent > 15_000 && report.answers > 100, "{told}");
    assert_eq!((report.foreign_bytes, report.amplified), (0, 0), "{told}");
    assert!(report.answer_bytes <= report.sent_bytes, "{told}");
    assert!(counts["dropped"]["foreign"].as_u64() > Some(1_000), "{told}");
    assert!(grown < 24 * 1024, "{told}");
    stage.is_empty_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sprayed_rtp_reaches_nobody_and_calls_do_not_mind() {
    let stage = stage(WorldOptions::default()).await;
    let port =
        |name| stage.world.platform.environment(name).and_then(|port| port.parse().ok()).expect("a port");
    let spray = Spray {
        from: FOREIGN,
        target: LOOPBACK,
        ports: port("TANDEM_RTP__FIRST_PORT")..=port("TANDEM_RTP__LAST_PORT"),
        rate: 4_000,
        time: Duration::from_secs(6),
    };
    let nated = async {
        // A digest trunk's audio may come from elsewhere than its SDP says: the latch decides, not the ACL.
        let call = Caller::call(DIGEST_PBX, stage.world.sip(), Some(440), |media| {
            Dialog::new(&stage.number, "919000000200", &stage.by_password.domain, media)
                .credentials("pbx", "correct-horse-7")
                .invite()
                .answered()
                .ack()
                .pause(3_000)
                .bye()
        });
        call.await.finish().await
    };
    let lines = stage.lines(10, Duration::from_secs(4));
    let (spray, lines, nated) = tokio::join!(spray.run(), lines.run(|| ()), nated);
    let spray = spray.expect("a socket");
    all_is_well(lines.expect("the calls are up"), 10);
    assert!(spray.sent > 15_000, "{spray:?}");
    assert_eq!(spray.answers, 0, "nothing goes to the sprayer: {spray:?}");
    nated.went_as_written();
    assert_eq!(nated.heard.sources.len(), 1, "one voice: {:?}", nated.heard.sources);
    assert!(nated.heard.tone_ms(440) > 2_000, "its echo, {} ms of it", nated.heard.tone_ms(440));
    stage.is_empty_again().await;
}
