//! Speaks and hears the RTP of many calls: 20 ms of G.711 each way, sends evenly spread.
//!
//! `rtp-generator CALLS HOST_A HOST_B` prints `ports A0 B0 A1 B1 …`, where each leg hears. Then it takes orders, a line each:
//! `to ADDRESS …` (where each of those legs sends), `run SECONDS CALLS` (the first so many calls talk; it answers
//! `measuring`, `measured` and one line of JSON), end of input. Every payload carries its leg, its number and the time it was
//! sent: what does not come from where the other leg of its call sends is foreign, what never comes is lost, and the delay is
//! the whole way from this program's send to its receive. It never sleeps: give it a core of its own.

mod call;
mod tally;

use std::io::{self, BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use call::Calls;
use tally::Tally;

/// Before counting: every leg has spoken and been heard.
const WARM_UP: Duration = Duration::from_secs(1);
/// After counting: what is under way arrives.
const DRAIN: Duration = Duration::from_millis(300);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [calls, a, b] = arguments.as_slice() else {
        return Err("usage: rtp-generator CALLS HOST_A HOST_B".into());
    };
    let hosts: [IpAddr; 2] = [a.parse()?, b.parse()?];
    // Before other programs of the machine, if allowed: what is measured is not this one.
    let _ = rustix::process::setpriority_process(None, -11);
    let _ = std::fs::write("/proc/self/autogroup", "-20");
    let mut calls = Calls::bind(calls.parse()?, hosts)?;
    let ports: Vec<String> = calls.ports()?.iter().map(u16::to_string).collect();
    say(&format!("ports {}", ports.join(" ")))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        match words.next() {
            Some("to") => {
                calls.aim(words.map(str::parse::<SocketAddr>).collect::<Result<_, _>>()?)?;
                say("aimed")?;
            }
            Some("run") => {
                let seconds: u64 = words.next().ok_or("run SECONDS CALLS")?.parse()?;
                let talking: usize = words.next().ok_or("run SECONDS CALLS")?.parse()?;
                say(&run(&mut calls, Duration::from_secs(seconds), talking)?)?;
            }
            _ => return Err(format!("unknown order: {line}").into()),
        }
    }
    Ok(())
}

fn run(calls: &mut Calls, length: Duration, talking: usize) -> Result<String, Failure> {
    calls.begin(talking);
    calls.talk(WARM_UP, &mut Tally::default());
    say("measuring")?;
    let mut tally = Tally::default();
    let round = calls.next_round();
    calls.talk(length, &mut tally);
    say("measured")?;
    calls.listen_on(DRAIN, &mut tally);
    tally.close(round);
    Ok(tally.json(talking, length))
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
