//! Attacks on a running platform, for `bench/flood` and `bench/spray`; each prints one line of JSON.
//!
//! attack flood PLATFORM RATE SECONDS SOURCES HOST…
//! attack spray PLATFORM RATE SECONDS FIRST_PORT LAST_PORT CALLS CALLER CALLEE DOMAIN NUMBER DIALLED

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;
use tandem_testkit::{Flood, Lines, Spray};

const FOREIGN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 88, 0, 1));

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match words.as_slice() {
        ["flood", platform, rate, seconds, sources, hosts @ ..] if !hosts.is_empty() => {
            let flood = Flood {
                target: read(platform),
                rate: read(rate),
                time: Duration::from_secs(read(seconds)),
                sources: read(sources),
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            };
            flood.run().await.expect("sockets").json()
        }
        ["spray", platform, rate, seconds, first, last, calls, caller, callee, domain, number, dialled] => {
            let lines = Lines {
                platform: read(platform),
                caller: read(caller),
                callee: read(callee),
                domain: (*domain).to_owned(),
                number: (*number).to_owned(),
                dialled: (*dialled).to_owned(),
                calls: read(calls),
                talk: Duration::from_secs(read(seconds)),
            };
            let spray = Spray {
                from: FOREIGN,
                target: lines.platform.ip(),
                ports: read(first)..=read(last),
                rate: read(rate),
                // From before the first call to after the last.
                time: lines.talk + Duration::from_secs(u64::from(lines.calls) / 25 + 3),
            };
            let (lines, spray) = tokio::join!(lines.run(|| ()), spray.run());
            let (lines, spray) = (lines.expect("the calls are up"), spray.expect("a socket"));
            let rate = (spray.sent as f64 / spray.took.as_secs_f64()).round();
            json!({"lines": lines.json(), "sprayed": spray.sent, "rate": rate, "answers": spray.answers})
        }
        _ => panic!("attack flood|spray …: see the source"),
    };
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{report}");
    }
}

fn read<T: FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
    word.parse().unwrap_or_else(|error| panic!("{word}: {error:?}"))
}
